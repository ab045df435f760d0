"""Events reach every listener, and a slow one harms nobody."""

from __future__ import annotations

import json

from server.events import EventHub, Numbered
from server.protocol import EventsAttached, Pong


async def test_every_listener_hears_every_event_in_order() -> None:
    hub = EventHub()
    with hub.listen() as first, hub.listen() as second:
        hub.publish([Pong(1), Pong(2)])
        hub.close()
        assert [event async for event in first] == [Pong(1), Pong(2)]
        assert [event async for event in second] == [Pong(1), Pong(2)]


async def test_a_slow_listener_loses_the_oldest() -> None:
    hub = EventHub()
    with hub.listen() as slow:
        hub.publish([Pong(index) for index in range(1000)])
        assert len(slow) < 1000
        hub.close()
        assert [event async for event in slow][-1] == Pong(999)


async def test_who_comes_after_the_end_hears_nothing() -> None:
    hub = EventHub()
    hub.close()
    with hub.listen() as late:
        assert [event async for event in late] == []


def test_who_leaves_is_forgotten() -> None:
    hub = EventHub()
    with hub.listen():
        assert len(hub) == 1
    assert len(hub) == 0


def test_who_comes_back_is_told_what_it_missed() -> None:
    hub = EventHub()
    with hub.follow(0) as first:
        assert (first.attached, first.missed) == (EventsAttached(0, 0, 0), [])
        hub.publish([Pong(1), Pong(2)])
        assert first.later.drain() == [Numbered(1, Pong(1)), Numbered(2, Pong(2))]
    hub.publish([Pong(3), Pong(4)])
    with hub.follow(2) as second:
        assert second.attached == EventsAttached(2, 2, 0)
        assert second.missed == [Numbered(3, Pong(3)), Numbered(4, Pong(4))]
        hub.publish([Pong(5)])
        assert second.later.drain() == [Numbered(5, Pong(5))]


def test_what_nobody_has_any_more_is_said_to_be_lost() -> None:
    hub = EventHub()
    hub.publish([Pong(index) for index in range(2000)])
    with hub.follow(100) as late:
        assert late.attached.lost == late.missed[0].number - 101 > 0
        assert late.attached.lost + late.attached.missed == 1900
        assert late.attached.seq == late.missed[0].number - 1


def test_numbers_of_another_run_tell_nothing() -> None:
    before, after = EventHub(), EventHub()
    before.number_run(1)
    after.number_run(2)
    for hub in (before, after):
        hub.publish([Pong(1), Pong(2)])
    with before.follow(0) as old, after.follow(old.attached.seq) as new:
        assert (new.attached.lost, new.missed) == (None, [])
        assert new.attached.seq > old.attached.seq
    with before.follow(old.attached.seq + 1) as ahead:
        assert ahead.attached.lost is None


def test_a_number_stands_in_the_message() -> None:
    assert json.loads(Numbered(7, Pong(1)).to_json()) == {"seq": 7, "type": "pong", "t": 1}
