"""Tells who made a film or a picture: by its credentials, its watermark, and the ledger.

A film is looked at in a few short stretches: the pattern stands still while most else moves or is
coded anew, so that the mean of a second's pictures is read more easily than any one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from server.marks.credentials import Credentials, read_credentials
from server.marks.detector import Reading, find, read_match
from server.marks.ledger import Entry, Ledger
from streaming_model.errors import VivantError
from streaming_model.portrait.image import MAX_PIXELS

Floats = NDArray[np.float32]

STRETCHES: Final = 4  # of a film that are looked at
PICTURES: Final = 25  # of each
_LARGEST: Final = 1400  # pixels of the longer side; more than that tells nothing more
_GRAY: Final = "gray"
# FFmpeg would open playlists, too, and with them other files and addresses.
_KINDS: Final = (
    *("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "flv", "asf", "ogg", "mpeg", "mpegts"),
    *("ivf", "mxf", "h264", "hevc", "obu", "gif", "apng", "image2", "image2pipe"),
    *(f"{kind}_pipe" for kind in ("png", "jpeg", "webp", "bmp", "tiff", "jpegxl", "j2k", "qoi")),
)
_READ_ONLY: Final = {"format_whitelist": ",".join(_KINDS), "protocol_whitelist": "file"}
# A picture is decoded already to find out what it is, so that its size is bounded from the start.
_BOUNDED: Final = {"max_pixels": str(MAX_PIXELS)}
_MOST_STREAMS: Final = 64  # for which FFmpeg is told so


class UnreadableError(VivantError):
    """A file is neither a film nor a picture."""

    code = "unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a file tells of who made it.

    Attributes:
        credentials: what its content credentials say, None where it has none.
        reading: what its watermark says, None where it has none.
        entries: what this machine's ledger knows of the session, the latest first.
    """

    credentials: Credentials | None
    reading: Reading | None
    entries: tuple[Entry, ...]

    @property
    def is_ours(self) -> bool:
        """Whether a mark was found that says so."""
        has_credentials = self.credentials is not None and self.credentials.is_ours
        return has_credentials or self.reading is not None

    @property
    def tag(self) -> str:
        """The session's tag, empty where no mark tells one."""
        if self.reading is not None:
            return self.reading.payload.tag
        if self.credentials is not None and self.credentials.is_ours:
            return self.credentials.tag
        return ""


def verify(path: Path, ledger: Ledger) -> Finding:
    """Returns what a film or picture tells.

    Raises:
        UnreadableError: it is neither, or it is not there.
        CredentialsError: it has content credentials that cannot be read.
    """
    reading = read_watermark(path)
    found = Finding(read_credentials(path), reading, ())
    entries = tuple(ledger.find(found.tag)) if found.tag else ()
    return Finding(found.credentials, found.reading, entries)


def read_watermark(path: Path) -> Reading | None:
    """Returns what the watermark of a film or picture says, None if there is none.

    Raises:
        UnreadableError: it is neither, or it is not there.
    """
    means: list[Floats] = []
    for pictures in _stretches(path):
        mean = _mean(pictures)
        if (reading := read_match(mean, find(mean))) is not None:
            return reading
        means.append(mean)
    if len({mean.shape for mean in means}) != 1 or len(means) == 1:
        return None
    whole = _mean(means)
    return read_match(whole, find(whole))


def _stretches(path: Path) -> Iterator[list[Floats]]:
    """Yields the luma of a few pictures that follow one another, of several places of a film."""
    if not path.is_file():
        raise UnreadableError(f"There is no file '{path}'.")
    try:
        with av.open(
            str(path),
            options=_READ_ONLY,
            stream_options=[_BOUNDED] * _MOST_STREAMS,  # type: ignore[list-item]
            metadata_errors="ignore",
        ) as container:
            if not container.streams.video:
                raise UnreadableError(f"There is no picture in '{path}'.")
            context = container.streams.video[0].codec_context
            if context.width == 0 or context.width * context.height > MAX_PIXELS:
                raise UnreadableError(
                    f"The pictures of '{path}' have no size, or one over "
                    f"{MAX_PIXELS / 1e6:.0f} megapixels."
                )
            context.options = _BOUNDED
            yield from _stretches_of(container, path)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UnreadableError(f"'{path}' is neither a film nor a picture.") from error


def _stretches_of(container: Any, path: Path) -> Iterator[list[Floats]]:  # noqa: ANN401 - PyAV
    stream = container.streams.video[0]
    length = container.duration or 0  # microseconds
    count = STRETCHES if length > 2 * STRETCHES * av.time_base else 1
    is_empty = True
    for index in range(count):
        if count > 1:
            container.seek(int(length * (index + 0.25) / count))
        pictures = list(_lumas(islice(container.decode(stream), PICTURES)))
        if pictures:
            is_empty = False
            yield pictures
    if is_empty:
        raise UnreadableError(f"No picture of '{path}' can be decoded.")


def _mean(pictures: list[Floats]) -> Floats:
    return np.asarray(np.mean(pictures, axis=0, dtype=np.float32))


def _lumas(frames: Iterable[Any]) -> Iterator[Floats]:
    """Yields [h, w] luma of the frames that are as large as the first."""
    size = None
    for frame in frames:
        if size not in (None, (frame.width, frame.height)):
            return
        size = (frame.width, frame.height)
        luma = np.asarray(frame.to_ndarray(format=_GRAY), np.float32)
        if (share := _LARGEST / max(luma.shape)) < 1:
            small = cv2.resize(luma, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
            luma = np.asarray(small, np.float32)
        yield luma
