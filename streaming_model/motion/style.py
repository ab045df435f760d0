"""How a portrait moves when it speaks: the settings a user turns.

Knows the order of the style vector that the network was trained with.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

STYLE_NAMES: Final = ("jaw", "lips", "head", "brows")
# Asked for the ordinary spread of the mouth, the net gives 0.85 of it, as regression does where
# it is unsure; asked for this much it gives the ordinary spread, with the same closures.
_REGRESSION: Final = 1.15
_TRAINED_RANGE: Final = {"jaw": 0.3, "lips": 0.3, "head": 0.7, "brows": 0.7}  # each side of 1


class Activity(IntEnum):
    """What the portrait is doing; tells a voice that is its own from one it listens to."""

    SPEAK = 0
    LISTEN = 1
    IDLE = 2


@dataclass(frozen=True, slots=True)
class MotionStyle:
    """Scales of motion; 1 is ordinary. Values beyond the trained range act as its end.

    Attributes:
        head_motion: nods, turns and sway; 0 keeps the head still.
        expressiveness: brows and cheeks.
        articulation: jaw and lips.
        blink_rate: blinks per minute; 0 for none.
        gaze: how often and how far the eyes leave the viewer; 0 keeps them on the viewer.
        activity: whether the sound is the portrait's own voice.
    """

    head_motion: float = 1.0
    expressiveness: float = 1.0
    articulation: float = 1.0
    blink_rate: float = 15.0
    gaze: float = 1.0
    activity: Activity = Activity.SPEAK

    def __post_init__(self) -> None:
        for name in ("head_motion", "expressiveness", "articulation", "blink_rate", "gaze"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"MotionStyle.{name} must be a number of at least 0, got {value}")

    def vector(self) -> NDArray[np.float32]:
        """Returns [4] the network's style input, in the order of `STYLE_NAMES`."""
        values = {
            "jaw": self.articulation * _REGRESSION,
            "lips": self.articulation * _REGRESSION,
            "head": self.head_motion,
            "brows": self.expressiveness,
        }
        limits = [_TRAINED_RANGE[name] for name in STYLE_NAMES]
        offsets = np.array([values[name] - 1.0 for name in STYLE_NAMES])
        vector: NDArray[np.float32] = np.clip(offsets, np.negative(limits), limits).astype(
            np.float32
        )
        return vector
