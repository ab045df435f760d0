"""Drawing as tensor operations: the kernels of `raster`, for a batch of frames at once.

The same rules to the pixel: positions are the same float32 numbers, edges are cut in double
precision, later triangles hide earlier ones. No loop over pixels or triangles, and no operation
that only one kind of device has. Pixels of a batch [n, h, w] are numbered through.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from streaming_model.renderer.batched.tensors import Rooms, repeated

LEAST_AREA: Final = 1e-6  # doubled; flatter triangles are not drawn
SOLID: Final = 0.999  # opacity from which a corner hides what is behind


class Fragments(NamedTuple):
    """The pixels that triangles cover, in drawing order.

    Attributes:
        pixel: [F] which pixel of the batch; the one after the last for what is none.
        is_real: [F] whether it is one.
        span: [F] which row of which triangle.
        step: [F] float32 pixels from the span's first one.
        triangle: [R] which triangle of `corners` each span belongs to.
        start: [R, a] float32 values at the first pixel of each span.
        slope: [R, a] float32 their growth from one pixel to the next.
    """

    pixel: Tensor
    is_real: Tensor
    span: Tensor
    step: Tensor
    triangle: Tensor
    start: Tensor
    slope: Tensor

    def values(self, chosen: Tensor) -> Tensor:
        """Returns the values [k, a] of the fragments `chosen` [k]."""
        span = self.span[chosen]
        return self.start[span] + self.slope[span] * self.step[chosen, None]


def fragments(
    points: Tensor, values: Tensor, triangles: Tensor, shape: tuple[int, int], rooms: Rooms
) -> Fragments:
    """Cuts triangles into the pixels they cover.

    Args:
        points: [n, V, 2] float32 pixels.
        values: [n, V, a] float32 what to interpolate.
        triangles: [n, T, 3] int64; those that run clockwise on the screen are not drawn.
        shape: height and width of the frames in pixels.
        rooms: for "rows" of triangles and "pixels" of rows.
    """
    count, vertices = points.shape[:2]
    frame = torch.arange(count, device=points.device)[:, None, None]
    corners = (triangles + frame * vertices).reshape(-1, 3)
    position = points.flatten(0, 1).double()
    is_drawn, (i, j, k) = _by_row(corners, position, shape[0])
    triangle, y, left, length = _spans(
        is_drawn, (position[i], position[j], position[k]), shape, rooms
    )
    value = values.flatten(0, 1).double()
    start, first, second = value[i], value[j] - value[i], value[k] - value[i]
    (ex1, ey1), (ex2, ey2) = ((position[at] - position[i])[:, :, None].unbind(1) for at in (j, k))
    inverse = 1 / (ex1 * ey2 - ex2 * ey1)
    across = (first * ey2 - second * ey1) * inverse
    down = (second * ex1 - first * ex2) * inverse
    away = torch.stack([left, y], dim=1) - position[i][triangle]
    start = start[triangle] + down[triangle] * away[:, 1:] + across[triangle] * away[:, :1]
    row = torch.div(i, vertices, rounding_mode="floor")[triangle] * shape[0] + y.long()
    span, step, is_real = repeated(length, rooms, "pixels")
    pixel = (row * shape[1] + left.long())[span] + step
    return Fragments(
        pixel=torch.where(is_real, pixel, count * shape[0] * shape[1]),
        is_real=is_real,
        span=span,
        step=step.float(),
        triangle=triangle,
        start=start.float(),
        slope=across[triangle].float(),
    )


def _by_row(
    corners: Tensor, position: Tensor, height: int
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Returns which triangles are drawn, [T], and their corners from top to bottom, [T] each."""
    (x0, y0), (x1, y1), (x2, y2) = (position[corners[:, at]].unbind(1) for at in range(3))
    low, high = torch.stack([y0, y1, y2]).aminmax(dim=0)
    is_drawn = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0) < -LEAST_AREA
    is_drawn &= (low.ceil() < high.ceil()) & (high > 0) & (low <= height - 1)
    i, j, k = corners.unbind(1)

    def ordered(above: Tensor, below: Tensor) -> tuple[Tensor, Tensor]:
        is_swapped = position[below, 1] < position[above, 1]
        return torch.where(is_swapped, below, above), torch.where(is_swapped, above, below)

    i, j = ordered(i, j)
    i, k = ordered(i, k)
    j, k = ordered(j, k)
    return is_drawn, (i, j, k)


def _spans(
    is_drawn: Tensor, corners: tuple[Tensor, Tensor, Tensor], shape: tuple[int, int], rooms: Rooms
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cuts triangles with corners [T, 2], from top to bottom, into rows.

    Returns which triangle each row is of, its number, its first pixel and how many there are, [R].
    """
    height, width = shape
    (xi, yi), (xj, yj), (xk, yk) = (corner.unbind(1) for corner in corners)
    top, bottom = yi.ceil().clamp(min=0), (yk.ceil() - 1).clamp(max=height - 1)
    slope = (xk - xi) / (yk - yi)
    slope_above = torch.where(yj > yi, (xj - xi) / (yj - yi), 0.0)
    slope_below = torch.where(yk > yj, (xk - xj) / (yk - yj), 0.0)
    rows = torch.where(is_drawn, bottom - top + 1, 0.0)
    triangle, number, is_real = repeated(rows, rooms, "rows")
    sides = torch.stack([xi, yi, slope, slope_above, xj, yj, slope_below, top], dim=1)[triangle]
    xi, yi, slope, slope_above, xj, yj, slope_below, top = sides.unbind(1)
    y = top + number
    far = xi + slope * (y - yi)
    near = torch.where(y < yj, xi + slope_above * (y - yi), xj + slope_below * (y - yj))
    first = torch.minimum(near, far).ceil().clamp(min=0)
    last = (torch.maximum(near, far).ceil() - 1).clamp(max=width - 1)
    return triangle, y, first, torch.where(is_real, last - first + 1, 0.0)


def map_triangles(
    maps: Tensor, cut: Fragments, is_solid: Tensor, end: float, rooms: Rooms
) -> Tensor:
    """Returns the maps [3, pixels] with what the triangles show: place looked up, and light.

    The values of `cut` are x, y, light and opacity. `is_solid` [T] triangles hide what is before
    them. The others are mixed in one by one, in drawing order and behind any later solid one;
    where the map's row is at the picture's `end` or beyond there is nothing to mix with. There is
    room for so many "layers" of them.
    """
    pixels, device = maps.shape[1], maps.device
    order = torch.arange(len(cut.pixel), device=device)
    solid = is_solid[cut.triangle][cut.span]
    last = torch.full((pixels + 1,), -1, dtype=torch.int64, device=device)
    last.scatter_reduce_(0, cut.pixel, torch.where(solid & cut.is_real, order, -1), "amax")
    shown = last[:-1]
    seen = cut.values(shown.clamp(min=0))[:, :3].T
    maps = torch.where(shown >= 0, seen, maps)
    none, depth = len(order), 0
    while True:
        is_left = ~solid & cut.is_real & (order > last[cut.pixel])
        if rooms.is_fixed:
            if depth == rooms.size("layers"):
                rooms.miss(is_left.any())
                return maps
        elif not bool(is_left.any()):
            rooms.note("layers", depth)
            return maps
        last = torch.full_like(last, none)
        last.scatter_reduce_(0, cut.pixel, torch.where(is_left, order, none), "amin")
        shown = last[:-1]
        value = cut.values(shown.clamp(max=none - 1)).T
        share = torch.where(maps[1] >= end, 1.0, value[3].clamp(0, 1))
        maps = torch.where(shown < none, maps + share * (value[:3] - maps), maps)
        depth += 1


def map_grid(sources: Tensor, cell: int, size: int) -> Tensor:
    """Returns what a grid shows at each pixel, [2, n, size, size], bilinear between its nodes.

    `sources` [n, c + 1, c + 1, 2] are places at every `cell` pixels.
    """
    share = torch.arange(cell, device=sources.device, dtype=torch.float32) / cell
    start, step = sources[:, :, :-1], sources.diff(dim=2)
    across = start[:, :, :, None] + share[:, None] * step[:, :, :, None]
    across = across.flatten(2, 3)[:, :, :size]
    whole = across[:, :-1, None] + share[:, None, None] * across.diff(dim=1)[:, :, None]
    return whole.flatten(1, 2)[:, :size].permute(3, 0, 1, 2).contiguous()


def map_opening(maps: Tensor, upper: Tensor, lower: Tensor, place: tuple[float, float]) -> None:
    """Writes a `place` of the texture into the maps [3, n, s, s] well between two chains [n, k, 2].

    Where they are nearer than a pixel the lips' own colours do.
    """
    size = maps.shape[-1]
    columns = torch.arange(size, device=maps.device, dtype=torch.float64)
    above, below = chain_heights(upper, columns), chain_heights(lower, columns)
    left = torch.minimum(upper[:, :1, 0], lower[:, :1, 0]).floor()
    right = torch.maximum(upper[:, -1:, 0], lower[:, -1:, 0]).ceil()
    is_wide = (below - above >= 1) & (columns >= left) & (columns <= right)  # false beside them
    rows = columns[:, None]
    inside = (rows >= above.ceil()[:, None]) & (rows <= below.floor()[:, None]) & is_wide[:, None]
    for axis in range(2):
        maps[axis].masked_fill_(inside, place[axis])


def chain_heights(chain: Tensor, columns: Tensor) -> Tensor:
    """Returns the rows [n, c] where left-to-right chains [n, k, 2] cross `columns`, NaN beside."""
    chain = chain.double()
    left, right = chain[:, None, :-1, 0], chain[:, None, 1:, 0]
    at = columns[..., :, None]
    segments = torch.arange(left.shape[-1], device=chain.device)
    crossed = torch.where((left <= at) & (at < right), segments, len(segments)).amin(dim=2)
    first = crossed.clamp(max=len(segments) - 1)
    (x0, y0), (x1, y1) = (
        torch.gather(chain, 1, index[..., None].expand(-1, -1, 2)).unbind(2)
        for index in (first, first + 1)
    )
    height = y0 + (y1 - y0) / (x1 - x0) * (columns - x0)
    return torch.where(crossed < len(segments), height, torch.nan)


def look_up(textures: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Returns textures [n, c, h, w] float64 at places x, y [n, s, s], whole levels, [n, c, s, s].

    Bilinear, in double precision: grid_sample wants places as shares of the side, and single
    precision would lose a part of the pixel with them. Beyond the border everything is 0.
    """
    height, width = textures.shape[2:]
    places = [at.double() * (2 / (side - 1)) - 1 for at, side in ((x, width), (y, height))]
    grid = torch.stack(places, dim=3)
    return grid_sample(textures, grid, align_corners=True).round_().to(torch.int32)


def compose(seen: Tensor, plate: Tensor, gain: Tensor) -> Tensor:
    """Lights straight RGBA [n, 4, s, s] by `gain` [n, s, s] and lays it over a plate.

    All are levels 0..255, int32; the plate and what is returned are [n, 3, s, s].
    """
    cover = seen[:, 3:]
    share = cover + (cover >> 7)
    return (lit(seen, gain) * share + plate * (256 - share) + 128) >> 8


def lit(seen: Tensor, gain: Tensor) -> Tensor:
    """Returns the colours [n, 3, s, s] of int32 RGBA multiplied by `gain` [n, s, s]."""
    factor = (gain * 256 + 0.5).to(torch.int32)[:, None]
    return ((seen[:, :3] * factor + 128) >> 8).clamp_(max=255)
