"""From what was seen of a face to motion: relative to the speaker's own neutral.

Takes the pictures of one shot together, because the neutral, the blink's range and the head's
middle are the speaker's and the camera's. Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import ARKIT_NAMES, INDEX, MOTION_SIZE, POSE
from streaming_model.rig import load_rig
from training.extract.head import head_motion, place, seen_points
from training.extract.solving import SOLVED, lip_gap, lips_touch, solve_mouth

Floats = NDArray[np.float64]

QUIET: Final = 0.25  # share of the pictures, those with the smallest gap, that may be the neutral
SCORED: Final = tuple(
    name for name in ARKIT_NAMES if name.startswith(("eyeLook", "brow", "mouthPress"))
)  # channels for which the blendshape net is the better witness
# What rendered faces that were told to do it showed nothing of, or something else.
UNSEEN: Final = (
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward",
    "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthDimpleLeft",
    "mouthDimpleRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft",
    "noseSneerRight", "tongueOut",
)  # fmt: skip
_LIDS: Final = {"Left": (386, 374, 263, 362), "Right": (159, 145, 33, 133)}
_SHUT: Final = 0.6  # of the usual opening of the lids: a shot with less than this shows a blink
_BLINK_PEAK: Final = 99.0  # percentile of the score at which the lids are shut
_USUAL_PEAK: Final = 0.5  # above the open eye's score, in a shot without a blink


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What was seen of one face in one shot.

    Attributes:
        landmarks: [n, 478, 3] float32 in pixels.
        scores: [n, 52] float32, the blendshape net's, in ARKit's order.
    """

    landmarks: NDArray[np.float32]
    scores: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class FaceMotion:
    """The motion of one face in one shot.

    Attributes:
        motion: [n, 58] at the times of the pictures.
        gap: [n] of the lips over the mouth's width, as seen.
        neutral: [52] the net's scores of the speaker's neutral.
    """

    motion: Floats
    gap: Floats
    neutral: Floats


def seen_channels() -> NDArray[np.bool_]:
    """Returns [58], which channels of the motion space `face_motion` really sees."""
    seen = np.ones(MOTION_SIZE, bool)
    seen[[INDEX[name] for name in UNSEEN]] = False
    return seen


def face_motion(readings: Readings) -> FaceMotion:
    """Returns the motion of a face relative to its own neutral.

    The neutral is the median of the pictures with the mouth most closed; the head's middle is that
    of the shot.

    Raises:
        ModelFileError: the rig or the landmark nets are missing or damaged.
    """
    rig, seen = load_rig(), seen_points(readings.landmarks)
    local = place(seen).to_head(seen)
    gap = lip_gap(local)
    is_quiet = gap <= np.quantile(gap, QUIET)
    placement = place(seen, np.median(local[is_quiet], axis=0))
    local = placement.to_head(seen)
    scores = readings.scores.astype(np.float64)
    neutral = np.median(scores[is_quiet], axis=0)
    motion = np.zeros((len(local), MOTION_SIZE))
    solved = solve_mouth(local - np.median(local[is_quiet], axis=0), rig)
    motion[:, [INDEX[name] for name in SOLVED]] = solved
    for name in SCORED:
        motion[:, INDEX[name]] = np.clip(scores[:, INDEX[name]] - neutral[INDEX[name]], 0, 1)
    for side in _LIDS:
        column = INDEX[f"eyeBlink{side}"]
        motion[:, column] = _blink(scores[:, column], _lid_opening(local, side))
    # Lips that touch are closed against whatever the jaw does; the net never says so.
    motion[:, INDEX["mouthClose"]] = motion[:, INDEX["jawOpen"]] * lips_touch(gap)
    motion[:, POSE] = head_motion(placement, rig)
    motion[:, ~seen_channels()] = 0
    return FaceMotion(motion, gap, neutral)


def _lid_opening(local: Floats, side: str) -> Floats:
    upper, lower, outer, inner = _LIDS[side]
    gap = np.linalg.norm(local[:, upper, :2] - local[:, lower, :2], axis=1)
    width = np.linalg.norm(local[:, outer, :2] - local[:, inner, :2], axis=1)
    return np.asarray(gap / width)


def _blink(score: Floats, opening: Floats) -> Floats:
    """Returns eyeBlink, [n] in 0..1: the score between this speaker's open and shut eye."""
    rest = float(np.median(score))
    peak = rest + _USUAL_PEAK
    if opening.min() < _SHUT * np.median(opening):
        peak = max(float(np.percentile(score, _BLINK_PEAK)), rest + _USUAL_PEAK / 4)
    return np.asarray(np.clip((score - rest) / (peak - rest), 0, 1))
