"""RGB to I420 on a torch device, in the whole numbers that OpenCV uses."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

# ITU-R BT.601, limited range, in 2^-20: of red, green and blue.
_Y: Final = (269484, 528482, 102760)
_U: Final = (-155188, -305135, 460324)
_V: Final = (460324, -385875, -74448)
_SHIFT: Final = 20


def to_i420(frames: Tensor) -> Tensor:
    """Maps [n, s, s, 3] uint8 RGB, s even, to [n, 3 s / 2, s]: the planes one after the other.

    A pixel's colour is that of the upper left one of the four that it stands for.
    """
    count, size = frames.shape[:2]
    luma = _mixed(frames, _Y, 16)
    few = frames[:, ::2, ::2]
    planes = [luma.flatten(1), _mixed(few, _U, 128).flatten(1), _mixed(few, _V, 128).flatten(1)]
    return torch.cat(planes, dim=1).view(count, 3 * size // 2, size)


def _mixed(frames: Tensor, weights: tuple[int, int, int], level: int) -> Tensor:
    red, green, blue = (each.to(torch.int32) for each in frames.unbind(-1))
    total = weights[0] * red + weights[1] * green + weights[2] * blue
    total = total + ((level << _SHIFT) + (1 << (_SHIFT - 1)))
    return (total >> _SHIFT).clamp(0, 255).to(torch.uint8)
