"""Motion and pictures of all sessions on one device, in batches, by what is due first.

Takes the place of `inference` where there is a device that does many sessions at once. All that
waits is on the event loop; the worker does one batch at a time. Whoever joins or leaves does so
between two batches. What comes too late is dropped by whoever asked, as on processors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np

from server.clock import Clock
from server.due import BatchLimit, DueLine
from server.inference import (
    AvatarPort,
    AvatarState,
    Inference,
    MotionPort,
    MotionState,
    TogetherPort,
    WorkSpan,
)
from streaming_model.media import AudioChunk, MotionChunk, VideoFrame

MOST: Final = 32  # sessions in a batch
_BUDGET: Final = 12_000_000  # nanoseconds of a batch, under a third of a picture's time


@dataclass(slots=True, eq=False)
class _Job:
    """A session's motion or picture; `owner` is the generator, or who draws it."""

    kind: Hashable
    due: int
    owner: Any
    state: Any
    chunk: Any
    span: WorkSpan | None
    result: asyncio.Future[Any]


class DeviceInference(Inference):
    """Runs the model on `worker`, an executor of one thread that alone uses the device.

    Args:
        worker: does the batches.
        clock: by which batches are timed.
        most: how many the device is made ready for at once.
    """

    def __init__(self, worker: Executor, clock: Clock, *, most: int = MOST) -> None:
        super().__init__(worker)
        self._clock, self._most = clock, most
        self._line: DueLine[_Job] = DueLine()
        self._limits: WeakKeyDictionary[Any, BatchLimit] = WeakKeyDictionary()
        self._is_busy = False

    async def step(
        self,
        generator: MotionPort,
        state: MotionState,
        chunk: AudioChunk,
        span: WorkSpan | None = None,
        *,
        due: int = 0,
    ) -> tuple[MotionState, list[MotionChunk]]:
        """Feeds audio to the motion generator, in one batch with whoever else waits."""
        if not generator.is_due(state, chunk):
            return await super().step(generator, state, chunk, span)
        moved: tuple[MotionState, list[MotionChunk]]
        moved = await self._ask(generator, generator, (state, chunk), span, due)
        return moved

    async def draw(
        self,
        avatar: AvatarPort,
        state: AvatarState,
        chunk: MotionChunk,
        span: WorkSpan | None = None,
        *,
        due: int = 0,
    ) -> tuple[AvatarState, list[VideoFrame]]:
        """Draws motion, in one batch with those that are drawn on the same canvas."""
        canvas = avatar.canvas if isinstance(avatar, TogetherPort) else None
        drawn: tuple[AvatarState, list[VideoFrame]]
        drawn = await self._ask(canvas or avatar, avatar, (state, chunk), span, due)
        return drawn

    async def _ask(
        self,
        kind: Any,  # noqa: ANN401 - generator, canvas or avatar
        owner: Any,  # noqa: ANN401
        told: tuple[Any, Any],
        span: WorkSpan | None,
        due: int,
    ) -> Any:  # noqa: ANN401
        loop = asyncio.get_running_loop()
        job = _Job(kind, due, owner, *told, span, loop.create_future())
        self._line.add(job)
        loop.call_soon(self._begin)  # when all that ask in this turn of the loop have asked
        try:
            return await job.result
        finally:
            self._line.withdraw(job)

    def _begin(self) -> None:
        """Hands the worker the next batch, if it has none."""
        if self._is_busy or not len(self._line):
            return
        limit = self._limit_of(self._line.first().kind)
        batch = self._line.take(limit.size)
        self._is_busy = True
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._worker, _perform, batch)
        work.add_done_callback(partial(self._end, batch, self._clock.now()))

    def _end(self, batch: list[_Job], began: int, work: asyncio.Future[list[Any]]) -> None:
        """Gives everybody in a batch what came of it, and goes on with the next."""
        self._is_busy = False
        if work.cancelled():  # the worker was shut down
            for job in batch:
                job.result.cancel()
            return
        error = work.exception()
        if error is None:
            self._limit_of(batch[0].kind).note(len(batch), self._clock.now() - began)
            for job, result in zip(batch, work.result(), strict=True):
                if not job.result.done():
                    job.result.set_result(result)
        elif len(batch) > 1:
            for job in batch:  # whose fault it is shows alone
                if not job.result.done():
                    job.kind = _Alone()
                    self._line.add(job)
        elif not batch[0].result.done():
            batch[0].result.set_exception(error)
        self._begin()

    def _limit_of(self, kind: Any) -> BatchLimit:  # noqa: ANN401
        return self._limits.setdefault(kind, BatchLimit(self._most, _BUDGET))


class _Alone:
    """The kind of a job that shares its batch with no other."""


def _perform(batch: Sequence[_Job]) -> list[Any]:
    """Does a batch of one kind, on the worker's thread; returns the results in order."""
    with ExitStack() as spans:
        for job in batch:
            if job.span is not None:
                spans.enter_context(job.span)
        if isinstance(batch[0].chunk, AudioChunk):
            states, motions = batch[0].owner.step(
                [job.state for job in batch], [job.chunk for job in batch]
            )
            return list(zip(states, motions, strict=True))
        if len(batch) == 1:
            return [batch[0].owner.render(batch[0].state, [batch[0].chunk])]
        return _draw_together(batch)


def _draw_together(batch: Sequence[_Job]) -> list[Any]:
    """Draws all pictures of a batch at once, and hands each session its own."""
    known = [job.owner.poses(job.state, [job.chunk]) for job in batch]
    rows = [pose.motion for _, poses in known for pose in poses]
    images = iter(batch[0].owner.canvas.draw(np.stack(rows)) if rows else ())
    return [
        (after, job.owner.finished(poses, [next(images) for _ in poses]))
        for job, (after, poses) in zip(batch, known, strict=True)
    ]
