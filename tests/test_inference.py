"""The model's thread: sessions that wait together share a batch, and errors find their owner."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from server.inference import Inference
from streaming_model.media import AudioChunk, MotionChunk
from tests.live_fakes import FakeAvatar, FakeMotion, FakeMotionState


def chunk(start: int = 0) -> AudioChunk:
    return AudioChunk(start, np.zeros(640, np.float32))


async def test_jobs_that_wait_together_make_one_batch() -> None:
    motion, gate = FakeMotion(), threading.Event()
    with ThreadPoolExecutor(1) as worker:
        inference = Inference(worker)
        worker.submit(gate.wait)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(inference.step(motion, motion.start(), chunk())) for _ in range(5)
            ]
            await asyncio.sleep(0)
            gate.set()
    assert motion.batches == [5]
    assert all(state.start == 0 for state, _ in (task.result() for task in tasks))


async def test_other_generators_make_other_batches() -> None:
    first, second, gate = FakeMotion(), FakeMotion(), threading.Event()
    with ThreadPoolExecutor(1) as worker:
        inference = Inference(worker)
        worker.submit(gate.wait)
        async with asyncio.TaskGroup() as group:
            for motion in (first, second, first):
                group.create_task(inference.step(motion, motion.start(), chunk()))
            await asyncio.sleep(0)
            gate.set()
    assert (first.batches, second.batches) == ([2], [1])


@pytest.mark.parametrize("turns", [1, 3])
async def test_a_job_that_was_cancelled_is_in_no_batch(turns: int) -> None:
    motion, gate = FakeMotion(), threading.Event()
    with ThreadPoolExecutor(1) as worker:
        inference = Inference(worker)
        worker.submit(gate.wait)
        async with asyncio.TaskGroup() as group:
            given_up = group.create_task(inference.step(motion, motion.start(), chunk()))
            for _ in range(turns):
                await asyncio.sleep(0)
            given_up.cancel()
            group.create_task(inference.step(motion, motion.start(), chunk()))
            await asyncio.wait([given_up])
            gate.set()
    assert given_up.cancelled()
    assert motion.batches == [1]


class Gathering(FakeMotion):
    """Makes motion of every second chunk; knows on which thread each was heard."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[str] = []

    def is_due(self, state: FakeMotionState, chunk: AudioChunk, /) -> bool:
        del state
        return chunk.start % 1280 == 640

    def step(
        self, states: Sequence[FakeMotionState], inputs: Sequence[AudioChunk], /
    ) -> tuple[list[FakeMotionState], list[list[MotionChunk]]]:
        self.threads.append(threading.current_thread().name)
        return super().step(states, inputs)


async def test_what_is_only_remembered_is_not_handed_to_the_worker() -> None:
    motion = Gathering()
    state = motion.start()
    with ThreadPoolExecutor(1, thread_name_prefix="model") as worker:
        inference = Inference(worker)
        for start in range(0, 4 * 640, 640):
            state, _ = await inference.step(motion, state, chunk(start))
    own = threading.current_thread().name
    assert motion.threads == [own, "model_0", own, "model_0"]
    assert motion.batches == [1, 1, 1, 1]


class Picky(FakeMotion):
    """Fails for audio that starts at 1."""

    def step(
        self, states: Sequence[FakeMotionState], inputs: Sequence[AudioChunk], /
    ) -> tuple[list[FakeMotionState], list[list[MotionChunk]]]:
        if any(audio.start == 1 for audio in inputs):
            raise ValueError("not this one")
        return super().step(states, inputs)


async def test_an_error_reaches_who_asked() -> None:
    motion = Picky()
    with ThreadPoolExecutor(1) as worker:
        inference = Inference(worker)
        with pytest.raises(ValueError, match="not this one"):
            await inference.step(motion, motion.start(), chunk(1))
        await inference.step(motion, motion.start(), chunk())


async def test_drawing_happens_on_the_worker() -> None:
    names: list[str] = []

    avatar = FakeAvatar(size=64)
    render = avatar.render

    def spy(state: object, chunks: object) -> object:
        names.append(threading.current_thread().name)
        return render(state, chunks)  # type: ignore[arg-type]

    avatar.render = spy  # type: ignore[assignment,method-assign]
    with ThreadPoolExecutor(1, thread_name_prefix="model") as worker:
        motion = MotionChunk(0, np.zeros((1, 58), np.float32), np.zeros(1, np.int64))
        _, frames = await Inference(worker).draw(avatar, avatar.start(), motion)
    assert len(frames) == 1
    assert names == ["model_0"]
