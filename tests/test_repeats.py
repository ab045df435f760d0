"""What is sent again: enough to mend a picture, and never so much that it fills the link."""

from __future__ import annotations

from typing import Any

from aiortc import RTCPeerConnection
from aiortc.rtp import RTCP_RTPFB_NACK, RtcpRtpfbPacket

from server.feedback import listen_to_receiver
from server.repeats import Answer, Repeats

SECOND = 1_000_000_000  # ns
MILLISECOND = 1_000_000
PACKET = 1300 * 8  # bits


def test_a_few_lost_packets_are_sent_again() -> None:
    repeats = Repeats()
    answers = {repeats.answer(number, rate=1_500_000, now=SECOND) for number in range(10)}
    assert answers == {Answer.REPEAT}


def test_a_packet_that_is_under_way_is_not_sent_again_but_later_it_is() -> None:
    repeats = Repeats()
    answers = [
        repeats.answer(7, rate=1_500_000, now=SECOND + 50 * MILLISECOND * index)
        for index in range(6)
    ]
    assert answers == [Answer.REPEAT, *4 * [Answer.WAIT], Answer.REPEAT]


def test_a_quarter_of_the_rate_is_spent_on_repeating() -> None:
    repeats, rate, seconds = Repeats(), 400_000, 20
    sent = sum(
        repeats.answer(number, rate=rate, now=number * MILLISECOND) is Answer.REPEAT
        for number in range(seconds * 1000)
    )
    assert 0.22 * rate < sent * PACKET / seconds < 0.28 * rate


def test_what_is_too_much_is_given_up_once_a_second() -> None:
    repeats = Repeats()
    given_up = [
        number
        for number in range(3000)
        if repeats.answer(number, rate=100_000, now=number * MILLISECOND) is Answer.GIVE_UP
    ]
    assert len(given_up) == 3
    assert min(given_up[1] - given_up[0], given_up[2] - given_up[1]) >= 1000


def test_at_the_lowest_rate_two_packets_can_still_be_sent_again() -> None:
    repeats = Repeats()
    answers = [repeats.answer(number, rate=1_000, now=SECOND) for number in range(3)]
    assert answers == [Answer.REPEAT, Answer.REPEAT, Answer.GIVE_UP]


def test_what_was_repeated_long_ago_is_forgotten() -> None:
    repeats = Repeats()
    for number in range(5000):
        repeats.answer(number, rate=10**9, now=number * MILLISECOND)
    assert len(repeats._answered) <= 512


async def test_aiortc_repeats_only_what_may_be_repeated() -> None:
    connection = RTCPeerConnection()
    sender: Any = connection.addTransceiver("video").sender
    sent: list[int] = []

    async def note(number: int) -> None:
        sent.append(number)

    sender._retransmit = note
    listen_to_receiver(
        sender,
        on_picture_lost=lambda: None,
        on_estimate=lambda _: None,
        on_loss=lambda _: None,
        may_repeat=lambda number: number % 2 == 0,
    )
    nack = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=sender._ssrc, lost=[1, 2, 3, 4])
    await sender._handle_rtcp_packet(nack)
    assert sent == [2, 4]
    await connection.close()
