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
from streaming_model.motion.smoothing import SMOOTHED, smooth, start_smoothing
from streaming_model.motion_space import MOTION_SIZE, POSE
from training.corpus.utterances import Utterance
from training.dataset import Stream, engine_of

Samples = NDArray[np.float32]
_MOST: Final = 3.5
_MOST_FACE: Final = 1.25
_UPPER_FACE: Final = np.setdiff1d(SMOOTHED, np.arange(MOTION_SIZE)[POSE])
_STILL: Final = 1e-4  # in units of a number's spread: one that moves less is left alone
_CHUNK: Final = 2  # frames, as is served
_SECONDS: Final = 12  # in which a spread is meant: about a spoken clip
_PAUSE: Final = SAMPLE_RATE * 2 // 5
_SEEDS: Final = 24  # a head is a slow thing: a minute of it says its spread to a fifth


def some_speech(utterances: Sequence[Utterance]) -> list[Samples]:
    """Returns speech by each engine with pauses before and between, equally long, 12 s at most."""
    engines: dict[str, list[Samples]] = {}
    for utterance in utterances:
        spoken = engines.setdefault(engine_of(utterance.voice)[0], [])
        spoken += [np.zeros(_PAUSE, np.float32), utterance.samples]
    joined = [np.concatenate(each)[: _SECONDS * SAMPLE_RATE] for each in engines.values()]
    length = min(map(len, joined))
    return [each[:length] for each in joined]


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
    """

    spread: NDArray[np.float64]
    speed: NDArray[np.float64]


def made_motion(folder: Path, recordings: Sequence[Samples], *, seed: int) -> Moved:
    """Returns how much a model moves in the speech that it is served.

    Args:
        folder: of weights; their gains do not count.
        recordings: speech at 16 kHz, equally long.
        seed: of the motion.
    """
    generator = load_motion_generator(folder, chunk_frames=_CHUNK)
    size = _CHUNK * SAMPLES_PER_MOTION_FRAME
    variances, speeds = [], []
    for first in range(_SEEDS):
        seeds = range(seed + first * len(recordings), seed + (first + 1) * len(recordings))
        states = [generator.start(seed=each) for each in seeds]
        smoothing, made = [start_smoothing() for _ in states], []
        for start in range(0, len(recordings[0]) // size * size, size):
            chunks = [AudioChunk(start, each[start : start + size]) for each in recordings]
            states, given = generator.step(states, chunks)
            if not given[0]:
                continue
            pairs = [
                smooth(each, state.history[-_CHUNK:, :MOTION_SIZE])
                for each, state in zip(smoothing, states, strict=True)
            ]
            smoothing = [after for after, _ in pairs]
            made.append(np.stack([motion for _, motion in pairs]))
        motions = np.concatenate(made, axis=1).astype(np.float64)
        variances.append(_variance(motions))
        speeds.append(np.abs(np.diff(motions, axis=1)).mean(axis=(0, 1)))
    return Moved(np.sqrt(np.mean(variances, axis=0)), np.mean(speeds, axis=0))


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

    A student's head is a little quicker for how far it goes: it is given neither as far nor as
    fast as its teacher's, but as much beyond the one as it stays behind the other.
    """
    given = np.array(gains)
    ratio = np.sqrt(_ratio(teacher.spread, made.spread) * _ratio(teacher.speed, made.speed))
    given[POSE] = np.clip(given[POSE] * ratio[POSE], 1.0, _MOST)
    face = _ratio(teacher.spread, made.spread)[_UPPER_FACE]
    given[_UPPER_FACE] = np.clip(face, 1.0, _MOST_FACE)
    return [float(gain) for gain in given]


def _ratio(theirs: NDArray[np.float64], ours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns theirs over ours, 1 for what does not move."""
    return np.divide(theirs, ours, out=np.ones_like(ours), where=ours > _STILL)
