"""The device's engine: batches by what is due, joining and leaving, and errors find their owner."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from server.engine import DeviceInference
from server.marks.marker import MarkedAvatar, Marker, payload_of
from server.marks.options import MarkOptions
from streaming_model.backdrop import Backdrop
from streaming_model.cadence import Pose
from streaming_model.media import AudioChunk, MotionChunk, VideoFrame
from streaming_model.motion_space import MOTION_SIZE
from tests.live_fakes import FakeAvatar, FakeMotion, FakeMotionState, FakeState
from tests.virtual_time import InlineExecutor, VirtualClock

SIZE = 256


def chunk(start: int = 0) -> AudioChunk:
    return AudioChunk(start, np.zeros(640, np.float32))


def motion(value: float, start: int = 0) -> MotionChunk:
    rows = np.full((1, MOTION_SIZE), value, np.float32)
    return MotionChunk(start, rows, np.zeros(1, np.int64))


class Canvas:
    """Fills pictures with the motion's number; remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[str] = set()

    def draw(self, motions: NDArray[np.float32], /) -> NDArray[np.uint8]:
        self.batches.append([round(float(row[0])) for row in motions])
        self.threads.add(threading.current_thread().name)
        filled = motions[:, 0].astype(np.uint8)
        return np.broadcast_to(filled[:, None, None, None], (len(motions), SIZE, SIZE, 3)).copy()


class TogetherAvatar(FakeAvatar):
    def __init__(self, canvas: Canvas) -> None:
        super().__init__(size=SIZE)
        self.canvas = canvas

    def with_backdrop(self, backdrop: Backdrop, /) -> TogetherAvatar:
        del backdrop
        return TogetherAvatar(Canvas())

    def poses(
        self, state: FakeState, chunks: Iterable[MotionChunk], /
    ) -> tuple[FakeState, list[Pose]]:
        return state, [Pose(chunk.start, row, 0) for chunk in chunks for row in chunk.motion]

    def finished(
        self, poses: Sequence[Pose], images: Sequence[NDArray[np.uint8]], /
    ) -> list[VideoFrame]:
        return [VideoFrame(pose.start, image) for pose, image in zip(poses, images, strict=True)]

    def render(
        self, state: FakeState, chunks: Iterable[MotionChunk], /
    ) -> tuple[FakeState, list[VideoFrame]]:
        after, poses = self.poses(state, chunks)
        images = self.canvas.draw(np.stack([pose.motion for pose in poses]))
        return after, self.finished(poses, list(images))


async def grown(engine: DeviceInference, avatar: FakeAvatar, rounds: int = 4) -> None:
    """Lets the engine see that batches of this avatar's kind cost nothing."""
    for index in range(rounds):
        async with asyncio.TaskGroup() as group:
            for _ in range(1 << index):
                group.create_task(engine.draw(avatar, avatar.start(), motion(0)))


async def test_pictures_of_sessions_that_ask_together_make_one_batch() -> None:
    canvas, engine = Canvas(), DeviceInference(InlineExecutor(), VirtualClock())
    sessions = [TogetherAvatar(canvas) for _ in range(6)]
    await grown(engine, sessions[0])
    canvas.batches.clear()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(engine.draw(avatar, avatar.start(), motion(index), due=100 - index))
            for index, avatar in enumerate(sessions)
        ]
    assert canvas.batches == [[5, 4, 3, 2, 1, 0]]  # the earliest due first
    for index, task in enumerate(tasks):
        _, (frame,) = task.result()
        assert frame.image[0, 0, 0] == index


async def test_motion_that_waits_together_makes_one_batch() -> None:
    model, engine = FakeMotion(), DeviceInference(InlineExecutor(), VirtualClock())
    for count in (1, 2, 4):
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(engine.step(model, model.start(), chunk()))
    assert model.batches == [1, 2, 4]


async def test_the_most_urgent_kind_goes_first_whoever_asked_first() -> None:
    first, second = Canvas(), Canvas()
    gate = threading.Event()
    order: list[str] = []
    with ThreadPoolExecutor(1, thread_name_prefix="device") as worker:
        engine = DeviceInference(worker, VirtualClock())
        worker.submit(gate.wait)

        async def ask(name: str, canvas: Canvas, due: int) -> None:
            avatar = TogetherAvatar(canvas)
            await engine.draw(avatar, avatar.start(), motion(1), due=due)
            order.append(name)

        async with asyncio.TaskGroup() as group:
            group.create_task(ask("begun", first, 50))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            group.create_task(ask("later", first, 90))
            group.create_task(ask("urgent", second, 10))
            await asyncio.sleep(0)
            gate.set()
    assert order == ["begun", "urgent", "later"]
    assert first.threads | second.threads == {"device_0"}


async def test_a_session_that_leaves_is_in_no_batch_and_stops_nobody() -> None:
    canvas, gate = Canvas(), threading.Event()
    with ThreadPoolExecutor(1) as worker:
        engine = DeviceInference(worker, VirtualClock())
        worker.submit(gate.wait)
        avatar = TogetherAvatar(canvas)
        async with asyncio.TaskGroup() as group:
            begun = group.create_task(engine.draw(avatar, avatar.start(), motion(1)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            waits = group.create_task(engine.draw(avatar, avatar.start(), motion(2)))
            stays = group.create_task(engine.draw(avatar, avatar.start(), motion(3)))
            await asyncio.sleep(0)
            begun.cancel()
            waits.cancel()
            await asyncio.wait([begun, waits])
            gate.set()
    assert canvas.batches == [[1], [3]]
    assert len(stays.result()[1]) == 1


class Picky(FakeMotion):
    """Fails for audio that starts at 1."""

    def step(
        self, states: Sequence[FakeMotionState], inputs: Sequence[AudioChunk], /
    ) -> tuple[list[FakeMotionState], list[list[MotionChunk]]]:
        if any(audio.start == 1 for audio in inputs):
            raise ValueError("not this one")
        return super().step(states, inputs)


async def test_an_error_reaches_who_asked_and_nobody_else() -> None:
    model, engine = Picky(), DeviceInference(InlineExecutor(), VirtualClock())
    for count in (1, 2):
        await asyncio.gather(*(engine.step(model, model.start(), chunk()) for _ in range(count)))
    found = await asyncio.gather(
        *(engine.step(model, model.start(), chunk(start)) for start in (0, 1, 0)),
        return_exceptions=True,
    )
    assert isinstance(found[1], ValueError)
    assert isinstance(found[0], tuple)
    assert isinstance(found[2], tuple)


async def test_an_avatar_without_a_canvas_is_drawn_alone() -> None:
    engine, avatar = DeviceInference(InlineExecutor(), VirtualClock()), FakeAvatar(size=SIZE)
    for _ in range(3):
        _, frames = await engine.draw(avatar, avatar.start(), motion(0))
        assert len(frames) == 1


@pytest.mark.parametrize("count", [1, 5])
async def test_marks_are_put_into_every_picture_of_a_batch(count: int) -> None:
    canvas, engine = Canvas(), DeviceInference(InlineExecutor(), VirtualClock())
    plain = TogetherAvatar(canvas)
    await grown(engine, plain)
    options = MarkOptions()
    sessions = [
        MarkedAvatar(plain, Marker(options, payload_of(f"session {index}")))
        for index in range(count)
    ]
    canvas.batches.clear()
    asked = [engine.draw(each, each.start(), motion(120)) for each in sessions]
    drawn = await asyncio.gather(*asked)
    assert len(canvas.batches) == 1
    for index, (_, (frame,)) in enumerate(drawn):
        marker = Marker(options, payload_of(f"session {index}"))
        wanted = marker.mark(np.full((SIZE, SIZE, 3), 120, np.uint8))
        np.testing.assert_array_equal(frame.image, wanted)
