"""A causal low-pass for the head and the upper face; lips are never smoothed.

Two one-pole filters in a row. The sampler draws a little noise for every frame, which lips
hide and a head shows as trembling.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import MOTION_FPS
from streaming_model.motion_space import INDEX, MOTION_NAMES, POSE

_HEAD_SECONDS: Final = 0.08
_FACE_SECONDS: Final = 0.04
_UPPER_FACE: Final = ("brow", "eyeWide", "eyeSquint", "cheek", "nose")

Floats = NDArray[np.float32]


def start_smoothing() -> Floats:
    """Returns the state [2, smoothed channels] of a face at rest."""
    return np.zeros((2, len(SMOOTHED)), np.float32)


def smooth(state: Floats, motion: Floats) -> tuple[Floats, Floats]:
    """Returns the next state and [frames, 58] motion with head and upper face smoothed."""
    from streaming_model.motion.rows import smoothed

    after = state.copy()
    first, second = after
    return after, smoothed(first, second, motion, SMOOTHED, _SHARES)


def _share(seconds: float) -> float:
    return 1.0 - float(np.exp(-1.0 / (MOTION_FPS * seconds)))


_FACE: Final = [INDEX[name] for name in MOTION_NAMES if name.startswith(_UPPER_FACE)]
SMOOTHED: Final = np.array([*range(POSE.start, POSE.stop), *_FACE])
_SHARES: Final = np.array(
    [_share(_HEAD_SECONDS)] * (POSE.stop - POSE.start) + [_share(_FACE_SECONDS)] * len(_FACE),
    np.float32,
)
