"""A viewer that notes every packet when it arrives, before any jitter buffer, and decodes later.

On loopback the arrival is the departure, give or take a fraction of a millisecond. It reaches
into aiortc's receivers, as `server.sender_reports` does into its senders.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import av
import httpx
import numpy as np
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtp import RtcpSrPacket
from numpy.typing import NDArray

from benchmarks.viewer import Viewer

SOUND_RATE = 48_000  # Hz, RTP clock of Opus
PICTURE_RATE = 90_000  # Hz, RTP clock of video
_FRAME = 0.040  # seconds
_RATES = {"audio": SOUND_RATE, "video": PICTURE_RATE}


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet: when it came, in seconds, its time stamp, number, marker bit and payload."""

    arrival: float
    timestamp: int
    sequence: int
    ends_frame: bool
    payload: bytes


@dataclass(slots=True)
class Tap:
    """What arrived at one receiver.

    Attributes:
        packets: in the order of arrival.
        report: the last sender report, (NTP seconds, RTP time stamp), None before the first.
    """

    packets: list[Packet] = field(default_factory=list)
    report: tuple[float, int] | None = None

    def media_seconds(self, timestamp: int, rate: int) -> float:
        """Returns the sender's clock at an RTP time stamp, by the last sender report.

        Raises:
            LookupError: there was no report yet.
        """
        if self.report is None:
            raise LookupError("no sender report came")
        seconds, at = self.report
        ahead = (timestamp - at + 2**31) % 2**32 - 2**31
        return seconds + ahead / rate


@dataclass(frozen=True, slots=True)
class Sound:
    """One decoded packet of 20 ms: when it came, its time stamp and its greatest sample."""

    arrival: float
    timestamp: int
    peak: float


class WireViewer(Viewer):
    """A viewer whose packets are noted and not decoded.

    Attributes:
        sound: what arrived of the sound.
        picture: what arrived of the pictures.
        offered: when the offer was sent, in seconds.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        session_id: str,
        *,
        microphone: MediaStreamTrack | None = None,
    ) -> None:
        super().__init__(client, session_id, microphone=microphone, keeps_pictures=False)
        self.sound, self.picture = Tap(), Tap()
        self.offered = 0.0

    def clear(self) -> None:
        """Forgets the packets noted so far."""
        self.sound.packets.clear()
        self.picture.packets.clear()

    async def connect(self) -> None:
        """Connects; packets are noted from the first on."""
        add = self.connection.addTransceiver

        def add_tapped(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - aiortc's own
            transceiver = add(*arguments, **options)
            tap = self.sound if transceiver.kind == "audio" else self.picture
            _listen(transceiver.receiver, tap)
            return transceiver

        self.connection.addTransceiver = add_tapped  # type: ignore[method-assign]
        post = self._client.post

        async def note_offer(*arguments: Any, **options: Any) -> httpx.Response:  # noqa: ANN401
            self.offered = time.monotonic()
            return await post(*arguments, **options)

        self._client.post = note_offer  # type: ignore[method-assign]
        try:
            await super().connect()
        finally:
            self._client.post = post  # type: ignore[method-assign]

    def sounds(self) -> list[Sound]:
        """Decodes the sound noted so far."""
        return decode(self.sound.packets)

    def frame_arrivals(self) -> NDArray[np.float64]:
        """Returns when the last packet of each picture came, in seconds."""
        return np.array([packet.arrival for packet in self.picture.packets if packet.ends_frame])

    def picture_of(self, sound: Sound) -> float | None:
        """Returns when the picture of this sound was complete; None when none came.

        Raises:
            LookupError: a sender report is missing.
        """
        begins = self.sound.media_seconds(sound.timestamp, SOUND_RATE)
        for packet in self.picture.packets:
            if not packet.ends_frame:
                continue
            shown = self.picture.media_seconds(packet.timestamp, PICTURE_RATE)
            if -_FRAME / 2 < shown - begins + _FRAME / 2 <= _FRAME / 2 + 0.001:
                return packet.arrival
        return None


def decode(packets: list[Packet]) -> list[Sound]:
    """Decodes Opus packets in the order of their numbers."""
    decoder: Any = av.CodecContext.create("opus", "r")
    sounds = []
    for packet in sorted(packets, key=lambda packet: packet.sequence):
        frames = decoder.decode(av.Packet(packet.payload))
        peak = max((_peak(frame) for frame in frames), default=0.0)
        sounds.append(Sound(packet.arrival, packet.timestamp, peak))
    return sounds


def _peak(frame: Any) -> float:  # noqa: ANN401 - an av.AudioFrame
    samples = frame.to_ndarray()
    scale = 32768.0 if samples.dtype == np.int16 else 1.0
    return float(np.abs(samples).max()) / scale


class _NoFrames:
    """In the place of a jitter buffer: nothing is put together, so nothing is decoded."""

    def add(self, packet: object) -> tuple[bool, None]:
        del packet
        return False, None


def _listen(receiver: Any, tap: Tap) -> None:  # noqa: ANN401 - an aiortc receiver
    handle_media, handle_control = receiver._handle_rtp_packet, receiver._handle_rtcp_packet
    receiver._RTCRtpReceiver__jitter_buffer = _NoFrames()
    cycles = 0

    async def note_media(packet: Any, arrival_time_ms: int) -> None:  # noqa: ANN401
        nonlocal cycles
        now = time.monotonic()
        if tap.packets and packet.sequence_number < tap.packets[-1].sequence % 2**16 - 2**15:
            cycles += 2**16
        if packet.payload:
            tap.packets.append(
                Packet(
                    arrival=now,
                    timestamp=packet.timestamp,
                    sequence=cycles + packet.sequence_number,
                    ends_frame=bool(packet.marker),
                    payload=packet.payload,
                )
            )
        await handle_media(packet, arrival_time_ms=arrival_time_ms)

    async def note_control(packet: object) -> None:
        if isinstance(packet, RtcpSrPacket):
            info = packet.sender_info
            tap.report = (info.ntp_timestamp / 2**32, info.rtp_timestamp)
        await handle_control(packet)

    receiver._handle_rtp_packet = note_media
    receiver._handle_rtcp_packet = note_control
