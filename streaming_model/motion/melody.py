"""The arithmetic of `prosody`, a few frames at a time, in compiled loops.

Imported where it is first used: numba takes longer to import than a server that only starts has
to wait.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streaming_model.media import MOTION_FPS, SAMPLES_PER_MOTION_FRAME
from streaming_model.motion.pitch import RATE, find_period
from streaming_model.motion.style import EMOTIONS

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_QUIET: Final = -55.0  # dB of full scale, below which nothing is speech
_LOUDEST: Final = 12.0  # dB, above which it is no sound but a fault
_PAUSE: Final = 22.0  # dB below the speaker's own level

_NOW_SECONDS: Final = 1.2  # what is said now ...
_OWN_SECONDS: Final = 25.0  # ... against what this speaker mostly does
_WARM_SECONDS: Final = 3.0  # of speech until the difference is believed
_PRIOR_SECONDS: Final = 4.0  # of speech that the typical speaker counts for
_SETTLE_SECONDS: Final = 0.6
_FADE_SECONDS: Final = 2.5  # in a pause
_FRAME_SECONDS: Final = 1 / MOTION_FPS

# The numbers that are followed: pitch in semitones above 100 Hz, its spread in semitones, level
# in dB, its change in dB a frame, share of voiced frames.
_PITCH, _RANGE, _LEVEL, _LIVELY, _VOICING = range(5)
FOLLOWED: Final = 5
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

# What a voice is remembered by: seconds of speech, and of voiced speech, level of the last frame in
# dB, running mean of the pitch's square, then the five numbers now and the speaker's own.
_SPOKEN, VOICED, _LAST, _SQUARE = range(4)
_NOW: Final = 4
_OWN: Final = _NOW + FOLLOWED
START: Final = (0.0, 0.0, _QUIET, 0.0, *_TYPICAL, *_TYPICAL)


@njit(nogil=True, cache=True)
def pitch_of(frame: Floats) -> float:
    """Returns the fundamental of [640] samples in Hz, 0 where none is heard."""
    halved, total = np.empty(len(frame) // 2), 0.0
    for index in range(len(halved)):
        halved[index] = frame[2 * index] + frame[2 * index + 1]
        total += halved[index]
    for index in range(len(halved)):
        halved[index] -= total / len(halved)
    lag = find_period(halved)
    return RATE / lag if lag > 0 else 0.0


@njit(nogil=True, cache=True)
def _share(seconds: float, after: float) -> float:
    """Returns the share per frame of a running mean; a plain mean until `seconds` were heard."""
    return _FRAME_SECONDS / min(seconds, max(after, 0.0) + _FRAME_SECONDS)


@njit(nogil=True, cache=True)
def _follow(memory: Doubles, level: float, pitch: float) -> None:
    """Takes the five numbers one frame of speech on, and the speaker's own after them."""
    now = memory[_NOW:_OWN]
    share = _share(_NOW_SECONDS, memory[_SPOKEN])
    if pitch > 0:
        semitones, part = 12 * math.log2(pitch / 100), _share(_NOW_SECONDS, memory[VOICED])
        now[_PITCH] += part * (semitones - now[_PITCH])
        memory[_SQUARE] += part * (semitones * semitones - memory[_SQUARE])
        now[_RANGE] = math.sqrt(max(0.0, memory[_SQUARE] - now[_PITCH] * now[_PITCH]))
    now[_LEVEL] += share * (level - now[_LEVEL])
    now[_LIVELY] += share * (min(abs(level - memory[_LAST]), 12.0) - now[_LIVELY])
    now[_VOICING] += share * ((1.0 if pitch > 0 else 0.0) - now[_VOICING])
    memory[_SPOKEN] += _FRAME_SECONDS
    memory[VOICED] += _FRAME_SECONDS if pitch > 0 else 0.0
    memory[_LAST] = level
    for index in range(FOLLOWED):
        heard = memory[VOICED] if index in (_PITCH, _RANGE) else memory[_SPOKEN]
        before = heard + (_PRIOR_SECONDS if _HAS_TYPICAL[index] else 0.0) - _FRAME_SECONDS
        memory[_OWN + index] += _share(_OWN_SECONDS, before) * (now[index] - memory[_OWN + index])


@njit(nogil=True, cache=True)
def _emotions_of(memory: Doubles) -> Floats:
    """Returns [6] weights for how the five numbers deviate from the speaker's own.

    Aroused speech is surprised where the pitch soars, glad where its range grows more than its
    force, angry where force grows most; speech below the usual in everything is sad.
    """
    arousal = valence = soaring = 0.0
    for index in range(FOLLOWED):
        deviation = (memory[_NOW + index] - memory[_OWN + index]) / _SPREADS[index]
        deviation = min(max(deviation, -_LIMIT), _LIMIT)
        arousal += deviation * _AROUSAL[index]
        valence += deviation * _VALENCE[index]
        if index == _PITCH:
            soaring = deviation
    weights = np.zeros(len(EMOTIONS), np.float32)
    if arousal < -_DEAD_ZONE:
        weights[_SAD] = 1 - math.exp(arousal + _DEAD_ZONE)
        return weights
    strength = 1 - math.exp(min(0.0, _DEAD_ZONE - arousal))
    gladness = 1 / (1 + math.exp(-1.5 * valence))
    surprise = 0.6 / (1 + math.exp(-2.5 * (soaring - 2.0)))
    weights[_SURPRISED] = strength * surprise
    weights[_HAPPY] = strength * (1 - surprise) * gladness
    weights[_ANGRY] = strength * (1 - surprise) * (1 - gladness)
    return weights


@njit(nogil=True, cache=True)
def heard(memory: Doubles, emotions: Floats, samples: Floats) -> tuple[Doubles, Floats]:
    """Returns what a voice is remembered by and [6] its emotions, after some frames of sound.

    Args:
        memory: [14] as `START`.
        emotions: [6].
        samples: some frames of 640.
    """
    memory, emotions = memory.copy(), emotions.copy()
    for start in range(0, len(samples), SAMPLES_PER_MOTION_FRAME):
        frame = samples[start : start + SAMPLES_PER_MOTION_FRAME]
        power = 0.0
        for value in frame:
            power += value * value
        level = 10 * math.log10(power / SAMPLES_PER_MOTION_FRAME + 1e-12)
        # Not a number is not within either.
        is_audible = _QUIET <= level <= _LOUDEST
        if not is_audible or (memory[_SPOKEN] > 0 and level < memory[_OWN + _LEVEL] - _PAUSE):
            for index in range(len(emotions)):
                emotions[index] *= 1 - _share(_FADE_SECONDS, math.inf)
            continue
        _follow(memory, level, pitch_of(frame))
        trust = min(1.0, memory[VOICED] / _WARM_SECONDS) ** 2
        goal, share = _emotions_of(memory), _share(_SETTLE_SECONDS, math.inf)
        for index in range(len(emotions)):
            emotions[index] += share * (trust * goal[index] - emotions[index])
    return memory, emotions
