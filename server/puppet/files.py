"""Files in the place of devices: a recording as microphone, a film as camera and loudspeaker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.ingest import SOUND_RATIO
from server.media_files import AudioFile, FilmWriter
from streaming_model.media import VideoFrame


class FileMicrophone:
    """Says what a file says, once, in real time: the client lets nobody push faster."""

    def __init__(self, path: Path) -> None:
        """Opens the file.

        Raises:
            AudioError: it is missing, or has no sound.
        """
        self._path = path
        with AudioFile(path) as file:
            self.rate = file.sample_rate

    async def pieces(self) -> AsyncIterator[NDArray[np.float32]]:
        """Yields the file's sound."""
        with AudioFile(self._path) as file:
            for piece in file.blocks():
                yield piece
                await asyncio.sleep(0)


class Film:
    """A film of what a camera would show and a loudspeaker play; begins with its first picture.

    Raises:
        FilmError: it cannot be written.
    """

    latency = 0.0

    def __init__(self, path: Path, *, size: int, fps: int) -> None:
        self._writer = FilmWriter(path, size=size, fps=fps)
        self._begin: int | None = None
        self._last = -1
        self._heard = 0  # samples of 48 kHz

    def show(self, frame: VideoFrame) -> None:
        """Adds a picture."""
        self._begin = frame.start if self._begin is None else self._begin
        if frame.start > self._last:
            self._last = frame.start
            moved = VideoFrame(frame.start - self._begin, frame.image, frame.utterance)
            self._writer.write_picture(moved)

    def play(self, samples: NDArray[np.float32], media_time: int) -> None:
        """Adds sound, from the first picture on; what was lost before it is silence."""
        if self._begin is None:
            return
        lead = SOUND_RATIO * (media_time - self._begin) - self._heard
        samples = samples[-lead:] if lead < 0 else np.pad(samples, (lead, 0))
        self._heard += len(samples)
        if len(samples):
            self._writer.write_sound(samples)

    def close(self) -> None:
        """Completes the film."""
        self._writer.__exit__(None, None, None)
