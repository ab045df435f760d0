"""The motion space: 52 ARKit coefficients and a head pose, 58 numbers a frame.

Names and order are Apple's (ARFaceAnchor.BlendShapeLocation, in the order of a Live Link
Face CSV); coefficients are 0..1. Rotations are radians and translations centimetres, in a
right-handed frame seen by the viewer: x to the picture's right, y up, z towards the viewer.
Positive yaw turns the face to the picture's right, positive pitch looks down, positive roll
tilts counter-clockwise. The head's rotation is R = R_y(yaw) R_x(pitch) R_z(roll), about the
neck. All motion is relative to the portrait's own neutral: zeros give back the picture.
"""

from __future__ import annotations

from typing import Final

_SIDES = ("Left", "Right")

ARKIT_NAMES: Final[tuple[str, ...]] = (
    *(
        f"{name}{side}"
        for side in _SIDES
        for name in (
            "eyeBlink",
            "eyeLookDown",
            "eyeLookIn",
            "eyeLookOut",
            "eyeLookUp",
            "eyeSquint",
            "eyeWide",
        )
    ),
    "jawForward",
    "jawRight",
    "jawLeft",
    "jawOpen",
    "mouthClose",
    "mouthFunnel",
    "mouthPucker",
    "mouthRight",
    "mouthLeft",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "noseSneerLeft",
    "noseSneerRight",
    "tongueOut",
)
POSE_NAMES: Final[tuple[str, ...]] = (
    "headPitch",
    "headYaw",
    "headRoll",
    "headX",
    "headY",
    "headZ",
)
MOTION_NAMES: Final[tuple[str, ...]] = ARKIT_NAMES + POSE_NAMES
MOTION_SIZE: Final = len(MOTION_NAMES)  # 58
INDEX: Final[dict[str, int]] = {name: index for index, name in enumerate(MOTION_NAMES)}
POSE: Final = slice(len(ARKIT_NAMES), MOTION_SIZE)
