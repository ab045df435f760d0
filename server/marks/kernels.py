"""Compiled loops of the marks, over every pixel of every picture; they release the GIL."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


@njit(nogil=True, cache=True)
def add(image: Pixels, levels: NDArray[np.int8], out: Pixels) -> None:
    """Writes `image` [n] with `levels` [n] added, within 0 and 255, to `out`: in one pass."""
    low, high = np.int16(0), np.int16(255)
    for at in range(np.uint64(len(out))):
        value = np.int16(np.int16(image[at]) + np.int16(levels[at]))
        out[at] = np.uint8(min(max(value, low), high))


@njit(nogil=True, cache=True)
def blend(part: Pixels, behind: Floats, ink: Floats) -> None:
    """Lays `ink` [h, w] over a part of a picture [h, w, 3], of which it leaves `behind` [h, w]."""
    for y in range(np.uint64(part.shape[0])):
        for x in range(np.uint64(part.shape[1])):
            for channel in range(np.uint64(3)):
                value = np.float32(part[y, x, channel]) * behind[y, x] + ink[y, x]
                part[y, x, channel] = np.uint8(value)
