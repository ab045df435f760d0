"""Whether sound and lips belong together: how open the mouth is against how loud it is.

Knows nothing of pictures.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import SAMPLE_RATE

Floats = NDArray[np.float64]

STEP: Final = SAMPLE_RATE // 100  # 10 ms
REACH: Final = 40  # steps either way in which a lag is looked for
FARTHEST_MS: Final = 10.0 * REACH  # a lag found here is none: the sound is another's
_RANGE_DB: Final = 40.0  # below the loudest that still counts as sound
_SLOW: Final = 101  # steps: what changes more slowly is no speech
_SMOOTH: Final = 5  # steps


class Lag(NamedTuple):
    """How sound and lips fit.

    Attributes:
        milliseconds: by how much the sound comes after the lips, negative if before.
        correlation: of opening and loudness at that lag, -1..1.
        here: the same without any shift.
    """

    milliseconds: float
    correlation: float
    here: float


def loudness(samples: NDArray[np.float32]) -> Floats:
    """Returns the level of every 10 ms of sound, [n // 160], in decibels of full scale."""
    count = len(samples) // STEP
    power = np.square(samples[: count * STEP].astype(np.float64)).reshape(count, STEP).mean(axis=1)
    return np.asarray(10 * np.log10(power + 1e-10))


def sound_lag(opening: Floats, levels: Floats) -> Lag:
    """Returns the lag at which loudness follows the opening of the mouth best.

    Args:
        opening: [n] of the mouth, every 10 ms.
        levels: [n] what `loudness` says of the same time.
    """
    heard = _fast(np.maximum(levels, levels.max() - _RANGE_DB))
    seen = _fast(opening)
    lags = np.arange(-REACH, REACH + 1)
    fits = np.array([_correlation(seen, heard, int(lag)) for lag in lags])
    best = int(fits.argmax())
    return Lag(float(lags[best] * 10), float(fits[best]), float(fits[REACH]))


def _fast(values: Floats) -> Floats:
    """Returns the values without what changes more slowly than syllables, slightly smoothed."""
    slow = np.convolve(np.pad(values, _SLOW // 2, mode="edge"), np.ones(_SLOW) / _SLOW, "valid")
    kernel = np.ones(_SMOOTH) / _SMOOTH
    return np.asarray(np.convolve(values - slow, kernel, "same"))


def _correlation(seen: Floats, heard: Floats, lag: int) -> float:
    """Returns Pearson's r of `seen` and `heard` `lag` steps later; 0 where nothing moves."""
    first = seen[max(-lag, 0) : len(seen) - max(lag, 0)]
    second = heard[max(lag, 0) : len(heard) - max(-lag, 0)]
    if min(first.std(), second.std()) < 1e-9:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
