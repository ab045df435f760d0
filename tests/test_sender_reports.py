"""Sender reports tell when media was due, not when it happened to be sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket

from server.sender_reports import NtpClock, tie_to_media_clock
from tests.virtual_time import VirtualClock

MILLISECOND = 1_000_000  # ns


@dataclass
class FakeFrame:
    timestamp: int


class FakeSender:
    """The parts of aiortc's sender that are hooked."""

    def __init__(self) -> None:
        self.frames = [3_600, 7_200]
        self.sent: list[RtcpSrPacket] = []
        self._RTCRtpSender__lsr: int | None = None

    async def _next_encoded_frame(self, codec: object) -> FakeFrame:
        del codec
        return FakeFrame(self.frames.pop(0))

    async def _send_rtcp(self, packets: list[RtcpSrPacket]) -> None:
        self.sent += packets


def report() -> RtcpSrPacket:
    info = RtcpSenderInfo(ntp_timestamp=1, rtp_timestamp=2, packet_count=3, octet_count=4)
    return RtcpSrPacket(ssrc=1, sender_info=info)


def tie(sender: Any, clock: VirtualClock) -> tuple[bool, NtpClock]:  # noqa: ANN401
    ntp = NtpClock(clock)
    tied = tie_to_media_clock(
        sender, instant_of=lambda timestamp: timestamp * 1_000_000_000 // 90_000, ntp=ntp
    )
    return tied, ntp


async def test_a_report_pairs_the_last_frame_with_the_instant_it_was_due() -> None:
    clock, sender = VirtualClock(), FakeSender()
    tied, ntp = tie(sender, clock)
    assert tied
    for due in (40 * MILLISECOND, 80 * MILLISECOND):
        await sender._next_encoded_frame(None)
        clock.jump(500 * MILLISECOND)  # encoding and sending took long
        await sender._send_rtcp([report()])
        info = sender.sent[-1].sender_info
        assert info.ntp_timestamp == ntp.stamp(due)
        assert info.rtp_timestamp == 2
        assert sender._RTCRtpSender__lsr == (info.ntp_timestamp >> 16) & 0xFFFFFFFF


async def test_before_anything_was_sent_the_report_stays() -> None:
    sender = FakeSender()
    tie(sender, VirtualClock())
    await sender._send_rtcp([report()])
    assert sender.sent[0].sender_info.ntp_timestamp == 1


def test_a_sender_of_another_make_is_left_alone() -> None:
    tied, _ = tie(object(), VirtualClock())
    assert not tied


def test_a_second_is_two_to_the_thirty_two() -> None:
    ntp = NtpClock(VirtualClock())
    assert ntp.stamp(1_000_000_000) - ntp.stamp(0) == 1 << 32
