"""A causal low-pass for the head and the upper face; lips are never smoothed.

Two one-pole filters in a row. The sampler draws a little noise for every frame, which lips
hide and a head shows as trembling.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import MOTION_FPS
from streaming_model.motion_space import INDEX, MOTION_NAMES, POSE

LOW_PASS: Final = (0.08, 0.04)  # seconds, of the head and the upper face, if weights say no other
_UPPER_FACE: Final = ("brow", "eyeWide", "eyeSquint", "cheek", "nose")

Floats = NDArray[np.float32]


def start_smoothing() -> Floats:
    """Returns the state [2, smoothed channels] of a face at rest."""
    return np.zeros((2, len(SMOOTHED)), np.float32)


def smooth(
    state: Floats, motion: Floats, *, low_pass: tuple[float, float] = LOW_PASS
) -> tuple[Floats, Floats]:
    """Returns the next state and [frames, 58] motion with head and upper face smoothed.

    `low_pass` has the time constants of each of the two filters, of the head and the upper face.
    """
    from streaming_model.motion.rows import smoothed

    after = state.copy()
    first, second = after
    return after, smoothed(first, second, motion, SMOOTHED, _shares(low_pass))


def _share(seconds: float) -> float:
    return 1.0 - float(np.exp(-1.0 / (MOTION_FPS * seconds)))


@lru_cache(maxsize=16)
def _shares(low_pass: tuple[float, float]) -> Floats:
    """Returns [smoothed channels] how far each moves towards its target in a frame."""
    head, face = (_share(seconds) for seconds in low_pass)
    return np.array([head] * (POSE.stop - POSE.start) + [face] * len(_FACE), np.float32)


_FACE: Final = [INDEX[name] for name in MOTION_NAMES if name.startswith(_UPPER_FACE)]
SMOOTHED: Final = np.array([*range(POSE.start, POSE.stop), *_FACE])
