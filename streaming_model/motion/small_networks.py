"""Small networks over a few frames, in compiled loops.

For two frames a product with a matrix reads each weight once and computes hardly anything; BLAS
copies the matrix first. Each frame's sums are taken in the same order in any batch, so that no cut
of the stream changes its bits. Imported where it is first used, as `rows`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Places = NDArray[np.int64]


@njit(nogil=True, cache=True, fastmath={"contract"})
def _look(sums: Floats, values: Floats, places: Places, weights: Floats) -> None:
    """Adds to `sums` what one stream's values at some places weigh; see `looked`."""
    size, units = values.shape[1], weights.shape[1]
    for offset in range(places.shape[1]):
        for index in range(size):
            row = offset * size + index
            for frame in range(len(places)):
                place = places[frame, offset]
                if place >= 0:
                    value = values[place, index]
                    for unit in range(units):
                        sums[frame, unit] += value * weights[row, unit]


@njit(nogil=True, cache=True)
def looked(
    first: Floats, first_weights: Floats, second: Floats, second_weights: Floats,
    places: Places, bias: Floats,
) -> Floats:  # fmt: skip
    """Returns [batch, frames, units] a layer's sums over two kinds of values around each frame.

    Args:
        first: [batch, rows, size].
        first_weights: [offsets * size, units].
        second: [batch, rows, other size].
        second_weights: [offsets * other size, units].
        places: [frames, offsets] which rows each frame looks at; below 0 are zeros.
        bias: [units].
    """
    frames, units = len(places), len(bias)
    sums = np.empty((len(first), frames, units), np.float32)
    for stream in range(len(first)):
        for frame in range(frames):
            for unit in range(units):  # one by one: an assignment of rows takes 5 s to compile
                sums[stream, frame, unit] = bias[unit]
        _look(sums[stream], first[stream], places, first_weights)
        _look(sums[stream], second[stream], places, second_weights)
    return sums


@njit(nogil=True, cache=True)
def likelihoods(sums: Floats, weights: Floats, bias: Floats) -> Floats:
    """Returns [batch, frames, outputs] 0..1 of a rectified layer's `sums`.

    Args:
        sums: [batch, frames, units].
        weights: [units, outputs].
        bias: [outputs].
    """
    batch, frames, units = sums.shape
    likely = np.empty((batch, frames, len(bias)), np.float32)
    for stream in range(batch):
        for frame in range(frames):
            for output in range(len(bias)):
                odds = bias[output]
                for unit in range(units):
                    odds += max(sums[stream, frame, unit], np.float32(0)) * weights[unit, output]
                likely[stream, frame, output] = 1 / (1 + math.exp(-odds))
    return likely
