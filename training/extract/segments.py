"""A shot becomes an item to train on: motion at 25 frames a second with its sound, or a reason.

Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import SAMPLE_RATE, SAMPLES_PER_MOTION_FRAME
from streaming_model.motion_space import ARKIT_NAMES
from training.captured import Captured
from training.extract.calibration import Readings, face_motion, seen_channels
from training.extract.reasons import Reason
from training.extract.sync import FARTHEST_MS, STEP, Lag, loudness, sound_lag
from training.extract.watching import Sighting

Floats = NDArray[np.float64]

MIN_RATE: Final = 20.0  # pictures a second; slower ones miss closed lips
QUIETEST_DB: Final = -55.0  # of full scale, the level of the loudest twentieth
MAX_LAG_MS: Final = 80.0
CLEAR: Final = 0.3  # correlation from which a lag is believed
LEAST_RELATED: Final = 0.15  # correlation at the best lag under which it is another's voice


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured of a segment.

    Attributes:
        start_s, seconds: where in the film it is.
        pictures_per_second: of the film.
        face_width: median, pixels.
        detail: median of the face's fine detail over its contrast.
        presence: the landmark net's lowest.
        level_db: of the loudest twentieth, of full scale.
        lag_ms: by how much the sound comes after the lips.
        sync: correlation of mouth opening and loudness at that lag.
    """

    start_s: float
    seconds: float
    pictures_per_second: float
    face_width: float
    detail: float
    presence: float
    level_db: float
    lag_ms: float
    sync: float

    def numbers(self) -> dict[str, float]:
        """Returns them by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """An item, with what was measured of it.

    Attributes:
        item: sound, motion and mask.
        neutral: [52] the blendshape net's scores of the speaker's neutral.
        quality: the measurements.
    """

    item: Captured
    neutral: NDArray[np.float32]
    quality: Quality


def make_segment(
    run: Sequence[Sighting], sound: NDArray[np.float32] | None, *, min_seconds: float
) -> Segment | tuple[Reason, Lag | None]:
    """Returns what a shot is worth: an item, or the reason why not and the lag if it was looked at.

    Args:
        run: usable pictures of one shot.
        sound: the whole film's, 16 kHz from media time 0, or None.
        min_seconds: shorter ones are of no use.
    """
    times = np.array([sighting.time for sighting in run])
    first, frames = _whole_frames(times, 0 if sound is None else len(sound))
    if sound is None:
        return Reason.NO_SOUND, None
    if frames * SAMPLES_PER_MOTION_FRAME < min_seconds * SAMPLE_RATE:
        return Reason.SHORT, None
    rate = (len(times) - 1) * SAMPLE_RATE / float(times[-1] - times[0])
    if rate < MIN_RATE:
        return Reason.SLOW, None
    start = first * SAMPLES_PER_MOTION_FRAME
    samples = sound[start : start + frames * SAMPLES_PER_MOTION_FRAME]
    levels = loudness(samples)
    level = float(np.percentile(levels, 95))
    if level < QUIETEST_DB:
        return Reason.SILENT, None
    faces = [sighting.face for sighting in run if sighting.face is not None]
    seen = face_motion(
        Readings(
            landmarks=np.stack([face.landmarks for face in faces]),
            scores=np.array(
                [[face.blendshapes.get(name, 0.0) for name in ARKIT_NAMES] for face in faces],
                np.float32,
            ),
        )
    )
    instants = start + (np.arange(len(levels)) + 0.5) * STEP
    lag = sound_lag(np.interp(instants, times, seen.gap), levels)
    if lag.correlation < LEAST_RELATED or abs(lag.milliseconds) >= FARTHEST_MS:
        return Reason.UNRELATED, lag
    if abs(lag.milliseconds) > MAX_LAG_MS and lag.correlation > CLEAR:
        return Reason.SHIFTED, lag
    quality = Quality(
        start_s=start / SAMPLE_RATE,
        seconds=len(samples) / SAMPLE_RATE,
        pictures_per_second=rate,
        face_width=float(np.median([face.width for face in faces])),
        detail=float(np.median([sighting.detail for sighting in run])),
        presence=min(face.presence for face in faces),
        level_db=level,
        lag_ms=lag.milliseconds,
        sync=lag.correlation,
    )
    motion = _at_frames(times, seen.motion, first=first, frames=frames)
    item = Captured(samples, motion, seen_channels())
    return Segment(item, seen.neutral.astype(np.float32), quality)


def _whole_frames(times: NDArray[np.int64], length: int) -> tuple[int, int]:
    """Returns the first motion frame whose middle was seen, and how many there are with sound."""
    half = SAMPLES_PER_MOTION_FRAME // 2
    first = max(0, -(-(int(times[0]) - half) // SAMPLES_PER_MOTION_FRAME))
    last = (int(times[-1]) - half) // SAMPLES_PER_MOTION_FRAME
    end = min(last + 1, length // SAMPLES_PER_MOTION_FRAME)
    return first, max(0, end - first)


def _at_frames(
    times: NDArray[np.int64], motion: Floats, *, first: int, frames: int
) -> NDArray[np.float32]:
    """Returns the motion at the middles of motion frames, linear between pictures: no delay."""
    middles = (first + np.arange(frames) + 0.5) * SAMPLES_PER_MOTION_FRAME
    columns = [np.interp(middles, times, column) for column in motion.T]
    return np.stack(columns, axis=1).astype(np.float32)
