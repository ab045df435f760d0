"""The loss on motion: values, velocities, the seam, the closing of the lips, contacts."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from streaming_model.motion.contacts import CONTACT_NAMES, NETWORK_SIZE
from streaming_model.motion_space import INDEX, MOTION_NAMES, MOTION_SIZE, POSE

_CLOSE_RANGE: Final = 0.04  # lip gap, in units of jawOpen, within which touching matters
_CONTACT_WEIGHT: Final = 3.0
_MET_WEIGHT: Final = 2.0  # more on frames in which the lips meet: see `motion.contacts`


class MotionLoss(nn.Module):
    """Weighted squared errors, of numbers whose mask says that they are true.

    Args:
        scale: [60] spread of each number, 0 for those that are left alone.
        life: how much more everything but the mouth weighs.
    """

    scale: Tensor
    weight: Tensor
    mouth: Tensor

    def __init__(self, scale: Tensor, *, life: float = 1.0) -> None:
        super().__init__()
        names = np.array([*MOTION_NAMES, *CONTACT_NAMES])
        mouth = np.char.startswith(names, "mouth") | np.char.startswith(names, "jaw")
        mouth |= (names == "tongueOut") | (np.arange(NETWORK_SIZE) >= MOTION_SIZE)
        weight = np.where(mouth, 1.0, 0.5)
        weight[[INDEX["jawOpen"], INDEX["mouthClose"]]] = 3.0
        weight[MOTION_SIZE:] = _CONTACT_WEIGHT
        weight[POSE] = 0.6
        weight[[INDEX["headX"], INDEX["headY"], INDEX["headZ"], INDEX["tongueOut"]]] = 0.2
        weight[~mouth] *= life
        active = (scale > 0).numpy()
        self.register_buffer("scale", scale)
        self.register_buffer("mouth", torch.from_numpy(mouth & active))
        weights = torch.from_numpy((weight * active).astype(np.float32))
        self.register_buffer("weight", weights / weights.sum())

    def forward(
        self,
        x: Tensor,
        target: Tensor,
        before: Tensor,
        mask: Tensor,
        *,
        target_before: Tensor | None = None,
    ) -> Tensor:
        """Returns [batch] losses.

        Args:
            x: [batch, N, 60] predicted frames, in network units.
            target: what they should be.
            before: [batch, 2, 60], the two frames before them.
            mask: [batch, 60] 1 for numbers that are true.
            target_before: [batch, 2, 60], what those two should have been, if they were not it:
                then `x` must go on from them at the target's speed rather than jump to it.
        """
        weight = (self.weight * mask)[:, None]
        met = (target * self.scale)[..., MOTION_SIZE:].clamp(0, 1)
        plain = torch.ones_like(target[..., :MOTION_SIZE])
        important = torch.cat([plain, 1 + _MET_WEIGHT * met], dim=-1)
        value = ((x - target).square() * important * weight).sum(-1).mean(-1)
        moved = torch.cat([before, x], dim=1).diff(dim=1)
        wanted = torch.cat(
            [before if target_before is None else target_before, target], dim=1
        ).diff(dim=1)
        wrong = moved - wanted
        velocity = (wrong[:, 1:].square() * weight).sum(-1).mean(-1)
        seam = (wrong[:, 1].square() * weight[:, 0]).sum(-1)
        # Only the head and the brows should be smooth; lips may be as quick as speech.
        smooth = (wrong.diff(dim=1).square() * weight * ~self.mouth).sum(-1).mean(-1)
        gap, wanted_gap = self._lip_gap(x), self._lip_gap(target)
        near = torch.exp(-wanted_gap.clamp(min=0) / _CLOSE_RANGE)
        close = (near * ((gap - wanted_gap) / _CLOSE_RANGE).square()).mean(dim=1)
        close = close * mask[:, MOTION_SIZE]
        return value + 0.5 * velocity + 0.2 * seam + 0.5 * smooth + 0.1 * close

    def _lip_gap(self, x: Tensor) -> Tensor:
        motion = x * self.scale
        jaw = motion[..., INDEX["jawOpen"]] - motion[..., INDEX["mouthClose"]]
        lips = motion[..., INDEX["mouthLowerDownLeft"]] + motion[..., INDEX["mouthUpperUpLeft"]]
        rolled = motion[..., INDEX["mouthRollLower"]] + motion[..., INDEX["mouthRollUpper"]]
        return jaw + 0.4 * lips + 0.2 * motion[..., INDEX["mouthFunnel"]] - 0.2 * rolled
