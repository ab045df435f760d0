"""Compiled drawing of the face's maps: which place of the texture each pixel shows, and its light.

`maps` [3, n, n + lanes.COUNT] are x, y and light; lanes may reach beyond a row's end. Only the
cells around the face have maps, everywhere else the grid is looked through directly.
"""

# The kernels are long because a call per row would cost more than the row.
# ruff: noqa: PLR0915

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streaming_model.renderer import lanes
from streaming_model.renderer.lanes import load, ramp, spread, store, where_less

OUTSIDE: Final = -1e9
LEAST_AREA: Final = 1e-6  # doubled; flatter triangles are not drawn

Floats = NDArray[np.float32]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def map_cells(maps: Floats, grid: Floats, box: tuple[int, int, int, int], cell: int) -> None:
    """Writes what the grid shows into the cells of `box`, bilinear between nodes, with light 1.

    `grid` [c + 1, c + 1, 2] are the places that the cells' corners show, `box` the first column and
    row of cells and those after the last.
    """
    left, top, right, bottom = box
    share, steps, one = np.float32(1) / np.float32(cell), ramp(), spread(np.float32(1))
    for row in range(top, bottom):
        for y in range(cell):
            down = np.float32(y) * share
            at_row = row * cell + y
            line_x, line_y, line_g = maps[0, at_row], maps[1, at_row], maps[2, at_row]
            for column in range(left, right):
                x0, y0 = _along(grid, row, column, 0, down), _along(grid, row, column, 1, down)
                step_x = (_along(grid, row, column + 1, 0, down) - x0) * share
                step_y = (_along(grid, row, column + 1, 1, down) - y0) * share
                for x in range(0, cell, lanes.COUNT):  # the next cell writes over what is too much
                    at = np.uint64(column * cell + x)
                    across = steps + spread(np.float32(x))
                    store(line_x, at, spread(x0) + across * spread(step_x))
                    store(line_y, at, spread(y0) + across * spread(step_y))
                    store(line_g, at, one)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _along(grid: Floats, row: int, column: int, axis: int, down: np.float32) -> np.float32:
    above = grid[row, column, axis]
    return np.float32(above + down * (grid[row + 1, column, axis] - above))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def map_opening(
    maps: Floats,
    points: Floats,
    upper: NDArray[np.int64],
    lower: NDArray[np.int64],
    place: tuple[float, float],
) -> None:
    """Writes one `place` of the texture well between two chains of `points` [V, 2]."""
    side = maps.shape[1]
    above, below = points[upper], points[lower]
    left = max(int(np.floor(min(above[0, 0], below[0, 0]))), 0)
    right = min(int(np.ceil(max(above[-1, 0], below[-1, 0]))), side - 1)
    for column in range(left, right + 1):
        top, end = _chain_height(above, column), _chain_height(below, column)
        if top == OUTSIDE or end == OUTSIDE or end - top < 1:
            continue  # narrower than a pixel: the lips' own colours do
        for row in range(max(int(np.ceil(top)), 0), min(int(np.floor(end)), side - 1) + 1):
            maps[0, row, column], maps[1, row, column] = place


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _chain_height(chain: Floats, x: float) -> float:
    """Returns the row at which a left-to-right chain crosses column x; OUTSIDE beside it."""
    for index in range(chain.shape[0] - 1):
        x0, x1 = np.float64(chain[index, 0]), np.float64(chain[index + 1, 0])
        if x0 <= x < x1:
            slope = (np.float64(chain[index + 1, 1]) - chain[index, 1]) / (x1 - x0)
            return float(chain[index, 1] + slope * (x - x0))
    return OUTSIDE


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def map_triangles(
    maps: Floats,
    points: Floats,
    sources: Floats,
    opacity: Floats,
    light: Floats,
    triangles: NDArray[np.int32],
    end: float,
) -> None:
    """Writes what triangles [T, 3] show, in order, and their light.

    `points` [V, 2] are pixels of the maps, `sources` [V, 2] pixels of the texture. Where
    `opacity` [V] is below 1 the place looked up is between the map's and the triangle's, unless
    the map's row is at the picture's `end` or beyond: there is no picture between. Triangles that
    run clockwise on the screen (turned away) are not drawn.
    Edges are cut at the same place for both triangles that share them, so a mesh has neither gaps
    nor double pixels.

    Nearly all rows of a triangle are a few pixels long. A row is done by lanes, of which those
    beyond its end change nothing, and nothing is decided by branches: a processor that guesses
    wrong how long a row is loses more time than the row takes.
    """
    width = maps.shape[2] - lanes.COUNT
    zero, one, beyond, steps = (
        spread(np.float32(0)),
        spread(np.float32(1)),
        spread(np.float32(end)),
        ramp(),
    )
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        # In double precision, so that every device cuts the edges at the same pixels.
        xi, yi = np.float64(points[i, 0]), np.float64(points[i, 1])
        xj, yj = np.float64(points[j, 0]), np.float64(points[j, 1])
        xk, yk = np.float64(points[k, 0]), np.float64(points[k, 1])
        ex1, ey1, ex2, ey2 = xj - xi, yj - yi, xk - xi, yk - yi
        area = ex1 * ey2 - ex2 * ey1
        if area >= -LEAST_AREA:
            continue
        top = max(int(np.ceil(min(yi, yj, yk))), 0)
        bottom = min(int(np.ceil(max(yi, yj, yk))), maps.shape[1])
        # Values at the upper left of the triangle's box, and how they grow to the right and down.
        x0 = int(np.floor(min(xi, xj, xk)))
        dx, dy = np.float32(x0 - xi), np.float32(top - yi)
        x1, x2 = np.float32(ey2 / area), np.float32(-ey1 / area)
        y1, y2 = np.float32(-ex2 / area), np.float32(ex1 / area)
        u, u1, u2 = _values(sources[:, 0], i, j, k)
        v, v1, v2 = _values(sources[:, 1], i, j, k)
        g, g1, g2 = _values(light, i, j, k)
        a, a1, a2 = _values(opacity, i, j, k)
        ux, vx, gx, ax = u1 * x1 + u2 * x2, v1 * x1 + v2 * x2, g1 * x1 + g2 * x2, a1 * x1 + a2 * x2
        uy, vy, gy, ay = u1 * y1 + u2 * y2, v1 * y1 + v2 * y2, g1 * y1 + g2 * y2, a1 * y1 + a2 * y2
        right_u, right_v, right_g, right_a = spread(ux), spread(vx), spread(gx), spread(ax)
        row_u = spread(u + ux * dx + uy * dy) + right_u * steps
        row_v = spread(v + vx * dx + vy * dy) + right_v * steps
        row_g = spread(g + gx * dx + gy * dy) + right_g * steps
        row_a = spread(a + ax * dx + ay * dy) + right_a * steps
        # From here on i is the top corner, k the bottom one.
        xi, yi, xj, yj = _by_row(xi, yi, xj, yj)
        xi, yi, xk, yk = _by_row(xi, yi, xk, yk)
        xj, yj, xk, yk = _by_row(xj, yj, xk, yk)
        slope_long, slope_top = (xk - xi) / (yk - yi), (xj - xi) / (yj - yi)
        slope_bottom = (xk - xj) / (yk - yj)
        for row in range(top, bottom):
            far = xi + slope_long * (row - yi)
            is_top = row < yj
            x, y = (xi, yi) if is_top else (xj, yj)
            near = x + (slope_top if is_top else slope_bottom) * (row - y)
            first = min(max(int(np.ceil(min(near, far))), 0), width)
            stop = min(int(np.ceil(max(near, far))), width)
            line_x, line_y, line_g = maps[0, row], maps[1, row], maps[2, row]
            while True:
                at = np.uint64(first)
                right = spread(np.float32(first - x0))
                u0, v0, g0 = load(line_x, at), load(line_y, at), load(line_g, at)
                share = row_a + right * right_a
                share = where_less(share, zero, zero, where_less(share, one, share, one))
                share = where_less(v0, beyond, share, one)
                share = where_less(steps, spread(np.float32(stop - first)), share, zero)
                store(line_x, at, u0 + share * (row_u + right * right_u - u0))
                store(line_y, at, v0 + share * (row_v + right * right_v - v0))
                store(line_g, at, g0 + share * (row_g + right * right_g - g0))
                first += lanes.COUNT
                if first >= stop:
                    break
            row_u, row_v = row_u + spread(uy), row_v + spread(vy)
            row_g, row_a = row_g + spread(gy), row_a + spread(ay)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _values(values: Floats, i: int, j: int, k: int) -> tuple[np.float32, np.float32, np.float32]:
    """Returns the value at the corner i, and what those at j and k have more."""
    start = values[i]
    return start, values[j] - start, values[k] - start


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _by_row(
    x1: np.float64, y1: np.float64, x2: np.float64, y2: np.float64
) -> tuple[np.float64, np.float64, np.float64, np.float64]:
    """Returns two corners, the upper one first."""
    is_upper = y1 <= y2
    return (
        x1 if is_upper else x2,
        y1 if is_upper else y2,
        x2 if is_upper else x1,
        y2 if is_upper else y1,
    )
