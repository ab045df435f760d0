"""Coefficients of mouth and jaw from how landmarks moved: the rig's own shapes, solved for.

The blendshape net's scores saturate and lean (mouthClose is never seen, jawOpen hardly below
0.2); how far a landmark is from where it rests is nearly linear in what the face does. Knows
nothing of pictures and of the head's turn.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import ARKIT_NAMES
from streaming_model.portrait.bundle import canonical_geometry
from streaming_model.portrait.fit import CONTOURS, DEPTH_WEIGHT
from streaming_model.rig import Rig

Floats = NDArray[np.float64]

SOLVED: Final = tuple(name for name in ARKIT_NAMES if name.startswith(("jaw", "mouth")))
UPPER_INNER, LOWER_INNER = CONTOURS["mouth"]
_OUTER_LIPS: Final = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84,
                      181, 91, 146)  # fmt: skip
_BELOW: Final = 0.0  # cm: height in the canonical face below which landmarks take part
_LIP_WEIGHT, _SKIN_WEIGHT = 1.5, 0.3
# Squared centimetres, weighted, that a coefficient of 1 must explain to be worth its while.
_RIDGE: Final = 2.0
_ROUNDS: Final = 100
_TOUCHING: Final = 0.05, 0.12  # gap over the mouth's width: lips touch, lips are apart


def solve_mouth(moved: Floats, rig: Rig) -> Floats:
    """Returns the coefficients of `SOLVED`, [n, 27] in 0..1, that explain landmarks best.

    Minimises sum_i w_i |sum_j c_j d_ij - m_i|^2 + ridge |c|^2 within the bounds, by coordinate
    descent; all frames at once.

    Args:
        moved: [n, 468, 3] how far each landmark is from the speaker's neutral, in centimetres, as
            the head itself sees it.
        rig: whose shapes d are.
    """
    points = np.flatnonzero(canonical_geometry()[:, 1] < _BELOW)
    lips = np.isin(points, (*UPPER_INNER, *LOWER_INNER, *_OUTER_LIPS))
    weights = np.sqrt(np.where(lips, _LIP_WEIGHT, _SKIN_WEIGHT))[:, None] * (1, 1, DEPTH_WEIGHT)
    channels = [ARKIT_NAMES.index(name) for name in SOLVED]
    shapes = rig.expressions[channels][:, rig.landmarks[points]] * weights
    design = shapes.reshape(len(SOLVED), -1).astype(np.float64)
    wanted = (moved[:, points] * weights).reshape(len(moved), -1) @ design.T
    system = design @ design.T + _RIDGE * np.eye(len(SOLVED))
    found = np.zeros((len(moved), len(SOLVED)))
    for _ in range(_ROUNDS):
        for column, row in enumerate(system):
            step = (wanted[:, column] - found @ row) / row[column]
            found[:, column] = np.clip(found[:, column] + step, 0, 1)
    return found


def lip_gap(points: Floats) -> Floats:
    """Returns the gap between the inner lips over the mouth's width, [n], of [n, 468, 3]."""
    upper, lower = points[:, UPPER_INNER[2:-2], :2], points[:, LOWER_INNER[2:-2], :2]
    gap = np.linalg.norm(upper - lower, axis=2).mean(axis=1)
    corners = points[:, UPPER_INNER[-1], :2] - points[:, UPPER_INNER[0], :2]
    return np.asarray(gap / np.linalg.norm(corners, axis=1))


def lips_touch(gap: Floats) -> Floats:
    """Returns how surely the lips touch, [n] in 0..1, from `lip_gap`."""
    touching, apart = _TOUCHING
    share = np.clip((apart - gap) / (apart - touching), 0, 1)
    return np.asarray(share * share * (3 - 2 * share))
