"""The period of a voice, in a compiled loop.

The first high peak of the autocorrelation, normalised by the energy of the parts that it
compares (Boersma 1993; Talkin 1995), at 8 kHz.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streaming_model.media import SAMPLE_RATE

RATE: Final = SAMPLE_RATE // 2  # Hz, at which pitch is looked for
_LOWEST, _HIGHEST = 65.0, 450.0  # Hz
_LAGS: Final = int(RATE / _LOWEST) + 3
_SHORTEST: Final = int(RATE / _HIGHEST)
_REORDER: Final = {"reassoc", "contract"}  # sums may be taken in parallel
_VOICED: Final = 0.6  # of the normalised autocorrelation, from which a frame is voiced
_FIRST_PEAK: Final = 0.88  # of the highest peak: the first that reaches it is the period


@njit(cache=True, fastmath=_REORDER)
def _autocorrelation(frame: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns [lags], 1 where the frame repeats itself exactly after so many samples."""
    normal = np.empty(_LAGS)
    early = late = np.sum(frame * frame)
    for lag in range(_LAGS):
        product = 0.0
        for index in range(len(frame) - lag):
            product += frame[index] * frame[index + lag]
        normal[lag] = product / (math.sqrt(max(early * late, 0.0)) + 1e-9)
        early -= frame[len(frame) - 1 - lag] ** 2
        late -= frame[lag] ** 2
    return normal


@njit("float64(float64[::1])", cache=True, fastmath=_REORDER)
def find_period(frame: NDArray[np.float64]) -> float:
    """Returns the period in samples of a frame whose mean is 0, or 0 where there is none."""
    normal = _autocorrelation(frame)
    best = 0.0
    for lag in range(_SHORTEST, _LAGS - 1):
        if normal[lag - 1] <= normal[lag] > normal[lag + 1]:
            best = max(best, normal[lag])
    if best < _VOICED:
        return 0.0
    lag = _SHORTEST
    while not normal[lag - 1] <= normal[lag] > normal[lag + 1] or normal[lag] < _FIRST_PEAK * best:
        lag += 1
    left, top, right = normal[lag - 1], normal[lag], normal[lag + 1]
    # The top of the parabola through the three values around the peak.
    summit: float = lag + 0.5 * (left - right) / (left - 2 * top + right)
    return summit
