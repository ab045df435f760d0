"""The slow motion of a head that nobody moves: it wanders about its place, and breathes.

Sums of seeded band-limited noise, so that it always comes back. Functions of time alone.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion.noise import Purpose, knots_around, uniforms
from streaming_model.motion.style import MotionStyle

_DRIFT_PERIOD: Final = 11.0  # s
_BROW_PERIOD: Final = 4.0  # s


def wander(
    row: NDArray[np.float32], *, seconds: float, ahead: float, seed: int, style: MotionStyle
) -> None:
    """Adds sway and breath to one frame, [58] in place.

    Args:
        row: the frame.
        seconds: since the stream began.
        ahead: seconds by which the head's wander is ahead of that.
        seed: the session's.
        style: how much the head moves.
    """
    from streaming_model.motion.sway import SWAY_PERIODS, swayed

    (slow, in_slow), (middle, in_middle), (quick, in_quick) = (
        _between(seed, Purpose.HEAD, (seconds + ahead) / period) for period in SWAY_PERIODS
    )
    swayed(
        row,
        (slow, middle, quick),
        (in_slow, in_middle, in_quick),
        _between(seed, Purpose.BROW, seconds / _DRIFT_PERIOD),
        _between(seed, Purpose.BROW, seconds / _BROW_PERIOD),
        seconds,
        uniforms(seed, Purpose.HEAD, -1000, 16)[0],
        style.head_motion,
        style.expressiveness,
    )


def _between(seed: int, purpose: Purpose, time: float) -> tuple[NDArray[np.float64], float]:
    """Returns the knots around a time, in periods, and how far it is between the middle two."""
    whole = math.floor(time)
    return knots_around(seed, purpose, whole), time - whole
