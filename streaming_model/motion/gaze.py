"""Where the portrait looks: at the viewer, away, or at a point; eyes first, the head after them.

A seeded, causal follower of one target. Glances around the target are the life layer's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from streaming_model.media import MOTION_FPS
from streaming_model.motion.noise import Purpose, uniforms
from streaming_model.motion.style import GazeTarget

_DEGREE: Final = math.pi / 180
_AWAY: Final = (15.0 * _DEGREE, -5.0 * _DEGREE)  # to a side that the seed chooses, and down
_HEAD_SHARE: Final = 0.35  # of the way to a target that the head turns
_HEAD_SECONDS: Final = 0.14  # of each of two low-passes: the head arrives after half a second
_SHARE: Final = 1.0 - math.exp(-1.0 / (MOTION_FPS * _HEAD_SECONDS))
_LEAP: Final = 8.0 * _DEGREE  # of the eyes, which a blink goes with

Angles = tuple[float, float]  # radians to the picture's right, and up


@dataclass(frozen=True, slots=True)
class GazeState:
    """Where the gaze is held.

    Attributes:
        target: where the eyes look.
        way: state of the head's first low-pass.
        turn: how far the head has turned there.
    """

    target: Angles
    way: Angles
    turn: Angles


def start_gaze(target: GazeTarget, *, seed: int) -> GazeState:
    """Returns the state of a face that looks there already, its head turned along."""
    angles = target_angles(target, seed=seed)
    turned = _turned(angles)
    return GazeState(angles, turned, turned)


def follow(state: GazeState, target: GazeTarget, *, seed: int) -> tuple[GazeState, bool]:
    """Returns the state one frame on, and whether the eyes leap so far that they blink."""
    angles = target_angles(target, seed=seed)
    if angles == state.target and state.way == state.turn == _turned(angles):
        return state, False  # it has arrived, as for most of a stream
    leap = math.hypot(angles[0] - state.target[0], angles[1] - state.target[1])
    way = _towards(state.way, _turned(angles))
    return GazeState(angles, way, _towards(state.turn, way)), leap > _LEAP


def target_angles(target: GazeTarget, *, seed: int) -> Angles:
    """Returns the angles of a target in the seed's world."""
    if target == "viewer":
        return 0.0, 0.0
    if target == "away":
        side = 1.0 if uniforms(seed, Purpose.GAZE, -(1 << 20), 1)[0] < 0.5 else -1.0
        return side * _AWAY[0], _AWAY[1]
    right, up = map(float, target)
    return right * _DEGREE, up * _DEGREE


def _turned(angles: Angles) -> Angles:
    """Returns how far the head turns towards these."""
    return _HEAD_SHARE * angles[0], _HEAD_SHARE * angles[1]


def _towards(angles: Angles, goal: Angles) -> Angles:
    return (
        angles[0] + _SHARE * (goal[0] - angles[0]),
        angles[1] + _SHARE * (goal[1] - angles[1]),
    )
