"""Arrays of several portraits or frames as one tensor on a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Rooms:
    """How much room there is for what depends on the values of a batch.

    With sizes given nothing is looked at on the host, so that the work can be captured in a CUDA
    graph; what has no room is left out, and `shortage` tells. Without, there is as much as is
    needed, and it is remembered.

    Attributes:
        needed: by name, the most that was needed, where no sizes were given.
    """

    def __init__(self, sizes: Mapping[str, int] | None = None) -> None:
        self._sizes = sizes
        self._short: list[Tensor] = []
        self.needed: dict[str, int] = {}

    @property
    def is_fixed(self) -> bool:
        """Whether sizes were given."""
        return self._sizes is not None

    def size(self, name: str) -> int:
        """Returns how much room is given for `name`."""
        assert self._sizes is not None
        return self._sizes[name]

    def take(self, name: str, needed: Tensor) -> int:
        """Returns the room for `needed` [] of something."""
        if self._sizes is None:
            count = max(int(needed), 1)
            self.note(name, count)
            return count
        self.miss(needed > self._sizes[name])
        return self._sizes[name]

    def note(self, name: str, count: int) -> None:
        """Remembers that so much was needed."""
        self.needed[name] = max(self.needed.get(name, 0), count)

    def miss(self, is_short: Tensor) -> None:
        """Notes on the device whether something had no room."""
        self._short.append(is_short)

    def shortage(self, device: torch.device) -> Tensor:
        """Returns [1] uint8, whether anything had no room since it was asked last."""
        none = torch.zeros((), dtype=torch.bool, device=device)
        short, self._short = torch.stack([none, *self._short]).any(), []
        return short[None].to(torch.uint8)


def sent(array: NDArray[Any], device: torch.device) -> Tensor:
    """Copies an array to a device."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)


def filled_up(arrays: Sequence[NDArray[Any]], shape: Sequence[int] | None = None) -> NDArray[Any]:
    """Stacks arrays; smaller ones are filled up with zeros at their ends, to `shape` if given."""
    most = np.max([array.shape for array in arrays], axis=0) if shape is None else shape
    whole = np.zeros((len(arrays), *most), arrays[0].dtype)
    for row, array in zip(whole, arrays, strict=True):
        row[tuple(slice(side) for side in array.shape)] = array
    return whole


def stacked(arrays: Sequence[NDArray[Any]], device: torch.device) -> Tensor:
    """Stacks arrays on a device as `filled_up` does."""
    return sent(filled_up(arrays), device)


def repeated(counts: Tensor, rooms: Rooms, name: str) -> tuple[Tensor, Tensor, Tensor]:
    """Returns each index of `counts` [k] as often as it says, the number within it, and if it is.

    All are as long as there is room for `name`; beyond what there is they hold anything valid.
    """
    counts = counts.clamp(min=0).long()
    ends = counts.cumsum(0)
    place = torch.arange(rooms.take(name, ends[-1]), device=counts.device)
    index = torch.searchsorted(ends, place, right=True).clamp_(max=len(counts) - 1)
    return index, place - (ends - counts)[index], place < ends[-1]


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
