"""Head pose from landmarks: a rigid fit of the canonical face geometry.

Angles follow `motion_space`: positive yaw turns the face to the picture's right, positive
pitch looks down, positive roll tilts counter-clockwise; R = R_y(yaw) R_x(pitch) R_z(roll).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streaming_model.portrait.bundle import CANONICAL_POINTS, canonical_geometry, rigid_points


class HeadPose(NamedTuple):
    """Rotation of the head in radians."""

    pitch: float
    yaw: float
    roll: float


def head_pose(landmarks: NDArray[np.float32]) -> HeadPose:
    """Returns the rotation of the face with these landmarks, [478,3] px (x right, y down)."""
    return angles_of(head_rotation(landmarks))


def head_rotation(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns the rotation [3,3] from the canonical face to the face seen, y up, z to the viewer.

    Minimises sum_i w_i |s R c_i + t - l_i|^2 over s, R and t (Kabsch; Umeyama 1991).
    """
    indices, weights = rigid_points()
    seen = landmarks[:CANONICAL_POINTS].astype(np.float64) * (1, -1, -1)
    source, target = canonical_geometry()[indices].astype(np.float64), seen[indices]
    share = (weights / weights.sum())[:, None]
    source = source - (share * source).sum(axis=0)
    target = target - (share * target).sum(axis=0)
    left, _, right = np.linalg.svd((share * target).T @ source)
    mirror = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    return np.asarray(left @ mirror @ right)


def angles_of(rotation: NDArray[np.float64]) -> HeadPose:
    """Returns the angles of R = R_y(yaw) R_x(pitch) R_z(roll)."""
    pitch = float(np.arcsin(np.clip(-rotation[1, 2], -1, 1)))
    yaw = float(np.arctan2(rotation[0, 2], rotation[2, 2]))
    roll = float(np.arctan2(rotation[1, 0], rotation[1, 1]))
    return HeadPose(pitch, yaw, roll)
