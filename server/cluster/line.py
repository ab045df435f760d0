"""One line for the whole cluster: who waits, in the order of their coming, and whose turn it is.

The line decides by instants that it is given, and opens nothing: a gateway that calls it takes who
is next and has a worker open the session. A place that a gateway took and did nothing with, since
it died, is somebody's again after a while.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from server.access.quotas import Claim
from server.clock import Clock
from server.protocol import RETRY_AFTER, CapacityError
from server.waiting import PATIENCE, Departures

_SECOND: Final = 1_000_000_000  # ns
LAPSE: Final = 15 * _SECOND  # that opening a session may take before somebody else tries
_REMEMBERED: Final = 30 * _SECOND  # that it is told why one was not opened


@dataclass(frozen=True, slots=True)
class Ticket:
    """One client's place.

    Attributes:
        session: the id that the session will have.
        claim: whom it counts for.
        portrait: that it will show; None for the usual one.
        headers: of the request that is to be made again, when it is its turn.
        body: of that request.
        told: what the client was answered, without its position.
        number: its place among all that came; 0 before it has one.
    """

    session: str
    claim: Claim
    portrait: str | None
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    told: dict[str, Any]
    number: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a client stands.

    Attributes:
        position: 1 for who is next; 0 while the place is made ready.
        wait_s: estimated seconds until its turn; None where nothing is known.
        code: why no session comes of it; None while one may.
        message: the same for people.
    """

    position: int
    wait_s: int | None = None
    code: str | None = None
    message: str = ""


@dataclass(slots=True)
class _Place:
    ticket: Ticket
    seen: int
    taken: int | None = None  # since when a gateway opens its session


@dataclass(slots=True)
class _Gone:
    standing: Standing
    at: int


class Line(Protocol):
    """The line, as gateways call it. Every call raises `StoreError` where nobody answers."""

    async def join(self, ticket: Ticket, *, length: int, sessions: int) -> Standing:
        """Puts a client at the end of a line of at most `length`.

        Args:
            ticket: its own.
            length: of the line, at most.
            sessions: that its tenant has open.

        Raises:
            CapacityError: the line is full.
            QuotaError: its tenant has too many sessions, or places in line.
        """
        ...

    async def restore(self, tickets: Sequence[Ticket]) -> None:
        """Takes back who waited before the line was lost, each at its place."""
        ...

    async def find(self, session: str) -> tuple[Ticket, Standing] | None:
        """Returns who waits for a session, noting that it was asked for."""
        ...

    async def standings(self, sessions: Collection[str]) -> tuple[str, dict[str, Standing]]:
        """Returns the line's own name, another after each start, and where some stand.

        Those in it are noted to be there; who is not named does not wait.
        """
        ...

    async def call(self, room: int) -> list[Ticket]:
        """Returns who is next, for so many places, for whoever asks to open their sessions."""
        ...

    async def put_back(self, session: str) -> None:
        """Notes that there was no room after all."""
        ...

    async def end(self, session: str, standing: Standing | None = None) -> None:
        """Takes a client out: its session is open, or it is told why there is none."""
        ...

    async def length(self) -> int:
        """Returns how many wait."""
        ...

    async def portraits(self) -> frozenset[str]:
        """Returns the portraits that they wait with."""
        ...


class MemoryLine:
    """A line in memory: the keeper's, or one process's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._name = secrets.token_hex(8)
        self._places: dict[str, _Place] = {}  # by session, in the order of their numbers
        self._gone: dict[str, _Gone] = {}
        self._number = 0
        self._departures = Departures(clock.now())

    async def join(self, ticket: Ticket, *, length: int, sessions: int) -> Standing:
        """As `Line`."""
        now = self._look()
        claim = ticket.claim
        own = [each for each in self._places.values() if each.ticket.claim.tenant == claim.tenant]
        if claim.tenant:
            claim.check(sessions=sessions, waiting=len(own), waits=True)
        if len(self._places) >= length:
            beyond = f", and {length} wait for a place" if length else ""
            raise CapacityError(
                f"All sessions are in use{beyond}; try again soon.",
                retry_after=self._departures.wait_s(1, now) or RETRY_AFTER,
            )
        self._number += 1
        self._places[ticket.session] = _Place(replace(ticket, number=self._number), now)
        return self._standings()[ticket.session]

    async def restore(self, tickets: Sequence[Ticket]) -> None:
        """As `Line`."""
        now = self._clock.now()
        for ticket in tickets:
            if ticket.session not in self._gone:
                self._places.setdefault(ticket.session, _Place(ticket, now))
        ordered = sorted(self._places.values(), key=lambda place: place.ticket.number)
        self._places = {each.ticket.session: each for each in ordered}
        self._number = max((self._number, *(each.ticket.number for each in ordered)))

    async def find(self, session: str) -> tuple[Ticket, Standing] | None:
        """As `Line`."""
        now = self._look()
        place = self._places.get(session)
        if place is None:
            return None
        place.seen = now
        return place.ticket, self._standings()[session]

    async def standings(self, sessions: Collection[str]) -> tuple[str, dict[str, Standing]]:
        """As `Line`."""
        now = self._clock.now()
        for session in sessions:
            if session in self._places:
                self._places[session].seen = now
        self._look()
        standings = self._standings()
        found = {each: standings[each] for each in sessions if each in standings}
        found |= {each: self._gone[each].standing for each in sessions if each in self._gone}
        return self._name, found

    async def call(self, room: int) -> list[Ticket]:
        """As `Line`."""
        now = self._look()
        taken = sum(each.taken is not None for each in self._places.values())
        free = [each for each in self._places.values() if each.taken is None]
        called = free[: max(0, room - taken)]
        for each in called:
            each.taken = now
        return [each.ticket for each in called]

    async def put_back(self, session: str) -> None:
        """As `Line`."""
        if session in self._places:
            self._places[session].taken = None

    async def end(self, session: str, standing: Standing | None = None) -> None:
        """As `Line`."""
        place = self._places.pop(session, None)
        now = self._clock.now()
        if place is not None and standing is None:
            self._departures.note(now)
        if standing is not None:
            self._gone[session] = _Gone(standing, now)

    async def length(self) -> int:
        """As `Line`."""
        self._look()
        return len(self._places)

    async def portraits(self) -> frozenset[str]:
        """As `Line`."""
        named = (each.ticket.portrait for each in self._places.values())
        return frozenset(each for each in named if each is not None)

    def _standings(self) -> dict[str, Standing]:
        now, standings, position = self._clock.now(), {}, 0
        for session, place in self._places.items():
            if place.taken is None:
                position += 1
                standings[session] = Standing(position, self._departures.wait_s(position, now))
            else:
                standings[session] = Standing(0, 0)
        return standings

    def _look(self) -> int:
        """Takes out who has shown no sign, and gives back what nobody opens; returns the time."""
        now = self._clock.now()
        for session, place in tuple(self._places.items()):
            if place.taken is not None:
                if now - place.taken > LAPSE:
                    place.taken = None
            elif now - place.seen > PATIENCE:
                del self._places[session]
                self._gone[session] = _Gone(Standing(0, None, "idle"), now)
        self._gone = {k: each for k, each in self._gone.items() if now - each.at < _REMEMBERED}
        return now
