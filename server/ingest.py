"""Any audio in, aligned pairs out: 16 kHz for the model and 48 kHz for the listener.

Sample n at 16 kHz is samples 3n..3n+2 at 48 kHz, from the first sample on, so the sound that
viewers hear is full-band and exactly in step with what drove the face. It knows nothing of
sessions, sockets or time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from streaming_model.errors import AudioError
from streaming_model.media import SAMPLE_RATE

SOUND_RATE = 48_000  # Hz, what WebRTC's Opus carries
SOUND_RATIO = SOUND_RATE // SAMPLE_RATE  # 3, exact
MIN_RATE, MAX_RATE = 8_000, 192_000  # Hz
MAX_CHANNELS = 8

# A Kaiser-windowed sinc: flat to 7 kHz, -60 dB from 8.9 kHz, 1 ms of delay. soxr's own 3:1
# filter is steeper but holds back 37 ms, which a live microphone cannot afford.
_TAPS = 97
_REACH = _TAPS // 2  # 48 kHz samples on either side of the centre
_CUTOFF = 8_000 / SOUND_RATE
_KAISER_BETA = 5.65


def _decimation_filter() -> NDArray[np.float32]:
    offsets = np.arange(_TAPS) - _REACH
    taps = np.sinc(2 * _CUTOFF * offsets) * np.kaiser(_TAPS, _KAISER_BETA)
    return np.asarray(taps / taps.sum(), np.float32)


_FILTER = _decimation_filter()

# ITU-R BS.775 gains to mono; sides and rears count half as much in power as the front.
_DOWNMIX: dict[int, tuple[float, ...]] = {
    6: (0.5, 0.5, 0.707, 0.0, 0.354, 0.354),
    8: (0.5, 0.5, 0.707, 0.0, 0.354, 0.354, 0.354, 0.354),
}


@dataclass(frozen=True, slots=True)
class AlignedAudio:
    """The same stretch of sound at two rates.

    Attributes:
        speech: [n] float32 at 16 kHz.
        sound: [3 n] float32 at 48 kHz.
    """

    speech: NDArray[np.float32]
    sound: NDArray[np.float32]

    def __post_init__(self) -> None:
        if len(self.sound) != SOUND_RATIO * len(self.speech):
            sizes = f"{len(self.speech)} and {len(self.sound)}"
            raise ValueError(f"AlignedAudio needs n and 3 n samples, got {sizes}")

    def __len__(self) -> int:
        return len(self.speech)

    def __getitem__(self, part: slice) -> AlignedAudio:
        start, stop, _ = part.indices(len(self))
        sound = self.sound[start * SOUND_RATIO : stop * SOUND_RATIO]
        return AlignedAudio(self.speech[start:stop], sound)

    @staticmethod
    def concatenate(pieces: Sequence[AlignedAudio]) -> AlignedAudio:
        """Joins pieces in order; no pieces give no audio."""
        if not pieces:
            return AlignedAudio(np.zeros(0, np.float32), np.zeros(0, np.float32))
        if len(pieces) == 1:
            return pieces[0]
        return AlignedAudio(
            np.concatenate([piece.speech for piece in pieces]),
            np.concatenate([piece.sound for piece in pieces]),
        )

    def without(self, samples: int, *, fade: int) -> AlignedAudio:
        """Returns it less its first `samples`, which fade into the next over `fade` samples.

        Both are counted at 16 kHz; `fade` is at most `samples`, and what remains is longer.
        """
        return AlignedAudio(
            _spliced(self.speech, samples, fade),
            _spliced(self.sound, samples * SOUND_RATIO, fade * SOUND_RATIO),
        )

    def padded(self, samples: int) -> AlignedAudio:
        """Returns it with silence appended up to `samples` at 16 kHz."""
        missing = samples - len(self)
        if missing <= 0:
            return self
        return AlignedAudio(
            np.pad(self.speech, (0, missing)), np.pad(self.sound, (0, missing * SOUND_RATIO))
        )


def _spliced(samples: NDArray[np.float32], count: int, fade: int) -> NDArray[np.float32]:
    spliced = samples[count:].copy()
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    spliced[:fade] = (1 - ramp) * samples[:fade] + ramp * spliced[:fade]
    return spliced


class Ingest:
    """One stream of PCM of a fixed rate and channel count, turned into aligned audio.

    Raises:
        AudioError: the rate is outside 8 to 192 kHz or the channels outside 1 to 8.
    """

    def __init__(self, *, sample_rate: int, channels: int = 1) -> None:
        if not MIN_RATE <= sample_rate <= MAX_RATE:
            raise AudioError(f"A sample rate of {sample_rate} Hz is outside 8000 to 192000 Hz.")
        if not 1 <= channels <= MAX_CHANNELS:
            raise AudioError(f"{channels} audio channels are outside 1 to {MAX_CHANNELS}.")
        self.channels = channels
        self._resampler = (
            None
            if sample_rate == SOUND_RATE
            else soxr.ResampleStream(sample_rate, SOUND_RATE, 1, dtype="float32", quality="HQ")
        )
        self._decimator = _Decimator()

    def push_pcm16(self, data: bytes) -> AlignedAudio:
        """Takes interleaved little-endian 16-bit samples.

        Raises:
            AudioError: the bytes are not a whole number of frames.
        """
        frame_bytes = 2 * self.channels
        if len(data) % frame_bytes:
            raise AudioError(
                f"{len(data)} bytes are not a whole number of {self.channels}-channel"
                " 16-bit frames."
            )
        samples = np.frombuffer(data, "<i2").reshape(-1, self.channels)
        return self.push(samples.astype(np.float32) * np.float32(1 / 32768))

    def push(self, samples: NDArray[np.float32]) -> AlignedAudio:
        """Takes [n] or [n, channels] floats in -1..1; returns what is ready.

        Values that are not numbers become silence and excess is clipped.
        """
        return self._convert(_to_mono(samples, self.channels), is_last=False)

    def finish(self) -> AlignedAudio:
        """Returns what the filters still held; the stream ends here."""
        return self._convert(np.zeros(0, np.float32), is_last=True)

    def _convert(self, mono: NDArray[np.float32], *, is_last: bool) -> AlignedAudio:
        sound = mono
        if self._resampler is not None:
            sound = self._resampler.resample_chunk(mono, last=is_last)
        return self._decimator.push(np.clip(sound, -1.0, 1.0), is_last=is_last)


def convert(samples: NDArray[np.float32], *, sample_rate: int) -> AlignedAudio:
    """Converts one whole piece of audio, [n] or [n, channels], at once.

    Raises:
        AudioError: the rate or the channel count is out of range.
    """
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    ingest = Ingest(sample_rate=sample_rate, channels=channels)
    return AlignedAudio.concatenate([ingest.push(samples), ingest.finish()])


def _to_mono(samples: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    cleaned = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
    clipped = np.clip(cleaned, -1.0, 1.0).astype(np.float32, copy=False)
    frames = clipped.reshape(-1, channels)
    if channels == 1:
        return frames[:, 0]
    gains = _DOWNMIX.get(channels, (1 / channels,) * channels)
    mono = np.clip(frames @ np.asarray(gains, np.float32), -1.0, 1.0)
    return np.asarray(mono, np.float32)


class _Decimator:
    """48 kHz to 16 kHz beside the 48 kHz it was made from, delay compensated."""

    def __init__(self) -> None:
        # Silence before the first sample lets the first output sit on the first input.
        self._context = np.zeros(_REACH, np.float32)
        self._waiting = np.zeros(0, np.float32)

    def push(self, sound: NDArray[np.float32], *, is_last: bool) -> AlignedAudio:
        waiting = np.concatenate([self._waiting, sound])
        if is_last:
            waiting = np.pad(waiting, (0, -len(waiting) % SOUND_RATIO))
        history = np.concatenate([self._context, waiting])
        if is_last:
            history = np.pad(history, (0, _REACH))
        ready = max(0, len(history) - 2 * _REACH) // SOUND_RATIO
        if ready == 0:
            self._waiting = waiting
            return AlignedAudio(np.zeros(0, np.float32), np.zeros(0, np.float32))
        windows = sliding_window_view(history, _TAPS)[: ready * SOUND_RATIO : SOUND_RATIO]
        taken = ready * SOUND_RATIO
        self._context = history[taken : taken + _REACH].copy()
        self._waiting = waiting[taken:].copy()
        return AlignedAudio(windows @ _FILTER, waiting[:taken])
