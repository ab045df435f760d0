"""Carries a session's events to everyone who listens.

Each listener has its own bounded channel; a slow one loses its oldest events and delays
nobody. It knows nothing of sockets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from server.broadcast import Broadcast
from server.protocol import ServerEvent

_WAITING = 256  # events


class EventHub(Broadcast[ServerEvent]):
    """One session's events."""

    def __init__(self) -> None:
        super().__init__(_WAITING)
        self._taps: list[Callable[[ServerEvent], None]] = []

    def publish(self, events: Iterable[ServerEvent]) -> None:
        """Hands events to every listener, in order, without waiting."""
        for event in events:
            self.offer(event)
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

    def close(self) -> None:
        """Ends every listener once it has read what waits."""
        self._taps.clear()  # they know the session that owns this hub
        super().close()
