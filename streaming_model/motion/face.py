"""From the network's frames to the face that is shown: what is put over them, in order.

A low-pass, lips that touch, emotions that the network does not know, life, additions, limits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion.additive import Additions, blend
from streaming_model.motion.emotion import add_emotion
from streaming_model.motion.life import LifeState, limit_pose, live_frame, start_life
from streaming_model.motion.lips import hold_lips, speech_share
from streaming_model.motion.manner import Manner
from streaming_model.motion.smoothing import LOW_PASS, smooth, start_smoothing
from streaming_model.motion.style import MotionStyle

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FaceState:
    """Where the face is.

    Attributes:
        smoothing: state of the head's low-pass.
        speaking: envelope of the mouth's activity.
        life: state of blinks and gaze.
    """

    smoothing: Floats
    speaking: float
    life: LifeState


def start_face(seed: int, style: MotionStyle) -> FaceState:
    """Returns the state before the first frame."""
    return FaceState(start_smoothing(), 0.0, start_life(seed, style))


def finish_face(
    state: FaceState,
    motion: Floats,
    *,
    manners: Sequence[Manner],
    known: NDArray[np.bool_],
    additions: Additions,
    times: Sequence[int],
    seed: int,
    low_pass: tuple[float, float] = LOW_PASS,
) -> tuple[FaceState, Floats]:
    """Returns the next state and [frames, 58] motion as it is shown.

    Args:
        state: the state before these frames.
        motion: [frames, 58] from the network.
        manners: the settings of each frame.
        known: [6] the emotions that the network has put into the motion itself.
        additions: gestures and a live stream.
        times: media time of each frame.
        seed: the session's.
        low_pass: time constants in seconds (`smoothing.smooth`).
    """
    smoothing, motion = smooth(state.smoothing, motion, low_pass=low_pass)
    speaking, motion = hold_lips(state.speaking, motion)
    shares = speech_share(state.speaking, motion)
    if not known.all():
        ruled = np.stack([manner.emotions for manner in manners]) * ~known
        if ruled.any():
            motion = add_emotion(motion, ruled, shares)
    life, motion = _enliven(state.life, motion, manners=manners, seed=seed)
    motion = blend(additions, motion, times=times, speaking=shares)
    return FaceState(smoothing, speaking, life), limit_pose(motion)


def _enliven(
    life: LifeState, motion: Floats, *, manners: Sequence[Manner], seed: int
) -> tuple[LifeState, Floats]:
    lively = motion.copy()
    for row, manner in zip(lively, manners, strict=True):
        style, tempo = manner.life_style(), manner.scales.tempo
        life = live_frame(life, row, seed=seed, style=style, tempo=tempo)
    return life, lively
