"""A bounded queue between two tasks, whose behaviour when full is named.

One event loop only; `offer` is for callers that cannot wait, `put` for those that can.
It knows nothing of what it carries.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from enum import Enum
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class Overflow(Enum):
    """What happens to an item that is offered to a full channel."""

    DROP_OLDEST = "the oldest item makes room"
    REFUSE = "the new item is refused"


class ChannelClosed(Exception):
    """The channel was closed and holds nothing more."""


class Channel(Generic[ItemT]):
    """First in, first out, at most `capacity` items.

    Attributes:
        dropped: how many items were lost to the overflow policy so far.
    """

    def __init__(self, capacity: int, overflow: Overflow) -> None:
        if capacity < 1:
            raise ValueError(f"a channel holds at least one item, not {capacity}")
        self._items: deque[ItemT] = deque()
        self._capacity = capacity
        self._overflow = overflow
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._is_closed = False
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    def offer(self, item: ItemT) -> bool:
        """Adds `item` without waiting; returns whether it was accepted.

        A closed channel accepts nothing.
        """
        if self._is_closed:
            return False
        if len(self._items) >= self._capacity:
            self.dropped += 1
            if self._overflow is Overflow.REFUSE:
                return False
            self._items.popleft()
        self._add(item)
        return True

    async def put(self, item: ItemT) -> None:
        """Adds `item`, waiting for room.

        Raises:
            ChannelClosed: it was closed before there was room.
        """
        while not self._is_closed and len(self._items) >= self._capacity:
            await self._writable.wait()
        if self._is_closed:
            raise ChannelClosed
        self._add(item)

    async def get(self) -> ItemT:
        """Removes and returns the oldest item, waiting for one.

        Raises:
            ChannelClosed: the channel is closed and empty.
        """
        while not self._items:
            if self._is_closed:
                raise ChannelClosed
            await self._readable.wait()
        item = self._items.popleft()
        if not self._items and not self._is_closed:
            self._readable.clear()
        self._writable.set()
        return item

    def drain(self) -> list[ItemT]:
        """Takes out everything that waits, oldest first."""
        items = list(self._items)
        self._items.clear()
        if not self._is_closed:
            self._readable.clear()
        self._writable.set()
        return items

    def close(self) -> None:
        """Ends the channel: what waits can still be read, nothing more is accepted."""
        self._is_closed = True
        self._readable.set()
        self._writable.set()

    async def __aiter__(self) -> AsyncIterator[ItemT]:
        while True:
            try:
                item = await self.get()
            except ChannelClosed:
                return
            yield item

    def _add(self, item: ItemT) -> None:
        self._items.append(item)
        self._readable.set()
        if len(self._items) >= self._capacity:
            self._writable.clear()
