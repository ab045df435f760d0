"""Clips: held-out speech of some ten seconds, and what the training procedure makes of its phones.

The procedure is called the oracle: it is told the phones that the model has to hear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import SAMPLE_RATE, SAMPLES_PER_MOTION_FRAME
from streaming_model.motion_space import INDEX
from training.coarticulation import SpeakingStyle, mouth_motion
from training.corpus import Utterance
from training.dataset import phone_effort, plain_stream
from training.phones import PHONE_INDEX, PHONES, SILENCE

Motion = NDArray[np.float32]
Samples = NDArray[np.float32]

SHORTEST: Final = 10 * SAMPLE_RATE  # of a clip's speech: its percentiles need some
PAUSE: Final = SAMPLE_RATE * 3 // 10  # between the utterances of a clip


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Speech between half seconds of silence.

    Attributes:
        voice: who speaks.
        samples: [n] float32 at 16 kHz, whole frames.
        phones: names of the phones, silences included.
        bounds: [phones + 1] samples.
        oracle: [frames, 58] what coarticulation makes of these phones, the head at rest.
    """

    voice: str
    samples: Samples
    phones: tuple[str, ...]
    bounds: NDArray[np.int64]
    oracle: Motion

    @property
    def frames(self) -> int:
        """Number of motion frames."""
        return len(self.oracle)

    @property
    def middles(self) -> NDArray[np.float64]:
        """[frames] the sample in the middle of each frame, where its motion is meant."""
        return (np.arange(self.frames, dtype=np.float64) + 0.5) * SAMPLES_PER_MOTION_FRAME


def make_clips(utterances: Sequence[Utterance]) -> list[Clip]:
    """Returns all of the speech, utterances in a row joined to clips of ten seconds or more."""
    clips: list[Clip] = []
    waiting: list[Utterance] = []
    for index, utterance in enumerate(utterances):
        waiting.append(utterance)
        enough = sum(len(each.samples) for each in waiting) >= SHORTEST
        if enough or index == len(utterances) - 1:
            clips.append(make_clip(join(waiting)))
            waiting = []
    return clips


def join(utterances: Sequence[Utterance]) -> Utterance:
    """Returns the utterances as one, with a short silence between two."""
    samples: list[Samples] = []
    phones: list[int] = []
    bounds: list[int] = [0]
    for utterance in utterances:
        if samples:
            samples.append(np.zeros(PAUSE, np.float32))
            phones.append(PHONE_INDEX[SILENCE])
            bounds.append(bounds[-1] + PAUSE)
        start = bounds[-1]
        samples.append(utterance.samples)
        phones += utterance.phones.tolist()
        bounds += (start + utterance.bounds[1:]).tolist()
        # The last phone ends with the sound, so that what follows is not shifted.
        bounds[-1] = start + len(utterance.samples)
    text = " ".join(utterance.text for utterance in utterances)
    joined = np.concatenate(samples)
    return Utterance(joined, np.array(phones), np.array(bounds), utterances[0].voice, text)


def make_clip(utterance: Utterance) -> Clip:
    """Returns the utterance between silences, with its oracle motion."""
    samples, padded = plain_stream(utterance)
    frames = len(samples) // SAMPLES_PER_MOTION_FRAME
    oracle = mouth_motion(
        padded.phones,
        padded.bounds,
        frames=frames,
        style=SpeakingStyle(),
        effort=phone_effort(padded),
    )
    return Clip(
        voice=utterance.voice,
        samples=samples[: frames * SAMPLES_PER_MOTION_FRAME],
        phones=tuple(PHONES[phone] for phone in padded.phones),
        bounds=padded.bounds,
        oracle=oracle,
    )


def energy_mouth(clip: Clip) -> Motion:
    """Returns the baseline that opens the mouth with the loudness, in the oracle's mean shape."""
    frames = clip.samples.reshape(-1, SAMPLES_PER_MOTION_FRAME)
    loudness = 20 * np.log10(np.sqrt(np.mean(np.square(frames), axis=1)) + 1e-5)
    floor, top = np.percentile(loudness, [10, 95])
    drive = np.clip((loudness - floor) / (top - floor + 1e-6), 0, 1)
    mean = clip.oracle.mean(axis=0)
    motion: Motion = (drive[:, None] / drive.mean() * mean).astype(np.float32)
    motion[:, INDEX["mouthClose"]] = 0.0
    return motion
