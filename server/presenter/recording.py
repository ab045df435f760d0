"""Recorded speech as a script: decoded once, cut at its captions or where it is quiet.

Knows no session. Sound is kept as 16-bit integers at 48 kHz, 96 kB a second.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from server.ingest import SOUND_RATE, SOUND_RATIO, AlignedAudio, Ingest
from server.media_files import AudioFile
from server.pacing import MILLISECOND
from server.speech import BLOCK
from streaming_model.errors import AudioError
from streaming_model.media import SAMPLE_RATE

LONGEST_MINUTES = 20
_MOST = LONGEST_MINUTES * 60 * SAMPLE_RATE  # samples at 16 kHz
_SCALE = 32767
_PIECE = SAMPLE_RATE // 2  # samples converted at a time
_FRAME = 20 * MILLISECOND  # samples looked at for quiet
_QUIET = 0.05  # of the loudest frames' level; less is a pause
_LOUD_SHARE = 95  # percentile of the frames' levels that counts as loud
_LEAST_PAUSE = 15  # frames, 300 ms: shorter ones are within a sentence
_SHORTEST, _LONGEST = 2 * SAMPLE_RATE, 30 * SAMPLE_RATE  # of a part, in samples


@dataclass(frozen=True, eq=False, slots=True)
class Recording:
    """Recorded sound.

    Attributes:
        name: of its file.
        sound: [3 n] int16 at 48 kHz.
    """

    name: str
    sound: NDArray[np.int16]

    @property
    def samples(self) -> int:
        """Its length at 16 kHz."""
        return len(self.sound) // SOUND_RATIO


@dataclass(frozen=True, slots=True)
class Clip:
    """A part of a recording.

    Attributes:
        recording: all of it.
        start: its first sample, at 16 kHz.
        end: the sample after its last.
        caption: at which of its own samples its text begins.
    """

    recording: Recording
    start: int
    end: int
    caption: int = 0

    def pieces(self, skip: int) -> Iterator[AlignedAudio]:
        """Yields its sound from the sample `skip` on, half a second at a time."""
        ingest = Ingest(sample_rate=SOUND_RATE)
        for start in range(self.start + skip, self.end, _PIECE):
            stop = min(start + _PIECE, self.end)
            part = self.recording.sound[start * SOUND_RATIO : stop * SOUND_RATIO]
            yield ingest.push(part.astype(np.float32) * np.float32(1 / _SCALE))
        yield ingest.finish()


def read_recording(path: Path, name: str) -> Recording:
    """Decodes any audio or video file.

    Raises:
        AudioError: it cannot be used, or is longer than twenty minutes.
    """
    parts: list[NDArray[np.int16]] = []
    samples = 0
    with AudioFile(path, name) as file:
        ingest = Ingest(sample_rate=file.sample_rate)
        for block in file.blocks():
            samples += _keep(parts, ingest.push(block))
            if samples > _MOST:
                raise AudioError(
                    f"'{name}' is longer than {LONGEST_MINUTES} minutes, the most for a script."
                )
        _keep(parts, ingest.finish())
    recording = Recording(name, np.concatenate(parts))
    if not recording.samples:
        raise AudioError(f"'{name}' holds no audio that can be decoded.")
    return recording


def quiet_places(recording: Recording) -> list[int]:
    """Returns where a recording is cut: in pauses, whole blocks of 40 ms from its beginning."""
    count = recording.samples // _FRAME
    frames = recording.sound[: count * _FRAME * SOUND_RATIO].reshape(count, _FRAME * SOUND_RATIO)
    levels = np.sqrt(np.array([np.mean(np.square(frame, dtype=np.float64)) for frame in frames]))
    is_quiet = levels < _QUIET * np.percentile(levels, _LOUD_SHARE) if count else levels > 0
    cuts, last = list[int](), 0
    for start, end in _runs(is_quiet):
        while start * _FRAME - last > _LONGEST:
            last += _LONGEST
            cuts.append(last)
        middle = on_block((start + end) // 2 * _FRAME)
        is_pause = end - start >= _LEAST_PAUSE
        if is_pause and middle - last >= _SHORTEST and count > end:
            cuts.append(middle)
            last = middle
    while recording.samples - last > _LONGEST:
        last += _LONGEST
        cuts.append(last)
    return cuts


def clips(recording: Recording, cuts: list[int]) -> list[Clip]:
    """Returns the parts between the cuts, none of them empty; cuts fall on whole blocks."""
    inner = sorted({on_block(cut) for cut in cuts if 0 < on_block(cut) < recording.samples})
    bounds = [0, *inner, recording.samples]
    return [Clip(recording, start, end) for start, end in itertools.pairwise(bounds)]


def _keep(parts: list[NDArray[np.int16]], audio: AlignedAudio) -> int:
    parts.append(np.round(audio.sound * _SCALE).astype(np.int16))
    return len(audio)


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Returns where stretches of True begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def on_block(sample: int) -> int:
    """Returns the nearest beginning of a block: parts that end there follow without a gap."""
    return round(sample / BLOCK) * BLOCK
