"""Packets of a microphone are decoded when they come, not when their followers do."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
from aiortc import RTCRtpReceiver
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from server.encoder import SoundEncoder
from server.microphone_track import MicrophoneFrame, microphone_frames, take_packets_at_once

_OPUS = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48_000, channels=2, payloadType=96)
_PACKET = 960  # samples


class Transport(SimpleNamespace):
    """As much of a DTLS transport as a receiver asks for."""

    def __init__(self) -> None:
        super().__init__(state="connected", _stats_id="x")


def receiver() -> Any:  # noqa: ANN401 - aiortc's private parts are looked at
    made: Any = RTCRtpReceiver("audio", Transport())  # type: ignore[arg-type]
    made._RTCRtpReceiver__codecs[96] = _OPUS
    made._RTCRtpReceiver__decoder_thread = object()
    take_packets_at_once(made)
    return made


def packet(number: int) -> Any:  # noqa: ANN401 - an RTP packet as far as it is looked at
    return SimpleNamespace(
        sequence_number=number,
        timestamp=1000 + number * _PACKET,
        payload_type=96,
        payload=b"opus",
        ssrc=1,
        extensions=SimpleNamespace(abs_send_time=None),
    )


async def decoded(numbers: list[int]) -> list[int]:
    """Returns, for each packet that comes, how many were given to the decoder by then."""
    made = receiver()
    counts = []
    for number in numbers:
        await made._handle_rtp_packet(packet(number), arrival_time_ms=0)
        counts.append(made._RTCRtpReceiver__decoder_queue.qsize())
    return counts


async def test_each_packet_is_decoded_when_it_comes() -> None:
    assert await decoded([5, 6, 7, 8]) == [1, 2, 3, 4]


async def test_after_a_lost_packet_nothing_stands_still() -> None:
    assert await decoded([5, 6, 8, 9, 10]) == [1, 2, 3, 4, 5]


class Track:
    """Hands out decoded frames, then ends."""

    def __init__(self, frames: list[av.AudioFrame]) -> None:
        self._frames = frames

    async def recv(self) -> av.AudioFrame:
        await asyncio.sleep(0)
        if not self._frames:
            raise MediaStreamError
        return self._frames.pop(0)


async def heard(starts: list[int]) -> list[MicrophoneFrame]:
    frames = []
    for start in starts:
        frame = av.AudioFrame.from_ndarray(np.ones((1, _PACKET), np.int16), "s16", "mono")
        frame.sample_rate, frame.pts = 48_000, start
        frames.append(frame)
    track: Any = Track(frames)
    return [frame async for frame in microphone_frames(track)]


async def test_what_is_missing_between_two_packets_is_told() -> None:
    frames = await heard([0, _PACKET, 3 * _PACKET, 4 * _PACKET])
    assert [frame.missing for frame in frames] == [0, 0, _PACKET, 0]
    assert {len(frame.pcm) for frame in frames} == {2 * _PACKET}


async def test_real_opus_keeps_its_times_through_the_decoder() -> None:
    made = receiver()
    encoder = SoundEncoder()
    for number in (1, 2, 4):
        coded = bytes(encoder.encode(np.zeros(_PACKET, np.float32), number * 320))
        arrived = packet(number)
        arrived.payload = coded
        await made._handle_rtp_packet(arrived, arrival_time_ms=0)
    from aiortc.codecs import get_decoder

    decoder = get_decoder(_OPUS)
    queue = made._RTCRtpReceiver__decoder_queue
    frames = [frame for _ in range(3) for frame in decoder.decode(queue.get()[1])]
    track: Any = Track([frame for frame in frames if isinstance(frame, av.AudioFrame)])
    assert [frame.missing async for frame in microphone_frames(track)] == [0, 0, _PACKET]
