"""Sound on its way to the server: samples of any kind as PCM, and a live voice as a track."""

from __future__ import annotations

import asyncio
import time
from fractions import Fraction

import av
import numpy as np
import soxr
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from numpy.typing import NDArray

from vivant_client.errors import ClientError

Samples = bytes | bytearray | memoryview | NDArray[np.float32] | NDArray[np.int16]

RATE = 48_000  # Hz, what WebRTC's Opus carries
_PACKET = 960  # samples, 20 ms
_PACKET_S = _PACKET / RATE
_MOST_WAITING = RATE // 2  # samples; who pushes more waits, so that a file goes at its own pace
_CATCH_UP = 0.06  # seconds that a late packet may be made up for


def to_pcm16(samples: Samples) -> bytes:
    """Returns PCM16 little endian, interleaved.

    Args:
        samples: bytes, which are PCM16 already; float32 -1..1 or int16, [n] or [n, channels].

    Raises:
        ClientError: the array is of another kind.
    """
    if isinstance(samples, (bytes, bytearray, memoryview)):
        return bytes(samples)
    if samples.ndim not in (1, 2):
        raise ClientError(f"Sound is [n] or [n, channels], not {list(samples.shape)}.")
    if samples.dtype == np.int16:
        return samples.astype("<i2").tobytes()
    if not np.issubdtype(samples.dtype, np.floating):
        raise ClientError(f"Sound is float -1..1, int16 or bytes, not {samples.dtype}.")
    if not np.isfinite(samples).all():
        raise ClientError("Sound holds a value that is not a number.")
    return (np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()


class LiveVoice(MediaStreamTrack):
    """The microphone's side of a connection: what is pushed leaves 20 ms at a time, as it comes.

    Nothing is sent while nothing is pushed.
    """

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._pcm = np.zeros(0, np.int16)
        self._has_packet, self._has_room = asyncio.Event(), asyncio.Event()
        self._resampler: soxr.ResampleStream | None = None
        self._rate = 0
        self._sent = 0
        self._due = 0.0

    async def push(self, samples: Samples, rate: int) -> None:
        """Adds mono sound of any rate; returns when less than half a second of it waits.

        Raises:
            ClientError: the samples are of another kind, or the rate is impossible.
        """
        pcm = np.frombuffer(to_pcm16(samples), np.int16)
        if rate != self._rate:
            if not 8_000 <= rate <= 192_000:
                raise ClientError(f"A voice has 8000 to 192000 samples a second, not {rate}.")
            self._rate = rate
            self._resampler = (
                None if rate == RATE else soxr.ResampleStream(rate, RATE, 1, "int16", "MQ")
            )
        if self._resampler is not None:
            pcm = np.asarray(self._resampler.resample_chunk(pcm), np.int16)
        self._pcm = np.concatenate([self._pcm, pcm])
        self._note()
        while len(self._pcm) > _MOST_WAITING and self.readyState == "live":
            self._has_room.clear()
            await self._has_room.wait()

    async def recv(self) -> av.AudioFrame:
        """Returns the next 20 ms when they are there and due.

        Raises:
            MediaStreamError: the track has ended.
        """
        await self._has_packet.wait()
        if self.readyState != "live":
            raise MediaStreamError
        now = time.monotonic()
        self._due = max(self._due + _PACKET_S, now - _CATCH_UP)
        await asyncio.sleep(max(0.0, self._due - now))
        packet, self._pcm = self._pcm[:_PACKET], self._pcm[_PACKET:]
        self._note()
        frame = av.AudioFrame.from_ndarray(packet.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._sent, Fraction(1, RATE)
        self._sent += _PACKET
        return frame

    def stop(self) -> None:
        """Ends the track; who waits returns."""
        super().stop()
        self._has_packet.set()
        self._has_room.set()

    def _note(self) -> None:
        if len(self._pcm) >= _PACKET or self.readyState != "live":
            self._has_packet.set()
        else:
            self._has_packet.clear()
        if len(self._pcm) <= _MOST_WAITING:
            self._has_room.set()
