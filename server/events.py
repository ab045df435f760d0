"""Carries a session's events to everyone who listens.

Each listener has its own bounded channel; a slow one loses its oldest events and delays
nobody. Events are numbered and the latest kept for a while, so that who comes back is told what
it missed. It knows nothing of sockets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from server.broadcast import Broadcast
from server.channel import Channel
from server.protocol import EventsAttached, ServerEvent

_WAITING = 256  # events
_KEPT = 512  # events: minutes, of a session that speaks
_RUN = 1 << 32  # numbers of one run; JavaScript counts exactly up to two million of them


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event with its number, which is one more than that of the event before."""

    number: int
    event: ServerEvent

    def to_json(self) -> str:
        """Returns the message, `seq` in it."""
        return f'{{"seq": {self.number}, {self.event.to_json()[1:]}'


@dataclass(frozen=True, slots=True)
class Followed:
    """What somebody who comes (back) gets.

    Attributes:
        attached: what to tell it of that.
        missed: what came meanwhile.
        later: what comes from now on.
    """

    attached: EventsAttached
    missed: list[Numbered]
    later: Channel[Numbered]


class EventHub(Broadcast[ServerEvent]):
    """One session's events."""

    def __init__(self) -> None:
        super().__init__(_WAITING)
        self._taps: list[Callable[[ServerEvent], None]] = []
        self._numbered: Broadcast[Numbered] = Broadcast(_WAITING)
        self._kept: deque[Numbered] = deque(maxlen=_KEPT)
        self._last = 0

    def __len__(self) -> int:
        return super().__len__() + len(self._numbered)

    def number_run(self, run: int) -> None:
        """Lets numbers tell which run of the session they are of; before any event.

        Args:
            run: 0 for a session that lives in one process all the time; higher for each process
                that takes it up.
        """
        self._last = run * _RUN

    def publish(self, events: Iterable[ServerEvent]) -> None:
        """Hands events to every listener, in order, without waiting."""
        for event in events:
            self._last += 1
            numbered = Numbered(self._last, event)
            self._kept.append(numbered)
            self._numbered.offer(numbered)
            self.offer(event)
            for tap in tuple(self._taps):
                tap(event)

    @contextmanager
    def follow(self, after: int) -> Iterator[Followed]:
        """Yields all events after a number, from the first one on that is still kept.

        Args:
            after: of the last event that was had; 0 for none, and then from now on.
        """
        missed = [each for each in self._kept if each.number > after] if after else []
        lost: int | None = self._last - after - len(missed) if after else 0
        if after and (after // _RUN != self._last // _RUN or after > self._last):
            missed, lost = [], None
        attached = EventsAttached(self._last - len(missed), len(missed), lost)
        with self._numbered.listen() as later:
            yield Followed(attached, missed, later)

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
        self._numbered.close()
        super().close()
