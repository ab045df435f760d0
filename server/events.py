"""Carries a session's events to everyone who listens.

Each listener has its own bounded channel; a slow one loses its oldest events and delays
nobody. It knows nothing of sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from server.channel import Channel, Overflow
from server.protocol import ServerEvent

_WAITING = 256  # events


class EventHub:
    """One session's events."""

    def __init__(self) -> None:
        self._listeners: set[Channel[ServerEvent]] = set()
        self._taps: list[Callable[[ServerEvent], None]] = []
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._listeners)

    def publish(self, events: Iterable[ServerEvent]) -> None:
        """Hands events to every listener, in order, without waiting."""
        for event in events:
            for listener in self._listeners:
                listener.offer(event)
            for tap in tuple(self._taps):
                tap(event)

    def tap(self, tap: Callable[[ServerEvent], None]) -> None:
        """Tells a part of the session of every event at once, after it was handed to listeners."""
        self._taps.append(tap)

    @contextmanager
    def tapped(self, tap: Callable[[ServerEvent], None]) -> Iterator[None]:
        """Tells `tap` of every event, before the session's own parts, while it is entered."""
        self._taps.insert(0, tap)
        try:
            yield
        finally:
            if tap in self._taps:
                self._taps.remove(tap)

    @contextmanager
    def listen(self) -> Iterator[Channel[ServerEvent]]:
        """Yields a channel of all events from now on."""
        channel: Channel[ServerEvent] = Channel(_WAITING, Overflow.DROP_OLDEST)
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
        self._taps.clear()  # they know the session that owns this hub
        for listener in self._listeners:
            listener.close()
