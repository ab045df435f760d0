"""Compiled drawing of the frame in cells: look up, light and lay over what is behind, in one pass.

A frame is one look-up: a grid, and around the face maps, tell for every pixel which place of the
texture it shows. A row of a cell goes through all steps while it is near. Plain loops over arrays,
compiled once and cached on disk, that release the GIL.
"""

# The kernel is long because a call per row would cost more than the row.

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streaming_model.renderer.lanes import PARTS, PIXELS, show_along, show_at

BLOCK: Final = 8  # pixels a side of the blocks by which cells are told apart
EMPTY, MIXED, SOLID, LIT = range(4)  # what is in a cell

Floats = NDArray[np.float32]
Packed = NDArray[np.uint32]
Index = int | np.uint64  # unsigned ones spare numba its check for negative ones


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
def cell_kinds(sources: Floats, blocks: NDArray[np.uint8]) -> NDArray[np.uint8]:
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


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def draw_cells(
    canvas: Packed,
    texture: Packed,
    plate: Packed,
    maps: Floats,
    grid: Floats,
    kinds: NDArray[np.uint8],
    cell: int,
    rows: tuple[int, int],
    is_cut_out: bool,
) -> None:
    """Draws the cells in some `rows` of `kinds` [n, n] on the canvas [s, s].

    Empty ones take the plate [s, s]; the others show the straight RGBA texture [h, w] over it, lit
    ones where and how bright `maps` [3, >= s, >= s] say, the rest where `grid` [n + 1, n + 1, 2]
    says, bilinear between its nodes. A cut-out is not laid over the plate where there is anything
    of it. Beyond its border the texture goes on. Up to `PIXELS` - 1 pixels behind a row are written
    before their turn comes: behind the canvas there must be as many.
    """
    size, cells = canvas.shape[0], kinds.shape[1]
    for r in range(rows[0], rows[1]):
        for y in range(np.uint64(r * cell), np.uint64(min((r + 1) * cell, size))):
            line, down = canvas[y], np.float32(np.int64(y) - r * cell) / np.float32(cell)
            c = 0
            while c < cells:
                kind, start = kinds[r, c], c
                while c < cells and kinds[r, c] == kind:
                    c += 1
                left, right = np.uint64(start * cell), np.uint64(min(c * cell, size))
                if kind == EMPTY:
                    _show_nothing(line, left, right)
                elif kind == LIT:
                    _show_by_maps(line, texture, maps[0, y], maps[1, y], left, right)
                    _light(line, maps[2, y], left, right)
                else:
                    for column in range(start, c):
                        _show_by_grid(line, texture, grid, r, column, cell, down)
            if not is_cut_out:
                _lay_over(line, plate[y])


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _show_nothing(line: Packed, left: Index, right: Index) -> None:
    for x in range(left, right):
        line[x] = 0


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _show_by_maps(
    line: Packed, texture: Packed, map_x: Floats, map_y: Floats, left: Index, right: Index
) -> None:
    """Looks up a row of pixels where the maps say."""
    corner = np.float32(0), np.float32(0)
    for x in range(left, right, np.uint64(PIXELS)):
        show_at(line, x, texture, map_x, map_y, x, corner)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _show_by_grid(
    line: Packed, texture: Packed, grid: Floats, r: int, c: int, cell: int, share: np.float32
) -> None:
    """Looks up the row of one cell's pixels that is `share` of the cell below its upper nodes."""
    parts, along = np.float32(PARTS), np.float32(PARTS) / np.float32(cell)
    x, y = _between_nodes(grid, r, c, 0, share), _between_nodes(grid, r, c, 1, share)
    step_x = int((_between_nodes(grid, r, c + 1, 0, share) - x) * along)
    step_y = int((_between_nodes(grid, r, c + 1, 1, share) - y) * along)
    first_x, first_y = int(x * parts), int(y * parts)
    for at in range(0, min(cell, len(line) - c * cell), PIXELS):
        start = first_x + at * step_x, first_y + at * step_y
        show_along(line, np.uint64(c * cell + at), texture, start, (step_x, step_y))


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _between_nodes(grid: Floats, r: int, c: int, axis: int, share: np.float32) -> np.float32:
    """Returns the place that the grid says between a node and the one below it."""
    upper = grid[r, c, axis]
    return np.float32(upper + share * (grid[r + 1, c, axis] - upper))


@njit(nogil=True, cache=True, error_model="numpy", inline="always")
def _lay_over(line: Packed, plate: Packed) -> None:
    """Lays a row of straight RGBA pixels over the opaque ones of the plate.

    Two channels in a word, without a branch, so that many pixels are worked out side by side.
    """
    apart, opaque, eight = np.uint32(0x00FF00FF), np.uint32(0xFF000000), np.uint32(8)
    byte, half, halves = np.uint32(255), np.uint32(128), np.uint32(0x00800080)
    for x in range(np.uint64(len(line))):
        seen, behind = line[x], plate[x]
        cover = np.uint32(seen >> np.uint32(24))
        share = np.uint32(cover + (cover >> np.uint32(7)))
        rest = np.uint32(np.uint32(256) - share)
        red_blue = np.uint32((seen & apart) * share + (behind & apart) * rest + halves)
        green = np.uint32(
            ((seen >> eight) & byte) * share + ((behind >> eight) & byte) * rest + half
        )
        line[x] = ((red_blue >> eight) & apart) | (green & np.uint32(0xFF00)) | opaque


@njit(inline="always")
def _light(line: Packed, gain: Floats, left: Index, right: Index) -> None:
    """Multiplies the colours of a row's pixels by `gain`.

    In 32 bits and without a branch, so that many pixels are worked out side by side.
    """
    byte, eight, half = np.uint32(255), np.uint32(8), np.uint32(128)
    for x in range(left, right):
        factor = np.uint32(gain[x] * np.float32(256) + np.float32(0.5))
        seen = line[x]
        red = min(np.uint32(np.uint32((seen & byte) * factor) + half) >> eight, byte)
        green = min(np.uint32(np.uint32(((seen >> eight) & byte) * factor) + half) >> eight, byte)
        blue = min(
            np.uint32(np.uint32(((seen >> np.uint32(16)) & byte) * factor) + half) >> eight, byte
        )
        covered = seen & np.uint32(0xFF000000)
        line[x] = np.uint32(red | green << eight | blue << np.uint32(16) | covered)
