"""Small networks over a few frames, in compiled loops.

For two frames a product with a matrix reads each weight once and computes hardly anything; BLAS
copies the matrix first. Imported where it is first used, as `integer_loops`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streaming_model.integer_loops import multiply, round_row
from streaming_model.integers import Floats, Layer

Places = NDArray[np.int64]


@njit(nogil=True, cache=True)
def _see(values: Floats, place: int, seen: Floats) -> None:
    """Writes one row of [rows, size]; zeros below 0."""
    for index in range(len(seen)):
        seen[index] = values[place, index] if place >= 0 else np.float32(0)


@njit(nogil=True, cache=True)
def looked(first: Floats, second: Floats, places: Places, layer: Layer) -> Floats:
    """Returns [batch, frames, units] a layer's sums over two kinds of values around each frame.

    Args:
        first: [batch, rows, size].
        second: [batch, rows, other size].
        places: [frames, offsets] which rows each frame looks at; below 0 are zeros.
        layer: its inputs are the first of all offsets, then the second.
    """
    (frames, offsets), size, other = places.shape, first.shape[2], second.shape[2]
    inputs = offsets * (size + other)
    sums = np.empty((len(first), frames, len(layer[2])), np.float32)
    seen, rounded = np.empty(inputs, np.float32), np.empty((frames, inputs), np.int16)
    steps = np.empty(frames, np.float32)
    for stream in range(len(first)):
        for frame in range(frames):
            for offset in range(offsets):
                place, at = places[frame, offset], offsets * size + offset * other
                _see(first[stream], place, seen[offset * size : (offset + 1) * size])
                _see(second[stream], place, seen[at : at + other])
            steps[frame] = round_row(seen, rounded[frame])
        multiply(rounded, steps, layer, sums[stream])
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
