"""The mouth's interior: teeth, gums, tongue and mouth bag of our own, and how the jaw moves them.

The upper row stands still in the skull. Whatever follows the jaw moves by one affine map per
expression, fitted to the motion of the source's lower teeth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.rig.source import LOWER_TEETH as SOURCE_LOWER_TEETH
from training.rig.source import Source
from training.rig.teeth import (
    LOWER,
    OVERBITE_CM,
    UPPER,
    UPPER_EDGE_Y,
    Piece,
    crowns,
    grid_triangles,
    gum,
    join,
    lower_arch,
    upper_arch,
)

UPPER_TEETH, LOWER_TEETH, UPPER_GUM, LOWER_GUM, TONGUE, BAG = range(6)
TONGUE_ROWS: Final = 14  # from root to tip
TONGUE_COLUMNS: Final = 13
BAG_RINGS: Final = 6
BAG_COLUMNS: Final = 21

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Interior:
    """What the mouth holds.

    Attributes:
        points: [n, 3] centimetres.
        triangles: [m, 3].
        part, tooth: [n] the module's constants; the tooth's number, 11..16 and 21..26, or 0.
        light: [n] how much light gets there for the shape around it, 0..1.
        jaw_share: [n] how far the point follows the jaw, 0..1.
        jaw: [52, 4, 3] displacement per expression, (x, y, z, 1) @ jaw.
    """

    points: FloatArray
    triangles: NDArray[np.int64]
    part: NDArray[np.int64]
    tooth: NDArray[np.int64]
    light: FloatArray
    jaw_share: FloatArray
    jaw: FloatArray


def build_interior(source: Source, expressions: FloatArray) -> Interior:
    """Builds the interior; `expressions` are the ARKit deltas [52, 26719, 3] of the source."""
    lower_edge = UPPER_EDGE_Y + OVERBITE_CM
    tongue, tongue_share = _tongue(lower_edge)
    bag, bag_share = _bag()
    pieces = [
        crowns(UPPER, upper_arch(), edge_y=UPPER_EDGE_Y, up=1),
        crowns(LOWER, lower_arch(), edge_y=lower_edge, up=-1),
        gum(UPPER, upper_arch(), edge_y=UPPER_EDGE_Y, up=1),
        gum(LOWER, lower_arch(), edge_y=lower_edge, up=-1),
        tongue,
        bag,
    ]
    whole = join(pieces)
    shares = [
        np.full(len(piece.points), share)
        for piece, share in zip(pieces[:4], (0, 1, 0, 1), strict=True)
    ]
    return Interior(
        points=whole.points,
        triangles=whole.triangles,
        part=np.repeat(np.arange(6), [len(piece.points) for piece in pieces]),
        tooth=whole.tooth,
        light=whole.light,
        jaw_share=np.concatenate([*shares, tongue_share, bag_share]),
        jaw=_jaw(source, expressions),
    )


def _jaw(source: Source, expressions: FloatArray) -> FloatArray:
    teeth = slice(*SOURCE_LOWER_TEETH)
    neutral = source.neutral[teeth]
    design = np.c_[neutral, np.ones(len(neutral))]
    return np.stack([np.linalg.lstsq(design, delta[teeth])[0] for delta in expressions])


def _tongue(lower_edge: float) -> tuple[Piece, FloatArray]:
    """A body that rises to the back, a groove along its middle, a tip behind the lower teeth."""
    across, along = np.meshgrid(
        np.linspace(-0.98, 0.98, TONGUE_COLUMNS), np.linspace(0.0, 1.0, TONGUE_ROWS)
    )
    angle = np.pi * across / 2
    half_width = np.interp(along[:, 0], [0, 0.5, 0.8, 1], [2.3, 2.1, 1.65, 1.2])[:, None]
    round_tip = np.sqrt(np.clip(1 - np.clip((along - 0.72) / 0.285, 0, 1) ** 2, 0.02, 1))
    x = half_width * round_tip * np.sin(angle)
    back = (1 - along) ** 1.2
    groove = np.exp(-((across / 0.22) ** 2)) * np.sin(np.pi * np.clip(0.15 + 0.8 * along, 0, 1))
    height = 0.62 * np.cos(angle) * round_tip
    bed = 0.85 * np.sin(np.pi * back / 2) - 0.86 - 0.2 * along**4
    y = lower_edge + bed + height - 0.10 * groove
    z = 5.4 + 4.38 * along - 0.35 * (1 - np.cos(angle)) * along**2
    light = (1 - 0.26 * groove) * (0.22 + 0.78 * np.cos(angle) ** 0.8)
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    number = np.zeros(len(points), np.int64)
    # The root hangs from the skull as much as from the jaw.
    share = (0.72 + 0.28 * along**0.7).ravel()
    triangles = grid_triangles(TONGUE_ROWS, TONGUE_COLUMNS, flipped=False)
    return Piece(points, triangles, light.ravel(), number), share


def _bag() -> tuple[Piece, FloatArray]:
    """Palate, cheeks and floor in one sheet that narrows to the throat."""
    around, deep = np.meshgrid(
        np.linspace(-np.pi, np.pi, BAG_COLUMNS), np.linspace(0.0, 1.0, BAG_RINGS)
    )
    half_width = 2.9 - 2.0 * deep**1.5
    half_height = 1.75 - 1.05 * deep
    x = half_width * np.sin(around)
    y = -3.35 + 0.25 * deep + half_height * np.cos(around)
    z = 9.9 - 6.4 * deep
    light = 0.6 * np.exp(-1.3 * deep) * (0.85 + 0.15 * np.cos(around + np.pi))
    # Above follows the skull, below the jaw; the throat hardly moves.
    share = (0.5 - 0.5 * np.cos(around)) * (1 - 0.45 * deep)
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    points = np.concatenate([points, [[0.0, -3.1, 3.4]]])
    last = (BAG_RINGS - 1) * BAG_COLUMNS + np.arange(BAG_COLUMNS)
    throat = np.stack([last[:-1], last[1:], np.full(BAG_COLUMNS - 1, len(points) - 1)], -1)
    triangles = np.concatenate([grid_triangles(BAG_RINGS, BAG_COLUMNS, flipped=False), throat])
    number = np.zeros(len(points), np.int64)
    piece = Piece(points, _facing_inwards(points, triangles), np.append(light, 0.1), number)
    return piece, np.append(share, 0.3)


def _facing_inwards(points: FloatArray, triangles: NDArray[np.int64]) -> NDArray[np.int64]:
    corners = points[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inward = np.array([0.0, -3.2, 8.0]) - corners.mean(axis=1)
    away = (normals * inward).sum(axis=1) < 0
    triangles[away] = triangles[away][:, ::-1]
    return triangles
