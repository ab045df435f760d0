"""What each emotion does to a face, as a rule: offsets in the motion space and scales of motion.

After the prototypes of EMFACS (Ekman and Friesen 1978/1983), read as ARKit coefficients. Pure
functions that know no time: serving adds them where the network knows no emotions, training
makes its targets with them. Lips that speech closes stay closed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion.ramps import smooth_ramp
from streaming_model.motion.style import EMOTIONS
from streaming_model.motion_space import ARKIT_NAMES, INDEX, MOTION_SIZE

Floats = NDArray[np.float32]

_DEGREE: Final = np.pi / 180
# Posed expressions are a little stronger on the face's left (Sackeim, Gur and Saucy 1978).
_LEFT_SHARE: Final = 0.05

# At weight 1. A name without a side stands for both; comments give the action units.
_PROTOTYPES: Final[dict[str, dict[str, float]]] = {
    "happy": {  # 6 + 12 + 25
        "mouthSmile": 0.72,
        "cheekSquint": 0.55,
        "eyeSquint": 0.25,
        "mouthDimple": 0.10,
        "mouthUpperUp": 0.16,
        "browOuterUp": 0.10,
        "browInnerUp": 0.06,
        "headPitch": -1.2 * _DEGREE,
        "headRoll": 1.2 * _DEGREE,
    },
    "sad": {  # 1 + 4 + 15 + 17, lids and gaze low
        "browInnerUp": 0.75,
        "browDown": 0.15,
        "mouthFrown": 0.50,
        "mouthShrugLower": 0.22,
        "eyeBlink": 0.14,
        "eyeSquint": 0.10,
        "headPitch": 3.0 * _DEGREE,
        "headRoll": -1.5 * _DEGREE,
    },
    "angry": {  # 4 + 5 + 7 + 23 + 24
        "browDown": 0.80,
        "eyeSquint": 0.38,
        "eyeWide": 0.12,
        "noseSneer": 0.22,
        "mouthPress": 0.30,
        "mouthRollUpper": 0.10,
        "mouthRollLower": 0.10,
        "mouthFrown": 0.22,
        "jawForward": 0.18,
        "headPitch": 2.0 * _DEGREE,
        "headZ": 0.35,
    },
    "surprised": {  # 1 + 2 + 5 + 26
        "browInnerUp": 0.70,
        "browOuterUp": 0.60,
        "eyeWide": 0.60,
        "jawOpen": 0.12,
        "mouthFunnel": 0.08,
        "headPitch": -1.6 * _DEGREE,
        "headZ": -0.30,
    },
    "fearful": {  # 1 + 2 + 4 + 5 + 20 + 26
        "browInnerUp": 0.75,
        "browOuterUp": 0.22,
        "browDown": 0.25,
        "eyeWide": 0.55,
        "mouthStretch": 0.40,
        "mouthFrown": 0.14,
        "jawOpen": 0.05,
        "headPitch": 1.0 * _DEGREE,
        "headZ": -0.45,
    },
    "disgusted": {  # 9 + 10 + 15 + 17
        "noseSneer": 0.62,
        "mouthUpperUp": 0.24,
        "browDown": 0.45,
        "eyeSquint": 0.34,
        "cheekSquint": 0.25,
        "mouthFrown": 0.30,
        "mouthShrugLower": 0.22,
        "headPitch": -1.5 * _DEGREE,
        "headYaw": 2.0 * _DEGREE,
    },
}

# Emotions: jaw, lips, head, brows, tempo, blinks.
_SCALES: Final = {
    "happy": (1.05, 1.0, 1.15, 1.15, 1.1, 1.0),
    "sad": (0.8, 0.85, 0.5, 0.7, 0.65, 0.8),
    "angry": (1.1, 1.1, 1.25, 0.9, 1.2, 0.7),
    "surprised": (1.1, 1.0, 1.0, 1.3, 1.1, 0.6),
    "fearful": (0.9, 0.95, 0.7, 1.1, 1.25, 1.5),
    "disgusted": (0.95, 0.95, 0.85, 0.9, 0.9, 1.0),
}

_ROUND_LIPS: Final = [INDEX["mouthFunnel"], INDEX["mouthPucker"]]
_LIFTS: Final = [
    INDEX[f"mouth{part}{side}"] for part in ("UpperUp", "LowerDown") for side in ("Left", "Right")
]
_JAW, _CLOSE = INDEX["jawOpen"], INDEX["mouthClose"]
_OPENERS: Final = [_JAW, INDEX["mouthFunnel"]]
_LIP_NAMES: Final = [
    INDEX[name]
    for name in ARKIT_NAMES
    if name.startswith("mouth") and name != "mouthClose" and INDEX[name] not in _OPENERS
]
_CORNERS: Final = [
    INDEX[f"mouth{part}{side}"]
    for part in ("Smile", "Frown", "Stretch", "Dimple")
    for side in ("Left", "Right")
]
_OPEN_RANGE: Final = (0.02, 0.14)  # of the lips' gap: where lips may begin to part, and may freely
_ROUND_SHARE: Final = 0.6  # of the lips' offsets that fully rounded lips give up


class EmotionScales(NamedTuple):
    """Factors on the motion of a neutral face, 1 for no change.

    Attributes:
        jaw, lips: on how far speech moves them.
        head, brows: on what goes with speech there.
        tempo: on the speed of the head's wander.
        blinks: on their rate.
    """

    jaw: float
    lips: float
    head: float
    brows: float
    tempo: float
    blinks: float


def emotion_offsets(weights: Floats) -> Floats:
    """Returns [..., 58] what emotions of [..., 6] weights add to a face that does not speak.

    Weights are 0..1 in the order of `EMOTIONS`. The offsets of several emotions add up.
    """
    offsets: Floats = np.asarray(weights, np.float32) @ _OFFSETS
    return offsets


def emotion_scales(weights: Floats) -> EmotionScales:
    """Returns the factors on motion under emotions of [6] weights."""
    scales = 1.0 + np.asarray(weights, np.float64) @ (_SCALE_TABLE - 1.0)
    return EmotionScales(*scales.tolist())


def add_emotion(motion: Floats, weights: Floats, speaking: Floats) -> Floats:
    """Returns [frames, 58] motion of a neutral face with emotions put into it.

    Speech is scaled and the offsets added; what would part lips comes in the measure in which
    speech parts them, and rounded lips keep their shape. The head's motion is not scaled here.

    Args:
        motion: [frames, 58] neutral motion.
        weights: [frames, 6] or [6], 0..1 in the order of `EMOTIONS`.
        speaking: [frames] 0..1, how sure it is that the portrait speaks.
    """
    felt = np.broadcast_to(np.asarray(weights, np.float32), (len(motion), len(EMOTIONS)))
    scales = 1.0 + felt @ (_SCALE_TABLE - 1.0).astype(np.float32)
    emotional = motion.copy()
    emotional[:, [_JAW, _CLOSE]] *= scales[:, :1]
    emotional[:, _LIP_NAMES] *= scales[:, 1:2]
    offsets = emotion_offsets(felt)
    # A jaw drops in astonishment while nothing is said; lips lift where they are open.
    offsets[:, _OPENERS] *= 1.0 - speaking[:, None]
    parted = smooth_ramp(lip_gaps(motion), *_OPEN_RANGE)
    unrounded = 1.0 - _ROUND_SHARE * np.clip(motion[:, _ROUND_LIPS].sum(axis=1), 0.0, 1.0)
    offsets[:, _LIFTS] *= (parted * unrounded)[:, None]
    offsets[:, _CORNERS] *= unrounded[:, None]
    emotional += offsets
    return emotional


def lip_gaps(motion: Floats) -> Floats:
    """Returns [frames] how far the lips of [frames, 58] are apart, in units of jawOpen."""
    from streaming_model.motion.rows import parted

    gaps: Floats = parted(motion)
    return gaps


def _offsets_table() -> Floats:
    """Returns [6, 58] the prototypes, with the face's left a little stronger."""
    table = np.zeros((len(EMOTIONS), MOTION_SIZE), np.float32)
    for row, emotion in zip(table, EMOTIONS, strict=True):
        for name, value in _PROTOTYPES[emotion].items():
            if name in INDEX:
                row[INDEX[name]] = value
                continue
            row[INDEX[f"{name}Left"]] = value * (1 + _LEFT_SHARE)
            row[INDEX[f"{name}Right"]] = value * (1 - _LEFT_SHARE)
    return table


_OFFSETS: Final = _offsets_table()
_SCALE_TABLE: Final = np.array([_SCALES[emotion] for emotion in EMOTIONS])
