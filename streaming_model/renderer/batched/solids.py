"""Solid triangles with a depth buffer: kernels of `raster_mouth` for a batch of boxes."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from streaming_model.renderer.batched.boxes import Boxes
from streaming_model.renderer.batched.raster import LEAST_AREA
from streaming_model.renderer.batched.tensors import Rooms, repeated
from streaming_model.renderer.raster_mouth import SLACK

ORDER: Final = (1 << 32) - 1  # how many fragments a key can tell apart, less one
NOTHING: Final = -1 << 63


class Fine(NamedTuple):
    """How many finer pixels a pixel has.

    Attributes:
        each: [n, 2] across and down, of each box.
        most: the most of them.
    """

    each: Tensor
    most: tuple[int, int]

    def shape(self, boxes: Boxes) -> tuple[int, int]:
        """Returns rows and columns of all boxes in finer pixels."""
        return boxes.shape[0] * self.most[1], boxes.shape[1] * self.most[0]


class Hits(NamedTuple):
    """Pixels under triangles, in drawing order.

    Attributes:
        pixel: [F] which pixel of the batch; the one after the last for what is none.
        corners: [F, 3] which of the batch's vertices.
        second, third: [F] float64 weights of the second and third corner.
    """

    pixel: Tensor
    corners: Tensor
    second: Tensor
    third: Tensor

    def mixed(self, values: Tensor) -> Tensor:
        """Returns values [n * V, c] mixed from those of the corners, [F, c] float64."""
        first, second, third = (values[self.corners[:, at]].double() for at in range(3))
        across = self.second[:, None] * (second - first)
        return first + across + self.third[:, None] * (third - first)


def hits(
    points: Tensor,
    triangles: Tensor,
    limits: Tensor,
    shape: tuple[int, int],
    slack: float,
    rooms: Rooms,
) -> Hits:
    """Finds the pixels under triangles; those turned away are not drawn.

    Args:
        points: [n, V, 2 or more] float32 pixels.
        triangles: [n, T, 3].
        limits: [n, 2, w] the first and last row wanted of each column.
        shape: rows and columns of all boxes, by which their pixels are numbered.
        slack: share of a triangle that it covers beyond its edges.
        rooms: for "columns" of triangles and "hits" in columns.
    """
    count, vertices = points.shape[:2]
    frame = torch.arange(count, device=points.device)[:, None]
    corners = (triangles + frame[..., None] * vertices).reshape(-1, 3)
    frame = frame.expand(-1, triangles.shape[1]).flatten()
    position = points.flatten(0, 1)[:, :2].double()
    (xi, yi), (xj, yj), (xk, yk) = (position[corners[:, at]].unbind(1) for at in range(3))
    area = (xj - xi) * (yk - yi) - (xk - xi) * (yj - yi)
    low_x, high_x = torch.stack([xi, xj, xk]).aminmax(dim=0)
    low_y, high_y = torch.stack([yi, yj, yk]).aminmax(dim=0)
    left = low_x.ceil().clamp(min=0)
    across = high_x.floor().clamp(max=limits.shape[2] - 1) - left + 1
    across = torch.where(area < -LEAST_AREA, across, 0.0)

    triangle, number, is_column = repeated(across, rooms, "columns")
    x = (left[triangle].long() + number).clamp(0, limits.shape[2] - 1)
    wanted = limits[frame[triangle], :, x]
    first = torch.maximum(low_y[triangle].ceil(), wanted[:, 0])
    last = torch.minimum(high_y[triangle].floor(), wanted[:, 1])
    # Weights of the second and third corner grow by these along a row and a column.
    lines = torch.stack([yk - yi, xi - xk, yi - yj, xj - xi], dim=1) / area[:, None]
    bx, by, cx, cy = lines[triangle].unbind(1)
    dx, dy = x - xi[triangle], first - yi[triangle]
    start = torch.stack([bx * dx + by * dy, cx * dx + cy * dy, by, cy], dim=1)
    rows = torch.where(is_column, last - first + 1, 0.0)
    line, step, is_hit = repeated(rows, rooms, "hits")
    b, c, slope_b, slope_c = start[line].unbind(1)
    b, c = b + slope_b * step, c + slope_c * step
    is_hit = is_hit & (b >= -slack) & (c >= -slack) & (b + c <= 1 + slack)
    triangle = triangle[line]
    row = frame[triangle] * shape[0] + first[line].long() + step
    pixel = torch.where(is_hit, row * shape[1] + x[line], count * shape[0] * shape[1])
    return Hits(pixel, corners[triangle], b, c)


def draw_solid(
    points: Tensor,
    colours: Tensor,
    triangles: Tensor,
    behind: Tensor,
    limits: Tensor,
    boxes: Boxes,
    fine: Fine,
    rooms: Rooms,
) -> Tensor:
    """Draws triangles nearest first over the colours `behind` [n, 3], [n, h, w, 3] float32.

    `points` [n, V, 3] are finer pixels and depth (larger is nearer), `colours` [n, V, 3]. A pixel
    has `fine` ones across and down, whose mean it is; `limits` are theirs.
    """
    count, shape = len(points), fine.shape(boxes)
    pixels = count * shape[0] * shape[1]
    found = hits(points, triangles, limits, shape, SLACK, rooms)
    depth = found.mixed(points.flatten(0, 1)[:, 2:])[:, 0].float().view(torch.int32)
    depth = torch.where(depth < 0, depth ^ 0x7FFFFFFF, depth).long()  # in the floats' order
    order = torch.arange(len(depth), device=depth.device)
    nearest = torch.full((pixels + 1,), NOTHING, device=depth.device)
    # Of equally near ones the first counts.
    nearest.scatter_reduce_(0, found.pixel, (depth << 32) | (ORDER - order), "amax")
    nearest = nearest[:-1]
    chosen = (ORDER - (nearest & ORDER)).clamp(max=len(order) - 1)
    image = behind.repeat_interleave(shape[0] * shape[1], dim=0, output_size=pixels)
    shown = Hits(*(each[chosen] for each in found))
    drawn = shown.mixed(colours.flatten(0, 1)).float()
    image = torch.where((nearest > NOTHING)[:, None], drawn, image)
    return _block_means(image.view(count, *shape, 3), boxes, fine)


def cover_triangles(
    points: Tensor, triangles: Tensor, boxes: Boxes, fine: Fine, rooms: Rooms
) -> Tensor:
    """Returns the share of each pixel under triangles given in finer pixels, [n, h, w]."""
    shape, each = fine.shape(boxes), fine.each
    last = boxes.limits[:, 0] * each[:, 1] - 1
    rows = torch.stack([torch.zeros_like(last), last], dim=1)[..., None]
    columns = torch.arange(shape[1], device=points.device)
    used = columns < (boxes.limits[:, 1] * each[:, 0])[:, None]
    limits = torch.where(used[:, None], rows, -rows - 1)
    found = hits(points, triangles, limits, shape, 0.0, rooms)
    seen = torch.zeros(len(points) * shape[0] * shape[1] + 1, device=points.device)
    seen.index_fill_(0, found.pixel, 1.0)
    return _block_means(seen[:-1].view(len(points), *shape, 1), boxes, fine)[..., 0]


def _block_means(image: Tensor, boxes: Boxes, fine: Fine) -> Tensor:
    """Returns the means of each pixel's finer ones, [n, h, w, c]."""
    (across, down), each = fine.most, fine.each
    at = torch.arange(len(image), device=image.device)[:, None, None]
    rows = boxes.rows() * each[:, 1, None, None]
    columns = boxes.columns() * each[:, 0, None, None]
    total = torch.zeros((len(image), *boxes.shape, image.shape[3]), device=image.device)
    for right in range(across):
        for below in range(down):
            here = image[at, rows + below, columns + right]
            is_inside = (right < each[:, 0]) & (below < each[:, 1])
            total += torch.where(is_inside[:, None, None, None], here, 0.0)
    return total * (1.0 / each.prod(dim=1).float())[:, None, None, None]
