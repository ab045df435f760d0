"""Where the head is: rigid fits of a face's own shape to its landmarks, frame by frame.

Lengths are centimetres of MediaPipe's canonical face; x to the picture's right, y up, z to the
viewer. Knows nothing of expressions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.portrait.bundle import CANONICAL_POINTS, canonical_geometry, rigid_points
from streaming_model.renderer.geometry import NECK_PIVOT_CM, VIEWING_DISTANCE_CM
from streaming_model.rig import Rig

Floats = NDArray[np.float64]

_ROUNDS: Final = 3
_USUAL: Final = 1.5  # of the median residual: a landmark that is farther off counts for less
_EYE_CORNERS: Final = (33, 133, 362, 263)


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Where a shape is seen: pixel = scale * rotation @ point + translation, y up.

    Attributes:
        scale: [n] pixels per centimetre.
        rotation: [n, 3, 3].
        translation: [n, 3] pixels.
    """

    scale: Floats
    rotation: Floats
    translation: Floats

    def to_head(self, seen: Floats) -> Floats:
        """Returns points [n, k, 3] in pixels as the head itself sees them, in centimetres."""
        centred = (seen - self.translation[:, None]) / self.scale[:, None, None]
        return np.asarray(np.einsum("nki,nij->nkj", centred, self.rotation))


def seen_points(landmarks: NDArray[np.float32]) -> Floats:
    """Returns landmarks [n, 478, 3] (pixels, y down, z away) as [n, 468, 3], y up, z nearer."""
    return landmarks[:, :CANONICAL_POINTS].astype(np.float64) * (1, -1, -1)


def place(seen: Floats, shape: Floats | None = None) -> Placement:
    """Fits `shape` [468, 3], the canonical face if None, to landmarks [n, 468, 3].

    Only the landmarks that expressions move least take part; those that do not fit count for less
    (Huber's weights; the fit itself is Umeyama's, 1991).
    """
    indices, weights = rigid_points()
    shape = canonical_geometry().astype(np.float64) if shape is None else shape
    source, target = shape[indices], seen[:, indices]
    shares = np.broadcast_to(weights.astype(np.float64), target.shape[:2])
    placement = _similarity(source, target, shares)
    for _ in range(_ROUNDS):
        apart = np.linalg.norm(placement.to_head(target) - source, axis=2)
        usual = _USUAL * np.median(apart, axis=1, keepdims=True) + 1e-9
        placement = _similarity(source, target, shares / np.maximum(apart / usual, 1))
    return placement


def _similarity(source: Floats, target: Floats, weights: Floats) -> Placement:
    share = (weights / weights.sum(axis=1, keepdims=True))[:, :, None]
    source_mean, target_mean = (share * source).sum(axis=1), (share * target).sum(axis=1)
    a, b = source - source_mean[:, None], target - target_mean[:, None]
    left, _, right = np.linalg.svd(np.einsum("nki,nkj->nij", share * b, a))
    left[:, :, 2] *= np.sign(np.linalg.det(left @ right))[:, None]
    rotation = left @ right
    turned = np.einsum("nij,nkj->nki", rotation, a)
    scale = (share * turned * b).sum(axis=(1, 2)) / (share * turned**2).sum(axis=(1, 2))
    moved = scale[:, None] * np.einsum("nij,nj->ni", rotation, source_mean)
    return Placement(scale, rotation, target_mean - moved)


def head_motion(placement: Placement, rig: Rig) -> Floats:
    """Returns the six pose channels of the motion space, [n, 6], about the middle of them all.

    Rotation is about the neck. How far the head comes nearer follows from its size, as if the
    camera stood as far away as the renderer's.
    """
    rotation = np.einsum("nij,kj->nik", placement.rotation, _middle(placement.rotation))
    pitch = np.arcsin(np.clip(-rotation[:, 1, 2], -1, 1))
    yaw = np.arctan2(rotation[:, 0, 2], rotation[:, 2, 2])
    roll = np.arctan2(rotation[:, 1, 0], rotation[:, 1, 1])
    turned = placement.rotation @ _neck(rig)
    neck = placement.scale[:, None] * turned + placement.translation
    usual = float(np.median(placement.scale))
    across = (neck[:, :2] - np.median(neck[:, :2], axis=0)) / usual
    nearer = VIEWING_DISTANCE_CM * (1 - usual / placement.scale)
    return np.column_stack([pitch, yaw, roll, across, nearer])


def _middle(rotations: Floats) -> Floats:
    """Returns the rotation nearest to all of [n, 3, 3], in the chordal sense."""
    left, _, right = np.linalg.svd(rotations.mean(axis=0))
    return np.asarray(left @ np.diag([1, 1, np.sign(np.linalg.det(left @ right))]) @ right)


def _neck(rig: Rig) -> Floats:
    """Returns where the head turns, [3], in the canonical face: the rig's own place for it."""
    corners = list(_EYE_CORNERS)
    offset = canonical_geometry()[corners].mean(axis=0) - rig.neutral[rig.landmarks[corners]].mean(
        axis=0
    )
    return np.asarray(NECK_PIVOT_CM + offset, np.float64)
