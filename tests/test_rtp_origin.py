"""The RTP time stamp of media time 0 is told once, as soon as a packet was sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from server.rtp_origin import watch_origin

START = 2**32 - 100  # a random beginning that wraps at once


@dataclass
class FakeFrame:
    timestamp: int


class FakeSender:
    """The parts of aiortc's sender that are read."""

    def __init__(self) -> None:
        self.frames: list[FakeFrame | None] = [None, FakeFrame(3_600), FakeFrame(7_200)]
        self._RTCRtpSender__rtp_timestamp = 0

    async def _next_encoded_frame(self, codec: object) -> FakeFrame | None:
        del codec
        return self.frames.pop(0)

    def send(self, frame: FakeFrame) -> None:
        self._RTCRtpSender__rtp_timestamp = (START + frame.timestamp) % 2**32


async def test_it_is_told_after_the_first_packets_and_once() -> None:
    sender: Any = FakeSender()
    told: list[int] = []
    assert watch_origin(sender, told.append)
    assert await sender._next_encoded_frame(None) is None
    sender.send(await sender._next_encoded_frame(None))
    assert not told
    sender.send(await sender._next_encoded_frame(None))
    sender.frames = [FakeFrame(10_800)]
    await sender._next_encoded_frame(None)
    assert told == [START]


def test_a_sender_of_another_make_is_left_alone() -> None:
    other: Any = object()
    assert not watch_origin(other, lambda _: None)
