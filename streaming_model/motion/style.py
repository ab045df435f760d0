"""How a portrait moves when it speaks: the settings a user turns.

Knows the names of the numbers that networks are told, and how settings become those numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

EMOTIONS: Final = ("happy", "sad", "angry", "surprised", "fearful", "disgusted")
NEUTRAL: Final = "neutral"
AUTO: Final = "auto"  # the emotion is inferred from the voice
EMOTION_CHOICES: Final = (NEUTRAL, *EMOTIONS, AUTO)
FIRST_STYLE_NAMES: Final = ("jaw", "lips", "head", "brows")  # of weights that name none
# The first four are offsets from 1. The six emotions are weights whose sum is at most 1, and
# `whisper` is 0..1. `captured` labels training data recorded from people: mostly 0 when serving.
STYLE_NAMES: Final = (*FIRST_STYLE_NAMES, *EMOTIONS, "whisper", "captured")

# Asked for the ordinary spread of the mouth, the net gives 0.85 of it, as regression does where
# it is unsure; asked for this much it gives the ordinary spread, with the same closures.
_REGRESSION: Final = 1.3
# One step gives half of the spread of the head that its teacher's many steps give.
_HEAD_REGRESSION: Final = 1.6
_TRAINED_RANGE: Final = {"jaw": 0.3, "lips": 0.3, "head": 0.7, "brows": 0.7}  # each side of 1

GAZE_RANGE: Final = (30.0, 20.0)  # degrees, sideways and up or down
GazeTarget = str | tuple[float, float]


class Activity(IntEnum):
    """What the portrait is doing; tells a voice that is its own from one it listens to."""

    SPEAK = 0
    LISTEN = 1
    IDLE = 2

    __hash__ = int.__hash__  # an enumeration's own is in Python, and styles are looked up by it


@dataclass(frozen=True, slots=True)
class MotionStyle:
    """Scales of motion; 1 is ordinary. Values beyond the trained range act as its end.

    Attributes:
        head_motion: nods, turns and sway; 0 keeps the head still.
        expressiveness: brows and cheeks.
        articulation: jaw and lips.
        blink_rate: blinks per minute; 0 for none.
        gaze: how often and how far the eyes leave their target; 0 keeps them on it.
        activity: whether the sound is the portrait's own voice.
        emotion: `neutral`, one of `EMOTIONS`, or `auto`, which follows the voice.
        intensity: of the emotion, 0..1.
        gaze_target: `viewer`, `away`, or degrees to the picture's right and up.
        whisper: 0 for a full voice, 1 for a whisper.
        captured: 1 for the manner of the filmed people in the training data, 0 for our own.

    Raises:
        ValueError: a value is impossible.
    """

    head_motion: float = 1.0
    expressiveness: float = 1.0
    articulation: float = 1.0
    blink_rate: float = 15.0
    gaze: float = 1.0
    activity: Activity = Activity.SPEAK
    emotion: str = NEUTRAL
    intensity: float = 0.6
    gaze_target: GazeTarget = "viewer"
    whisper: float = 0.0
    captured: float = 0.0

    def __post_init__(self) -> None:
        for name in ("head_motion", "expressiveness", "articulation", "blink_rate", "gaze"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a number of at least 0, got {value}")
        for name in ("intensity", "whisper", "captured"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ValueError(f"{name} must be a number from 0 to 1, got {value}")
        if self.emotion not in EMOTION_CHOICES:
            known = ", ".join(EMOTION_CHOICES)
            raise ValueError(f"emotion must be one of {known}, got {self.emotion!r}")
        _check_target(self.gaze_target)

    def emotion_weights(self) -> NDArray[np.float32]:
        """Returns [6] the weights of `EMOTIONS`; zeros where the voice decides."""
        weights = np.zeros(len(EMOTIONS), np.float32)
        if self.emotion in EMOTIONS:
            weights[EMOTIONS.index(self.emotion)] = self.intensity
        return weights

    def vector(self, names: Sequence[str] = STYLE_NAMES) -> NDArray[np.float32]:
        """Returns [len(names)] a network's style input, in the order of its own `names`.

        Raises:
            ValueError: a name is not one of `STYLE_NAMES`.
        """
        return style_vector(
            names,
            articulation=self.articulation,
            head_motion=self.head_motion,
            expressiveness=self.expressiveness,
            emotions=self.emotion_weights(),
            whisper=self.whisper,
            captured=self.captured,
        )


def style_vector(
    names: Sequence[str],
    *,
    articulation: float,
    head_motion: float,
    expressiveness: float,
    emotions: NDArray[np.float32],
    whisper: float,
    captured: float,
) -> NDArray[np.float32]:
    """Returns [len(names)] the network's style input for these numbers; `emotions` is [6].

    Raises:
        ValueError: a name is not one of `STYLE_NAMES`.
    """
    # What the filmed people did is not made larger: theirs was trained at the average alone.
    mouth, upper = (gain ** (1.0 - captured) for gain in (_REGRESSION, _HEAD_REGRESSION))
    scales = {
        "jaw": articulation * mouth,
        "lips": articulation * mouth,
        "head": head_motion * upper,
        "brows": expressiveness * upper,
    }
    values = {
        name: min(max(scale - 1.0, -_TRAINED_RANGE[name]), _TRAINED_RANGE[name])
        for name, scale in scales.items()
    }
    values.update(zip(EMOTIONS, emotions.tolist(), strict=True))
    values.update(whisper=whisper, captured=captured)
    if not values.keys() >= set(names):
        raise ValueError(f"a style has no number named {min(set(names) - values.keys())!r}")
    return np.array([values[name] for name in names], np.float32)


def _check_target(target: GazeTarget) -> None:
    if target in ("viewer", "away"):
        return
    is_point = isinstance(target, tuple) and len(target) == 2
    if not is_point or not all(
        isinstance(angle, (int, float)) and abs(angle) <= limit
        for angle, limit in zip(target, GAZE_RANGE, strict=True)
    ):
        raise ValueError(
            "the gaze target must be viewer, away or a point within "
            f"{GAZE_RANGE[0]:g} degrees sideways and {GAZE_RANGE[1]:g} up or down, got {target!r}"
        )
