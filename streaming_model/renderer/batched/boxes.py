"""Boxes of different sizes in one tensor, and filters that know where each of them ends.

Box i uses the first h[i] rows and w[i] columns of its [h, w].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad


class Boxes:
    """Parts of the frames of a batch, each in the upper left corner of its own [h, w].

    Args:
        bounds: [k] left, top, right and bottom of each part in its frame.
        frames: [k] which frame of the batch.
        size: side of the frames.

    Attributes:
        corner: [k, 2] left and top.
        limits: [k, 2] rows and columns that each box uses.
        shape: rows and columns of all.
    """

    def __init__(
        self,
        bounds: Sequence[tuple[int, int, int, int]],
        frames: Sequence[int],
        size: int,
        device: torch.device,
    ) -> None:
        sides = [(bottom - top, right - left) for left, top, right, bottom in bounds]
        self.corner = torch.tensor([(left, top) for left, top, _, _ in bounds], device=device)
        self.limits = torch.tensor(sides, device=device)
        self.shape = (max(rows for rows, _ in sides), max(columns for _, columns in sides))
        self._frames = torch.tensor(frames, device=device)[:, None, None]
        self._size = size

    def rows(self, beyond: int = 0) -> Tensor:
        """Returns the numbers of the rows [h, 1], with `beyond` more above and below."""
        device = self.corner.device
        return torch.arange(-beyond, self.shape[0] + beyond, device=device)[:, None]

    def columns(self) -> Tensor:
        """Returns the numbers of the columns [w]."""
        return torch.arange(self.shape[1], device=self.corner.device)

    def pixels(self, beyond: int = 0) -> tuple[Tensor, Tensor]:
        """Returns the batch's pixel at each of the boxes' [k, h, w], and whether there is one.

        `beyond` rows of the frame above and below count as part of the box.
        """
        rows, columns = self.rows(beyond), self.columns()
        within = rows < self.limits[:, :1, None] + beyond
        within = within & (columns < self.limits[:, 1:, None])
        y, x = self.corner[:, 1:, None] + rows, self.corner[:, :1, None] + columns
        within &= (y >= 0) & (y < self._size)
        return (self._frames * self._size + y) * self._size + x, within


def bordered(
    values: Tensor, axis: int, reach: int, limits: Tensor, *, is_mirrored: bool = False
) -> Tensor:
    """Goes on `reach` pixels beyond each box's border along `axis` of [k, h, w, ...].

    The border's pixels are repeated, or mirrored at their middle as OpenCV does by default.
    """
    last = limits[:, axis - 1, None] - 1
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


def box_means(values: Tensor, sides: Tensor, limits: Tensor) -> Tensor:
    """Returns the means of [k, h, w] over squares of odd `sides` [k], borders mirrored."""
    most, side = int(sides.max()) // 2, sides[:, None, None]
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
    """Mixes `inside` [k, h, w, 3] into a batch's `pixels` [p, 3] uint8 by `cover` [k, h, w]."""
    index, within = boxes.pixels()
    share = cover.clamp(max=1)
    picked = (within & (share > 0.002)).nonzero(as_tuple=True)
    at = index[picked]
    below = pixels[at].float()
    mixed = below + share[picked][:, None] * (inside[picked] - below)
    pixels[at] = (mixed + 0.5).clamp(0, 255).to(torch.uint8)


def darken(pixels: Tensor, factor: Tensor, picked: Tensor, index: Tensor) -> None:
    """Multiplies those of a batch's `pixels` [p, 3] uint8 that are `picked` [k, h, w]."""
    chosen = picked.nonzero(as_tuple=True)
    at = index[chosen]
    pixels[at] = (pixels[at].float() * factor[chosen][:, None] + 0.5).to(torch.uint8)
