"""What the renderer is commanded to do: single motions, poses to look at, and sweeps."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import ARKIT_NAMES, INDEX, MOTION_SIZE, POSE_NAMES

Motion = NDArray[np.float32]

SWEPT: Final = ("jawOpen", "mouthSmile", "mouthPucker", "mouthFunnel", "browInnerUp")
RANGE: Final = {"headPitch": 10.0, "headYaw": 15.0, "headRoll": 12.0}  # degrees, either way
SHIFTS: Final = {"headX": 1.5, "headY": 1.0, "headZ": 4.0}  # centimetres, either way
STEPS: Final = 21
TOGETHER: Final = ("ah", "oo", "ee", "f v", "p b m", "tongue", "ah, turned")


def motion(**values: float) -> Motion:
    """Returns a motion; a name without a side sets both sides, head angles are in degrees."""
    result = np.zeros(MOTION_SIZE, np.float32)
    for name, value in values.items():
        for full in channels(name):
            result[INDEX[full]] = math.radians(value) if name in RANGE else value
    return result


def channels(name: str) -> list[str]:
    """Returns the coefficients that a name stands for: itself, or its left and right."""
    return [name] if name in INDEX else [f"{name}Left", f"{name}Right"]


def there_and_back(most: float = 1.0, steps: int = STEPS) -> NDArray[np.float64]:
    """Returns `steps` values from 0 up to `most` and back to 0."""
    return most * (1 - np.abs(np.linspace(-1, 1, steps)))


def other_coefficients() -> list[str]:
    """Returns the ARKit coefficients that no other sweep commands."""
    swept = {full for name in (*SWEPT, "eyeBlink") for full in channels(name)}
    return [name for name in ARKIT_NAMES if name not in swept]


def extremes() -> dict[str, Motion]:
    """Returns every coefficient and pose at its end, and what speech puts together."""
    single: dict[str, Motion] = {name: motion(**{name: 1.0}) for name in ARKIT_NAMES}
    for name in POSE_NAMES:
        most = {**RANGE, **SHIFTS}[name]
        for sign in (1, -1):
            single[f"{name} {sign * most:+g}"] = motion(**{name: sign * most})
    return {**single, **{name: POSES[name] for name in TOGETHER}}


POSES: Final[dict[str, Motion]] = {
    "rest": motion(),
    "jaw 0.3": motion(jawOpen=0.3),
    "jaw 0.6": motion(jawOpen=0.6),
    "jaw 1": motion(jawOpen=1),
    "smile": motion(mouthSmile=1),
    "pucker": motion(mouthPucker=1),
    "funnel": motion(mouthFunnel=1),
    "blink half": motion(eyeBlink=0.5),
    "blink full": motion(eyeBlink=1),
    "gaze right": motion(eyeLookOutLeft=1, eyeLookInRight=1),
    "gaze left": motion(eyeLookInLeft=1, eyeLookOutRight=1),
    "gaze up": motion(eyeLookUp=1),
    "gaze down": motion(eyeLookDown=1),
    "brows up": motion(browInnerUp=1, browOuterUp=1),
    "yaw +15": motion(headYaw=15),
    "yaw -15": motion(headYaw=-15),
    "pitch +10": motion(headPitch=10),
    "pitch -10": motion(headPitch=-10),
    "roll +12": motion(headRoll=12),
    "roll -12": motion(headRoll=-12),
    "brows down": motion(browDown=1),
    "ah": motion(jawOpen=0.35, mouthLowerDown=0.3, mouthUpperUp=0.2, mouthSmile=0.2),
    "oo": motion(jawOpen=0.15, mouthPucker=0.6, mouthFunnel=0.4),
    "ee": motion(jawOpen=0.15, mouthStretch=0.5, mouthSmile=0.4, mouthLowerDown=0.2),
    "f v": motion(jawOpen=0.1, mouthRollLower=0.6, mouthUpperUp=0.3),
    "p b m": motion(
        jawOpen=0.1, mouthClose=0.1, mouthPress=0.5, mouthRollLower=0.3, mouthRollUpper=0.3
    ),
    "tongue": motion(jawOpen=0.5, tongueOut=1),
    "ah, turned": motion(jawOpen=0.4, mouthLowerDown=0.3, headYaw=12, headPitch=-5),
}
