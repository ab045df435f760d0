"""Channels: order, bounds, the named overflow policies and closing."""

from __future__ import annotations

import asyncio

import pytest

from server.channel import Channel, ChannelClosed, Overflow


async def test_items_come_out_in_the_order_they_went_in() -> None:
    channel: Channel[int] = Channel(3, Overflow.REFUSE)
    for item in (1, 2, 3):
        assert channel.offer(item)
    assert [await channel.get() for _ in range(3)] == [1, 2, 3]


async def test_a_full_channel_refuses_or_drops_the_oldest_and_counts() -> None:
    refusing: Channel[int] = Channel(1, Overflow.REFUSE)
    dropping: Channel[int] = Channel(1, Overflow.DROP_OLDEST)
    assert (refusing.offer(1), refusing.offer(2)) == (True, False)
    assert (dropping.offer(1), dropping.offer(2)) == (True, True)
    assert await refusing.get() == 1
    assert await dropping.get() == 2
    assert refusing.dropped == dropping.dropped == 1


async def test_put_waits_for_room() -> None:
    channel: Channel[int] = Channel(1, Overflow.REFUSE)
    await channel.put(1)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(channel.put(2))
        await asyncio.sleep(0)
        assert not task.done()
        assert await channel.get() == 1
    assert await channel.get() == 2


async def test_a_closed_channel_gives_what_waits_and_then_ends() -> None:
    channel: Channel[int] = Channel(2, Overflow.REFUSE)
    channel.offer(1)
    channel.close()
    assert not channel.offer(2)
    with pytest.raises(ChannelClosed):
        await channel.put(3)
    assert [item async for item in channel] == [1]


async def test_closing_wakes_a_reader_and_a_writer() -> None:
    empty: Channel[int] = Channel(1, Overflow.REFUSE)
    full: Channel[int] = Channel(1, Overflow.REFUSE)
    full.offer(1)

    async def ends(waiting: object) -> bool:
        assert asyncio.iscoroutine(waiting)
        with pytest.raises(ChannelClosed):
            await waiting
        return True

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ends(empty.get())), group.create_task(ends(full.put(2)))]
        await asyncio.sleep(0)
        empty.close()
        full.close()
    assert all(task.result() for task in tasks)


async def test_drain_empties_and_makes_room() -> None:
    channel: Channel[int] = Channel(2, Overflow.REFUSE)
    channel.offer(1)
    channel.offer(2)
    assert channel.drain() == [1, 2]
    assert channel.offer(3)
    assert await channel.get() == 3


def test_a_channel_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="not 0"):
        Channel(0, Overflow.REFUSE)
