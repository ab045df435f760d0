"""A place in the audience whose packets wait in a bounded channel, with exact media time.

Whoever is behind it may be as slow as it likes: what finds no room is dropped, and a complete
picture follows once there is room again. It knows neither files nor networks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from server.bandwidth import Bandwidth, Rung
from server.channel import Channel, Overflow
from server.codec_contexts import VIDEO_CLOCK
from server.encoder import VideoCodec
from server.ingest import SOUND_RATIO

_WAITING = 512  # packets: five seconds and more of pictures with their sound
_WAITING_RAW = 48  # with pictures as they were drawn among them, a megabyte each: half a second


class Piece(NamedTuple):
    """A packet of sound or of a picture, or a picture as it was drawn.

    Attributes:
        is_picture: whether it is one.
        start: media time of its first sample, in 48 kHz samples.
        data: the packet; empty for a picture as it was drawn.
        is_complete: whether decoding can begin with it.
        image: the picture as it was drawn, [s, s, 3] or [s, s, 4].
    """

    is_picture: bool
    start: int
    data: bytes
    is_complete: bool = True
    image: NDArray[np.uint8] | None = None


class Seat:
    """One output's place.

    Attributes:
        codec: of the pictures.
        rung: as of viewers; an output is never moved to the lower one.
        bandwidth: what it may be sent.
        picture, sound: where the audience hands packets.
        pieces: what waits to be written or sent.
        dropped: pieces that found no room so far.
    """

    def __init__(
        self, codec: VideoCodec, *, bitrate: int, want_keyframe: Callable[[Seat], None]
    ) -> None:
        """Takes what it needs; `bitrate` is the most its pictures may use, in bits a second."""
        self.codec = codec
        self.rung = Rung.HIGH
        self.bandwidth = Bandwidth(most=bitrate)
        self.picture = _Pictures(self)
        self.sound = _Sounds(self)
        self.pieces: Channel[Piece] = Channel(_WAITING, Overflow.REFUSE)
        self.dropped = 0
        self._want_keyframe = want_keyframe
        self._waits_for_keyframe = True

    def see(self, image: NDArray[np.uint8], media_time: int) -> None:
        """Takes a picture as it was drawn, unless too many wait."""
        if len(self.pieces) < _WAITING_RAW:
            self._add(Piece(True, media_time * SOUND_RATIO, b"", image=image))
        else:
            self.dropped += 1

    async def batch(self) -> Sequence[Piece]:
        """Returns all that waits, at least one piece.

        Raises:
            ChannelClosed: the seat was given up and nothing more waits.
        """
        return [await self.pieces.get(), *self.pieces.drain()]

    def begin_anew(self) -> None:
        """Waits for a complete picture."""
        self._waits_for_keyframe = True

    def add_picture(self, packet: av.Packet[Any]) -> None:
        """Takes a packet unless it builds on one that was dropped."""
        if self._waits_for_keyframe and not packet.is_keyframe:
            if len(self.pieces) < _WAITING // 2:
                self._want_keyframe(self)
            return
        # Time stamps at 90 kHz are rounded down; the media time is the next 16 kHz sample.
        media_time = -(-(packet.pts or 0) * 16_000 // VIDEO_CLOCK)
        start = media_time * SOUND_RATIO
        self._waits_for_keyframe = not self._add(
            Piece(True, start, bytes(packet), packet.is_keyframe)
        )

    def add_sound(self, packet: av.Packet[Any]) -> None:
        """Takes a packet."""
        self._add(Piece(False, packet.pts or 0, bytes(packet)))

    def _add(self, piece: Piece) -> bool:
        is_taken = self.pieces.offer(piece)
        self.dropped += not is_taken
        return is_taken


class _Pictures:
    """The pictures' way into a seat."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat

    def offer(self, packet: av.Packet[Any]) -> None:
        self._seat.add_picture(packet)

    def begin_anew(self) -> None:
        self._seat.begin_anew()


class _Sounds:
    """The sound's way into a seat."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat

    def offer(self, packet: av.Packet[Any]) -> None:
        self._seat.add_sound(packet)

    def hush(self) -> None:
        """Drops nothing: what was due before an interruption belongs into a file."""
