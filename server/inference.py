"""The model's one worker thread: batches the sessions' motion, then draws pictures.

The event loop hands it jobs and awaits their results. Motion jobs that wait together make
one batch; pictures are drawn one at a time, so that no session's drawing delays another's
speech by more than a picture. It knows nothing of sessions, encoders or time.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from streaming_model.backdrop import Backdrop
from streaming_model.cadence import Pose
from streaming_model.media import AudioChunk, MotionChunk, VideoFrame
from streaming_model.motion.additive import Additions
from streaming_model.motion.style import MotionStyle

WorkSpan: TypeAlias = AbstractContextManager[None]  # notes when it is entered and left
MotionState: TypeAlias = Any  # opaque: what a generator gave, it gets back
AvatarState: TypeAlias = Any  # an immutable dataclass with a field `motion: MotionState`


class MotionPort(Protocol):
    """Speech to motion, as `streaming_model.motion.MotionGenerator` does it."""

    def direct(
        self, state: MotionState, style: MotionStyle, additions: Additions, /, *, at: int
    ) -> MotionState:
        """Returns the state with this style from a media time on, and these additions."""
        ...

    def is_due(self, state: MotionState, chunk: AudioChunk, /) -> bool:
        """Returns whether a step with this chunk makes motion, and does not only remember it."""
        ...

    def step(
        self, states: Sequence[MotionState], inputs: Sequence[AudioChunk], /
    ) -> tuple[list[MotionState], list[list[MotionChunk]]]:
        """Feeds one chunk to each session of a batch."""
        ...


class AvatarPort(Protocol):
    """What the server needs of `streaming_model.Avatar`; its state has a field `motion`."""

    @property
    def motion(self) -> MotionPort:
        """The generator, shared by every avatar whose sessions may be batched."""
        ...

    @property
    def fps(self) -> int:
        """Pictures a second."""
        ...

    @property
    def size(self) -> int:
        """Side of the square picture in pixels."""
        ...

    @property
    def backdrop(self) -> Backdrop:
        """What is behind the person; before a transparent one pictures are RGBA."""
        ...

    def with_backdrop(self, backdrop: Backdrop, /) -> Self:
        """Returns the same portrait before another backdrop, sharing what is heavy."""
        ...

    def start(self, *, seed: int = 0) -> AvatarState:
        """Returns a fresh session's state."""
        ...

    def render(
        self, state: AvatarState, chunks: Iterable[MotionChunk], /
    ) -> tuple[AvatarState, list[VideoFrame]]:
        """Draws motion; returns the next state and the pictures."""
        ...


class Canvas(Protocol):
    """Draws many sessions' pictures at once, as `streaming_model.device.DevicePictures`."""

    def draw(self, motions: NDArray[np.float32], /) -> NDArray[np.uint8]:
        """Maps [n, 58] motions to n pictures."""
        ...


@runtime_checkable
class TogetherPort(Protocol):
    """An avatar whose pictures can be drawn in one batch with those of the same canvas."""

    @property
    def canvas(self) -> Canvas | None:
        """Where they are drawn; None if they are drawn one by one all the same."""
        ...

    def poses(
        self, state: AvatarState, chunks: Iterable[MotionChunk], /
    ) -> tuple[AvatarState, list[Pose]]:
        """Returns the next state, and the motion of the pictures that became known."""
        ...

    def finished(
        self, poses: Sequence[Pose], images: Sequence[NDArray[np.uint8]], /
    ) -> list[VideoFrame]:
        """Returns the pictures of poses that the canvas drew."""
        ...


@dataclass(slots=True, eq=False)
class _MotionJob:
    generator: MotionPort
    state: MotionState
    chunk: AudioChunk
    span: WorkSpan | None
    result: tuple[MotionState, list[MotionChunk]] | None = None


class Inference:
    """Runs the model's two halves on `worker`, an executor of one thread."""

    def __init__(self, worker: Executor) -> None:
        self._worker = worker
        self._waiting: list[_MotionJob] = []
        self._lock = threading.Lock()  # guards `_waiting` between the loop and the worker

    async def step(
        self,
        generator: MotionPort,
        state: MotionState,
        chunk: AudioChunk,
        span: WorkSpan | None = None,
        *,
        due: int = 0,
    ) -> tuple[MotionState, list[MotionChunk]]:
        """Feeds audio to the motion generator, in one batch with whoever else waits.

        `due` is the instant at which it is wanted, for engines that choose; here it is first come,
        first served.

        The batch runs within `span`, on the worker's thread; what is only remembered is so at once,
        for handing it over and back would take several times as long.
        """
        del due
        if not generator.is_due(state, chunk):
            with span or nullcontext():
                (after,), (motion,) = generator.step([state], [chunk])
            return after, motion
        job = _MotionJob(generator, state, chunk, span)
        with self._lock:
            self._waiting.append(job)
        try:
            # Sessions in step ask within one turn of the loop; an idle worker that heard of the
            # first at once would begin without the others.
            await asyncio.sleep(0)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._worker, self._perform, job)
        finally:
            self._withdraw(job)

    async def draw(
        self,
        avatar: AvatarPort,
        state: AvatarState,
        chunk: MotionChunk,
        span: WorkSpan | None = None,
        *,
        due: int = 0,
    ) -> tuple[AvatarState, list[VideoFrame]]:
        """Draws motion, within `span`; returns the next state and the pictures.

        `due` is as of `step`.
        """
        del due
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, _draw_within, span, avatar, state, chunk)

    def _withdraw(self, job: _MotionJob) -> None:
        """Takes out a job that was cancelled before any batch took it."""
        with self._lock:
            if job in self._waiting:
                self._waiting.remove(job)

    def _perform(self, job: _MotionJob) -> tuple[MotionState, list[MotionChunk]]:
        """Runs the batch that `job` waits in, unless an earlier job's batch held it already."""
        if job.result is not None:
            return job.result
        with self._lock:
            batch = [other for other in self._waiting if other.generator is job.generator]
            self._waiting = [other for other in self._waiting if other not in batch]
        if len(batch) > 1:
            with _all_of(batch):
                states, motions = job.generator.step(
                    [other.state for other in batch], [other.chunk for other in batch]
                )
            for other, state, motion in zip(batch, states, motions, strict=True):
                other.result = (state, motion)
        if job.result is None:
            with _all_of([job]):
                (state,), (motion,) = job.generator.step([job.state], [job.chunk])
            job.result = (state, motion)
        return job.result


def _all_of(jobs: Sequence[_MotionJob]) -> ExitStack:
    stack = ExitStack()
    for job in jobs:
        if job.span is not None:
            stack.enter_context(job.span)
    return stack


def _draw_within(
    span: WorkSpan | None, avatar: AvatarPort, state: AvatarState, chunk: MotionChunk
) -> tuple[AvatarState, list[VideoFrame]]:
    with span or nullcontext():
        return avatar.render(state, [chunk])
