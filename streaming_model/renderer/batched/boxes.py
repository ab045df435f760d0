"""Boxes of different sizes in one tensor, and filters that know where each of them ends.

Box i uses the first h[i] rows and w[i] columns of its [h, w].
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


class Boxes:
    """Parts of the frames of a batch, each in the upper left corner of its own [h, w].

    Args:
        corner: [n, 2] int64 left and top of each frame's part.
        limits: [n, 2] int64 rows and columns that it uses; 0 where there is none.
        shape: rows and columns of all, none smaller than `limits`.
        size: side of the frames.

    Attributes:
        corner, limits, shape: as they were given.
    """

    def __init__(self, corner: Tensor, limits: Tensor, shape: tuple[int, int], size: int) -> None:
        self.corner, self.limits, self.shape = corner, limits, shape
        self._size = size

    def rows(self, beyond: int = 0) -> Tensor:
        """Returns the numbers of the rows [h, 1], with `beyond` more above and below."""
        device = self.corner.device
        return torch.arange(-beyond, self.shape[0] + beyond, device=device)[:, None]

    def columns(self) -> Tensor:
        """Returns the numbers of the columns [w]."""
        return torch.arange(self.shape[1], device=self.corner.device)

    def pixels(self, beyond: int = 0) -> tuple[Tensor, Tensor]:
        """Returns the batch's pixel at each of the boxes' [n, h, w], and whether there is one.

        `beyond` rows of the frame above and below count as part of the box. Where there is none
        it is the pixel after the batch's last.
        """
        rows, columns = self.rows(beyond), self.columns()
        frames = torch.arange(len(self.corner), device=self.corner.device)[:, None, None]
        within = rows < self.limits[:, :1, None] + beyond
        within = within & (columns < self.limits[:, 1:, None])
        y, x = self.corner[:, 1:, None] + rows, self.corner[:, :1, None] + columns
        within &= (y >= 0) & (y < self._size)
        index = (frames * self._size + y) * self._size + x
        return torch.where(within, index, len(frames) * self._size**2), within


def bordered(
    values: Tensor, axis: int, reach: int, limits: Tensor, *, is_mirrored: bool = False
) -> Tensor:
    """Goes on `reach` pixels beyond each box's border along `axis` of [k, h, w, ...].

    The border's pixels are repeated, or mirrored at their middle as OpenCV does by default.
    """
    last = (limits[:, axis - 1, None] - 1).clamp(min=0)
    index = torch.arange(-reach, values.shape[axis] + reach, device=values.device)[None]
    if is_mirrored:
        around = (2 * last).clamp(min=1)
        index = torch.remainder(index, around)
        index = torch.minimum(index, around - index)
    index = torch.minimum(index.clamp(min=0), last)
    shape = [len(values), *(1,) * (values.ndim - 1)]
    whole = list(values.shape)
    shape[axis] = whole[axis] = index.shape[1]
    return values.gather(axis, index.view(shape).expand(whole))


def blurred(image: Tensor, taps: Tensor, limits: Tensor) -> Tensor:
    """Blurs [k, h, w, c] both ways by symmetric filters, borders repeated.

    `taps` [k, r + 1] are the middle and one side of each filter.
    """
    reach = taps.shape[1] - 1
    for axis in (2, 1):
        image = _filtered(bordered(image, axis, reach, limits), taps, axis)
    return image


def blurred_cover(cover: Tensor, taps: Tensor) -> Tensor:
    """Blurs [k, h, w] both ways as `blurred`; beyond the border nothing is covered."""
    reach = taps.shape[1] - 1
    cover = _filtered(pad(cover, (reach, reach)), taps, 2)
    return _filtered(pad(cover, (0, 0, reach, reach)), taps, 1)


def _filtered(values: Tensor, taps: Tensor, axis: int) -> Tensor:
    reach = taps.shape[1] - 1
    length = values.shape[axis] - 2 * reach
    factors = taps.view(*taps.shape, *(1,) * (values.ndim - 1)).unbind(1)
    total = factors[0] * values.narrow(axis, reach, length)
    for tap in range(1, reach + 1):
        before = values.narrow(axis, reach - tap, length)
        total += factors[tap] * (before + values.narrow(axis, reach + tap, length))
    return total


def box_means(values: Tensor, sides: Tensor, limits: Tensor, most: int) -> Tensor:
    """Returns the means of [k, h, w] over squares of odd `sides` [k], borders mirrored.

    `most` is half of the largest side, rounded down.
    """
    side = sides[:, None, None]
    for axis in (1, 2):
        sums = bordered(values, axis, most, limits, is_mirrored=True).double().cumsum(axis)
        sums = pad(sums, (0, 0, 1, 0) if axis == 1 else (1, 0))
        shape = (1, -1, 1) if axis == 1 else (1, 1, -1)
        place = torch.arange(values.shape[axis], device=values.device).view(shape)
        first = (place + most - side // 2).expand(values.shape)
        total = sums.gather(axis, first + side) - sums.gather(axis, first)
        values = (total / side).float()
    return values


def lay_over(pixels: Tensor, inside: Tensor, cover: Tensor, boxes: Boxes) -> None:
    """Mixes `inside` [n, h, w, 3] into a batch's `pixels` [p + 1, 3] uint8 by `cover` [n, h, w].

    The last of the pixels is none.
    """
    index, _ = boxes.pixels()
    share = cover.clamp(max=1)[..., None]
    below = pixels[index].float()
    mixed = below + share * (inside - below)
    put(pixels, index, mixed, share > 0.002, below)


def darken(pixels: Tensor, factor: Tensor, index: Tensor) -> None:
    """Multiplies a batch's `pixels` [p + 1, 3] uint8 at `index` [n, h, w] by `factor`."""
    pixels[index] = (pixels[index].float() * factor[..., None] + 0.5).to(torch.uint8)


def put(pixels: Tensor, index: Tensor, values: Tensor, picked: Tensor, before: Tensor) -> None:
    """Writes `values` [..., 3] where `picked` [..., 1] to `pixels` at `index`, else `before`.

    No pixel but the last, which is none, may be named twice.
    """
    rounded = torch.where(picked, values + 0.5, before).clamp(0, 255)
    pixels[index] = rounded.to(torch.uint8)
