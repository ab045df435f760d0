"""Packets in order: nothing waits without need, and waiting is learned."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.packet_order import PacketOrder


def feed(order: PacketOrder[int], numbers: list[int]) -> list[int]:
    return [ready for number in numbers for ready in order.add(number % 2**16, number)]


def test_a_packet_in_order_goes_on_at_once() -> None:
    order: PacketOrder[int] = PacketOrder()
    for number in range(65_000, 66_200):  # past the end of the numbers
        assert order.add(number % 2**16, number) == [number]


def test_a_lost_packet_holds_up_nothing_on_a_link_that_keeps_the_order() -> None:
    order: PacketOrder[int] = PacketOrder()
    assert feed(order, [1, 2]) == [1, 2]
    for number in range(4, 60, 2):
        assert feed(order, [number]) == [number]
    assert order.patience == 0


def test_a_late_packet_makes_it_wait_for_the_next_one() -> None:
    order: PacketOrder[int] = PacketOrder()
    assert feed(order, [1, 3, 2]) == [1, 3]
    assert feed(order, [4, 6, 5, 7]) == [4, 5, 6, 7]
    assert feed(order, [9]) == []
    assert feed(order, [10]) == [9, 10]  # 8 is given up


def test_ten_quiet_seconds_make_it_wait_less() -> None:
    order: PacketOrder[int] = PacketOrder()
    feed(order, [1, 3, 2])
    assert order.patience == 1
    feed(order, list(range(4, 520)))
    assert order.patience == 0


def test_another_stream_begins_anew() -> None:
    order: PacketOrder[int] = PacketOrder()
    feed(order, [1, 3, 2, 5])
    assert feed(order, [40_000, 40_001]) == [40_000, 40_001]


def test_a_packet_that_comes_twice_goes_on_once_and_changes_nothing() -> None:
    order: PacketOrder[int] = PacketOrder()
    assert feed(order, [1, 1, 2, 2, 1, 3]) == [1, 2, 3]
    assert order.patience == 0


@given(st.lists(st.integers(0, 5), min_size=1, max_size=300), st.sets(st.integers(0, 299)))
def test_what_goes_on_is_in_order_and_soon_everything(delays: list[int], lost: set[int]) -> None:
    """Each packet overtakes at most five; those that are lost hold up at most five others."""
    order: PacketOrder[int] = PacketOrder()
    sent = [number for number in range(len(delays)) if number not in lost]
    arrived = sorted(sent, key=lambda number: (number + delays[number], number))
    ready = feed(order, arrived)
    assert ready == sorted(set(ready))
    assert len(ready) >= len(sent) - 5 - 20  # held at the end, and lost while it learned
