"""A style in time: what the settings are at one frame, eased where they change.

Changes are asked for by media time, so that no cut of the input can move them. A style that
nobody changes passes through exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import MOTION_FPS, SAMPLES_PER_MOTION_FRAME
from streaming_model.motion.emotion import EmotionScales, emotion_scales
from streaming_model.motion.noise import Purpose, smooth_noise
from streaming_model.motion.style import AUTO, EMOTIONS, MotionStyle, style_vector

Floats = NDArray[np.float32]

_SECONDS: Final = 0.13  # of each of two low-passes: 90 % of a change within half a second
_SHARE: Final = np.float32(1.0 - np.exp(-1.0 / (MOTION_FPS * _SECONDS)))
_EASED: Final = ("articulation", "head_motion", "expressiveness", "whisper", "captured")
_ARRIVED: Final = np.float32(1e-6)
_LIVELINESS: Final = 0.1  # of an emotion's weight, so that it is not a mask
_LIVELY_SECONDS: Final = 2.3


@dataclass(frozen=True, slots=True)
class MannerState:
    """How far the settings have come.

    Attributes:
        style: what is asked for now.
        coming: (media time, style) of changes ahead, in order.
        way: [11] state of the first low-pass: the eased numbers, then the emotions' weights.
        reached: [11] state of the second.
    """

    style: MotionStyle
    coming: tuple[tuple[int, MotionStyle], ...]
    way: Floats
    reached: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Manner:
    """The settings of one frame.

    Attributes:
        style: with its numbers eased; the emotion is in `emotions`.
        emotions: [6] weights of the emotions.
        scales: what they do to the motion.
    """

    style: MotionStyle
    emotions: Floats
    scales: EmotionScales

    def vector(self, names: tuple[str, ...], *, known: NDArray[np.bool_]) -> Floats:
        """Returns [len(names)] a network's style input.

        Args:
            names: the numbers that the network takes.
            known: [6] which emotions are among them; of the others, the scales act here.
        """
        return _told(self, names, known.tobytes())

    def life_style(self) -> MotionStyle:
        """Returns the style that the life layer moves by."""
        style, scales = self.style, self.scales
        if scales == _UNSCALED:
            return style
        return replace(
            style,
            head_motion=style.head_motion * scales.head,
            expressiveness=style.expressiveness * scales.brows,
            blink_rate=style.blink_rate * scales.blinks,
        )


def start_manner(style: MotionStyle) -> MannerState:
    """Returns the state of a stream whose style is there from the first frame on."""
    numbers = _goal(style)
    return MannerState(style, (), numbers, numbers)


def change_manner(state: MannerState, style: MotionStyle, *, at: int) -> MannerState:
    """Returns the state with another style from a media time on, instead of what was to come."""
    kept = tuple(change for change in state.coming if change[0] < at)
    return replace(state, coming=(*kept, (at, style)))


def next_manner(
    state: MannerState, *, frame: int, time: int, seed: int, felt: Floats
) -> tuple[MannerState, Manner]:
    """Returns the next state and the manner of `frame`.

    Args:
        state: the state before the frame.
        frame: the frame's number since the stream began; frames are asked for in order.
        time: its media time.
        seed: decides how the emotion's strength wavers.
        felt: [6] the emotions heard in the voice, for a style whose emotion is `auto`.
    """
    style, coming = state.style, state.coming
    while coming and coming[0][0] <= time:
        style, coming = coming[0][1], coming[1:]
    goal = _goal(style)
    if style.emotion == AUTO:
        goal = np.concatenate([goal[: len(_EASED)], felt * np.float32(style.intensity)])
    way, reached = _eased(state.way, goal), state.reached
    if reached is not way:
        reached = _eased(reached, way)
    moved = MannerState(style, coming, way, reached)
    return moved, _manner(style, reached, frame=frame, seed=seed)


def manners_ahead(
    state: MannerState, *, frames: range, origin: int, seed: int, felt: Floats
) -> tuple[MannerState, list[Manner]]:
    """Returns the state after `frames`, counted from media time `origin`, and each one's manner."""
    manners = []
    for frame in frames:
        time = origin + frame * SAMPLES_PER_MOTION_FRAME
        state, manner = next_manner(state, frame=frame, time=time, seed=seed, felt=felt)
        manners.append(manner)
    return state, manners


def _eased(value: Floats, goal: Floats) -> Floats:
    """Returns a low-pass one frame on; once it has arrived, the goal itself."""
    if value is goal:
        return goal
    eased = value + _SHARE * (goal - value)
    return goal if np.abs(goal - eased).max() < _ARRIVED else eased


def _manner(style: MotionStyle, reached: Floats, *, frame: int, seed: int) -> Manner:
    goal = _goal(style)
    numbers, emotions = reached[: len(_EASED)], reached[len(_EASED) :]
    if reached is goal:
        steady = _steady(style)
    elif np.array_equal(numbers, goal[: len(_EASED)]):
        steady = _felt(style, emotions)
    else:
        eased = dict(zip(_EASED, numbers.tolist(), strict=True))
        steady = _felt(replace(style, **eased), emotions)
    if steady.scales == _UNSCALED:
        return steady
    time = frame / MOTION_FPS / _LIVELY_SECONDS
    wavering = smooth_noise(seed, Purpose.EMOTION, time=time, channel=0)
    return _felt(steady.style, steady.emotions * np.float32(1.0 + _LIVELINESS * wavering))


@lru_cache(maxsize=256)
def _told(manner: Manner, names: tuple[str, ...], known: bytes) -> Floats:
    """Returns `Manner.vector`, the same array for the same manner: most last for minutes."""
    style, is_known = manner.style, np.frombuffer(known, np.bool_)
    scales = emotion_scales(manner.emotions * ~is_known)
    vector = style_vector(
        names,
        articulation=style.articulation,
        head_motion=style.head_motion * scales.head,
        expressiveness=style.expressiveness * scales.brows,
        emotions=manner.emotions,
        whisper=style.whisper,
        captured=style.captured,
    )
    vector.flags.writeable = False
    return vector


@lru_cache(maxsize=256)
def _steady(style: MotionStyle) -> Manner:
    """Returns the manner of a style that has been reached."""
    return _felt(style, style.emotion_weights())


def _felt(style: MotionStyle, emotions: Floats) -> Manner:
    return Manner(style, emotions, emotion_scales(emotions))


@lru_cache(maxsize=256)
def _goal(style: MotionStyle) -> Floats:
    """Returns [11] the numbers of a style, the same array for the same style."""
    numbers = [getattr(style, name) for name in _EASED]
    goal = np.concatenate([np.array(numbers, np.float32), style.emotion_weights()])
    goal.flags.writeable = False
    return goal


_UNSCALED: Final = emotion_scales(np.zeros(len(EMOTIONS), np.float32))
