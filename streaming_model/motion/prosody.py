"""The feeling in a voice, guessed from its melody and loudness alone.

Pitch, its range, loudness, its liveliness and the share of voiced sound over the last second,
each against this speaker's own running mean, give arousal and valence, and those the weights of
the emotions. A heuristic: prosody tells aroused from calm speech well and glad from angry speech
badly (Juslin and Laukka 2003), it follows changes and not words, and nothing here was fitted to
rated speech. Fear and disgust have no safe acoustic sign and are never inferred.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import MOTION_FPS, SAMPLES_PER_MOTION_FRAME
from streaming_model.motion.style import EMOTIONS

Floats = NDArray[np.float32]

_QUIET: Final = -55.0  # dB of full scale, below which nothing is speech
_LOUDEST: Final = 12.0  # dB, above which it is no sound but a fault
_PAUSE: Final = 22.0  # dB below the speaker's own level

_NOW_SECONDS: Final = 1.2  # what is said now ...
_OWN_SECONDS: Final = 25.0  # ... against what this speaker mostly does
_WARM_SECONDS: Final = 3.0  # of speech until the difference is believed
_PRIOR_SECONDS: Final = 4.0  # of speech that the typical speaker counts for
_SETTLE_SECONDS: Final = 0.6
_FADE_SECONDS: Final = 2.5  # in a pause

# The numbers that are followed: pitch in semitones above 100 Hz, its spread in semitones, level
# in dB, its change in dB a frame, share of voiced frames.
_PITCH, _RANGE, _LEVEL, _LIVELY, _VOICING = range(5)
_TYPICAL: Final = (0.0, 2.4, 0.0, 3.6, 0.65)  # pitch and level have no typical value
_HAS_TYPICAL: Final = (False, True, False, True, True)
_SPREADS: Final = (2.2, 1.3, 4.0, 1.0, 0.16)  # of a neutral speaker, over a second or two
_AROUSAL: Final = (0.55, 0.45, 0.5, 0.25, 0.05)
_VALENCE: Final = (0.45, 0.6, -0.75, 0.1, 0.15)
_HAPPY, _SAD, _ANGRY, _SURPRISED = (
    EMOTIONS.index(name) for name in ("happy", "sad", "angry", "surprised")
)
_DEAD_ZONE: Final = 0.75  # of arousal: what neutral speech does, too
_LIMIT: Final = 3.0  # of a deviation, in spreads


@dataclass(frozen=True, slots=True)
class ProsodyState:
    """What was heard of a voice.

    Attributes:
        spoken: seconds of speech.
        voiced: seconds of voiced speech.
        level: dB, of the last frame.
        square: running mean of the pitch's square.
        now: the five numbers over the last second.
        own: the same over the speaker's last half minute.
        emotions: [6] weights of the emotions.
    """

    spoken: float
    voiced: float
    level: float
    square: float
    now: tuple[float, ...]
    own: tuple[float, ...]
    emotions: Floats


def start_prosody() -> ProsodyState:
    """Returns the state of a voice not heard yet."""
    silent = np.zeros(len(EMOTIONS), np.float32)
    return ProsodyState(0.0, 0.0, _QUIET, 0.0, _TYPICAL, _TYPICAL, silent)


def hear(state: ProsodyState, samples: Floats) -> ProsodyState:
    """Returns the state after some frames of 640 samples; `emotions` are what it sounds like."""
    frames = samples.reshape(-1, SAMPLES_PER_MOTION_FRAME)
    energies = [float(np.dot(frame, frame)) for frame in frames.astype(np.float64)]
    levels = [10 * math.log10(value / SAMPLES_PER_MOTION_FRAME + 1e-12) for value in energies]
    audible = [index for index, level in enumerate(levels) if _QUIET <= level <= _LOUDEST]
    pitches = dict(zip(audible, find_pitches(frames[audible]), strict=True)) if audible else {}
    for index, level in enumerate(levels):
        is_pause = state.spoken > 0 and level < state.own[_LEVEL] - _PAUSE
        if index not in pitches or is_pause:
            faded = state.emotions * np.float32(1.0 - _share(_FADE_SECONDS))
            state = replace(state, emotions=faded)
        else:
            state = _hear_voice(state, level=level, pitch=pitches[index])
    return state


def _hear_voice(state: ProsodyState, *, level: float, pitch: float) -> ProsodyState:
    semitones = 12 * math.log2(pitch / 100) if pitch else 0.0
    spoken, voiced = state.spoken + 1 / MOTION_FPS, state.voiced + (pitch > 0) / MOTION_FPS
    square, now = _follow(state, level=level, semitones=semitones, is_voiced=pitch > 0)
    own = _own(state, now, spoken=spoken, voiced=voiced)
    trust = min(1.0, voiced / _WARM_SECONDS) ** 2
    goal = np.float32(trust) * emotions_of(
        [(value - mine) / spread for value, mine, spread in zip(now, own, _SPREADS, strict=True)]
    )
    emotions = state.emotions + np.float32(_share(_SETTLE_SECONDS)) * (goal - state.emotions)
    return ProsodyState(spoken, voiced, level, square, now, own, emotions)


def emotions_of(deviations: list[float]) -> Floats:
    """Returns [6] weights for the deviations of the five numbers from the speaker's own.

    Aroused speech is surprised where the pitch soars, glad where its range grows more than its
    force, angry where force grows most; speech below the usual in everything is sad.
    """
    bounded = [min(max(value, -_LIMIT), _LIMIT) for value in deviations]
    arousal = sum(value * share for value, share in zip(bounded, _AROUSAL, strict=True))
    valence = sum(value * share for value, share in zip(bounded, _VALENCE, strict=True))
    weights = np.zeros(len(EMOTIONS), np.float32)
    if arousal < -_DEAD_ZONE:
        weights[_SAD] = 1 - math.exp(arousal + _DEAD_ZONE)
        return weights
    strength = 1 - math.exp(min(0.0, _DEAD_ZONE - arousal))
    gladness = 1 / (1 + math.exp(-1.5 * valence))
    surprise = 0.6 / (1 + math.exp(-2.5 * (bounded[_PITCH] - 2.0)))
    weights[_SURPRISED] = strength * surprise
    weights[_HAPPY] = strength * (1 - surprise) * gladness
    weights[_ANGRY] = strength * (1 - surprise) * (1 - gladness)
    return weights


def find_pitches(frames: Floats) -> list[float]:
    """Returns the fundamental of each of [frames, 640] samples in Hz, 0 where none is heard."""
    # Compiled: numba takes longer to import than a server that only starts has to wait.
    from streaming_model.motion.pitch import RATE, find_period

    halved = (frames[:, ::2] + frames[:, 1::2]).astype(np.float64)
    halved -= halved.mean(axis=1, keepdims=True)
    return [RATE / lag if lag else 0.0 for lag in map(find_period, halved)]


def _follow(
    state: ProsodyState, *, level: float, semitones: float, is_voiced: bool
) -> tuple[float, tuple[float, ...]]:
    """Returns the mean square of the pitch and the five numbers, one frame on."""
    share = _share(_NOW_SECONDS, after=state.spoken)
    pitch, spread, square = state.now[_PITCH], state.now[_RANGE], state.square
    if is_voiced:
        part = _share(_NOW_SECONDS, after=state.voiced)
        pitch += part * (semitones - pitch)
        square += part * (semitones * semitones - square)
        spread = math.sqrt(max(0.0, square - pitch * pitch))
    change = min(abs(level - state.level), 12.0)
    return square, (
        pitch,
        spread,
        state.now[_LEVEL] + share * (level - state.now[_LEVEL]),
        state.now[_LIVELY] + share * (change - state.now[_LIVELY]),
        state.now[_VOICING] + share * (is_voiced - state.now[_VOICING]),
    )


def _own(
    state: ProsodyState, now: tuple[float, ...], *, spoken: float, voiced: float
) -> tuple[float, ...]:
    own = []
    for index, (mine, value) in enumerate(zip(state.own, now, strict=True)):
        heard = voiced if index in (_PITCH, _RANGE) else spoken
        before = heard + _PRIOR_SECONDS * _HAS_TYPICAL[index]
        own.append(mine + _share(_OWN_SECONDS, after=before - 1 / MOTION_FPS) * (value - mine))
    return tuple(own)


def _share(seconds: float, *, after: float = math.inf) -> float:
    """Returns the share per frame of a running mean; a plain mean until `seconds` were heard."""
    return 1 / MOTION_FPS / min(seconds, max(after, 0.0) + 1 / MOTION_FPS)
