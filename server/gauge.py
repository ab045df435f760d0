"""Measures what sessions cost, at the start and while they run.

It reads how long the live path's threads compute and how long they are busy, and tells
`capacity`. A thread that waits for the interpreter, which one thread holds at a time, is as busy
as one that computes. Threads that work ahead of time at a lower priority give way to the others:
fitting does not count, and voices do on average.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

import numpy as np

from server.capacity import ALL, LOOP, Capacity
from server.clock import Clock, process_time, thread_time
from server.codec_contexts import Opener
from server.encoder import OPENERS, SoundEncoder, VideoCodec, VideoEncoder
from server.inference import AvatarPort, Inference
from server.pacing import TICK
from server.timeline import PACKET
from streaming_model.media import (
    MOTION_FPS,
    SAMPLES_PER_MOTION_FRAME,
    AudioChunk,
)

ParametersT = ParamSpec("ParametersT")
ResultT = TypeVar("ResultT")

_WARM_UP = 10  # blocks of 40 ms that are not counted: caches fill, encoders open
_REHEARSAL = 35  # blocks that are
_LOUDNESS = 0.1  # of the noise that is spoken


class MeteredThread(ThreadPoolExecutor):
    """An executor of one thread that knows how long it has worked.

    What it does is done by whoever asked for it, so that log lines tell for which session.

    Attributes:
        spent: processor time of all its work so far, in nanoseconds.
        busy: time from beginning to end of all its work so far, in nanoseconds.
        is_working: whether it works now.
    """

    def __init__(
        self, name: str, clock: Clock, initializer: Callable[..., None], *arguments: object
    ) -> None:
        super().__init__(1, name, initializer, arguments)
        self._clock = clock
        self.spent = 0
        self.busy = 0
        self.is_working = False

    def submit(
        self,
        fn: Callable[ParametersT, ResultT],
        /,
        *args: ParametersT.args,
        **kwargs: ParametersT.kwargs,
    ) -> Future[ResultT]:
        """Does the work later, and adds up what it took."""

        context = contextvars.copy_context()

        def timed() -> ResultT:
            began, spent = self._clock.now(), thread_time()
            self.is_working = True
            try:
                return context.run(fn, *args, **kwargs)
            finally:
                self.is_working = False
                self.spent += thread_time() - spent
                self.busy += self._clock.now() - began

        return super().submit(timed)


class Gauge:
    """What the live path's threads take, second by second."""

    def __init__(
        self,
        *,
        workers: Mapping[str, MeteredThread],
        voices: Iterable[MeteredThread],
        others: Iterable[MeteredThread],
        capacity: Capacity,
        clock: Clock,
    ) -> None:
        """Takes the threads that keep pace with the media clock, those that speak, and others."""
        self._workers = workers
        self._voices = tuple(voices)
        self._aside = (*self._voices, *others)
        self._capacity = capacity
        self._clock = clock
        self._last: tuple[int, int, dict[str, int]] | None = None
        self._unknown = 0.0  # cores that threads of libraries take
        self._unknown_before: tuple[int, int] | None = None  # (instant, what they have taken)

    def sample(self, watched: int) -> None:
        """Tells the capacity what was used since the last call; runs on the event loop.

        Args:
            watched: how many sessions somebody watches.
        """
        now, own = self._clock.now(), thread_time()
        taken = {name: worker.busy for name, worker in self._workers.items()}
        taken |= {LOOP: own, ALL: own + sum(self._spent().values())}
        spoken = sum(voice.spent for voice in self._voices)
        if self._last is not None and now > self._last[0]:
            then, spoken_then, before = self._last
            since = now - then
            load = {name: (taken[name] - before[name]) / since for name in taken}
            self._look_at_libraries(now, own)
            load[ALL] += self._unknown
            speech = (spoken - spoken_then) / since
            self._capacity.observe(load, watched=watched, speech=speech)
        self._last = (now, spoken, taken)

    def _look_at_libraries(self, now: int, own: int) -> None:
        """Learns what threads take that are not ours: an AV1 encoder has sixteen, for example."""
        if any(thread.is_working for thread in self._aside):
            self._unknown_before = None  # how much of theirs is not told yet, nobody knows
            return
        known = own + sum(thread.spent for thread in (*self._workers.values(), *self._aside))
        taken = process_time() - known
        if self._unknown_before is not None and now > self._unknown_before[0]:
            then, before = self._unknown_before
            self._unknown = max(0.0, (taken - before) / (now - then))
        self._unknown_before = now, taken

    async def rehearse(
        self,
        avatar: AvatarPort,
        inference: Inference,
        *,
        codec: VideoCodec,
        bitrate: int,
        openers: Mapping[VideoCodec, Opener] = OPENERS,
    ) -> None:
        """Runs a second and a half of a session that nobody sees, and notes what it costs."""
        video = VideoEncoder(
            codec,
            size=avatar.size,
            fps=avatar.fps,
            bitrate=bitrate,
            is_packed=avatar.backdrop.is_transparent,
            openers=openers,
        )
        show = _Show(avatar, inference, self._workers, video)
        for _ in range(_WARM_UP):
            await show.block()
        before = self._spent()
        for _ in range(_REHEARSAL):
            await show.block()
        # What it computes, and not how long it is busy: alone it waits for nobody, and what else
        # the machine does while the server starts says little of later.
        seconds = _REHEARSAL / MOTION_FPS
        cost = {
            name: (spent - before[name]) / (seconds * 1_000_000_000)
            for name, spent in self._spent().items()
        }
        self._capacity.rehearsed({**cost, ALL: sum(cost.values())})

    def _spent(self) -> dict[str, int]:
        return {name: worker.spent for name, worker in self._workers.items()}


class _Show:
    """A session's work without its clock: noise in, packets out."""

    def __init__(
        self,
        avatar: AvatarPort,
        inference: Inference,
        workers: Mapping[str, MeteredThread],
        video: VideoEncoder,
    ) -> None:
        self._avatar, self._inference, self._workers = avatar, inference, workers
        self._state = avatar.start()
        self._motion = self._state.motion
        self._video = video
        self._audio = SoundEncoder()
        self._noise = np.random.default_rng(0)
        self._position = 0

    async def block(self) -> None:
        """Does what 40 ms of a session take."""
        noise = self._noise.standard_normal(SAMPLES_PER_MOTION_FRAME).astype(np.float32)
        speech = AudioChunk(self._position, _LOUDNESS * noise, 0)
        self._motion, chunks = await self._inference.step(self._avatar.motion, self._motion, speech)
        for chunk in chunks:
            self._state, frames = await self._inference.draw(self._avatar, self._state, chunk)
            for frame in frames:
                await self._encode(frame.image, frame.start)
        packet = np.resize(speech.samples, PACKET)
        for start in range(self._position, self._position + SAMPLES_PER_MOTION_FRAME, TICK):
            self._audio.encode(packet, start)
        self._position += SAMPLES_PER_MOTION_FRAME

    async def _encode(
        self, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], start: int
    ) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(
            self._workers["pictures"],
            lambda: self._video.encode(image, start, is_keyframe=start == 0),
        )
