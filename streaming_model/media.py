"""Audio, motion and video on one integer clock.

Media time is the index of a 16 kHz audio sample since the stream began. It knows no
wall clock and no float seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000  # Hz, the media clock
MOTION_FPS = 25  # motion frames per second, fixed by the model
SAMPLES_PER_MOTION_FRAME = SAMPLE_RATE // MOTION_FPS  # 640, exact


def frame_start(index: int, fps: int) -> int:
    """Returns the media time, in 16 kHz samples, at which frame `index` begins.

    Computed from the index and never summed, so that no rounding error accumulates at rates
    that do not divide 16,000.
    """
    return index * SAMPLE_RATE // fps


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """A run of mono 16 kHz audio.

    Attributes:
        start: media time of the first sample.
        samples: [n] float32 in -1..1, read-only by convention.
        utterance: number of the utterance this audio belongs to; raised at each interruption.
    """

    start: int
    samples: NDArray[np.float32]
    utterance: int = 0

    def __post_init__(self) -> None:
        if self.samples.ndim != 1 or self.samples.dtype != np.float32:
            shape, dtype = self.samples.shape, self.samples.dtype
            raise ValueError(f"AudioChunk.samples must be [n] float32, got {shape} {dtype}")

    @property
    def end(self) -> int:
        """Media time just after the last sample."""
        return self.start + len(self.samples)


@dataclass(frozen=True, slots=True)
class MotionChunk:
    """Consecutive motion frames, 25 a second.

    Attributes:
        start: media time of the first frame; frame k starts at `start + 640 * k`.
        motion: [frames, 58] float32 in the layout of `motion_space`.
        utterance: [frames] int64, the utterance that each frame's audio belongs to.
    """

    start: int
    motion: NDArray[np.float32]
    utterance: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One rendered picture.

    Attributes:
        start: media time of the audio sample it begins on.
        image: [height, width, 3] uint8 RGB, or [height, width, 4] uint8 straight RGBA.
        utterance: the utterance it belongs to.
    """

    start: int
    image: NDArray[np.uint8]
    utterance: int = 0
