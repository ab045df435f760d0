"""Draws the head back to its place while it moves.

A network that goes on from its own last frames, two at a time, does not know where it was ten
seconds ago: the least push to one side adds up, and the head comes to stay where it can go no
further. A head on a neck has a place to return to.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import MOTION_FPS
from streaming_model.motion_space import POSE

Floats = NDArray[np.float32]

LIMIT: Final = 6.0  # in units of the motion's own spread; no training frame lies beyond
_SECONDS: Final = 2.5  # in which 63 % of the way is gone


def drawn_home(frames: Floats) -> Floats:
    """Returns network frames [batch, frames, size] within `LIMIT`, the pose drawn towards rest.

    What comes out must be the history that the next frames continue; each frame is drawn as far
    as all before it in the chunk and one step more.
    """
    from streaming_model.motion.rows import homeward

    drawn: Floats = homeward(frames, LIMIT, POSE.start, POSE.stop, _shares(frames.shape[1]))
    return drawn


@lru_cache(maxsize=16)
def _shares(count: int) -> Floats:
    """Returns [count] how much of the way from rest each frame keeps."""
    steps = np.arange(1, count + 1, dtype=np.float32)
    return np.asarray(np.exp(-steps / (MOTION_FPS * _SECONDS)), np.float32)
