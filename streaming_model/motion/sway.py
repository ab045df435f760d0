"""The arithmetic of `wander` for one frame, in a compiled loop.

Imported where it is first used: numba takes longer to import than what only reads motion has to
wait.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streaming_model.motion.splines import Knots, spline
from streaming_model.motion_space import INDEX

_DEGREE: Final = math.pi / 180

# Periods in seconds; yaw, pitch and roll in degrees: they sum to a slow wander about zero.
SWAY_PERIODS: Final = (9.0, 3.7, 1.6)
_YAWS, _PITCHES, _ROLLS = (2.2, 1.3, 0.35), (1.1, 0.8, 0.3), (1.2, 0.7, 0.2)
_BREATH_PERIOD: Final = 4.3  # s
_BREATH_LIFT: Final = 0.06  # cm
_BREATH_PITCH: Final = 0.25 * _DEGREE
_BREATH_DRIFT: Final = 0.3  # of a breath, by which breaths come sooner or later
_BROW_SIZE: Final = 0.05

_PITCH, _YAW, _ROLL = INDEX["headPitch"], INDEX["headYaw"], INDEX["headRoll"]
_SIDEWAYS, _UPWARD, _BROW = INDEX["headX"], INDEX["headY"], INDEX["browInnerUp"]


@njit(nogil=True, cache=True)
def swayed(
    row: NDArray[np.float32],
    heads: tuple[Knots, Knots, Knots],
    parts: tuple[float, float, float],
    drift: tuple[Knots, float],
    brow: tuple[Knots, float],
    seconds: float,
    phase: float,
    head_motion: float,
    expressiveness: float,
) -> None:
    """Adds sway and breath to one frame, [58] in place, as `wander.wander` does.

    Args:
        row: the frame.
        heads: knots of the head's noise, of each period.
        parts: 0..1, where the frame is between two knots of each.
        drift: the same of what drifts the breath.
        brow: the same of the brows.
        seconds: since the stream began.
        phase: 0..1, of the first breath.
        head_motion: as in the style.
        expressiveness: likewise.
    """
    # Starts from the portrait's own pose and takes a second to get going.
    going = min(1.0, seconds / 1.2)
    size = head_motion * _DEGREE * going
    yaw = pitch = roll = 0.0
    for octave in range(3):
        knots, part = heads[octave], parts[octave]
        yaw += _YAWS[octave] * spline(knots, part, 3 * octave)
        pitch += _PITCHES[octave] * spline(knots, part, 3 * octave + 1)
        roll += _ROLLS[octave] * spline(knots, part, 3 * octave + 2)
    row[_YAW] += size * yaw
    row[_PITCH] += size * pitch
    row[_ROLL] += size * (roll - 0.25 * yaw)
    row[_SIDEWAYS] += 1.5 * size * yaw
    drifted = _BREATH_DRIFT * spline(drift[0], drift[1], 1)
    breath = math.sin(2 * math.pi * (seconds / _BREATH_PERIOD + phase + drifted))
    breath *= going * min(head_motion, 1.0)
    row[_UPWARD] += _BREATH_LIFT * breath
    row[_PITCH] -= _BREATH_PITCH * breath
    raised = _BROW_SIZE * spline(brow[0], brow[1], 0)
    row[_BROW] += max(0.0, raised) * min(expressiveness, 2.0)
