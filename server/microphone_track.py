"""A viewer's microphone at the WebRTC edge: packets become 20 ms of PCM as soon as they come.

aiortc's own buffer keeps every packet until the next one is there, and after a lost one waits
for sixteen more and stays that far behind. It is replaced here, by reaching into aiortc's
receiver as `sender_reports` does into its sender.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import av
from aiortc import RTCRtpReceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from server.packet_order import PacketOrder


@dataclass(frozen=True, slots=True)
class MicrophoneFrame:
    """Twenty milliseconds of a microphone.

    Attributes:
        pcm: interleaved 16-bit samples.
        sample_rate: in Hz.
        channels: how many.
        missing: samples of each channel that were lost, or not sent, just before it.
    """

    pcm: bytes
    sample_rate: int
    channels: int
    missing: int = 0


def take_packets_at_once(receiver: RTCRtpReceiver) -> None:
    """Makes an audio receiver decode each packet when its turn has come, without a fixed store."""
    hooked: Any = receiver
    hooked._RTCRtpReceiver__jitter_buffer = _Inbox(hooked)


async def microphone_frames(track: MediaStreamTrack) -> AsyncIterator[MicrophoneFrame]:
    """Yields what a microphone's track brings, until it ends."""
    expected: int | None = None
    while True:
        try:
            frame = await track.recv()
        except MediaStreamError:
            return
        if not isinstance(frame, av.AudioFrame):
            continue
        # The time base of what aiortc's decoders give is one sample.
        start = frame.pts if frame.pts is not None else expected or 0
        missing = 0 if expected is None else max(0, start - expected)
        expected = start + frame.samples
        pcm = frame.to_ndarray().tobytes()
        yield MicrophoneFrame(pcm, frame.sample_rate, frame.layout.nb_channels, missing)


class _Inbox:
    """In the place of aiortc's jitter buffer: hands frames to the decoder by itself."""

    def __init__(self, receiver: Any) -> None:  # noqa: ANN401 - aiortc's private parts
        self._order: PacketOrder[Any] = PacketOrder()
        self._codecs = receiver._RTCRtpReceiver__codecs
        self._mapper = receiver._RTCRtpReceiver__timestamp_mapper
        self._decoder = receiver._RTCRtpReceiver__decoder_queue

    def add(self, packet: Any) -> tuple[bool, None]:  # noqa: ANN401 - an aiortc.rtp.RtpPacket
        """Takes a packet; returns that no picture was lost, and no frame."""
        for ready in self._order.add(packet.sequence_number, packet):
            frame = JitterFrame(data=ready._data, timestamp=self._mapper.map(ready.timestamp))
            self._decoder.put((self._codecs[ready.payload_type], frame))
        return False, None
