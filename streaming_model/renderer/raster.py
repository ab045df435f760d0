"""Packed pixels and bounds: what every part of the compiled drawing uses.

Pixel (x, y) has its centre at integer coordinates. Packed pixels are RGBA in uint32, red lowest.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


def packed(image: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Returns an RGBA image [h, w, 4] as uint32 [h, w], without a copy if it is contiguous."""
    return np.ascontiguousarray(image).view(np.uint32)[..., 0]


def unpacked(canvas: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Returns a canvas [h, w] as RGBA [h, w, 4], a view."""
    return canvas[..., None].view(np.uint8)


@njit(nogil=True, cache=True, error_model="numpy")
def bounds(points: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """Returns the least x and y of `points` [n, 2], and the greatest; numpy's take ten times as
    long along the longer axis.
    """
    left, top = points[0, 0], points[0, 1]
    right, bottom = left, top
    for index in range(1, len(points)):
        x, y = points[index, 0], points[index, 1]
        left, right = min(left, x), max(right, x)
        top, bottom = min(top, y), max(bottom, y)
    return left, top, right, bottom


@njit(nogil=True, cache=True, error_model="numpy")
def bounds_of(
    points: NDArray[np.float32], which: NDArray[np.int64]
) -> tuple[float, float, float, float]:
    """Returns the `bounds` of some of `points` [n, 2]."""
    left, top = points[which[0], 0], points[which[0], 1]
    right, bottom = left, top
    for index in which:
        x, y = points[index, 0], points[index, 1]
        left, right = min(left, x), max(right, x)
        top, bottom = min(top, y), max(bottom, y)
    return left, top, right, bottom
