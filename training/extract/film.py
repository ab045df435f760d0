"""A film's pictures and sound on one clock, whatever its rates, rotation and container.

Media time is the index of a 16 kHz sample since the film began. Knows nothing of faces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
import soxr
from numpy.typing import NDArray

from streaming_model.errors import VivantError
from streaming_model.media import SAMPLE_RATE

LONGEST_SIDE: Final = 1920  # pixels; larger pictures are made smaller
# s after its start that a picture counts at most: one that is held long was not seen later.
_LATEST: Final = Fraction(1, 50)
_SLIP: Final = 0.04  # s that sound may be off its time stamps before it is moved there


class FilmUnreadableError(VivantError):
    """The file is missing, is no film, or cannot be decoded."""

    code = "film_unreadable"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture of a film.

    Attributes:
        time: media time of the middle of the time it is shown, at most 20 ms after it appears.
        image: [h, w, 3] uint8 RGB, upright, with square pixels.
    """

    time: int
    image: NDArray[np.uint8]


class Film:
    """A film file.

    Attributes:
        name: of the file.
        seconds: length by the file's own account, 0 when it does not say.

    Raises:
        FilmUnreadableError: the file is missing, or no film.
    """

    def __init__(self, path: Path) -> None:
        self._path, self.name = path, path.name
        with self._open() as container:
            video = _video(container)
            if video is None:
                raise FilmUnreadableError(f"'{self.name}' has no pictures in it.")
            self._has_sound = bool(container.streams.audio)
            streams = [video, *container.streams.audio[:1]]
            starts = [each.start_time * each.time_base for each in streams if each.start_time]
            # A stream that says nothing starts at zero.
            self._origin = min(starts) if len(starts) == len(streams) else min([0, *starts])
            self.seconds = (container.duration or 0) / av.time_base

    def pictures(self) -> Iterator[Picture]:
        """Yields the pictures in order of time; a damaged one is left out.

        Raises:
            FilmUnreadableError: not one can be decoded.
        """
        waiting: tuple[Fraction, NDArray[np.uint8]] | None = None
        shown = Fraction(1, 25)
        with self._open() as container:
            video = _video(container)
            assert video is not None
            video.thread_type = "AUTO"
            for frame in _frames(container, video):
                if frame.pts is None:
                    continue
                start = frame.pts * frame.time_base - self._origin
                if waiting is not None:
                    if start <= waiting[0]:
                        continue
                    shown = start - waiting[0]
                    yield _at_middle(waiting, shown)
                waiting = (start, _upright(frame, video.sample_aspect_ratio or Fraction(1)))
        if waiting is None:
            raise FilmUnreadableError(f"'{self.name}' holds no picture that can be decoded.")
        yield _at_middle(waiting, shown)

    def sound(self) -> NDArray[np.float32] | None:
        """Returns the film's sound, [n] float32 mono at 16 kHz from media time 0; None without."""
        if not self._has_sound:
            return None
        with self._open() as container:
            stream = container.streams.audio[0]
            rate = int(stream.codec_context.sample_rate)
            pieces = list(self._pieces(container, stream, rate))
        if not pieces:
            return None
        samples = np.nan_to_num(np.concatenate(pieces), posinf=1.0, neginf=-1.0)
        return np.asarray(soxr.resample(samples, rate, SAMPLE_RATE, "HQ"), np.float32)

    def _pieces(self, container: Any, stream: Any, rate: int) -> Iterator[NDArray[np.float32]]:  # noqa: ANN401 -- PyAV has no types
        """Yields mono sound, held to its time stamps: gaps are silence, overlaps are left out."""
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        heard = 0
        for frame in _frames(container, stream):
            for mono in resampler.resample(frame):
                samples = mono.to_ndarray()[0]
                place = heard
                if mono.pts is not None and mono.time_base is not None:
                    place = round((mono.pts * mono.time_base - self._origin) * rate)
                if not heard or abs(place - heard) > _SLIP * rate:
                    yield np.zeros(max(place - heard, 0), np.float32)
                    samples = samples[max(heard - place, 0) :]
                    heard = max(heard, place)
                heard += len(samples)
                yield samples

    def _open(self) -> Any:  # noqa: ANN401 -- PyAV has no types
        if self._path.is_dir():
            raise FilmUnreadableError(f"'{self._path}' is a folder, not a film.")
        try:
            return av.open(str(self._path), metadata_errors="ignore")
        except FileNotFoundError as error:
            raise FilmUnreadableError(f"There is no film '{self._path}'.") from error
        except (av.error.FFmpegError, OSError) as error:
            raise FilmUnreadableError(f"'{self.name}' is not a film.") from error


def _video(container: Any) -> Any | None:  # noqa: ANN401 -- PyAV has no types
    """Returns the first stream of pictures that is not a cover, or None."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    return None


def _frames(container: Any, stream: Any) -> Iterator[Any]:  # noqa: ANN401 -- PyAV has no types
    """Yields decoded frames; a damaged packet loses that packet alone."""
    packets = container.demux(stream)
    while True:
        try:
            frames = next(packets).decode()
        except (StopIteration, av.error.EOFError):
            return
        except av.error.InvalidDataError:
            continue
        yield from frames


def _at_middle(waiting: tuple[Fraction, NDArray[np.uint8]], shown: Fraction) -> Picture:
    return Picture(round((waiting[0] + min(shown / 2, _LATEST)) * SAMPLE_RATE), waiting[1])


def _upright(frame: Any, shape: Fraction) -> NDArray[np.uint8]:  # noqa: ANN401 -- PyAV has no types
    """Returns the frame as a viewer sees it: its rotation and its pixels' shape applied."""
    width, height = frame.width * shape, Fraction(frame.height)
    scale = min(Fraction(1), LONGEST_SIDE / max(width, height))
    image = frame.to_ndarray(format="rgb24")
    size = (round(width * scale), round(height * scale))
    if size != (frame.width, frame.height):
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    turned = np.rot90(image, round(frame.rotation / 90))  # both count counter-clockwise
    return np.ascontiguousarray(turned, np.uint8)
