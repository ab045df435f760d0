"""The same items to everyone who listens, each at their own pace.

Each listener has its own bounded channel; a slow one loses its oldest items and delays nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from server.channel import Channel, Overflow

ItemT = TypeVar("ItemT")


class Broadcast(Generic[ItemT]):
    """Channels of all who listen; `len` counts them.

    Args:
        waiting: items that one of them may be behind.
    """

    def __init__(self, waiting: int) -> None:
        self._waiting = waiting
        self._listeners: set[Channel[ItemT]] = set()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._listeners)

    def offer(self, item: ItemT) -> None:
        """Hands an item to every listener, without waiting."""
        for listener in self._listeners:
            listener.offer(item)

    @contextmanager
    def listen(self) -> Iterator[Channel[ItemT]]:
        """Yields a channel of all items from now on."""
        channel: Channel[ItemT] = Channel(self._waiting, Overflow.DROP_OLDEST)
        if self._is_closed:
            channel.close()
        self._listeners.add(channel)
        try:
            yield channel
        finally:
            self._listeners.discard(channel)

    def close(self) -> None:
        """Ends every listener once it has read what waits."""
        self._is_closed = True
        for listener in self._listeners:
            listener.close()
