"""Transport-wide feedback: read as the draft has it, and what aiortc is made to send and hear."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.clock import MonotonicClock
from server.congestion import Outcome
from server.transport_feedback import Arrival, read_feedback
from server.transport_wide import PacketLog

TICK = 250_000  # ns


def message(base: int, count: int, reference: int, rest: bytes) -> bytes:
    """Returns an RTCP packet with transport-wide feedback, padded to words."""
    body = pack("!LLHH", 1, 2, base, count) + reference.to_bytes(3, "big", signed=True) + b"\x07"
    body += rest + bytes(-len(body + rest) % 4)
    return pack("!BBH", 0x80 | 15, 205, len(body) // 4) + body


def test_a_run_of_packets_that_arrived_soon_after_each_other() -> None:
    run = pack("!H", 1 << 13 | 3)
    told = read_feedback(message(100, 3, 2, run + bytes([4, 0, 255])))
    first = 2 * 64_000_000 + 4 * TICK
    assert told == [Arrival(100, first), Arrival(101, first), Arrival(102, first + 255 * TICK)]


def test_vectors_of_one_bit_and_of_two() -> None:
    one = pack("!H", 0x8000 | 0b10100000000000)
    two = pack("!H", 0xC000 | 0b01_00_10_00_00_00_00)
    deltas = bytes([1, 1, 1]) + (-2).to_bytes(2, "big", signed=True)
    told = read_feedback(message(65_530, 17, 0, one + two + deltas))
    came = {arrival.number: arrival.instant for arrival in told if arrival.instant is not None}
    assert came == {65_530: TICK, 65_532: 2 * TICK, 8: 3 * TICK, 10: TICK}
    assert [arrival.number for arrival in told] == [
        (65_530 + index) % 65_536 for index in range(17)
    ]


def test_a_reference_time_may_be_negative_and_other_messages_are_skipped() -> None:
    report = pack("!BBHL", 0x80, 201, 1, 7)
    nack = pack("!BBHLLHH", 0x81, 205, 3, 1, 2, 5, 0)
    ours = message(0, 1, -1, pack("!H", 1 << 13 | 1) + b"\x00")
    assert read_feedback(report + nack + ours) == [Arrival(0, -64_000_000)]


@pytest.mark.parametrize(
    "broken",
    [
        message(0, 30, 0, pack("!H", 1 << 13 | 3) + b"\x00\x00\x00\x00"),  # fewer than told
        message(0, 9, 0, pack("!H", 1 << 13 | 9)),  # no times
        message(0, 65_535, 0, pack("!H", 0x1FFF) * 8),  # too many
        pack("!BBHLL", 0x80 | 15, 205, 2, 1, 2),  # no header
    ],
)
def test_a_broken_message_is_refused(broken: bytes) -> None:
    with pytest.raises(ValueError, match="transport feedback"):
        read_feedback(broken)
    assert PacketLog(MonotonicClock()).outcomes(broken) == []


@given(st.binary(max_size=200))
def test_noise_does_no_harm(noise: bytes) -> None:
    PacketLog(MonotonicClock()).outcomes(noise)
    PacketLog(MonotonicClock()).outcomes(pack("!BBH", 0x8F, 205, 40) + noise)


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.instant = 0

    def now(self) -> int:
        return self.instant

    async def sleep_until(self, instant: int) -> None:
        self.instant = max(self.instant, instant)


def test_what_is_told_meets_what_was_sent() -> None:
    watch = Watch()
    log = PacketLog(watch)
    for index in range(3):
        watch.instant = 1000 * index
        assert log.number() == index
        log.note_size(100 + index)
        log.note_size(99)  # a report, which has no number
    only_two = pack("!H", 0x8000 | 0b10100000000000) + bytes([0, 8])
    assert log.outcomes(message(0, 3, 0, only_two)) == [
        Outcome(0, 0, 100),
        Outcome(1000, None, 101),
        Outcome(2000, 8 * TICK, 102),
    ]
    assert log.outcomes(message(0, 3, 0, only_two)) == []  # told twice


def test_what_is_never_told_of_is_forgotten() -> None:
    log = PacketLog(MonotonicClock())
    for index in range(70_000):
        assert log.number() == index % 65_536
        log.note_size(10)
    assert len(log._sent) <= 4096
