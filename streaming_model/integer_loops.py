"""Rows times layers in whole numbers, compiled; see `integers`.

Each row is rounded and summed by itself, so that no cut of a stream and no company in a batch
changes its bits. Imported where it is first used: numba takes longer to import than a server that
only starts has to wait.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streaming_model.integers import MOST, Floats, Layer

_HALF: Final = np.float32(0.5)
_LEAST: Final = np.float32(1e-12)  # largest number of a row of zeros


@njit(nogil=True, cache=True, fastmath={"nnan", "nsz"})
def round_row(row: Floats, rounded: NDArray[np.int16]) -> np.float32:
    """Writes a row [inputs] as multiples of its scale, which is returned."""
    largest = _LEAST
    for index in range(len(row)):
        largest = max(largest, abs(row[index]))
    steps = np.float32(MOST) / largest
    for index in range(len(row)):
        rounded[index] = np.int16(math.floor(row[index] * steps + _HALF))
    return largest / np.float32(MOST)


@njit(nogil=True, cache=True)
def multiply(rounded: NDArray[np.int16], steps: Floats, layer: Layer, out: Floats) -> None:
    """Writes what a layer makes of rows.

    Args:
        rounded: [rows, inputs] of `round_row`.
        steps: [rows] their scales.
        layer: its weights are read once for all rows.
        out: [rows, outputs].
    """
    weights, scales, bias = layer
    for output in range(len(bias)):
        weight = weights[output]
        for row in range(len(rounded)):
            values, total = rounded[row], np.int32(0)
            for index in range(rounded.shape[1]):
                # Without casts numba adds up in 64 bits, at a third of the speed.
                total = np.int32(
                    total + np.int32(np.int32(values[index]) * np.int32(weight[index]))
                )
            out[row, output] = np.float32(total) * (steps[row] * scales[output]) + bias[output]
