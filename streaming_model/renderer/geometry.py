"""The face's surface under motion: its expression, then the head's turn. Knows no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streaming_model.motion_space import POSE
from streaming_model.portrait import Portrait
from streaming_model.renderer.curves import Curves
from streaming_model.renderer.expression import Expression
from streaming_model.renderer.response import HeadResponse
from streaming_model.renderer.surface import rotation_matrix
from streaming_model.rig import Rig

Floats = NDArray[np.float32]

NECK_PIVOT_CM: Final = (0.0, -8.0, 0.5)  # in the rig's space
VIEWING_DISTANCE_CM: Final = 55.0
NEAREST_CM: Final = 10.0  # nobody comes nearer to the camera


@dataclass(frozen=True)
class HeadMotion:
    """A rigid motion of the head in camera space: c -> R (c - pivot) + pivot + shift.

    Seen in perspective from `distance`: what has come nearer than in the picture grows.
    """

    rotation: Floats
    shift: Floats
    pivot: Floats
    distance: float

    def apply(self, points: Floats) -> Floats:
        """Moves points [n, 3]."""
        return _turned(points, self.rotation, self.pivot, self.shift, self.distance)


class FaceGeometry(Expression):
    """The fitted face, its response to the coefficients and the head it sits on.

    Attributes:
        pivot: [3] where the head turns, in camera space.
        response: how much it must turn, measured once per portrait.
    """

    def __init__(self, portrait: Portrait, rig: Rig, curves: Curves | None = None) -> None:
        super().__init__(portrait, rig, curves)
        fit = portrait.fit
        self.response = HeadResponse()
        self.pivot = (fit.rotation @ np.array(NECK_PIVOT_CM, np.float32)).astype(np.float32)

    def head(self, motion: Floats, response: HeadResponse | None = None) -> HeadMotion:
        """Returns the head's motion, R = R_y(yaw) R_x(pitch) R_z(roll) about the neck.

        Pitch and yaw are those that make the portrait look as turned as it was told; `response`
        stands for the measured one.
        """
        pitch, yaw, roll, x, y, z = (float(value) for value in motion[POSE])
        response = self.response if response is None else response
        pitch, yaw = response.angle("headPitch", pitch), response.angle("headYaw", yaw)
        return HeadMotion(
            rotation=rotation_matrix(pitch, yaw, roll),
            shift=np.array([x, y, z], np.float32),
            pivot=self.pivot,
            distance=VIEWING_DISTANCE_CM,
        )


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _turned(
    points: NDArray[np.float32],
    rotation: NDArray[np.float32],
    pivot: NDArray[np.float32],
    shift: NDArray[np.float32],
    distance: float,
) -> NDArray[np.float32]:
    """Returns what `HeadMotion.apply` does."""
    moved = np.empty_like(points)
    far = np.float32(distance)
    for index in range(len(points)):
        x, y, z = points[index, 0] - pivot[0], points[index, 1] - pivot[1], points[index, 2]
        depth = z - pivot[2]
        right = rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * depth
        up = rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * depth
        front = rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * depth
        nearer = front + pivot[2] + shift[2] - z
        grown = far / max(far - nearer, np.float32(NEAREST_CM))
        moved[index, 0] = right * grown + pivot[0] + shift[0]
        moved[index, 1] = up * grown + pivot[1] + shift[1]
        moved[index, 2] = front * grown + pivot[2] + shift[2]
    return moved
