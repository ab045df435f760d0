"""Who watches a session, as the audience sees it: where packets go, and on which terms.

A viewer's connection is one, a recording or a pushed stream another. It encodes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from server.bandwidth import Rung
from server.encoder import SoundCodec, SoundPacket, VideoCodec, VideoPacket


class PictureSink(Protocol):
    """Where a watcher's pictures go."""

    def offer(self, packet: VideoPacket, /) -> None:
        """Takes the next packet, without waiting."""

    def begin_anew(self) -> None:
        """Notes that the packets come from another encoder from now on."""


class SoundSink(Protocol):
    """Where a watcher's sound goes."""

    def offer(self, packet: SoundPacket, /) -> None:
        """Takes the next packet, without waiting."""

    def hush(self) -> None:
        """Drops what waits because the sender stood still."""


class Rated(Protocol):
    """What a connection carries."""

    @property
    def rate(self) -> int:
        """Bits a second that the video may use now."""


class Watcher(Protocol):
    """Who gets packets: a viewer's connection, or an output."""

    codec: VideoCodec
    rung: Rung

    @property
    def bandwidth(self) -> Rated:
        """What its connection carries."""

    @property
    def picture(self) -> PictureSink:
        """Where its pictures go."""

    @property
    def sound(self) -> SoundSink:
        """Where its sound goes."""


class RawWatcher(Protocol):
    """Who gets pictures as they are drawn, in place of packets."""

    def see(self, image: NDArray[np.uint8], media_time: int, /) -> None:
        """Takes the next [s, s, 3] or [s, s, 4] picture, without waiting; it is not to change."""


class RawListener(Protocol):
    """Who gets sound as it is heard, in place of packets."""

    def hear(self, sound: NDArray[np.float32], media_time: int, /) -> None:
        """Takes the next [960] float32 of 48 kHz sound, without waiting; it is not to change."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms somebody watches; the defaults are a viewer's.

    Attributes:
        sound: how the sound is encoded.
        is_flat: whether transparent pictures are put before green, and not packed.
        bitrate: of an encoding of its own, in bits a second; shares the viewers' if None.
        spacing: samples after which a complete picture comes at the latest; None for on demand.
        raw: takes the pictures as they are drawn; no packets of them then.
        raw_sound: takes the sound as it is heard; no packets of it then.
    """

    sound: SoundCodec = SoundCodec.OPUS
    is_flat: bool = False
    bitrate: int | None = None
    spacing: int | None = None
    raw: RawWatcher | None = None
    raw_sound: RawListener | None = None
