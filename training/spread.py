"""How far a network's head and upper face move beside what they learnt from.

It is told to go on from its own last frames and is drawn back to its place (`motion.homing`), and
few steps regress what sound leaves open towards the mean: it moves less than it was shown. A gain
for each number makes up for that when motion is given (variance matching); what it goes on from
stays as it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import MOTION_FPS, SAMPLE_RATE, SAMPLES_PER_MOTION_FRAME, AudioChunk
from streaming_model.motion import Activity, load_motion_generator
from streaming_model.motion.contacts import NETWORK_SIZE
from streaming_model.motion.smoothing import LOW_PASS, SMOOTHED, smooth, start_smoothing
from streaming_model.motion_space import MOTION_SIZE, POSE
from training.corpus.utterances import Utterance
from training.dataset import Stream, engine_of

Floats = NDArray[np.float32]
Samples = NDArray[np.float32]
_MOST: Final = 3.5
_MOST_FACE: Final = 2.0
_UPPER_FACE: Final = np.setdiff1d(SMOOTHED, np.arange(MOTION_SIZE)[POSE])
_STILL: Final = 1e-4  # in units of a number's spread: one that moves less is left alone
_CHUNK: Final = 2  # frames, as is served
_SECONDS: Final = 12  # in which a spread is meant: about a spoken clip
_PAUSE: Final = SAMPLE_RATE * 2 // 5
_FINER: Final = 0.005  # seconds from one low-pass to the next that is tried, up to twice the first
# A head is a slow thing, and moves with what is said: a minute of it says its spread to a fifth.
_CLIPS: Final = 4  # of each engine
_SEEDS: Final = 8  # of each clip


def some_speech(utterances: Sequence[Utterance]) -> list[Samples]:
    """Returns clips of speech by each engine with pauses before and between.

    They are equally long, 12 s at most, up to four of each engine, and equally many.
    """
    engines: dict[str, list[Samples]] = {}
    for utterance in utterances:
        spoken = engines.setdefault(engine_of(utterance.voice)[0], [])
        spoken += [np.zeros(_PAUSE, np.float32), utterance.samples]
    joined = [np.concatenate(each) for each in engines.values()]
    shortest, most = min(map(len, joined)), _SECONDS * SAMPLE_RATE
    count, length = min(max(shortest // most, 1), _CLIPS), min(shortest, most)
    starts = range(0, count * length, length)
    return [each[start : start + length] for each in joined for start in starts]


def shown_spread(streams: Sequence[Stream], scale: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns [6] how far heads that speak move about their mean, in the network's units."""
    spoken = [each for each in streams if each.activity is Activity.SPEAK and each.mask.all()]
    heads = np.stack([each.motion[:, POSE].astype(np.float64) for each in spoken])
    spread: NDArray[np.float64] = np.sqrt(_variance(heads)) / scale[POSE]
    return spread


class Moved(NamedTuple):
    """How much each of the 58 numbers moves, in the network's units.

    Attributes:
        spread: [58] standard deviation in a clip.
        speed: [58] mean of what changes from frame to frame.
        jerk: [58] mean of what changes in the change of that.
    """

    spread: NDArray[np.float64]
    speed: NDArray[np.float64]
    jerk: NDArray[np.float64]


def made_motion(
    folder: Path, recordings: Sequence[Samples], *, seed: int, steps: int | None = None
) -> Floats:
    """Returns [clips, frames, 58] what a model makes of speech, in its own units, not smoothed.

    Args:
        folder: of weights; their gains do not count.
        recordings: speech at 16 kHz, equally long.
        seed: of the motion.
        steps: of the sampler; the model's own number if None.
    """
    generator = load_motion_generator(folder, steps=steps, chunk_frames=_CHUNK)
    size = _CHUNK * SAMPLES_PER_MOTION_FRAME
    clips = []
    for first in range(_SEEDS):
        seeds = range(seed + first * len(recordings), seed + (first + 1) * len(recordings))
        states, made = [generator.start(seed=each) for each in seeds], []
        for start in range(0, len(recordings[0]) // size * size, size):
            chunks = [AudioChunk(start, each[start : start + size]) for each in recordings]
            states, given = generator.step(states, chunks)
            if given[0]:
                made.append([state.history[-_CHUNK:, :MOTION_SIZE] for state in states])
        clips += [np.concatenate(clip) for clip in zip(*made, strict=True)]
    return np.stack(clips)


def moved(made: Floats, *, low_pass: tuple[float, float] = LOW_PASS) -> Moved:
    """Returns how much the clips of `made_motion` move behind a low-pass (`smoothing.smooth`)."""
    shown = [smooth(start_smoothing(), clip, low_pass=low_pass)[1] for clip in made]
    motions = np.stack(shown).astype(np.float64)
    speed, jerk = (np.abs(np.diff(motions, order, axis=1)).mean(axis=(0, 1)) for order in (1, 3))
    return Moved(np.sqrt(_variance(motions)), speed, jerk)


def low_pass(made: Floats, *, teacher: Moved) -> tuple[float, float]:
    """Returns the time constants of the low-pass for a student's head and upper face, in seconds.

    They are the shortest with which neither is quicker for how far it goes than its teacher's, nor
    trembles more for how quick it is: the fewer steps, the more of the noise is left.
    """
    tried = [
        (LOW_PASS[0] + steps * _FINER, LOW_PASS[1] + steps * _FINER)
        for steps in range(round(LOW_PASS[0] / _FINER) + 1)
    ]
    shown = [moved(made, low_pass=each) for each in tried]
    found = [
        next((at for at, each in enumerate(shown) if _is_calm(each, teacher, part)), len(tried) - 1)
        for part in (np.arange(MOTION_SIZE)[POSE], _UPPER_FACE)
    ]
    return round(tried[found[0]][0], 3), round(tried[found[1]][1], 3)


def _is_calm(student: Moved, teacher: Moved, part: NDArray[np.intp]) -> bool:
    """Returns whether a part of the face is no quicker and trembles no more than the teacher's."""
    ours, theirs = (
        (_ratio(each.speed, each.spread)[part].mean(), _ratio(each.jerk, each.speed)[part].mean())
        for each in (student, teacher)
    )
    return bool(ours[0] <= theirs[0] and ours[1] <= theirs[1])


def _variance(motions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns [numbers] of [batch, frames, numbers], within pieces; a rest at the end is left."""
    piece = min(_SECONDS * MOTION_FPS, motions.shape[1])
    whole = motions[:, : motions.shape[1] // piece * piece]
    pieces = whole.reshape(-1, piece, motions.shape[2])
    variance: NDArray[np.float64] = pieces.var(axis=1).mean(axis=0)
    return variance


def head_gains(made: Moved, *, wanted: NDArray[np.float64]) -> list[float]:
    """Returns the gain of each of the network's numbers, 1 but for the pose.

    Args:
        made: what it moves.
        wanted: [6] how far the pose is to.
    """
    gains = np.ones(NETWORK_SIZE)
    gains[POSE] = np.clip(wanted / np.maximum(made.spread[POSE], _STILL), 1.0, _MOST)
    return [float(gain) for gain in gains]


def student_gains(made: Moved, *, teacher: Moved, gains: Sequence[float]) -> list[float]:
    """Returns the gains of a student whose teacher has these: 1 but for pose and upper face.

    Behind its `low_pass` it goes as far as its teacher.
    """
    given, ratio = np.array(gains), _ratio(teacher.spread, made.spread)
    given[POSE] = np.clip(given[POSE] * ratio[POSE], 1.0, _MOST)
    given[_UPPER_FACE] = np.clip(given[_UPPER_FACE] * ratio[_UPPER_FACE], 1.0, _MOST_FACE)
    return [float(gain) for gain in given]


def _ratio(theirs: NDArray[np.float64], ours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns theirs over ours, 1 for what does not move."""
    return np.divide(theirs, ours, out=np.ones_like(ours), where=ours > _STILL)
