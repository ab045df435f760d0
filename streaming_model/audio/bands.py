"""What features of a few frames of sound take, in compiled loops.

At two frames NumPy's calls take longer than their sums. Imported where it is first used: numba
takes longer to import than what never hears has to wait.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Spans = NDArray[np.int64]


@njit(nogil=True, cache=True)
def cleaned(samples: Floats) -> Floats:
    """Returns [n] samples as `features.clean_samples` does."""
    clean = np.empty(len(samples), np.float32)
    for index in range(len(samples)):
        value = samples[index]
        clean[index] = min(max(value, np.float32(-1)), np.float32(1)) if np.isfinite(value) else 0
    return clean


@njit(nogil=True, cache=True)
def loudness(samples: Floats, size: int) -> NDArray[np.float64]:
    """Returns [frames] dBFS of each `size` samples."""
    levels = np.empty(len(samples) // size)
    for frame in range(len(levels)):
        power = 0.0
        for value in samples[frame * size : (frame + 1) * size]:
            power += value * value
        levels[frame] = 10 * math.log10(power / size + 1e-10)
    return levels


@njit(nogil=True, cache=True)
def log_bands(
    spectrum: NDArray[np.complex64], weights: Floats, spans: Spans, gains: Floats, floor: float
) -> Floats:
    """Returns [windows, bands] log-power in triangular bands, speech within about -1.5 to 1.5.

    Args:
        spectrum: [windows, bins].
        weights: [bins, bands].
        spans: [bands, 2] first bin of each band, and the one after its last.
        gains: [windows] on the power.
        floor: power added after the gain.
    """
    windows, bins = spectrum.shape
    bands, power = np.empty((windows, len(spans)), np.float32), np.empty(bins, np.float32)
    for window in range(windows):
        for index in range(bins):
            value = spectrum[window, index]
            power[index] = value.real * value.real + value.imag * value.imag
        for band in range(len(spans)):
            total = np.float32(0)
            for index in range(spans[band, 0], spans[band, 1]):
                total += power[index] * weights[index, band]
            bands[window, band] = math.log10(total * gains[window] + floor) / 2 + 1
    return bands


@njit(nogil=True, cache=True)
def means(values: Floats, count: int) -> Floats:
    """Returns [batch, rows / count, size] the means of each `count` rows of [batch, rows, size]."""
    batch, rows, size = values.shape
    out = np.empty((batch, rows // count, size), np.float32)
    for stream in range(batch):
        for row in range(rows // count):
            for index in range(size):
                total = np.float32(0)
                for part in range(count):
                    total += values[stream, row * count + part, index]
                out[stream, row, index] = total / count
    return out
