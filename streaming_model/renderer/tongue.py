"""The tongue that comes out: over the lower teeth and lip, then down in front of the lip.

Knows only points in camera space; where the lip and the teeth are is told for each frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LEAVES_BY: Final = 0.3  # tongueOut at which it has wholly left its bed
REACH_CM: Final = 1.55  # beyond the lip's edge at tongueOut = 1
HALF_WIDTH_CM: Final = 1.65
THICKNESS_CM: Final = 0.42
GROOVE_CM: Final = 0.10
ROOT_CM: Final = 2.1  # half width in the mouth
OVERHANG_CM: Final = 0.7
LIES_CM: Final = 0.75  # along which it follows the lip
MOIST: Final = 0.16  # of the highlight
LIGHT: Final = (-0.12, 0.62, 0.78)


@dataclass(frozen=True)
class Bed:
    """Where the tongue passes, in camera space under the head's turn.

    Attributes:
        right, up, front: [3] unit vectors of the head.
        root: [3] where it starts; edge: [3] of the lower incisors; lip: [3] the lower lip's edge.
        lip_line: [n, 3] the lower lip's edge from there: to the right, up, to the front.
        half_width: cm that the lips leave free on either side of the middle.
        scale: of the fitted mouth over the rig's.
    """

    right: Floats
    up: Floats
    front: Floats
    root: Floats
    edge: Floats
    lip: Floats
    lip_line: Floats
    half_width: float
    scale: float


class Tongue(NamedTuple):
    """A tongue that moves.

    Attributes:
        grid: [rows, columns, 3] in camera space, root to tip.
        light: [rows, columns], 1 in full light.
        is_beyond: [rows, columns] whether a point has passed the lower lip.
    """

    grid: Floats
    light: Floats
    is_beyond: NDArray[np.bool_]


def put_out(resting: Floats, out: float, bed: Bed) -> Tongue:
    """Moves the tongue's grid `resting` in the mouth by `out`, the coefficient tongueOut."""
    rows, columns = resting.shape[:2]
    path = _path(bed)
    steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
    walked = np.concatenate([[0.0], np.cumsum(steps)])
    lip_at = walked[2]
    tip_at = lip_at - 0.5 * bed.scale + (REACH_CM + 0.5) * bed.scale * out
    at = tip_at * np.sin(np.linspace(0.0, np.pi / 2, rows))  # closer rows make a round tip
    middle = np.stack([np.interp(at, walked, path[:, axis]) for axis in range(3)], axis=1)
    ahead = np.gradient(middle, axis=0)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-6)
    normal = np.cross(bed.right, ahead) * -1.0
    angle = np.linspace(-0.5, 0.5, columns) * np.pi
    free = min(HALF_WIDTH_CM * bed.scale, max(bed.half_width, 0.5))
    inside = max(ROOT_CM * bed.scale, free)
    over = OVERHANG_CM * bed.scale
    places = [0.0, lip_at - 2.2 * over, lip_at - over, lip_at, lip_at + 2.0]
    width = np.interp(at, places, [inside, inside, free, free, 0.95 * free])
    to_tip = np.clip((tip_at - at) / (0.95 * free), 0, 1)
    round_tip = np.sqrt(np.clip(1 - (1 - to_tip) ** 2.0, 0.0, 1))
    across = (width * round_tip)[:, None] * np.sin(angle)
    groove = np.exp(-((np.sin(angle) / 0.2) ** 2)) * np.clip(to_tip * 1.6, 0, 1)[:, None]
    swell = THICKNESS_CM * bed.scale * np.cos(angle) ** 0.8 * np.sqrt(round_tip)[:, None]
    swell -= GROOVE_CM * bed.scale * groove
    grid = middle[:, None] + across[..., None] * bed.right + swell[..., None] * normal[:, None]
    # It lies on the whole lip, which rises towards the corners.
    near = np.exp(-(((at - lip_at) / (LIES_CM * bed.scale)) ** 2))[:, None]
    for axis, direction in ((1, bed.up), (2, bed.front)):
        along_lip = np.interp(across, bed.lip_line[:, 0], bed.lip_line[:, axis])
        grid += (near * along_lip)[..., None] * direction
    share = min(max(out / LEAVES_BY, 0.0), 1.0)
    share = share * share * (3.0 - 2.0 * share)
    grid = resting + share * (grid - resting)
    light = _light(grid, bed) * (1.0 - 0.20 * groove)
    # Its sides hang over the lip from a little behind the lip's edge on.
    behind = min(over, 1.5 * max(tip_at - lip_at, 0.0))
    is_beyond = np.broadcast_to((at > lip_at - behind)[:, None], grid.shape[:2])
    return Tongue(np.asarray(grid, np.float32), np.asarray(light, np.float32), is_beyond)


def _path(bed: Bed) -> Floats:
    """Returns points of the tongue's middle line: root, edge of the teeth, lip, and beyond."""

    def beyond(front: float, up: float) -> Floats:
        return np.asarray(bed.lip + bed.scale * (front * bed.front + up * bed.up), np.float32)

    over_teeth = bed.edge + bed.scale * (0.02 * bed.up - 0.2 * bed.front)
    points = [bed.root, over_teeth, beyond(0.10, -0.02)]
    for degrees in (15, 30, 45, 60, 75, 90):  # bends over the lip
        angle = np.radians(degrees)
        points.append(beyond(0.10 + 0.5 * np.sin(angle), -0.02 - 0.5 * (1 - np.cos(angle))))
    points.append(beyond(0.56, -1.2))
    points.append(beyond(0.48, -2.2))
    return np.asarray(points, np.float32)


def _light(grid: Floats, bed: Bed) -> Floats:
    down = np.gradient(grid, axis=0)
    across = np.gradient(grid, axis=1)
    normal = np.cross(down, across)
    normal /= np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-6)
    basis = np.stack([bed.right, bed.up, bed.front])
    towards = np.asarray(LIGHT) / np.linalg.norm(LIGHT) @ basis
    facing = normal @ towards
    matt = 0.66 + 0.32 * np.clip(facing, 0, 1)
    return np.asarray(matt + MOIST * np.clip(facing, 0, 1) ** 14, np.float32)
