"""Events reach every listener, and a slow one harms nobody."""

from __future__ import annotations

from server.events import EventHub
from server.protocol import Pong


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
