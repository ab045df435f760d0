"""A film of a session while it goes on: MP4 or WebM, readable whenever the writing breaks off.

Packets are written as they are, encoded for viewers too, each at its media time: a picture that
was dropped leaves the one before it standing. The film begins with a complete picture at time 0.
It knows no event loop.
"""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from typing import Any, ClassVar, cast

import av

from server.encoder import AAC_FRAME, SOUND_TIME_BASE
from server.ingest import SOUND_RATE, SOUND_RATIO
from server.media_files import VP9, yuva
from server.outputs.seat import Piece

_EARLY = 32  # packets of sound that are kept until the first picture is there
_PIECE_US = 1_000_000  # microseconds of film that a crash costs at most
_BUFFER = 1 << 20  # bytes: a fragment is written at once


class WholeFile(io.FileIO):
    """A file in which a write that finds too little room fails, and does not write a part."""

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - any buffer
        """Writes all of it.

        Raises:
            OSError: there is no room.
        """
        rest = memoryview(data)
        while rest:
            rest = rest[super().write(rest) or 0 :]
        return len(data)


class Film(ABC):
    """A film that grows.

    Attributes:
        origin: media time of its beginning, in 48 kHz samples; None before the first picture.
        end: media time up to which there are pictures, in 48 kHz samples.
    """

    suffix: ClassVar[str]
    _format: ClassVar[str]
    _options: ClassVar[dict[str, str]]
    _audio: ClassVar[str]
    _lead: ClassVar[int]  # samples of sound before the first picture that a decoder needs

    def __init__(self, file: WholeFile, *, size: int, fps: int) -> None:
        self._file = file
        self._size, self._fps = size, fps
        self._container = av.open(
            file, "w", format=self._format, options=self._options, buffer_size=_BUFFER
        )
        self._pictures = self._open_pictures()
        sound = self._container.add_stream(self._audio, rate=SOUND_RATE, layout="mono")
        self._sound = cast("av.AudioStream", sound)
        self._early: deque[Piece] = deque(maxlen=_EARLY)
        self._waiting: av.Packet[Any] | None = None  # until the next tells how long it stands
        self.origin: int | None = None
        self.end = 0

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._file.fileno()).st_size

    @property
    def seconds(self) -> float:
        """How long it is."""
        return 0.0 if self.origin is None else (self.end - self.origin) / SOUND_RATE

    def write(self, pieces: Iterable[Piece]) -> None:
        """Adds sound and pictures, each in order.

        Raises:
            OSError: they cannot be written.
        """
        for piece in pieces:
            if piece.is_picture:
                self._add_picture(piece)
            elif self.origin is None:
                self._early.append(piece)
            else:
                self._add_sound(piece, self.origin)

    def close(self) -> None:
        """Completes the film and closes the file.

        Raises:
            OSError: what is left cannot be written; the file is closed and what was written stays.
        """
        try:
            if self.origin is not None:
                self._put(None)
                self._container.close()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Closes the file as it is, without what completes it: there may be no room for that."""
        self._file.close()
        self._container.close()

    @abstractmethod
    def _open_pictures(self) -> av.VideoStream:
        """Adds the stream of pictures."""

    @abstractmethod
    def _packets(self, piece: Piece) -> Iterable[av.Packet[Any]]:
        """Returns a picture's packets."""

    def _add_picture(self, piece: Piece) -> None:
        if self.origin is None:
            if not piece.is_complete:
                return
            self.origin = piece.start
            media_time = piece.start // SOUND_RATIO
            self._container.metadata["comment"] = f"begins at media time {media_time}"
        for packet in self._packets(piece):
            packet.stream = self._pictures
            packet.pts = packet.dts = piece.start - self.origin
            packet.time_base = SOUND_TIME_BASE
            self._put(packet)
        self.end = piece.start + SOUND_RATE // self._fps
        while self._early:
            self._add_sound(self._early.popleft(), self.origin)

    def _put(self, packet: av.Packet[Any] | None) -> None:
        """Writes the picture before this one, now that its length is known."""
        waiting, self._waiting = self._waiting, packet
        if waiting is None:
            return
        follows = None if packet is None else packet.pts
        waiting.duration = (
            SOUND_RATE // self._fps if follows is None else follows - (waiting.pts or 0)
        )
        self._container.mux(waiting)

    def _add_sound(self, piece: Piece, origin: int) -> None:
        start = piece.start - origin
        if start <= -self._lead:
            return
        packet: av.Packet[Any] = av.Packet(piece.data)
        packet.stream = self._sound
        packet.pts = packet.dts = start
        packet.time_base = SOUND_TIME_BASE
        packet.is_keyframe = True
        self._container.mux(packet)


class _Remuxed(Film):
    """A film of packets that were encoded elsewhere."""

    _video: ClassVar[str]

    def _open_pictures(self) -> av.VideoStream:
        stream = self._container.add_mux_stream(
            self._video, rate=self._fps, width=self._size, height=self._size
        )
        stream.time_base = SOUND_TIME_BASE
        return cast("av.VideoStream", stream)

    def _packets(self, piece: Piece) -> Iterable[av.Packet[Any]]:
        packet: av.Packet[Any] = av.Packet(piece.data)
        packet.is_keyframe = piece.is_complete
        return [packet]


class Mp4Film(_Remuxed):
    """H.264 and AAC, in fragments of a second, made one when it is closed.

    The sound begins before the first picture by what its decoder needs to be right from there on;
    an edit list (ISO 14496-12, 8.6.6) leaves that out.
    """

    suffix = ".mp4"
    _format, _video, _audio = "mp4", "h264", "aac"
    _options: ClassVar = {
        "movflags": "hybrid_fragmented+delay_moov",
        "frag_duration": str(_PIECE_US),
        "movie_timescale": str(SOUND_RATE),  # or edits are rounded to milliseconds
    }
    _lead = 2 * AAC_FRAME


class WebmFilm(_Remuxed):
    """VP8 and Opus."""

    suffix = ".webm"
    _format, _video, _audio = "webm", "vp8", "libopus"
    _options: ClassVar = {"cluster_time_limit": str(_PIECE_US // 1000)}
    _lead = 1


class MatteFilm(Film):
    """VP9 with the matte beside it, which no viewer is sent, and Opus."""

    suffix = ".webm"
    _format, _audio = "webm", "libopus"
    _options: ClassVar = {"cluster_time_limit": str(_PIECE_US // 1000)}
    _lead = 1

    def _open_pictures(self) -> av.VideoStream:
        options = {**VP9.options, "cpu-used": "8", "lag-in-frames": "0", "g": str(2 * self._fps)}
        stream = self._container.add_stream(VP9.video, rate=self._fps, options=options)
        video = cast("av.VideoStream", stream)
        video.width = video.height = self._size
        video.pix_fmt = "yuva420p"
        video.codec_context.time_base = SOUND_TIME_BASE
        video.codec_context.thread_count = 1
        return video

    def _packets(self, piece: Piece) -> Iterable[av.Packet[Any]]:
        if piece.image is None or self.origin is None:
            raise ValueError("a film with a matte is made of pictures as they were drawn")
        picture = yuva(piece.image)
        picture.pts = piece.start - self.origin
        picture.time_base = SOUND_TIME_BASE
        packets = self._pictures.encode(picture)
        if len(packets) != 1:
            raise RuntimeError(f"VP9 gave {len(packets)} packets for a picture")
        return packets
