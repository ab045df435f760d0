"""Harnesses of packets: RTCP and RTP of viewers, Opus in them, phones' faces, SRT's answers."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from random import Random
from typing import Any, Final

import av
from aiortc.codecs import get_decoder
from aiortc.codecs.opus import OpusEncoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtcpPacket, RtpPacket, unpack_remb_fci

from server import feedback
from server.outputs.srt_packets import (
    Handshake,
    again,
    conclusion,
    control,
    lost_numbers,
    read_control,
)
from server.packet_order import PacketOrder
from server.puppet.live_link import read_packet, write_packet
from server.transport_feedback import read_feedback
from tools.fuzz.harness import Harness
from tools.fuzz.mutate import mutate_bytes

_OPUS: Final = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48_000, channels=2)
_LARGEST: Final = 1_500  # bytes of a datagram


def take_rtcp(data: bytes) -> None:
    """Reads what a viewer reports, by our readers and by aiortc's as we call it."""
    try:
        for arrival in read_feedback(data):
            assert 0 <= arrival.number < 65_536
    except ValueError:
        pass  # it is logged
    feedback._estimate_for(1, data)
    try:
        packets = RtcpPacket.parse(data)
    except ValueError:
        return  # aiortc drops it
    for packet in packets:
        fci = getattr(packet, "fci", None)
        if isinstance(fci, bytes):
            feedback._estimate_for(1, fci)


def take_rtp(data: bytes) -> None:
    """Puts a viewer's packets in order; two bytes before each tell its length."""
    order: PacketOrder[RtpPacket] = PacketOrder()
    for packet in _pieces(data):
        try:
            parsed = RtpPacket.parse(packet)
        except ValueError:
            continue  # aiortc drops it
        ready = order.add(parsed.sequence_number, parsed)
        assert len(ready) <= 100


def take_opus(data: bytes) -> None:
    """Decodes a microphone's packets as aiortc's thread does, errors and all."""
    decoder = get_decoder(_OPUS)
    for index, packet in enumerate(_pieces(data)):
        try:
            frames: list[Any] = decoder.decode(JitterFrame(data=packet, timestamp=960 * index))
        except av.error.FFmpegError:
            continue  # the receiver drops it
        for frame in frames:
            assert frame.to_ndarray().dtype.kind == "i"


def take_face(data: bytes) -> None:
    """Reads a datagram of Live Link Face."""
    packet = read_packet(data)
    if packet is not None:
        assert all(abs(value) < 1e39 for value in packet.coefficients.values())


def take_srt(data: bytes) -> None:
    """Reads what an SRT listener answers."""
    told = read_control(data)
    if told is None:
        return
    Handshake.read(told.body)
    numbers = 0
    for _ in lost_numbers(told.body):
        numbers += 1
    assert numbers <= 8192 * (len(told.body) // 8 + 1)
    if len(data) >= 16:
        again(data)


def mutate_packets(data: bytes, random: Random) -> bytes:
    """Damages packets that are told apart by their lengths, and leaves the lengths right."""
    packets = [
        mutate_bytes(each, random) if random.random() < 0.3 else each for each in _pieces(data)
    ]
    if packets and random.random() < 0.5:
        random.shuffle(packets)
    if packets and random.random() < 0.2:
        packets += random.choices(packets, k=random.choice((1, 20)))
    return joined([packet[:_LARGEST] for packet in packets])


def joined(packets: Sequence[bytes]) -> bytes:
    """Returns packets one after the other, each behind its length."""
    return b"".join(struct.pack(">H", len(packet)) + packet for packet in packets)


def _pieces(data: bytes) -> list[bytes]:
    pieces, position = list[bytes](), 0
    while position + 2 <= len(data):
        (length,) = struct.unpack_from(">H", data, position)
        pieces.append(data[position + 2 : position + 2 + length])
        position += 2 + length
    return pieces


def rtcp_seeds() -> list[bytes]:
    """Returns a transport-wide message, a REMB, a receiver report and a NACK."""
    chunks = struct.pack(">HHH", 0x2005, 0xC000 | 0b01_10_00_01_01_10_00, 0xAAAA)
    deltas = bytes(range(1, 40))
    body = struct.pack(">IIHH", 1, 2, 65_530, 26) + b"\0\0\x10\x01" + chunks + deltas
    body += bytes(-len(body) % 4)
    transport = struct.pack(">BBH", 0x8F, 205, len(body) // 4) + body
    remb = b"REMB" + struct.pack(">BBHI", 1, 0x0B, 0x1234, 1)
    estimate = struct.pack(">BBHII", 0x8F, 206, 2 + len(remb) // 4, 1, 0) + remb
    report = struct.pack(">BBHIIIIIII", 0x81, 201, 7, 1, 1, 0x10000005, 9, 3, 0, 0)
    nack = struct.pack(">BBHIIHH", 0x81, 205, 3, 1, 2, 100, 0xFFFF)
    assert unpack_remb_fci(remb)[1] == [1]
    return [transport, estimate, report, nack, report + transport + estimate, remb]


def _rtp_seeds() -> list[bytes]:
    packets = [
        RtpPacket(
            payload_type=111,
            sequence_number=number % 65_536,
            timestamp=960 * number,
            payload=b"x" * 40,
        )
        for number in range(65_530, 65_545)
    ]
    return [joined([packet.serialize() for packet in packets])]


def _opus_seeds() -> list[bytes]:
    encoder = OpusEncoder()
    packets: list[bytes] = []
    for index in range(5):
        frame = av.AudioFrame(format="s16", layout="stereo", samples=960)
        frame.planes[0].update(bytes((7 * at * (index + 1)) % 256 for at in range(3840)))
        frame.sample_rate, frame.pts = 48_000, 960 * index
        packets += encoder.encode(frame)[0]
    return [joined(packets)]


def _srt_seeds() -> list[bytes]:
    hello = conclusion(socket=1, cookie=2, first=3, latency_ms=120, stream_id="abc", key=None)
    lost = struct.pack(">IIII", 5, 1 << 31 | 7, 90, 200)
    return [
        control(0, time=1, to=2, body=hello),
        control(3, time=1, to=2, body=lost),
        control(2, info=9, time=1, to=2, body=struct.pack(">IIII", 5, 100, 10, 8192)),
    ]


RTCP: Final = Harness(take_rtcp, rtcp_seeds, refusals=(), longest=_LARGEST)
RTP: Final = Harness(take_rtp, _rtp_seeds, mutate_packets, (), longest=40_000)
OPUS: Final = Harness(take_opus, _opus_seeds, mutate_packets, (), longest=20_000)
FACE: Final = Harness(
    take_face, lambda: [write_packet({"jawOpen": 0.5}, frame=7)], refusals=(), longest=_LARGEST
)
SRT: Final = Harness(take_srt, _srt_seeds, refusals=(), longest=_LARGEST)
