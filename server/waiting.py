"""The line before a full house: who waits, how long that may take, and who was forgotten.

It decides by instants it is given and opens no session; `sessions` lets in whoever is first.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from server import protocol
from server.events import EventHub
from server.protocol import CapacityError, CloseReason, Failed, Queued, SessionClosed
from streaming_model.errors import VivantError

if TYPE_CHECKING:
    from server.session import Session

_SECOND = 1_000_000_000  # ns
PATIENCE = 10 * _SECOND  # without a sign of a waiting client before its turn is given away
_REMEMBERED = 20  # departures that the estimate is made from
_STEP = 5  # seconds to which estimates are rounded, so that they do not flicker
_MOST_WAIT = 3600  # seconds told at most


class Waiting:
    """One client in line.

    Attributes:
        id: the id that its session will have.
        make: makes its session.
        events: `session.queued`, and how it ended if it was not let in.
        position: 1 for who is next, 0 while the place is made ready.
        wait_s: estimated seconds until its turn, or None where nothing is known.
        seen: instant at which the client last showed itself.
        has_ended: whether no session comes of it.
        portrait: that its session will show, or None where that is not known.
    """

    def __init__(
        self, session_id: str, make: Callable[[str], Awaitable[Session]], *, now: int
    ) -> None:
        self.id = session_id
        self.make = make
        self.events = EventHub()
        self.position = 0
        self.wait_s: int | None = None
        self.seen = now
        self.has_ended = False
        self.portrait: str | None = None

    def place(self, position: int, wait_s: int | None) -> None:
        """Notes its position, and tells the client when anything changed."""
        if (position, wait_s) != (self.position, self.wait_s):
            self.position, self.wait_s = position, wait_s
            self.events.publish([self.event()])

    def event(self) -> Queued:
        """Returns what the client is told."""
        return Queued(self.position, self.wait_s)

    def end(self, reason: CloseReason, error: VivantError | None = None) -> None:
        """Says that no session comes of it."""
        self.has_ended = True
        if error is not None:
            self.events.publish([Failed(error.code, str(error))])
        self.events.publish([SessionClosed(reason)])
        self.events.close()


class Departures:
    """How often places become free."""

    def __init__(self, now: int) -> None:
        self._since = now
        self._instants: deque[int] = deque(maxlen=_REMEMBERED)

    def note(self, now: int) -> None:
        """Notes that a session ended."""
        if len(self._instants) == _REMEMBERED:
            self._since = self._instants[0]
        self._instants.append(now)

    def wait_s(self, position: int, now: int) -> int | None:
        """Returns the seconds until the `position`th from now, or None before the first one."""
        if not self._instants:
            return None
        interval = (now - self._since) / len(self._instants)
        seconds = position * interval / _SECOND
        return min(_MOST_WAIT, max(1, round(seconds / _STEP)) * _STEP)


class WaitingLine:
    """Clients in the order in which they came, at most `length`."""

    def __init__(self, length: int, *, now: int) -> None:
        self.length = length
        self.departures = Departures(now)
        self._waiting: OrderedDict[str, Waiting] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Waiting]:
        return iter(list(self._waiting.values()))

    def find(self, session_id: str) -> Waiting | None:
        """Returns who waits for that session."""
        return self._waiting.get(session_id)

    def join(self, waiting: Waiting, *, places: int, now: int) -> None:
        """Puts a client at the end.

        Args:
            waiting: the client.
            places: how many sessions are open, for the refusal's sentence.
            now: the present instant.

        Raises:
            CapacityError: the line is full.
        """
        if len(self) >= self.length:
            beyond = f", and {self.length} wait for a place" if self.length else ""
            raise CapacityError(
                f"All {places} sessions are in use{beyond}; try again soon.",
                retry_after=self.departures.wait_s(1, now) or protocol.RETRY_AFTER,
            )
        self._waiting[waiting.id] = waiting
        self.tell(now)

    def leave(self, waiting: Waiting) -> None:
        """Takes a client out."""
        self._waiting.pop(waiting.id, None)

    def next(self) -> Waiting | None:
        """Takes out who is first, or returns None."""
        return self._waiting.popitem(last=False)[1] if self._waiting else None

    def tell(self, now: int) -> None:
        """Tells everyone in line what has changed for them."""
        for position, waiting in enumerate(self, start=1):
            waiting.place(position, self.departures.wait_s(position, now))

    def forget(self, now: int) -> None:
        """Takes out those who neither listen nor asked for `PATIENCE`."""
        for waiting in self:
            if len(waiting.events):
                waiting.seen = now
            elif now - waiting.seen > PATIENCE:
                self.leave(waiting)
                waiting.end("idle")
