"""What each ARKit coefficient should do to the landmarks, as one signed number.

A number is positive when the part of the face that the coefficient is named after moves the way
Apple describes it, in percent of the face's height, against the bridge of the nose. Left is the
subject's, which is the picture's right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.renderer.measuring import Face

Response = Callable[[Face, Face], float]

BRIDGE: Final = 168
IRIS: Final = {"Left": 473, "Right": 468}
EYE_CORNERS: Final = {"Left": (362, 263), "Right": (33, 133)}
NOTICEABLE: Final = 0.15  # percent of the face's height


def moves(points: Sequence[int], *, right: float = 0.0, down: float = 0.0) -> Response:
    """Returns how far these landmarks move in a direction of the picture."""

    def response(before: Face, after: Face) -> float:
        shift = _flat(after) - _flat(before)
        own = shift[list(points)].mean(axis=0) - shift[BRIDGE]
        return _percent(float(own @ (right, down)), before)

    return response


def grows(first: int, second: int, *, sign: float = 1.0) -> Response:
    """Returns how much the distance of two landmarks grows, or shrinks if `sign` is -1."""

    def response(before: Face, after: Face) -> float:
        apart = [float(np.linalg.norm(_flat(f)[first] - _flat(f)[second])) for f in (before, after)]
        return _percent(sign * (apart[1] - apart[0]), before)

    return response


def opens(side: str, *, sign: float) -> Response:
    """Returns how much an eye's aspect ratio grows, or shrinks, in percent of what it was."""

    def response(before: Face, after: Face) -> float:
        return 100 * sign * (after.sizes[f"eye{side}"] / before.sizes[f"eye{side}"] - 1)

    return response


def looks(side: str, *, right: float = 0.0, down: float = 0.0) -> Response:
    """Returns how far an iris moves in a direction of the picture, against the eye's corners."""

    def response(before: Face, after: Face) -> float:
        places = [
            _flat(f)[IRIS[side]] - _flat(f)[list(EYE_CORNERS[side])].mean(axis=0)
            for f in (before, after)
        ]
        return _percent(float((places[1] - places[0]) @ (right, down)), before)

    return response


def _flat(face: Face) -> NDArray[np.float64]:
    return face.landmarks[:, :2]


def _percent(pixels: float, face: Face) -> float:
    return 100 * pixels / face.sizes["face_height"]


RESPONSES: Final[dict[str, Response]] = {
    "jawLeft": moves([152], right=1),
    "jawRight": moves([152], right=-1),
    "mouthLeft": moves([0, 17], right=1),
    "mouthRight": moves([0, 17], right=-1),
    "mouthFrownLeft": moves([291], down=1),
    "mouthFrownRight": moves([61], down=1),
    "mouthDimpleLeft": moves([291], right=1),
    "mouthDimpleRight": moves([61], right=-1),
    "mouthStretchLeft": moves([291], right=1),
    "mouthStretchRight": moves([61], right=-1),
    "mouthUpperUpLeft": moves([269, 270], down=-1),
    "mouthUpperUpRight": moves([39, 40], down=-1),
    "mouthLowerDownLeft": moves([405, 321], down=1),
    "mouthLowerDownRight": moves([181, 91], down=1),
    "mouthRollLower": grows(14, 17, sign=-1),
    "mouthRollUpper": grows(0, 13, sign=-1),
    "mouthPressLeft": grows(269, 405, sign=-1),
    "mouthPressRight": grows(39, 181, sign=-1),
    "mouthShrugLower": moves([17], down=-1),
    "mouthShrugUpper": moves([0], down=-1),
    "browDownLeft": moves([334, 296], down=1),
    "browDownRight": moves([105, 66], down=1),
    "browOuterUpLeft": moves([300, 293], down=-1),
    "browOuterUpRight": moves([70, 63], down=-1),
    "noseSneerLeft": moves([358, 279], down=-1),
    "noseSneerRight": moves([129, 49], down=-1),
    "eyeSquintLeft": opens("Left", sign=-1),
    "eyeSquintRight": opens("Right", sign=-1),
    "eyeWideLeft": opens("Left", sign=1),
    "eyeWideRight": opens("Right", sign=1),
    "eyeLookUpLeft": looks("Left", down=-1),
    "eyeLookUpRight": looks("Right", down=-1),
    "eyeLookDownLeft": looks("Left", down=1),
    "eyeLookDownRight": looks("Right", down=1),
    "eyeLookInLeft": looks("Left", right=-1),
    "eyeLookInRight": looks("Right", right=1),
    "eyeLookOutLeft": looks("Left", right=1),
    "eyeLookOutRight": looks("Right", right=-1),
}
