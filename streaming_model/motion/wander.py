"""The slow motion of a head that nobody moves: it wanders about its place, and breathes.

Sums of seeded band-limited noise, so that it always comes back. Functions of time alone.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion.noise import Purpose, smooth_noise, smooth_noises, uniforms
from streaming_model.motion.style import MotionStyle
from streaming_model.motion_space import INDEX

_DEGREE: Final = math.pi / 180

# (period in seconds, yaw, pitch, roll in degrees): sums to a slow wander about zero.
_SWAY: Final = ((9.0, 2.2, 1.1, 1.2), (3.7, 1.3, 0.8, 0.7), (1.6, 0.35, 0.3, 0.2))
_BREATH_PERIOD: Final = 4.3  # s
_BREATH_LIFT: Final = 0.06  # cm
_BREATH_PITCH: Final = 0.25 * _DEGREE

_PITCH, _YAW, _ROLL = INDEX["headPitch"], INDEX["headYaw"], INDEX["headRoll"]
_SIDEWAYS, _UPWARD, _BROW = INDEX["headX"], INDEX["headY"], INDEX["browInnerUp"]


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
    size = style.head_motion * _DEGREE
    # Starts from the portrait's own pose and takes a second to get going.
    size *= min(1.0, seconds / 1.2)
    yaw = pitch = roll = 0.0
    for octave, (period, yaw_size, pitch_size, roll_size) in enumerate(_SWAY):
        channels = range(3 * octave, 3 * octave + 3)
        noises = smooth_noises(
            seed, Purpose.HEAD, time=(seconds + ahead) / period, channels=channels
        )
        yaw += yaw_size * noises[0]
        pitch += pitch_size * noises[1]
        roll += roll_size * noises[2]
    row[_YAW] += size * yaw
    row[_PITCH] += size * pitch
    row[_ROLL] += size * (roll - 0.25 * yaw)
    row[_SIDEWAYS] += 1.5 * size * yaw
    phase = uniforms(seed, Purpose.HEAD, -1000, 16)[0]
    drift = 0.3 * smooth_noise(seed, Purpose.BROW, time=seconds / 11, channel=1)
    breath = math.sin(2 * math.pi * (seconds / _BREATH_PERIOD + phase + drift))
    breath *= min(1.0, seconds / 1.2) * min(style.head_motion, 1.0)
    row[_UPWARD] += _BREATH_LIFT * breath
    row[_PITCH] -= _BREATH_PITCH * breath
    brow = 0.05 * smooth_noise(seed, Purpose.BROW, time=seconds / 4, channel=0)
    row[_BROW] += max(0.0, brow) * min(style.expressiveness, 2.0)
