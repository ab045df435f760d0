"""What a living face does whether or not it speaks: blinks, glances, breath, sway.

A seeded stochastic layer added to the generated motion, frame by frame. Its statistics are
set here and not learned, because a small diffusion model starves rare events: blinks, brow
raises, nods. Those that go with speech answer the mouth, which it never touches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import MOTION_FPS
from streaming_model.motion.gaze import GazeState, follow, start_gaze
from streaming_model.motion.noise import Purpose, normals, uniforms
from streaming_model.motion.style import MotionStyle
from streaming_model.motion.wander import wander
from streaming_model.motion_space import INDEX, MOTION_SIZE, POSE

_DEGREE: Final = np.pi / 180

# Frames of lid closure from open to open: two or three to close, one shut, four to six to open.
_BLINKS: Final = (
    (0.5, 1.0, 0.7, 0.4, 0.18, 0.05),
    (0.45, 1.0, 0.8, 0.5, 0.25, 0.1, 0.03),
    (0.3, 0.8, 1.0, 0.75, 0.45, 0.2, 0.07),
    (0.3, 0.75, 1.0, 0.85, 0.6, 0.35, 0.15, 0.05),
)
_BLINK_REFRACTORY: Final = 1.0  # s between two blinks at least
_BLINK_BROW: Final = 0.07
_BLINK_SQUINT: Final = 0.12

_EYE_FULL_TURN: Final = 30 * _DEGREE  # eye rotation at which an eyeLook coefficient is 1
_GLANCE: Final = (7.0 * _DEGREE, 4.0 * _DEGREE)  # spread, sideways and up or down
_MICROSACCADE: Final = 0.35 * _DEGREE
_HELD_BY_EYES: Final = 0.8  # share of a head turn that the eyes undo to keep their target

# Beats: brows and head answer some of the syllables for which the mouth opens wide.
_BEAT_OPENING: Final = 0.08  # jaw opening that a beat needs at least
_BEAT_PROMINENCE: Final = 1.2  # and how far above the mean of this speaker's open mouth
_MEAN_SHARE: Final = 0.04  # share of the way per frame of that mean
_BEAT_WAIT: Final = (0.7, 1.8)  # s between two beats
_BEAT_RISE: Final = 0.16  # s to the beat's peak
_RAISE_SHARE: Final = 0.5  # of the beats lift the brows
_FROWN_SHARE: Final = 0.12  # and these draw them together
_BROW_SIZE: Final = (0.14, 0.34)
_NOD_SHARE: Final = 0.65
_NOD_SIZE: Final = (0.9, 2.4)  # degrees

_LONG_AGO: Final = -1000  # a frame

_PITCH, _YAW, _ROLL = INDEX["headPitch"], INDEX["headYaw"], INDEX["headRoll"]
_JAW, _CLOSE, _BROW_INNER = INDEX["jawOpen"], INDEX["mouthClose"], INDEX["browInnerUp"]
_BROW_OUTER, _BROW_DOWN, _WIDE, _SQUINT, _LIDS, _LOOK_UP, _LOOK_DOWN = (
    [INDEX[f"{name}Left"], INDEX[f"{name}Right"]]
    for name in (
        "browOuterUp",
        "browDown",
        "eyeWide",
        "eyeSquint",
        "eyeBlink",
        "eyeLookUp",
        "eyeLookDown",
    )
)
_LOOK_RIGHT: Final = [INDEX["eyeLookOutLeft"], INDEX["eyeLookInRight"]]
_LOOK_LEFT: Final = [INDEX["eyeLookInLeft"], INDEX["eyeLookOutRight"]]


@dataclass(frozen=True, slots=True)
class LifeState:
    """Where the face is in its blinks and glances.

    Attributes:
        frame: index of the next frame.
        blink: number of blinks begun.
        blink_frame: frame at which the latest blink began.
        glance: number of fixations begun.
        glance_frame: frame at which the latest one began.
        eyes: [2] radians, where the eyes point to, seen from their target: right, up.
        gaze: where the gaze is held, and how far the head has turned along.
        drift: seconds by which the head's wander is ahead of the clock.
        opening: mean opening of the mouth while it is open.
        beat: number of beats begun.
        beat_frame: frame at which the latest one began.
    """

    frame: int
    blink: int
    blink_frame: int
    glance: int
    glance_frame: int
    eyes: tuple[float, float]
    gaze: GazeState
    drift: float
    opening: float
    beat: int
    beat_frame: int


def start_life(seed: int, style: MotionStyle) -> LifeState:
    """Returns the state before the first frame: looking at its target, no blink under way."""
    gaze = start_gaze(style.gaze_target, seed=seed)
    return LifeState(0, 0, _LONG_AGO, 0, 0, (0.0, 0.0), gaze, 0.0, 0.15, 0, _LONG_AGO)


def live(
    state: LifeState,
    motion: NDArray[np.float32],
    *,
    seed: int,
    style: MotionStyle,
    tempo: float = 1.0,
) -> tuple[LifeState, NDArray[np.float32]]:
    """Returns the next state and [frames, 58] motion with life added; `tempo` is the wander's."""
    lively = motion.copy()
    for row in lively:
        state = live_frame(state, row, seed=seed, style=style, tempo=tempo)
    return state, lively


def live_frame(
    state: LifeState, row: NDArray[np.float32], *, seed: int, style: MotionStyle, tempo: float
) -> LifeState:
    """Adds life to one frame, [58] in place, and returns the next state."""
    ahead = state.drift
    state = _advance(state, row, seed=seed, style=style, tempo=tempo)
    now = state.frame - 1
    _add_beat(row, state, now=now, seed=seed, style=style)
    wander(row, seconds=now / MOTION_FPS, ahead=ahead, seed=seed, style=style)
    _add_gaze(row, state, seed=seed)
    _add_blink(row, state, now=now, seed=seed)
    return state


def _advance(
    state: LifeState, row: NDArray[np.float32], *, seed: int, style: MotionStyle, tempo: float
) -> LifeState:
    """Begins what is due at this frame, [58]: a blink, a glance, a beat. Returns the next state.

    The waits are asked for anew at every frame, so that a changed rate acts at once.
    """
    frame, blink, blink_frame = state.frame, state.blink, state.blink_frame
    gaze, leaps = follow(state.gaze, style.gaze_target, seed=seed)
    waited = frame - max(0, blink_frame)
    is_due = waited >= _blink_wait(seed, style.blink_rate, blink)
    # Eyes that travel far close on the way (Evinger et al. 1994).
    if is_due or (leaps and style.blink_rate > 0 and waited >= _BLINK_REFRACTORY * MOTION_FPS):
        blink, blink_frame = blink + 1, frame
    glance, glance_frame, eyes = state.glance, state.glance_frame, state.eyes
    if style.gaze <= 0:
        eyes = (0.0, 0.0)
    elif frame - glance_frame >= _fixation(seed, style.gaze, glance):
        glance, glance_frame = glance + 1, frame
        eyes = _glance_target(seed, style, glance)
    opening, beat, beat_frame = _hear_beat(state, row, seed=seed)
    # By name `replace` would take three times as long, at every frame of every session.
    return LifeState(
        frame + 1,
        blink,
        blink_frame,
        glance,
        glance_frame,
        eyes,
        gaze,
        state.drift + (tempo - 1.0) / MOTION_FPS,
        opening,
        beat,
        beat_frame,
    )


def _hear_beat(state: LifeState, row: NDArray[np.float32], *, seed: int) -> tuple[float, int, int]:
    """Returns mean opening, beat and its frame: one begins when the mouth opens unusually wide."""
    opening = float(row[_JAW] - row[_CLOSE])
    if opening < 0.02:
        return state.opening, state.beat, state.beat_frame
    shortest, longest = _BEAT_WAIT
    draw = uniforms(seed, Purpose.BEAT, state.beat, 8)[0]
    rested = state.frame - state.beat_frame >= MOTION_FPS * (shortest + (longest - shortest) * draw)
    prominent = opening > max(_BEAT_OPENING, _BEAT_PROMINENCE * state.opening)
    mean = state.opening + _MEAN_SHARE * (opening - state.opening)
    if rested and prominent:
        return mean, state.beat + 1, state.frame
    return mean, state.beat, state.beat_frame


def _add_beat(
    row: NDArray[np.float32], state: LifeState, *, now: int, seed: int, style: MotionStyle
) -> None:
    age = (now - state.beat_frame) / MOTION_FPS / _BEAT_RISE
    if not 0 < age < 8:
        return
    # Rises and falls without a jolt: value and velocity are zero where it begins.
    shape = (age * math.exp(1 - age)) ** 2
    kind, size, nods, nod, upward, yaw, roll = uniforms(seed, Purpose.BEAT, state.beat, 8)[1:]
    least, most = _BROW_SIZE
    brow = (least + (most - least) * size) * shape * style.expressiveness
    if kind < _RAISE_SHARE:
        row[_BROW_INNER] += brow
        row[_BROW_OUTER] += 0.7 * brow
        row[_WIDE] += 0.3 * brow
    elif kind < _RAISE_SHARE + _FROWN_SHARE:
        row[_BROW_DOWN] += 0.7 * brow
        row[_SQUINT] += 0.5 * brow
    if nods < _NOD_SHARE:
        least, most = _NOD_SIZE
        angle = (least + (most - least) * nod) * shape * style.head_motion * _DEGREE
        row[_PITCH] += -0.6 * angle if upward < 0.2 else angle
        row[_YAW] += 0.5 * angle * (2 * yaw - 1)
        row[_ROLL] += 0.5 * angle * (2 * roll - 1)


@lru_cache(maxsize=1024)
def _blink_wait(seed: int, blink_rate: float, number: int) -> int:
    """Returns frames to the next blink: never at once, then memoryless for the most part."""
    if blink_rate <= 0:
        return 1 << 40
    mean = 60.0 / blink_rate
    least = min(_BLINK_REFRACTORY, 0.5 * mean)
    first, second, third = uniforms(seed, Purpose.BLINK, number, 4)[:3]
    if third < 0.06:  # now and then people blink twice
        return round(0.44 * MOTION_FPS)
    # The sum of two exponentials: less clumped than one.
    spread = -0.5 * (math.log(1 - first) + math.log(1 - second))
    return max(8, int((least + (mean * 1.04 - least) * spread) * MOTION_FPS))


@lru_cache(maxsize=1024)
def _fixation(seed: int, gaze: float, number: int) -> int:
    wait = 0.35 - 1.5 * math.log(1 - 0.98 * uniforms(seed, Purpose.GAZE, number, 6)[0])
    return max(6, int(wait / max(gaze, 0.2) * MOTION_FPS))


def _glance_target(seed: int, style: MotionStyle, number: int) -> tuple[float, float]:
    """Returns where the eyes go: mostly close to the viewer's eyes, sometimes away."""
    draws = uniforms(seed, Purpose.GAZE, number, 6)
    sideways, upward = 2 * draws[1] - 1, 2 * draws[2] - 1
    if draws[3] < 0.72 or number % 2 == 0:
        return 1.2 * _DEGREE * sideways, 0.8 * _DEGREE * upward
    reach = min(style.gaze, 2.0)
    return 1.6 * _GLANCE[0] * sideways * reach, 1.3 * _GLANCE[1] * upward * reach


def _add_gaze(row: NDArray[np.float32], state: LifeState, *, seed: int) -> None:
    jitter_right, jitter_up = _microsaccade(seed, state.glance)
    (far_right, far_up), (turn_right, turn_up) = state.gaze.target, state.gaze.turn
    right = state.eyes[0] + jitter_right - _HELD_BY_EYES * float(row[_YAW])
    up = state.eyes[1] + jitter_up + _HELD_BY_EYES * float(row[_PITCH])
    # What the head has turned towards the target, the eyes need not.
    right, up = right + far_right - turn_right, up + far_up - turn_up
    row[_YAW] += turn_right
    row[_PITCH] -= turn_up
    # The face's left is the picture's right.
    for (left_eye, right_eye), angle in (
        (_LOOK_RIGHT, right),
        (_LOOK_LEFT, -right),
        (_LOOK_UP, up),
        (_LOOK_DOWN, -up),
    ):
        row[left_eye] = row[right_eye] = min(max(angle / _EYE_FULL_TURN, 0.0), 0.6)


@lru_cache(maxsize=1024)
def _microsaccade(seed: int, glance: int) -> tuple[float, float]:
    """Returns how far a glance misses its target, in radians to the right and up."""
    jitter = normals(Purpose.GAZE, [(seed, -1 - glance)], 2)[0] * _MICROSACCADE
    right, up = jitter.tolist()
    return right, up


def _add_blink(row: NDArray[np.float32], state: LifeState, *, now: int, seed: int) -> None:
    age = now - state.blink_frame
    shape = _BLINKS[int(uniforms(seed, Purpose.BLINK, state.blink, 4)[3] * len(_BLINKS))]
    closed = shape[age] if 0 <= age < len(shape) else 0.0
    # Lids follow the eyes down.
    resting = 0.35 * float(row[_LOOK_DOWN[0]])
    lid = resting + (1 - resting) * closed
    for index in _LIDS:
        row[index] = max(float(row[index]), lid)
    if closed:
        row[_WIDE] *= 1 - closed
        row[_SQUINT] += _BLINK_SQUINT * closed
        row[_BROW_DOWN] += _BLINK_BROW * closed


def limit_pose(motion: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns [..., 58] motion, coefficients in 0..1 and the head softly kept in its range."""
    from streaming_model.motion.rows import within

    limited = within(motion.reshape(-1, MOTION_SIZE), POSE.start, _POSE_LIMITS)
    return np.asarray(limited).reshape(motion.shape)


# Of pitch, yaw and roll, and of the head's shift in centimetres.
_POSE_LIMITS: Final = np.array([8 * _DEGREE, 12 * _DEGREE, 8 * _DEGREE, 1.5, 1.5, 1.5], np.float32)
