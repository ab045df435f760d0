"""The two tracks a viewer watches: they hand aiortc packets that are already encoded.

A track never waits for the network: when its sender falls behind, the oldest packets go, and
a picture track then asks for a complete picture. It knows nothing of sessions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from server.channel import Channel, ChannelClosed, Overflow

_SOUND_PACKETS = 25  # half a second
_PICTURE_PACKETS = 12


class PacketTrack(MediaStreamTrack):
    """A source of encoded packets.

    Attributes:
        bytes_sent: payload handed to the sender so far.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.bytes_sent = 0
        self._packets: Channel[av.Packet[Any]] = Channel(capacity, Overflow.DROP_OLDEST)

    async def recv(self) -> av.Packet[Any]:
        """Returns the next packet, as aiortc's sender asks for it.

        Raises:
            MediaStreamError: the track has ended.
        """
        try:
            packet = await self._packets.get()
        except ChannelClosed:
            raise MediaStreamError from None
        self.bytes_sent += packet.size
        return packet

    def stop(self) -> None:
        """Ends the track; a waiting `recv` returns at once."""
        self._packets.close()
        super().stop()


class SoundTrack(PacketTrack):
    """Opus packets."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__(_SOUND_PACKETS)

    def offer(self, packet: av.Packet[Any]) -> None:
        """Queues a packet; the oldest goes when the sender is half a second behind."""
        self._packets.offer(packet)

    def hush(self) -> None:
        """Drops what waits; receivers bridge a gap in time stamps as they do loss."""
        self._packets.drain()


class PictureTrack(PacketTrack):
    """VP8 or H.264 packets, beginning with a complete picture."""

    kind = "video"

    def __init__(
        self,
        want_keyframe: Callable[[], None],
        on_send: Callable[[int, bool], None] = lambda _pts, _is_over: None,
    ) -> None:
        """Takes whom to ask for a complete picture, and whom to tell what is sent.

        `on_send` is told a picture's 90 kHz time stamp, and whether its last packet was handed on
        or its first is about to be.
        """
        super().__init__(_PICTURE_PACKETS)
        self._on_send = on_send
        self._under_way: int | None = None  # 90 kHz
        self._want_keyframe = want_keyframe
        self._waits_for_keyframe = True
        self._is_stuck = False

    async def recv(self) -> av.Packet[Any]:
        """Returns the next packet, as aiortc's sender asks for it.

        Raises:
            MediaStreamError: the track has ended.
        """
        if self._under_way is not None:  # asking for the next, the sender has sent all of this
            self._on_send(self._under_way, True)
            self._under_way = None
        if self._is_stuck:
            self._is_stuck = False
            self._want_keyframe()
        packet = await super().recv()
        if packet.pts is not None:
            self._under_way = packet.pts
            self._on_send(packet.pts, False)
        return packet

    def begin_anew(self) -> None:
        """Waits for a complete picture: the packets come from another encoder from now on."""
        self._waits_for_keyframe = True

    def offer(self, packet: av.Packet[Any]) -> None:
        """Queues a packet unless it builds on a picture that this viewer never got."""
        if self._waits_for_keyframe and not packet.is_keyframe:
            if not self._is_stuck:
                self._want_keyframe()
            return
        self._waits_for_keyframe = False
        dropped = self._packets.dropped
        self._packets.offer(packet)
        if self._packets.dropped > dropped:
            self._packets.drain()
            self._waits_for_keyframe = True
            # Nobody takes them. A complete picture costs all who share the encoder, so it is
            # asked for when this viewer's sender takes packets again, and not before.
            self._is_stuck = True
