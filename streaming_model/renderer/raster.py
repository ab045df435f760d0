"""Compiled drawing: maps from output to texture, and compositing.

A frame is one lookup: grid and triangles write for every output pixel which place of the
texture it shows, `cv2.remap` fetches it, `compose` lays it over the plate. Plain loops over
arrays, compiled once and cached on disk; every kernel releases the GIL. Pixel (x, y) has its
centre at integer coordinates. Packed pixels are RGBA in uint32, red lowest.
"""

# The kernels are long because a call per pixel would cost more than the pixel.
# ruff: noqa: PLR0915, C901

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit, uint32, uint64
from numpy.typing import NDArray

OUTSIDE: Final = -1e9
BLOCK: Final = 8  # pixels a side of the blocks by which cells are told apart
EMPTY, MIXED, SOLID, LIT = range(4)  # what is in a cell

_LOW = uint64(0x00FF00FF)
_HIGH = uint64(0xFF00FF00)
_CHANNELS = uint64(0x00FF00FF00FF00FF)
_HALVES = uint64(0x0080008000800080)
_OPAQUE = uint64(0x00FF000000000000)


def packed(image: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Returns an RGBA image [h, w, 4] as uint32 [h, w], without a copy if it is contiguous."""
    return np.ascontiguousarray(image).view(np.uint32)[..., 0]


def unpacked(canvas: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Returns a canvas [h, w] as RGBA [h, w, 4], a view."""
    return canvas[..., None].view(np.uint8)


def blocks_of(matte: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns for blocks of `BLOCK` pixels a side of `matte` [h, w] if they are empty or solid."""
    is_solid, is_empty = _whole_blocks(matte == 255), _whole_blocks(matte == 0)
    return np.where(is_empty, EMPTY, np.where(is_solid, SOLID, MIXED)).astype(np.uint8)


def _whole_blocks(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns which blocks `mask` fills; beyond its edges it goes on."""
    height, width = mask.shape
    beyond = [(0, -height % BLOCK + BLOCK), (0, -width % BLOCK + BLOCK)]
    grown = np.pad(mask, beyond, mode="edge")
    rows, columns = (side // BLOCK for side in grown.shape)
    return np.asarray(grown.reshape(rows, BLOCK, columns, BLOCK).all(axis=(1, 3)))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def cell_kinds(sources: NDArray[np.float32], blocks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns [n, n] what the texture holds where each cell looks: empty, mixed or solid.

    `sources` [n + 1, n + 1, 2] are the cells' corners in pixels of the texture, `blocks` those
    of `blocks_of`.
    """
    cells = len(sources) - 1
    kinds = np.empty((cells, cells), np.uint8)
    rows, columns = blocks.shape
    for r in range(cells):
        for c in range(cells):
            left, top = sources[r, c, 0], sources[r, c, 1]
            right, bottom = left, top
            for k in range(1, 4):
                x, y = sources[r + k // 2, c + k % 2, 0], sources[r + k // 2, c + k % 2, 1]
                left, right = min(left, x), max(right, x)
                top, bottom = min(top, y), max(bottom, y)
            i0, i1 = max(int(left), 0) // BLOCK, max(int(right) + 1, 0) // BLOCK
            j0, j1 = max(int(top), 0) // BLOCK, max(int(bottom) + 1, 0) // BLOCK
            is_empty = is_solid = True
            for j in range(min(j0, rows - 1), min(j1, rows - 1) + 1):
                for i in range(min(i0, columns - 1), min(i1, columns - 1) + 1):
                    is_empty = is_empty and blocks[j, i] == EMPTY
                    is_solid = is_solid and blocks[j, i] == SOLID
            kinds[r, c] = EMPTY if is_empty else SOLID if is_solid else MIXED
    return kinds


@njit(nogil=True, cache=True, error_model="numpy")
def held_columns(kinds: NDArray[np.uint8], rows: int) -> NDArray[np.int64]:
    """Returns which columns of cells hold anything, for every `rows` rows of `kinds` [n, n].

    [n / rows, 2]: the first column and that after the last, 0 and 0 where there is none.
    """
    count, cells = len(kinds) // rows, kinds.shape[1]
    columns = np.zeros((count, 2), np.int64)
    for band in range(count):
        first, last = cells, 0
        for r in range(band * rows, (band + 1) * rows):
            for c in range(cells):
                if kinds[r, c] != EMPTY:
                    first, last = min(first, c), max(last, c + 1)
        if last > first:
            columns[band, 0], columns[band, 1] = first, last
    return columns


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


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def map_grid(
    map_x: NDArray[np.float32],
    map_y: NDArray[np.float32],
    sources: NDArray[np.float32],
    cell: int,
) -> None:
    """Writes into the maps [m * cell, n * cell] what a grid shows, bilinear between its nodes.

    `sources` [m + 1, n + 1, 2] are the pixels of the texture at every `cell` pixels of the maps.
    First across, once for a row of nodes, then down, where whole rows are vectors.
    """
    rows, cells, side = sources.shape[0] - 1, sources.shape[1] - 1, map_x.shape[1]
    share = np.float32(1) / np.float32(cell)
    across = np.empty((2, rows + 1, side), np.float32)
    for axis in range(2):
        for r in range(rows + 1):
            for c in range(cells):
                start = sources[r, c, axis]
                step = (sources[r, c + 1, axis] - start) * share
                for x in range(cell):
                    across[axis, r, c * cell + x] = start + np.float32(x) * step
    for axis in range(2):
        target = map_x if axis == 0 else map_y
        for r in range(rows):
            above, below = across[axis, r], across[axis, r + 1]
            for y in range(cell):
                t = np.float32(y) * share
                line = target[r * cell + y]
                for x in range(side):
                    line[x] = above[x] + t * (below[x] - above[x])


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def map_opening(
    map_x: NDArray[np.float32],
    map_y: NDArray[np.float32],
    points: NDArray[np.float32],
    upper: NDArray[np.int64],
    lower: NDArray[np.int64],
    x: float,
    y: float,
    start: int,
    stop: int,
) -> None:
    """Writes the place (x, y) into the maps [h, w] well between two chains of `points` [V, 2].

    Into rows from `start` on and before `stop` only.
    """
    width = map_x.shape[1]
    above, below = points[upper], points[lower]
    left = max(int(np.floor(min(above[0, 0], below[0, 0]))), 0)
    right = min(int(np.ceil(max(above[-1, 0], below[-1, 0]))), width - 1)
    for column in range(left, right + 1):
        top, end = _chain_height(above, column), _chain_height(below, column)
        if top == OUTSIDE or end == OUTSIDE or end - top < 1:
            continue  # narrower than a pixel: the lips' own colours do
        for row in range(max(int(np.ceil(top)), start), min(int(np.floor(end)), stop - 1) + 1):
            map_x[row, column] = x
            map_y[row, column] = y


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def map_triangles(
    map_x: NDArray[np.float32],
    map_y: NDArray[np.float32],
    gain: NDArray[np.float32],
    points: NDArray[np.float32],
    sources: NDArray[np.float32],
    opacity: NDArray[np.float32],
    light: NDArray[np.float32],
    triangles: NDArray[np.int32],
    end: float,
    start: int,
    stop: int,
) -> None:
    """Writes into the maps [h, w] what triangles [T, 3] show, in order, and their light.

    Into rows from `start` on and before `stop` only.

    `points` [V, 2] are pixels of the maps, `sources` [V, 2] pixels of the texture. Where
    `opacity` [V] is below 1 the place looked up is between the map's and the triangle's, unless
    the map's row is at the picture's `end` or beyond: there is no picture between. `light` [V]
    goes to `gain` [h, w]. Triangles that run clockwise on the screen (turned away) are not drawn.
    Edges are cut at the same place for both triangles that share them, so a mesh has
    neither gaps nor double pixels.
    """
    width = map_x.shape[1]
    one = np.float32(1)
    for t in range(triangles.shape[0]):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        # In double precision, so that every device cuts the edges at the same pixels.
        xi, yi = np.float64(points[i, 0]), np.float64(points[i, 1])
        xj, yj = np.float64(points[j, 0]), np.float64(points[j, 1])
        xk, yk = np.float64(points[k, 0]), np.float64(points[k, 1])
        area = (xj - xi) * (yk - yi) - (xk - xi) * (yj - yi)
        if area >= -1e-6:
            continue
        # Sort by row: i is the top, k the bottom.
        if yj < yi:
            i, j = j, i
            xi, yi, xj, yj = xj, yj, xi, yi
        if yk < yi:
            i, k = k, i
            xi, yi, xk, yk = xk, yk, xi, yi
        if yk < yj:
            j, k = k, j
            xj, yj, xk, yk = xk, yk, xj, yj
        top = max(start, int(np.ceil(yi)))
        bottom = min(stop, int(np.ceil(yk))) - 1
        if top > bottom:
            continue
        ex1, ey1, ex2, ey2 = xj - xi, yj - yi, xk - xi, yk - yi
        inverse = 1.0 / (ex1 * ey2 - ex2 * ey1)
        u1, u2 = sources[j, 0] - sources[i, 0], sources[k, 0] - sources[i, 0]
        v1, v2 = sources[j, 1] - sources[i, 1], sources[k, 1] - sources[i, 1]
        a1, a2 = opacity[j] - opacity[i], opacity[k] - opacity[i]
        g1, g2 = light[j] - light[i], light[k] - light[i]
        ux, uy = (u1 * ey2 - u2 * ey1) * inverse, (u2 * ex1 - u1 * ex2) * inverse
        vx, vy = (v1 * ey2 - v2 * ey1) * inverse, (v2 * ex1 - v1 * ex2) * inverse
        ax, ay = (a1 * ey2 - a2 * ey1) * inverse, (a2 * ex1 - a1 * ex2) * inverse
        gx, gy = (g1 * ey2 - g2 * ey1) * inverse, (g2 * ex1 - g1 * ex2) * inverse
        step_u, step_v = np.float32(ux), np.float32(vx)
        step_a, step_g = np.float32(ax), np.float32(gx)
        is_solid = opacity[i] > 0.999 and opacity[j] > 0.999 and opacity[k] > 0.999
        slope_long = ex2 / ey2
        slope_top = ex1 / ey1 if yj > yi else 0.0
        slope_bottom = (xk - xj) / (yk - yj) if yk > yj else 0.0
        for row in range(uint64(top), uint64(bottom + 1)):  # unsigned: no index is looked at twice
            y = np.int64(row)
            line_x, line_y, line_g = map_x[row], map_y[row], gain[row]
            dy = y - yi
            far = xi + slope_long * dy
            near = xi + slope_top * dy if y < yj else xj + slope_bottom * (y - yj)
            if near > far:
                near, far = far, near
            first = max(0, int(np.ceil(near)))
            last = min(width - 1, int(np.ceil(far)) - 1)
            columns = range(uint64(first), uint64(max(last + 1, 0)))
            dx = first - xi
            u = np.float32(sources[i, 0] + uy * dy + ux * dx)
            v = np.float32(sources[i, 1] + vy * dy + vx * dx)
            g = np.float32(light[i] + gy * dy + gx * dx)
            if is_solid:
                for x in columns:
                    step = np.float32(np.int64(x) - first)
                    line_x[x] = u + step_u * step
                    line_y[x] = v + step_v * step
                    line_g[x] = g + step_g * step
                continue
            share = np.float32(opacity[i] + ay * dy + ax * dx)
            for x in columns:
                step = np.float32(np.int64(x) - first)
                a = min(max(share + step_a * step, np.float32(0)), one)
                if line_y[x] >= end:
                    a = one
                line_x[x] += a * (u + step_u * step - line_x[x])
                line_y[x] += a * (v + step_v * step - line_y[x])
                line_g[x] += a * (g + step_g * step - line_g[x])


@njit(inline="always")
def _spread(pixel: np.uint64) -> np.uint64:
    """Returns the four channels of a packed pixel 16 bits apart: R, B, G, A."""
    return (pixel & _LOW) | ((pixel & _HIGH) << uint64(24))


@njit(inline="always")
def _joined(channels: np.uint64) -> np.uint32:
    return uint32((channels & _LOW) | ((channels >> uint64(24)) & _HIGH))


@njit(inline="always")
def _over(channels: np.uint64, cover: np.uint64, behind: np.uint32) -> np.uint32:
    """Returns `channels` by `cover` 1..254 over the opaque pixel `behind`, packed."""
    share = cover + (cover >> uint64(7))
    total = (channels | _OPAQUE) * share + _spread(uint64(behind)) * (uint64(256) - share)
    return _joined(((total + _HALVES) >> uint64(8)) & _CHANNELS)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def compose(
    canvas: NDArray[np.uint32],
    plate: NDArray[np.uint32],
    gain: NDArray[np.float32],
    kinds: NDArray[np.uint8],
    cell: int,
    is_cut_out: bool,
) -> None:
    """Lights a straight RGBA `canvas` [h, w] and lays it over a `plate` [h, w], in place.

    `kinds` [n, n] are those of `cell_kinds`, cells of `cell` pixels a side: empty ones take the
    plate, solid ones stay, lit ones are multiplied by `gain` [h, w] first. A cut-out is not laid
    over the plate where there is anything of it.
    """
    height, width = canvas.shape
    cells = kinds.shape[1]
    for r in range(kinds.shape[0]):
        top, bottom = r * cell, min((r + 1) * cell, height)
        c = 0
        while c < cells:
            kind, start = kinds[r, c], c
            while c < cells and kinds[r, c] == kind:
                c += 1
            left, right = uint64(start * cell), uint64(min(c * cell, width))
            if kind == SOLID:
                continue
            for y in range(uint64(top), uint64(bottom)):
                if kind == EMPTY:
                    for x in range(left, right):
                        canvas[y, x] = plate[y, x]
                    continue
                if kind == LIT:
                    _light(canvas[y], gain[y], left, right)
                if is_cut_out or _is_opaque(canvas[y], left, right):
                    continue
                for x in range(left, right):
                    seen = uint64(canvas[y, x])
                    cover = seen >> uint64(24)
                    if cover == uint64(255):
                        continue
                    if cover == uint64(0):
                        canvas[y, x] = plate[y, x]
                    else:
                        canvas[y, x] = _over(_spread(seen), cover, plate[y, x])


@njit(inline="always")
def _is_opaque(line: NDArray[np.uint32], left: np.uint64, right: np.uint64) -> bool:
    """Returns whether nothing shows through a row's pixels; they are looked at side by side."""
    together = uint32(0xFFFFFFFF)
    for x in range(left, right):
        together &= line[x]
    return bool(together >= uint32(0xFF000000))


@njit(inline="always")
def _light(
    line: NDArray[np.uint32], gain: NDArray[np.float32], left: np.uint64, right: np.uint64
) -> None:
    """Multiplies the colours of a row's pixels by `gain`.

    In 32 bits and without a branch, so that many pixels are worked out side by side.
    """
    byte, eight, half = uint32(255), uint32(8), uint32(128)
    for x in range(left, right):
        factor = uint32(gain[x] * np.float32(256) + np.float32(0.5))
        seen = line[x]
        red = min(uint32(uint32((seen & byte) * factor) + half) >> eight, byte)
        green = min(uint32(uint32(((seen >> eight) & byte) * factor) + half) >> eight, byte)
        blue = min(uint32(uint32(((seen >> uint32(16)) & byte) * factor) + half) >> eight, byte)
        covered = seen & uint32(0xFF000000)
        line[x] = uint32(red | green << eight | blue << uint32(16) | covered)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _chain_height(chain: NDArray[np.float32], x: float) -> float:
    """Returns the row at which a left-to-right chain crosses column x; OUTSIDE beside it."""
    for index in range(chain.shape[0] - 1):
        x0, x1 = np.float64(chain[index, 0]), np.float64(chain[index + 1, 0])
        if x0 <= x < x1:
            slope = (np.float64(chain[index + 1, 1]) - chain[index, 1]) / (x1 - x0)
            return float(chain[index, 1] + slope * (x - x0))
    return OUTSIDE
