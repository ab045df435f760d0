"""The mouth's interior: front teeth, gums and a tongue of our own, and how they move.

The upper row stands still in the skull. Whatever follows the jaw moves by an affine map per
expression, fitted to the motion of the lower teeth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from streaming_model.motion_space import ARKIT_NAMES
from training.rig.source import GUMS_AND_TONGUE, LOWER_TEETH, UPPER_TEETH, Source

UPPER_TEETH_PART, LOWER_TEETH_PART, UPPER_GUM_PART, LOWER_GUM_PART, TONGUE_PART = range(5)
GUM_REACH_CM: Final = 0.45  # gum kept around the front teeth
CROWN_CM: Final = 1.45  # teeth and gums farther from the biting edge are never seen
BACKMOST_Z: Final = 7.9  # nothing behind the first premolar is ever seen
TONGUE_COLUMNS: Final = 13
TONGUE_ROWS: Final = 12
TONGUE_OUT_CM: Final = (0.0, 0.15, 2.4)  # travel of the tip at tongueOut = 1

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Interior:
    """Vertices [n, 3] in centimetres, triangles, part of each vertex, deltas [52, n, 3]."""

    points: FloatArray
    triangles: NDArray[np.int64]
    part: NDArray[np.int64]
    expressions: FloatArray


def build_interior(source: Source, expressions: FloatArray) -> Interior:
    """Builds the interior; `expressions` are the ARKit deltas [52, 26719, 3] of the source."""
    pieces = [
        _teeth(source, UPPER_TEETH, UPPER_TEETH_PART),
        _teeth(source, LOWER_TEETH, LOWER_TEETH_PART),
        _gum(source, UPPER_TEETH, UPPER_GUM_PART),
        _gum(source, LOWER_TEETH, LOWER_GUM_PART),
        _tongue(),
    ]
    offsets = np.cumsum([0] + [len(points) for points, _, _ in pieces[:-1]])
    points = np.concatenate([points for points, _, _ in pieces])
    part = np.concatenate([np.full(len(points), part) for points, _, part in pieces])
    triangles = np.concatenate(
        [faces + offset for (_, faces, _), offset in zip(pieces, offsets, strict=True)]
    )
    deltas = _jaw_motion(source, expressions, points)
    deltas[:, np.isin(part, (UPPER_TEETH_PART, UPPER_GUM_PART))] = 0.0
    tongue = part == TONGUE_PART
    reach = np.clip((points[tongue, 2] - points[tongue, 2].min()) / 3.2, 0.0, 1.0) ** 1.5
    deltas[ARKIT_NAMES.index("tongueOut"), tongue] += reach[:, None] * np.array(TONGUE_OUT_CM)
    return Interior(points=points, triangles=triangles, part=part, expressions=deltas)


def _jaw_motion(source: Source, expressions: FloatArray, points: FloatArray) -> FloatArray:
    teeth = slice(*LOWER_TEETH)
    design = np.c_[source.neutral[teeth], np.ones(LOWER_TEETH[1] - LOWER_TEETH[0])]
    ours = np.c_[points, np.ones(len(points))]
    return np.stack([ours @ np.linalg.lstsq(design, delta[teeth])[0] for delta in expressions])


def _teeth(
    source: Source, span: tuple[int, int], part: int
) -> tuple[FloatArray, NDArray[np.int64], int]:
    inside = ((source.triangles >= span[0]) & (source.triangles < span[1])).all(axis=1)
    triangles = source.triangles[inside]
    return (*_front(source, triangles[_near_biting_edge(source, triangles, span)]), part)


def _near_biting_edge(
    source: Source, triangles: NDArray[np.int64], span: tuple[int, int]
) -> NDArray[np.bool_]:
    height = source.neutral[slice(*span), 1]
    edge = height.min() if span == UPPER_TEETH else height.max()
    near = np.abs(source.neutral[triangles, 1] - edge) < CROWN_CM
    return np.asarray(near.all(axis=1))


def _gum(
    source: Source, teeth: tuple[int, int], part: int
) -> tuple[FloatArray, NDArray[np.int64], int]:
    triangles = source.triangles
    first, stop = GUMS_AND_TONGUE.start, GUMS_AND_TONGUE.stop
    triangles = triangles[((triangles >= first) & (triangles < stop)).all(axis=1)]
    centres = source.neutral[triangles].mean(axis=1)
    reach = cKDTree(source.neutral[slice(*teeth)]).query(centres)[0]
    other = LOWER_TEETH if teeth == UPPER_TEETH else UPPER_TEETH
    nearer = reach < cKDTree(source.neutral[slice(*other)]).query(centres)[0]
    kept = nearer & (reach < GUM_REACH_CM) & _near_biting_edge(source, triangles, teeth)
    return (*_front(source, triangles[kept]), part)


def _front(source: Source, triangles: NDArray[np.int64]) -> tuple[FloatArray, NDArray[np.int64]]:
    """Keeps the triangles that can face a viewer in front, renumbered."""
    corners = source.neutral[triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing = normals[:, 2] > -0.25 * np.linalg.norm(normals, axis=1)
    triangles = triangles[facing & (corners[:, :, 2].max(axis=1) > BACKMOST_Z)]
    used, triangles = np.unique(triangles, return_inverse=True)
    return source.neutral[used], triangles.reshape(-1, 3)


def _tongue() -> tuple[FloatArray, NDArray[np.int64], int]:
    """A low mound behind the lower teeth with a shallow groove and a rounded tip."""
    across, along = np.meshgrid(
        np.linspace(-1.0, 1.0, TONGUE_COLUMNS), np.linspace(0.0, 1.0, TONGUE_ROWS)
    )
    angle = np.pi * across / 2
    half_width = 1.95 * np.sqrt(np.clip(1.0 - (along * 0.97) ** 4, 0.02, 1.0))
    x = half_width * np.sin(angle)
    groove = 0.12 * np.exp(-((across / 0.25) ** 2)) * (1 - along)
    tip = np.clip((along - 0.75) / 0.25, 0, 1)
    y = -3.82 + 0.62 * np.cos(angle) - groove - 0.5 * tip**2 - 0.1 * along
    z = 5.6 + 3.9 * along + 0.15 * np.cos(angle)
    index = np.arange(TONGUE_ROWS * TONGUE_COLUMNS).reshape(TONGUE_ROWS, TONGUE_COLUMNS)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    triangles = np.concatenate(
        [np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)]
    )
    return np.stack([x, y, z], -1).reshape(-1, 3), triangles, TONGUE_PART
