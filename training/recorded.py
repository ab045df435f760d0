"""Recorded sounds without a voice, from folders: animals, instruments, households.

What is synthesised for training (`sounds`, `band`, `machines`) resembles itself. Real recordings,
where there are any, show the second look for voices what the world sounds like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from streaming_model.media import SAMPLE_RATE

Samples = NDArray[np.float32]
SUFFIXES: Final = (".flac", ".ogg", ".wav", ".mp3", ".opus")
_LONGEST: Final = 60 * SAMPLE_RATE
_SHORTEST: Final = SAMPLE_RATE // 50  # a shorter file holds nothing to hear
_LEAST: Final = 1e-4  # root mean square; what is softer is silence


def load_recordings(folder: Path) -> list[Samples]:
    """Returns the audio files below `folder`, in the order of their paths, at 16 kHz.

    Each has a root mean square of one, and lasts a minute at most.

    Raises:
        FileNotFoundError: there are none.
        av.FFmpegError: one cannot be read.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    recordings = []
    for path in paths:
        try:
            samples = _decoded(path)
        except av.FFmpegError as error:
            error.add_note(f"It happened in '{path}'.")
            raise
        power = float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0
        if len(samples) > _SHORTEST and power > _LEAST:
            recordings.append(samples / np.float32(power))
    if not recordings:
        raise FileNotFoundError(f"There is no audio file in '{folder}'.")
    return recordings


def scene(recordings: Sequence[Samples], length: int, rng: np.random.Generator) -> Samples:
    """Returns [length] of one to three recordings, each repeated at a pace and pitch of its own."""
    out = np.zeros(length, np.float32)
    for _ in range(int(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1]))):
        recording = recordings[int(rng.integers(len(recordings)))]
        gap = float(rng.choice([0.0, 0.2, 1.5]))  # s, about
        usual, gain = 2 ** rng.uniform(-0.7, 0.7), np.float32(rng.uniform(0.3, 1.0))
        start = int(rng.uniform(0, 0.5) * SAMPLE_RATE)
        while start < length:
            # Nothing alive cries twice at the same pitch.
            speed = usual * 2 ** rng.normal(0, 0.05)
            sound = soxr.resample(recording, SAMPLE_RATE * speed, SAMPLE_RATE)
            end = min(length, start + len(sound))
            out[start:end] += gain * sound[: end - start]
            start = end + int(gap * rng.uniform(0.3, 2.0) * SAMPLE_RATE) + 1
    return out


def scenes(recordings: Sequence[Samples]) -> Callable[[int, np.random.Generator], Samples]:
    """Returns a maker of sound like those of `machines`."""
    return lambda length, rng: scene(recordings, length, rng)


def _decoded(path: Path) -> Samples:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    parts: list[Samples] = []
    with av.open(str(path), metadata_errors="ignore") as container:
        for frame in container.decode(audio=0):
            parts += [np.asarray(part.to_ndarray()[0]) for part in resampler.resample(frame)]
            if sum(map(len, parts)) >= _LONGEST:
                break
    parts += [np.asarray(part.to_ndarray()[0]) for part in resampler.resample(None)]
    return np.concatenate(parts)[:_LONGEST] if parts else np.zeros(0, np.float32)
