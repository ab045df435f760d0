"""Arrays of several portraits or frames as one tensor on a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def sent(array: NDArray[Any], device: torch.device) -> Tensor:
    """Copies an array to a device."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)


def stacked(arrays: Sequence[NDArray[Any]], device: torch.device) -> Tensor:
    """Stacks arrays on a device; smaller ones are filled up with zeros at their ends."""
    shape = np.max([array.shape for array in arrays], axis=0)
    whole = np.zeros((len(arrays), *shape), arrays[0].dtype)
    for row, array in zip(whole, arrays, strict=True):
        row[tuple(slice(side) for side in array.shape)] = array
    return sent(whole, device)


def repeated(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Returns each index of `counts` [k] as often as it says, and the number within it."""
    counts = counts.clamp(min=0).long()
    ends = counts.cumsum(0)
    index = torch.repeat_interleave(counts)
    return index, torch.arange(len(index), device=counts.device) - (ends - counts)[index]


def bilinear(pictures: Tensor, index: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Returns pictures [m, h, w, c] number `index` at places inside them, [..., c] float32."""
    column, row = x.long(), y.long()
    right, down = (x - column).float()[..., None], (y - row).float()[..., None]

    def tap(below: int, beside: int) -> Tensor:
        return pictures[index, row + below, column + beside].float()

    above, below = tap(0, 0), tap(1, 0)
    above += right * (tap(0, 1) - above)
    below += right * (tap(1, 1) - below)
    return above.add_(down * (below - above))
