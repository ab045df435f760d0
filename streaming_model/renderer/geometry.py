"""The face's surface under motion: its expression, then the head's turn. Knows no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import POSE
from streaming_model.portrait import Portrait
from streaming_model.renderer.expression import Expression
from streaming_model.renderer.surface import rotation_matrix
from streaming_model.rig import Rig

Floats = NDArray[np.float32]

NECK_PIVOT_CM: Final = (0.0, -8.0, 0.5)  # in the rig's space
VIEWING_DISTANCE_CM: Final = 65.0


@dataclass(frozen=True)
class HeadMotion:
    """A rigid motion of the head in camera space: c -> R (c - pivot) + pivot + shift, zoomed."""

    rotation: Floats
    shift: Floats
    pivot: Floats
    zoom: float

    def apply(self, points: Floats) -> Floats:
        """Moves points [n, 3]."""
        moved = self.turn(points)
        moved += self.shift
        return moved

    def turn(self, points: Floats) -> Floats:
        """Moves points [n, 3] without the shift."""
        moved = np.asarray((points - self.pivot) @ self.rotation.T, np.float32)
        moved *= self.zoom
        moved += self.pivot
        return moved


class FaceGeometry(Expression):
    """The fitted face, its response to the coefficients and the head it sits on.

    Attributes:
        pivot: [3] where the head turns, in camera space.
    """

    def __init__(self, portrait: Portrait, rig: Rig) -> None:
        super().__init__(portrait, rig)
        fit = portrait.fit
        self.pivot = (fit.rotation @ np.array(NECK_PIVOT_CM, np.float32)).astype(np.float32)

    def head(self, motion: Floats) -> HeadMotion:
        """Returns the head's motion, R = R_y(yaw) R_x(pitch) R_z(roll) about the neck."""
        pitch, yaw, roll, x, y, z = (float(value) for value in motion[POSE])
        return HeadMotion(
            rotation=rotation_matrix(pitch, yaw, roll),
            shift=np.array([x, y, 0.0], np.float32),
            pivot=self.pivot,
            zoom=VIEWING_DISTANCE_CM / max(VIEWING_DISTANCE_CM - z, 10.0),
        )
