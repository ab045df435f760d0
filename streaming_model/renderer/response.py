"""How far the head must be turned to be seen turned as far as it was told.

One picture holds no new side of a face, so a turned portrait looks less turned than a turned
head: landmark nets and people see half to nine tenths of the angle, depending on the picture.
Each portrait is therefore turned a little when it is made, looked at with the landmark net that
fitted it, and given the gains that were missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.portrait.landmarks import shared_landmarker
from streaming_model.portrait.pose import head_pose

Gains = tuple[float, float]  # towards negative and towards positive angles

RANGE: Final[Mapping[str, float]] = MappingProxyType(
    {"headPitch": math.radians(10), "headYaw": math.radians(15), "headRoll": math.radians(12)}
)
UNSEEN: Final[Mapping[str, Gains]] = MappingProxyType(
    {"headPitch": (1.2, 1.2), "headYaw": (1.4, 1.4)}
)
LEAST, MOST = 0.9, 1.9
FARTHEST: Final = math.radians(48)  # in all, with the picture's own angle: then a side is missing
ROUNDS: Final = 2
PROBE: Final = 0.8  # of the range, where the response is measured
WANTED: Final = 1.11  # of the angle by our measure: others see less than it
PITCH, YAW = 0, 1  # in a `HeadPose`


@dataclass(frozen=True)
class HeadResponse:
    """Gains of the head's pitch and yaw; roll is seen as it is.

    Attributes:
        gains: by name in the motion space.
    """

    gains: Mapping[str, Gains] = field(default_factory=lambda: UNSEEN)

    def angle(self, name: str, angle: float) -> float:
        """Returns by how much the head turns for `angle`, radians: smooth through zero."""
        minus, plus = self.gains[name]
        share = min(max(angle / RANGE[name], -1.0), 1.0)
        return angle * ((plus + minus) / 2 + share * (plus - minus) / 2)


def _most(name: str, already: float) -> float:
    """Returns the largest gain for a head that is turned `already` radians that way."""
    return min(max((FARTHEST - max(already, 0.0)) / RANGE[name], LEAST), MOST)


def measure_response(
    draw: Callable[[NDArray[np.float32], HeadResponse], NDArray[np.uint8]],
) -> HeadResponse:
    """Turns a portrait by `draw(motion, response)`, an RGB frame, and returns its gains.

    A portrait that the net loses keeps the usual ones.
    """
    gains = dict(UNSEEN)
    landmarker = shared_landmarker()
    rest = draw(np.zeros(MOTION_SIZE, np.float32), HeadResponse())
    faces = landmarker.detect(rest)
    if not faces:
        return HeadResponse(gains)
    (face,) = landmarker.detect(rest, hint=faces[0])[:1]
    before = head_pose(face.landmarks)
    for _ in range(ROUNDS):
        for name, part in (("headPitch", PITCH), ("headYaw", YAW)):
            sides = list(gains[name])
            for side, sign in enumerate((-1.0, 1.0)):
                motion = np.zeros(MOTION_SIZE, np.float32)
                motion[INDEX[name]] = asked = sign * PROBE * RANGE[name]
                frame = draw(motion, HeadResponse({**gains, name: (sides[side], sides[side])}))
                (turned, *_) = landmarker.detect(frame, hint=face) or [face]
                seen = (head_pose(turned.landmarks)[part] - before[part]) / asked
                wanted = sides[side] * WANTED / max(seen, WANTED / MOST)
                sides[side] = min(max(wanted, LEAST), _most(name, sign * before[part]))
            gains[name] = (sides[0], sides[1])
    return HeadResponse(gains)
