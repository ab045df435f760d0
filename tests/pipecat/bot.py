"""A bot of Pipecat's own parts around our service, for tests: a pipeline, its worker, a runner."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    OutputImageRawFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from vivant_client import Session
from vivant_client.pipecat import AvatarVideoService

FrameT = TypeVar("FrameT", bound=Frame)
PACKET = 960  # samples that the service pushes at a time


class Sink(FrameProcessor):
    """Remembers what reaches the place of the transport, in order; of pictures a digest."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.frames: list[Frame] = []
        self.pictures: list[tuple[int, float, tuple[int, int]]] = []  # (pts, bar, size)
        self.beside: list[tuple[int, int]] = []  # pts of a picture, and of the words before it
        self.pictures_at: dict[type[Frame], int] = {}  # how many there were at the first of a kind
        self.news = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, OutputImageRawFrame):
            assert frame.pts is not None
            assert frame.format == "RGB"
            self.pictures.append((frame.pts, bar(frame), frame.size))
            if self.frames and isinstance(last := self.frames[-1], TTSAudioRawFrame):
                self.beside.append((frame.pts, last.pts or 0))
        elif direction is FrameDirection.DOWNSTREAM:
            self.frames.append(frame)
            self.pictures_at.setdefault(type(frame), len(self.pictures))
        self.news.set()
        await self.push_frame(frame, direction)

    def of(self, kind: type[FrameT]) -> list[FrameT]:
        return [frame for frame in self.frames if isinstance(frame, kind)]

    async def until(self, condition: Callable[[], object], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self.news.clear()
                await self.news.wait()


class Upstream(FrameProcessor):
    """Remembers what comes back: errors above all."""

    def __init__(self, sink: Sink) -> None:
        super().__init__(enable_direct_mode=True)
        self._sink = sink
        self.errors: list[ErrorFrame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, ErrorFrame):
            self.errors.append(frame)
            self._sink.news.set()
        await self.push_frame(frame, direction)


@dataclass
class Bot:
    """A running pipeline whose voice is the test."""

    avatar: AvatarVideoService
    worker: PipelineWorker
    sink: Sink
    upstream: Upstream
    done: asyncio.Task[None] = field(repr=False)

    async def push(self, *frames: Frame) -> None:
        for frame in frames:
            await self.worker.queue_frame(frame)

    async def say(
        self,
        samples: NDArray[np.int16],
        rate: int = 24_000,
        *,
        context: str = "c",
        piece: int = 960,
    ) -> None:
        """Says [n] or [n, channels] as a TTS service does: faster than it is heard, in pieces."""
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        await self.push(TTSStartedFrame(context_id=context))
        for start in range(0, len(samples), piece):
            pcm = samples[start : start + piece].tobytes()
            await self.push(TTSAudioRawFrame(pcm, rate, channels, context_id=context))
        await self.push(TTSStoppedFrame(context_id=context))

    async def appeared(self) -> Session:
        """Returns the session once it is seen."""
        await self.sink.until(lambda: self.sink.pictures)
        session = self.avatar.session
        assert session is not None
        return session

    async def heard(self, count: int = 1) -> None:
        await self.sink.until(lambda: len(self.sink.of(TTSStoppedFrame)) >= count)

    def sound(self, context: str | None = None) -> NDArray[np.float32]:
        """All words that came out, of one answer or of all, one after the other.

        Without the pauses that a server makes whose client, on a busy machine, pushes too late:
        what the tests say is never silent.
        """
        spoken = self.sink.of(TTSAudioRawFrame)
        pcm = b"".join(each.audio for each in spoken if context in (None, each.context_id))
        sound = np.frombuffer(pcm, np.int16).astype(np.float32) / 32768
        whole = len(sound) // PACKET * PACKET
        packets = sound[:whole].reshape(-1, PACKET)
        loud = packets[np.sqrt((packets**2).mean(axis=1)) > 0.02]
        return np.concatenate([loud.ravel(), sound[whole:]])


@asynccontextmanager
async def bot(
    address: str,
    *,
    after: Sequence[FrameProcessor] = (),
    **options: Any,  # noqa: ANN401
) -> AsyncIterator[Bot]:
    """Yields a bot whose transport is a `Sink`; it is cancelled at the end, if it still runs."""
    sink = Sink()
    upstream, avatar = Upstream(sink), AvatarVideoService(address=address, **options)
    worker = PipelineWorker(
        Pipeline([upstream, avatar, *after, sink]),
        params=PipelineParams(enable_metrics=True),
        cancel_on_idle_timeout=False,
        enable_rtvi=False,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    async with asyncio.TaskGroup() as group:
        done = group.create_task(runner.run())
        try:
            yield Bot(avatar, worker, sink, upstream, done)
        finally:
            if not done.done():
                await worker.cancel()


def bar(frame: OutputImageRawFrame) -> float:
    """Returns how much of the fake face's middle column the white bar fills: how loud it was."""
    width, height = frame.size
    image = np.frombuffer(frame.image, np.uint8).reshape(height, width, 3)
    return float((image[:, width // 2].mean(axis=-1) > 200).mean())
