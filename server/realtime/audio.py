"""Sound between a realtime client and its session: PCM16 at 24 kHz, mono, both ways.

What a client appends is let in as fast as a microphone would bring it, however fast it comes:
the session's ears compare it with what is played meanwhile. It knows no event and no session.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from server.clock import Clock
from server.ingest import SOUND_RATE, AlignedAudio, Ingest
from server.microphone_track import MicrophoneFrame
from server.realtime.events import BYTES_PER_SECOND, EventError
from server.realtime.settings import RATE

_FRAME: Final = BYTES_PER_SECOND // 50  # bytes of 20 ms
_FRAME_TIME: Final = 20_000_000  # ns
_BURST: Final = 200_000_000  # ns of sound that may come at once, as after a stall of the network
_MOST: Final = 120 * BYTES_PER_SECOND  # bytes that wait
_LEAST: Final = BYTES_PER_SECOND // 10  # bytes of a commit


def milliseconds(size: int) -> int:
    """Returns how long so many bytes sound."""
    return size * 1000 // BYTES_PER_SECOND


class Intake:
    """What a client appends, on its way to the session's ears.

    Attributes:
        given: bytes that they have heard so far.
    """

    def __init__(self, clock: Clock, hear: Callable[[MicrophoneFrame], None]) -> None:
        self.given = 0
        self._clock = clock
        self._hear = hear
        self._waiting = bytearray()
        self._news = asyncio.Event()

    def push(self, pcm: bytes) -> None:
        """Takes more.

        Raises:
            EventError: two minutes wait already.
        """
        _check_room(len(self._waiting) + len(pcm))
        self._waiting += pcm
        self._news.set()

    def clear(self) -> None:
        """Forgets what waits."""
        self._waiting.clear()

    async def run(self) -> None:
        """Lets sound in until cancelled."""
        due = self._clock.now()
        while True:
            while len(self._waiting) < _FRAME:
                self._news.clear()
                await self._news.wait()
            due = max(due + _FRAME_TIME, self._clock.now() - _BURST)
            if due > self._clock.now():
                await self._clock.sleep_until(due)
            if len(self._waiting) >= _FRAME:  # it may have been cleared meanwhile
                frame = bytes(self._waiting[:_FRAME])
                del self._waiting[:_FRAME]
                self.given += _FRAME
                self._hear(MicrophoneFrame(frame, RATE, 1))


class Dictation:
    """What a client appends that decides itself when the user has finished."""

    def __init__(self) -> None:
        self._ingest = Ingest(sample_rate=RATE, channels=1)
        self._pieces: list[AlignedAudio] = []
        self._odd = b""
        self._size = 0

    def push(self, pcm: bytes) -> None:
        """Takes more.

        Raises:
            EventError: it is longer than two minutes.
        """
        _check_room(self._size + len(pcm))
        self._size += len(pcm)
        pcm = self._odd + pcm
        whole = len(pcm) // 2 * 2
        self._odd = pcm[whole:]
        self._pieces.append(self._ingest.push_pcm16(pcm[:whole]))

    def clear(self) -> None:
        """Forgets everything."""
        self._ingest = Ingest(sample_rate=RATE, channels=1)
        self._pieces = []
        self._odd = b""
        self._size = 0

    def commit(self) -> tuple[NDArray[np.float32], float]:
        """Returns all of it, [n] float32 at 16 kHz, and its seconds; forgets it.

        Raises:
            EventError: it is shorter than 100 ms.
        """
        if self._size < _LEAST:
            message = f"The buffer holds {milliseconds(self._size)} ms of audio; 100 ms is least."
            raise EventError("input_audio_buffer_commit_empty", message)
        self._pieces.append(self._ingest.finish())
        speech, seconds = AlignedAudio.concatenate(self._pieces).speech, self._size
        self.clear()
        return speech, seconds / BYTES_PER_SECOND


class Downsampler:
    """One answer's sound, from the 48 kHz that viewers hear to PCM16."""

    def __init__(self) -> None:
        self._stream = soxr.ResampleStream(SOUND_RATE, RATE, 1, dtype="float32")

    def push(self, sound: NDArray[np.float32]) -> bytes:
        """Takes [n] float32 at 48 kHz; returns what is ready, about 20 ms late."""
        return _pcm16(self._stream.resample_chunk(sound))

    def finish(self) -> bytes:
        """Returns the rest: in all there are half as many samples as were taken."""
        return _pcm16(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))


def _pcm16(sound: NDArray[np.float32]) -> bytes:
    return (np.clip(sound, -1, 1) * 32767).round().astype("<i2").tobytes()


def _check_room(size: int) -> None:
    if size > _MOST:
        seconds = _MOST // BYTES_PER_SECOND
        message = f"{milliseconds(size) / 1000:.1f} s of audio would wait; at most {seconds} s may."
        raise EventError("input_audio_buffer_too_long", message, param="audio")
