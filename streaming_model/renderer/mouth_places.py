"""Compiled placing of lips and of what lies behind them, for one frame.

A call from Python into a kernel takes as long as what most of these do: each does all of a step.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streaming_model.renderer.geometry import NEAREST_CM
from streaming_model.renderer.raster import bounds

Floats = NDArray[np.float32]

SUBCOLUMNS = 4


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def place_lips(
    face: Floats,
    upper_vertices: NDArray[np.int64],
    lower_vertices: NDArray[np.int64],
    scale: float,
    origin: Floats,
    facing_upper: Floats,
    facing_lower: Floats,
    touch: float,
) -> tuple[Floats, Floats, tuple[float, float, float, float]]:
    """Returns the lips' edges in pixels, [n, 2] and [m, 2], and the least and greatest of them.

    `face` [V, 3] is in centimetres, `scale` pixels of one and `origin` [2] where they begin;
    the others are those of `part_lips`.
    """
    upper = np.empty((len(upper_vertices), 2), np.float32)
    lower = np.empty((len(lower_vertices), 2), np.float32)
    for out, vertices in ((upper, upper_vertices), (lower, lower_vertices)):
        for row, vertex in enumerate(vertices):
            out[row, 0] = face[vertex, 0] * np.float32(scale) + origin[0]
            out[row, 1] = face[vertex, 1] * np.float32(-scale) + origin[1]
    part_lips(upper, lower, facing_upper, facing_lower, touch)
    above, below = bounds(upper), bounds(lower)
    return (
        upper,
        lower,
        (
            min(above[0], below[0]),
            min(above[1], below[1]),
            max(above[2], below[2]),
            max(above[3], below[3]),
        ),
    )


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def cross_lips(
    upper: Floats, lower: Floats, left: int, top: int, columns: int, width: float
) -> tuple[NDArray[np.float64], Floats, Floats, float]:
    """Returns `crossings` of `cross_columns`, `rows` and `gaps`, and the widest gap in pixels.

    `rows` [2, columns] are those of the columns' middles, `gaps` [columns] how far they are apart
    over the mouth's `width` in pixels.
    """
    crossings = np.empty((2, columns, SUBCOLUMNS), np.float64)
    cross_columns(crossings, upper, lower, left, top)
    rows = np.empty((2, columns), np.float32)
    gaps = np.empty(columns, np.float32)
    widest = 0.0
    for x in range(columns):
        for side in range(2):
            rows[side, x] = np.float32(crossings[side, x, SUBCOLUMNS // 2])
        gaps[x] = (rows[1, x] - rows[0, x]) / np.float32(width)
        for sub in range(SUBCOLUMNS):
            widest = max(widest, crossings[1, x, sub] - crossings[0, x, sub])
    return crossings, rows, gaps, widest


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def place_inside(
    rest: Floats,
    follow: Floats,
    jaw: Floats,
    acting: Floats,
    middle: Floats,
    head: tuple[Floats, Floats, Floats, float],
    pixels: Floats,
) -> Floats:
    """Returns the interior's vertices in the box's fine pixels [V, 3].

    `rest` [V, 3], `follow` [V, 4] and `jaw` [52, 12] are the interior's, `middle` [3] is the place
    whose size is that of all of it. `acting` [52] are the coefficients; `head` is rotation, pivot,
    shift and distance of the head's motion. `pixels` [2, 3]: fine pixels of a centimetre, and the
    place of the camera's origin.
    """
    moved = np.zeros(12, np.float32)
    for k in range(len(acting)):
        if acting[k] != 0:
            for at in range(12):
                moved[at] += acting[k] * jaw[k, at]
    turn, offset = _to_pixels(middle, head, pixels)
    out = np.empty((len(rest), 3), np.float32)
    for v in range(len(rest)):
        x, y, z = rest[v, 0], rest[v, 1], rest[v, 2]
        a, b, c, d = follow[v, 0], follow[v, 1], follow[v, 2], follow[v, 3]
        if d != 0:
            x += a * moved[0] + b * moved[3] + c * moved[6] + d * moved[9]
            y += a * moved[1] + b * moved[4] + c * moved[7] + d * moved[10]
            z += a * moved[2] + b * moved[5] + c * moved[8] + d * moved[11]
        for row in range(3):
            out[v, row] = turn[row, 0] * x + turn[row, 1] * y + turn[row, 2] * z + offset[row]
    return out


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _to_pixels(
    middle: Floats, head: tuple[Floats, Floats, Floats, float], pixels: Floats
) -> tuple[Floats, Floats]:
    """Returns what turns centimetres into fine pixels, [3, 3], and what is added to it, [3]."""
    rotation, pivot, shift, distance = head
    away = np.float32(0)
    for axis in range(3):
        away += rotation[2, axis] * (middle[axis] - pivot[axis])
    nearer = away + pivot[2] + shift[2] - middle[2]
    zoom = np.float32(distance / max(distance - nearer, NEAREST_CM))
    turn, offset = np.empty((3, 3), np.float32), np.empty(3, np.float32)
    for row in range(3):
        place = pivot[row] + shift[row]
        for axis in range(3):
            turn[row, axis] = pixels[0, row] * zoom * rotation[row, axis]
            place -= zoom * rotation[row, axis] * pivot[axis]
        offset[row] = pixels[0, row] * place + pixels[1, row]
    return turn, offset


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def let_in(gaps: Floats, start: float, steepness: float, most: float) -> Floats:
    """Returns `most` times how far each of `gaps` [w] is beyond `start`, from 0 to 1."""
    light = np.empty_like(gaps)
    for x in range(len(gaps)):
        share = (gaps[x] - np.float32(start)) * np.float32(steepness)
        light[x] = np.float32(most) * min(max(share, np.float32(0)), np.float32(1))
    return light


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def part_lips(
    upper: NDArray[np.float32],
    lower: NDArray[np.float32],
    facing_upper: NDArray[np.float32],
    facing_lower: NDArray[np.float32],
    touch: float,
) -> None:
    """Closes gaps up to `touch` pixels between two chains [n, 2], [m, 2], narrows wider ones.

    `facing_upper` [n] and `facing_lower` [m] are the places on the other chain that each point
    faces, in steps of that chain.
    """
    before = upper[:, 1].copy()
    for n in range(upper.shape[0]):
        upper[n, 1] += _inward(_at(lower[:, 1], facing_upper[n]) - upper[n, 1], touch)
    for m in range(lower.shape[0]):
        lower[m, 1] += _inward(_at(before, facing_lower[m]) - lower[m, 1], touch)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _inward(gap: float, touch: float) -> float:
    half = min(abs(gap), touch) * 0.5
    return half if gap > 0 else -half


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _at(values: NDArray[np.float32], place: float) -> float:
    index = min(int(place), values.shape[0] - 2)
    return float(values[index] + (place - index) * (values[index + 1] - values[index]))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def cross_columns(
    crossings: NDArray[np.float64],
    upper: NDArray[np.float32],
    lower: NDArray[np.float32],
    left: int,
    top: int,
) -> None:
    """Writes where two chains cross each part of each column, in rows from `top`.

    `crossings` is [2, w, SUBCOLUMNS]: of the upper and of the lower chain, 0 beside them.
    """
    share = 1.0 / SUBCOLUMNS
    at_upper, at_lower = 0, 0
    for x in range(crossings.shape[1]):
        for sub in range(SUBCOLUMNS):
            crossings[0, x, sub] = crossings[1, x, sub] = 0.0
            at = left + x - 0.5 + (sub + 0.5) * share
            at_upper = _segment(upper, at_upper, at)
            at_lower = _segment(lower, at_lower, at)
            if at_upper < 0 or at_lower < 0:
                at_upper, at_lower = 0, 0
                continue
            crossings[0, x, sub] = _crossing(upper, at_upper, at) - top
            crossings[1, x, sub] = _crossing(lower, at_lower, at) - top


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _segment(chain: NDArray[np.float32], start: int, x: float) -> int:
    """Returns the first segment from `start` on that crosses column x, else any, else -1."""
    count = chain.shape[0] - 1
    for step in range(count):
        index = start + step
        if index >= count:
            index -= count
        if chain[index, 0] <= x < chain[index + 1, 0]:
            return index
    return -1


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _crossing(chain: NDArray[np.float32], index: int, x: float) -> float:
    x0, x1 = np.float64(chain[index, 0]), np.float64(chain[index + 1, 0])
    y0, y1 = np.float64(chain[index, 1]), np.float64(chain[index + 1, 1])
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def fine_limits(
    limits: NDArray[np.int32],
    rows: NDArray[np.float32],
    margin: float,
    down: int,
    height: int,
) -> None:
    """Writes which fine rows [2, w * across] lie between the lips' `rows` [2, w], and a margin.

    A pixel is `down` fine rows high; there are `height` of them. Beside the lips there are none.
    """
    across = limits.shape[1] // rows.shape[1]
    for x in range(limits.shape[1]):
        above, below = rows[0, x // across], rows[1, x // across]
        if below <= above:
            limits[0, x], limits[1, x] = 1, 0
            continue
        limits[0, x] = max(0, int((above - margin) * down))
        limits[1, x] = min(height - 1, int((below + margin + 1.0) * down))
