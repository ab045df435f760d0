"""Sound and film in files, through PyAV: any audio in, a film with exact timestamps out.

Reads and writes piece by piece, so memory stays flat however long the file is. It knows
nothing of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, cast

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from server.ingest import SOUND_RATE
from server.packing import beyond_outline
from server.riff import tells_the_truth
from streaming_model.errors import AudioError, VivantError
from streaming_model.media import SAMPLE_RATE, VideoFrame


class FilmError(VivantError):
    """The film cannot be written."""

    code = "film_unwritable"


class Codecs(NamedTuple):
    """The encoders of a container, with the options of the video encoder."""

    video: str
    audio: str
    options: dict[str, str]


# No B-frames: every picture's time stays the media time, without an edit list to undo.
H264 = Codecs("libx264", "aac", {"preset": "veryfast", "crf": "18", "bf": "0"})
VP9 = Codecs(
    "libvpx-vp9", "libopus", {"deadline": "realtime", "cpu-used": "6", "crf": "24", "b": "0"}
)
CONTAINERS = {".mp4": H264, ".mov": H264, ".mkv": H264, ".webm": VP9}
TRANSPARENT = (".webm",)  # whose codec has a matte that browsers show


def codecs_for(path: Path, *, is_transparent: bool) -> Codecs:
    """Returns how a film of this name is written.

    Raises:
        FilmError: no film has such a name, or none that can be transparent.
    """
    suffix = path.suffix.lower()
    if suffix not in CONTAINERS:
        known = ", ".join(CONTAINERS)
        raise FilmError(f"A film ends in one of {known}; '{path.name}' does not.")
    if is_transparent and suffix not in TRANSPARENT:
        able = " or ".join(TRANSPARENT)
        raise FilmError(f"A transparent film ends in {able}; '{path.name}' cannot be transparent.")
    return CONTAINERS[suffix]


class FilmMarks(NamedTuple):
    """How a film is marked: each of its pictures, and the file once it has its name.

    Attributes:
        mark: returns a picture marked.
        seal: gives the finished film what says who made it.
    """

    mark: Callable[[VideoFrame], VideoFrame]
    seal: Callable[[Path], None]


UNMARKED = FilmMarks(lambda frame: frame, lambda _: None)


# What uploads may be. FFmpeg would open playlists, too, and with them other files and addresses.
_KINDS: Final = (
    *("wav", "w64", "rf64", "aiff", "au", "caf", "flac", "mp3", "aac", "ac3", "eac3", "amr", "dts"),
    *("ogg", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "avi", "flv", "asf", "mpeg", "mpegts"),
    *("mpegvideo", "wv", "tta", "ape", "tak", "opus", "loas", "truehd", "dsf", "voc", "mxf", "gxf"),
)
READ_ONLY: Final = {"format_whitelist": ",".join(_KINDS), "protocol_whitelist": "file"}
_LOUDEST: Final = 1000.0  # full scale is 1; what is beyond is damage, and would end as infinity


class AudioFile:
    """The first audio stream of a file, as mono at its own rate.

    Args:
        path: of the file.
        name: what errors call it, if not by the path's own name.

    Attributes:
        sample_rate: Hz, as stored.
        seconds: length by the file's own account, None when it does not say.

    Raises:
        AudioError: the file is missing, is no media, or has no audio stream.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self._name = path.name if name is None else name
        if path.is_dir():
            raise AudioError(f"'{path}' is a folder, not an audio file.")
        try:
            if not tells_the_truth(path):
                raise AudioError(f"'{self._name}' is damaged: it tells of more than it holds.")
            self._container = av.open(str(path), options=READ_ONLY, metadata_errors="ignore")
        except FileNotFoundError as error:
            raise AudioError(f"There is no audio file '{path}'.") from error
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise AudioError(f"'{self._name}' is not an audio or video file.") from error
        if not self._container.streams.audio:
            self._container.close()
            raise AudioError(f"'{self._name}' has no sound in it.")
        self._stream = self._container.streams.audio[0]
        if self._stream.codec_context is None:
            self._container.close()
            raise AudioError(f"'{self._name}' holds sound of a kind that cannot be decoded.")
        self.sample_rate = int(self._stream.codec_context.sample_rate)
        self.seconds = self._length()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._container.close()

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yields [n] float32 mono pieces in order.

        Raises:
            AudioError: nothing in the file can be decoded, or it holds no sample.
        """
        # FFmpeg's own way to mono adds two channels to 1.4 times their level, which clips.
        layout = "stereo" if self._stream.codec_context.channels > 1 else "mono"
        resampler = av.AudioResampler(format="fltp", layout=layout)
        count = 0
        try:
            for frame in self._alike():
                for piece in resampler.resample(_finite(frame)):
                    samples = piece.to_ndarray().mean(axis=0, dtype=np.float32)
                    count += len(samples)
                    yield samples
            for piece in resampler.resample(None) if count else ():
                yield piece.to_ndarray().mean(axis=0, dtype=np.float32)
        except av.error.FFmpegError as error:
            reason = f"'{self._name}' holds sound of a kind that cannot be decoded."
            raise AudioError(reason) from error
        if not count:
            raise AudioError(f"'{self._name}' holds no audio that can be decoded.")

    def _alike(self) -> Iterator[Any]:
        """Yields frames of the first one's rate and channels; a damaged packet tells others."""
        kind = None
        for frame in self._frames():
            found = (frame.format.name, frame.layout.name, frame.sample_rate)
            kind = kind or found
            if found == kind:
                yield frame

    def _frames(self) -> Iterator[Any]:
        """Yields decoded frames; a damaged packet in the middle loses that packet alone."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
                frames = packet.decode()
            except StopIteration:
                return
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                continue
            yield from frames

    def _length(self) -> float | None:
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        if self._container.duration:
            return self._container.duration / av.time_base
        return None


class FilmWriter:
    """Writes pictures and 48 kHz mono sound to a film file, each at its media time.

    The film grows in a file beside `path` and takes its name only when it is complete, so that
    an interrupted run never leaves half a film under the asked name. The pictures of a transparent
    film are RGBA, those of others RGB. All are marked as `marks` says, nothing if not given.

    Raises:
        FilmError: the container is not known, cannot be transparent, or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        *,
        size: int,
        fps: int,
        is_transparent: bool = False,
        marks: FilmMarks = UNMARKED,
    ) -> None:
        codecs = codecs_for(path, is_transparent=is_transparent)
        self._marks = marks
        self._path = path
        self._part = path.with_name(f".{path.stem}.part{path.suffix}")
        try:
            self._container = av.open(str(self._part), "w", options=_muxer_options(path))
        except (av.error.FFmpegError, OSError) as error:
            raise FilmError(f"'{path}' cannot be written: {error.strerror}.") from error
        video = self._container.add_stream(codecs.video, rate=fps, options=codecs.options)
        self._video = cast("av.VideoStream", video)
        self._video.width = self._video.height = size
        self._video.pix_fmt = "yuva420p" if is_transparent else "yuv420p"
        self._video.codec_context.time_base = Fraction(1, SAMPLE_RATE)
        audio = self._container.add_stream(codecs.audio, rate=SOUND_RATE, layout="mono")
        self._audio = cast("av.AudioStream", audio)
        self._audio.codec_context.bit_rate = 128_000
        self._heard = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._container.close()
            self._part.unlink(missing_ok=True)
            return
        self._mux(self._video.encode(None))
        self._mux(self._audio.encode(None))
        self._container.close()
        try:
            self._part.replace(self._path)
        except OSError as reason:
            self._part.unlink(missing_ok=True)
            raise FilmError(f"'{self._path}' cannot be written: {reason.strerror}.") from reason
        self._marks.seal(self._path)

    def write_picture(self, frame: VideoFrame) -> None:
        """Adds a picture at `frame.start`."""
        picture = _picture(self._marks.mark(frame).image)
        picture.pts = frame.start
        picture.time_base = Fraction(1, SAMPLE_RATE)
        self._mux(self._video.encode(picture))

    def write_sound(self, samples: NDArray[np.float32]) -> None:
        """Adds [n] float32 at 48 kHz after what was written before."""
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = SOUND_RATE
        frame.pts = self._heard
        frame.time_base = Fraction(1, SOUND_RATE)
        self._heard += len(samples)
        self._mux(self._audio.encode(frame))

    def _mux(self, packets: list[Any]) -> None:
        try:
            self._container.mux(packets)
        except OSError as error:
            raise FilmError(f"'{self._path}' cannot be written: {error.strerror}.") from error


def _picture(image: NDArray[np.uint8]) -> av.VideoFrame:
    """Returns a picture, RGB or RGBA, as planes of luma, chroma and, if it has one, matte."""
    if image.shape[2] == 3:
        planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
        return av.VideoFrame.from_ndarray(planes, format="yuv420p")
    return yuva(image)


def yuva(image: NDArray[np.uint8]) -> av.VideoFrame:
    """Returns a picture, RGB or straight RGBA, as planes of luma, chroma and matte."""
    side = len(image)
    if image.shape[2] == 3:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2RGBA), np.uint8)
    planes = np.asarray(cv2.cvtColor(beyond_outline(image), cv2.COLOR_RGB2YUV_I420), np.uint8)
    luma, chroma = planes[:side], planes[side:].reshape(2, side // 2, side // 2)
    picture = av.VideoFrame(side, side, "yuva420p")
    for plane, values in zip(picture.planes, (luma, *chroma, image[..., 3]), strict=True):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, : plane.width] = values
        plane.update(rows.tobytes())
    return picture


def _finite(frame: Any) -> Any:  # noqa: ANN401 -- PyAV frames carry no types
    """Returns the frame with NaN and infinities silenced, before a filter can smear them."""
    if "flt" not in frame.format.name and "dbl" not in frame.format.name:
        return frame
    samples = frame.to_ndarray()
    if (np.abs(samples) <= _LOUDEST).all():
        return frame
    clean = av.AudioFrame.from_ndarray(
        np.clip(np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0), -_LOUDEST, _LOUDEST),
        format=frame.format.name,
        layout=frame.layout.name,
    )
    clean.sample_rate, clean.pts, clean.time_base = frame.sample_rate, frame.pts, frame.time_base
    return clean


def _muxer_options(path: Path) -> dict[str, str]:
    """Puts the index of an MP4 first, so that a browser can play it while it loads."""
    return {"movflags": "+faststart"} if path.suffix.lower() in {".mp4", ".mov"} else {}
