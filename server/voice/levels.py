"""Makes an engine's raw sound fit to be heard: level, peaks, head, tail and joins.

Knows samples and phones only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.voice.base import SILENCE, Phone

TARGET_RMS = 0.1  # -20 dBFS over the spoken part
PEAK_KNEE = 0.8  # the limiter bends above this
PEAK_LIMIT = 0.94
HEAD_SECONDS = 0.04  # silence left before the first phone
FIRST_HEAD_SECONDS = 0.01  # the same where a text begins: somebody waits for it
FADE_SECONDS = 0.005
LARGEST_GAIN = 30.0
GAIN_MEMORY = 0.7  # how much of the last clause's gain is kept, so that levels do not pump


class Leveller:
    """Brings the clauses of one text to one level without pumping."""

    def __init__(self, usual: float | None = None) -> None:
        """Takes the engine's usual gain, where the first sound is too short to tell its own."""
        self._gain = usual

    def __call__(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns [n] samples at about -20 dBFS, limited smoothly below 0.95."""
        spoken = spoken_rms(samples)
        if spoken > 1e-5:
            wanted = min(TARGET_RMS / spoken, LARGEST_GAIN)
            previous = wanted if self._gain is None else self._gain
            self._gain = float(previous**GAIN_MEMORY * wanted ** (1 - GAIN_MEMORY))
        return self.hold(samples)

    def hold(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns [n] samples with the gain as it stands: the continuation of a clause."""
        return limit_peaks(samples * np.float32(self._gain or 1.0))


def spoken_rms(samples: NDArray[np.float32]) -> float:
    """Returns the root mean square over the frames in which somebody speaks."""
    frame = 400
    count = len(samples) // frame
    if count == 0:
        return float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0
    power = np.mean(samples[: count * frame].reshape(count, frame) ** 2, axis=1)
    loud = power > 0.003 * np.percentile(power, 95)  # gate at -25 dB
    return float(np.sqrt(np.mean(power[loud]))) if loud.any() else 0.0


def limit_peaks(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns `samples` with everything above 0.8 bent smoothly to stay below 0.95."""
    size = np.abs(samples)
    room = PEAK_LIMIT - PEAK_KNEE
    bent = PEAK_KNEE + room * np.tanh((size - PEAK_KNEE) / room)
    return np.where(size > PEAK_KNEE, np.sign(samples) * bent, samples).astype(np.float32)


def frame_clause(
    samples: NDArray[np.float32],
    phones: list[Phone],
    *,
    sample_rate: int,
    pause_seconds: float,
    head_seconds: float = HEAD_SECONDS,
) -> tuple[NDArray[np.float32], tuple[Phone, ...]]:
    """Trims silence at both ends, appends the pause and fades the edges.

    Args:
        samples: [n] the clause.
        phones: tiling 0..n.
        sample_rate: in Hz.
        pause_seconds: silence wanted after the last phone.
        head_seconds: silence wanted before the first.

    Returns:
        the samples and the phones that tile them.
    """
    head = round(head_seconds * sample_rate)
    pause = round(pause_seconds * sample_rate)
    start, end = 0, len(samples)
    if phones and phones[0].symbol == SILENCE:
        start = max(0, phones[0].end - head)
    if phones and phones[-1].symbol == SILENCE:
        end = min(len(samples), phones[-1].start + pause)
    kept = [
        Phone(phone.symbol, max(phone.start, start) - start, min(phone.end, end) - start)
        for phone in phones
        if min(phone.end, end) > max(phone.start, start)
    ]
    cut = samples[start:end].copy()
    _fade(cut, max(1, round(FADE_SECONDS * sample_rate)))
    tail = kept[-1].end - kept[-1].start if kept and kept[-1].symbol == SILENCE else 0
    missing = max(0, pause - tail)
    if missing:
        cut = np.concatenate([cut, np.zeros(missing, np.float32)])
        begin = kept.pop().start if tail else len(cut) - missing
        kept.append(Phone(SILENCE, begin, len(cut)))
    return cut, tuple(kept)


def _fade(samples: NDArray[np.float32], length: int) -> None:
    """Fades both ends in place."""
    length = min(length, len(samples) // 2)
    if length:
        ramp = np.linspace(0, 1, length, dtype=np.float32)
        samples[:length] *= ramp
        samples[-length:] *= ramp[::-1]
