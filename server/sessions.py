"""The sessions of a server: let in while there is room, in line while there is none.

Each runs as a task of the server's TaskGroup. It knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol, get_args

from server.access.quotas import NOBODYS, Claim, QuotaError
from server.access.tokens import Tokens
from server.capacity import Capacity
from server.clock import Clock
from server.protocol import RETRY_AFTER, CapacityError, CloseReason, ProtocolError
from server.session import Session
from server.waiting import Waiting, WaitingLine
from streaming_model.errors import VivantError

_LOG = logging.getLogger(__name__)
_SECOND = 1_000_000_000  # ns

MakeSession = Callable[[str], Awaitable[Session]]


class Keeper(Protocol):
    """What makes sessions outlive this process; `server.cluster.journal` is one."""

    async def reserve(self, session_id: str, claim: Claim) -> None:
        """Makes an id known before it is told; raises `QuotaError` beyond a tenant's quota."""
        ...

    async def begin(self, session: Session) -> None:
        """Keeps a session from its beginning on."""
        ...

    async def end(self, session_id: str) -> None:
        """Forgets one that has ended, or never began."""
        ...


class KeepsNothing:
    """The keeper of a server that is alone."""

    async def reserve(self, session_id: str, claim: Claim) -> None:
        """Does nothing."""

    async def begin(self, session: Session) -> None:
        """Does nothing."""

    async def end(self, session_id: str) -> None:
        """Does nothing."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a line elsewhere says of whoever wants a session.

    Attributes:
        session: the id that it has there, when it is its turn; None before that.
        must_wait: whether it may not be opened now, also if there is room.
    """

    session: str | None = None
    must_wait: bool = False


PLACE: ContextVar[Place | None] = ContextVar("place", default=None)


class Sessions:
    """The registry.

    Attributes:
        capacity: decides how many sessions may live at once.
        is_draining: whether nobody is let in any more.
        emptied: set while no session lives.
        opened, refused, resumed: how many sessions were, so far.
        closed: how many have ended, by reason.
    """

    def __init__(
        self,
        *,
        capacity: Capacity,
        measure: Callable[[int], None],
        queue_length: int,
        tokens: Tokens,
        clock: Clock,
        keeper: Keeper | None = None,
    ) -> None:
        """Takes what it needs; `measure` is told every second how many sessions are watched."""
        self._keeper = keeper or KeepsNothing()
        self._tenants: dict[str, str] = {}  # by session, open or waited for
        self._reserved: set[str] = set()  # ids of those who came into the line
        self.capacity = capacity
        self.opened = self.refused = self.resumed = 0
        self.closed: dict[str, int] = dict.fromkeys((*get_args(CloseReason), "moved"), 0)
        self._measure = measure
        self._tokens = tokens
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._entering: dict[str, Waiting | None] = {}  # places taken, sessions not there yet
        self._line = WaitingLine(queue_length, now=clock.now())
        self._group: asyncio.TaskGroup | None = None
        self.is_draining = False
        self.emptied = asyncio.Event()
        self.emptied.set()

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def room(self) -> int:
        """How many more may open now."""
        return self.capacity.verdict(len(self._sessions) + len(self._entering)).room

    @property
    def waiting(self) -> int:
        """How many clients wait for a place."""
        return len(self._line)

    async def run(self, is_over: asyncio.Event) -> None:
        """Keeps sessions alive until `is_over`, then ends them all with reason `shutdown`."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            watch = group.create_task(self._watch(), name="watch")
            await is_over.wait()
            watch.cancel()
            self.shut_the_door()
            for session in self._sessions.values():
                session.close("shutdown")

    def drain(self, seconds: float) -> None:
        """Lets nobody in any more, sends away who waits, and gives sessions so long to finish."""
        self.shut_the_door()
        for session in self._sessions.values():
            session.expire(seconds)

    @property
    def portraits(self) -> frozenset[str]:
        """The portraits of those that live."""
        return frozenset(session.portrait for session in self._sessions.values())

    def shut_the_door(self) -> None:
        """Lets nobody in any more, and sends away who waits."""
        self.is_draining = self.capacity.is_closed = True
        for waiting in self._line:
            self._line.leave(waiting)
            waiting.end("shutdown")

    async def enter(
        self, make: MakeSession, *, may_wait: bool = True, claim: Claim = NOBODYS
    ) -> Session | Waiting:
        """Starts the session that `make` builds from a fresh id, or puts the client in line.

        Where the line is elsewhere, the client is only told as if it waited.

        Raises:
            CapacityError: there is no room, and none in the line or the client cannot wait; or
                the server is shutting down.
            QuotaError: whom it counts for has as much as they may have.
            VivantError: whatever `make` raises.
        """
        if self.is_draining:
            self.refused += 1
            raise _closing()
        place = PLACE.get()
        session_id = (place and place.session) or secrets.token_urlsafe(12)
        self._check(claim, waits=False)
        must_wait = place is not None and place.must_wait
        if self.room > 0 and not len(self._line) and not must_wait:
            self._entering[session_id] = None
            self._tenants[session_id] = claim.tenant
            return await self._start(session_id, make, claim=claim)
        now = self._clock.now()
        if place is not None and place.session is None:
            return Waiting(session_id, make, now=now)
        if not may_wait:
            self.refused += 1
            wait = self._line.departures.wait_s(1, now) or RETRY_AFTER
            raise CapacityError("All sessions are in use; try again soon.", retry_after=wait)
        self._check(claim, waits=True)
        waiting = Waiting(session_id, make, now=now)
        self._tenants[session_id] = claim.tenant
        try:
            self._line.join(waiting, places=len(self), now=now)
        except CapacityError:
            self.refused += 1
            raise
        self._reserved.add(session_id)
        await self._keeper.reserve(session_id, claim)
        return waiting

    def _check(self, claim: Claim, *, waits: bool) -> None:
        """Accepts one more of a tenant; those of other workers are the keeper's to count."""
        in_line = {waiting.id for waiting in self._line}
        here = in_line | self._sessions.keys() | self._entering.keys()
        self._tenants = {key: each for key, each in self._tenants.items() if key in here}
        if not claim.tenant:
            return
        own = {key for key, tenant in self._tenants.items() if tenant == claim.tenant}
        try:
            claim.check(sessions=len(own - in_line), waiting=len(own & in_line), waits=waits)
        except QuotaError:
            self.refused += 1
            raise

    def may_take_up(self, *, is_pressed: bool) -> bool:
        """Returns whether a session that began elsewhere may go on here.

        Where nobody has room (`is_pressed`) it may also where pictures become fewer by it, for it
        was let in once; not beyond the operator's own limit.
        """
        if self.is_draining:
            return False
        cap, count = self.capacity.cap, len(self._sessions) + len(self._entering)
        return self.room > 0 or (is_pressed and (cap is None or count < cap))

    async def take_up(self, session_id: str, make: MakeSession) -> Session:
        """Starts a session that began elsewhere, and that the keeper has reserved.

        Raises:
            CapacityError: the server is shutting down.
            VivantError: whatever `make` raises.
        """
        if self.is_draining:
            raise _closing()
        self._entering[session_id] = None
        session = await self._start(session_id, make)
        self.resumed += 1
        return session

    def find(self, session_id: str) -> Session:
        """Returns a living session.

        Raises:
            ProtocolError: `not_found`, or `queued` while it waits for its place.
        """
        waiting = self.find_waiting(session_id)
        if waiting is not None:
            raise ProtocolError(
                "queued", f"The session waits for its place: it is number {waiting.position}."
            )
        session = self._sessions.get(session_id)
        if session is None or session.is_closing:
            raise ProtocolError("not_found", f"There is no session {session_id[:60]!r}.")
        return session

    def all(self) -> list[Session]:
        """Returns every session that lives."""
        return list(self._sessions.values())

    def expected(self) -> set[str]:
        """Returns the portraits that those in line wait with."""
        waiting = [*self._line, *(each for each in self._entering.values() if each is not None)]
        return {each.portrait for each in waiting if each.portrait is not None}

    def get(self, session_id: str) -> Session | None:
        """Returns a session that lives, or None."""
        return self._sessions.get(session_id)

    def find_waiting(self, session_id: str) -> Waiting | None:
        """Returns who waits for that session, noting that the client asked."""
        waiting = self._line.find(session_id) or self._entering.get(session_id)
        if waiting is not None:
            waiting.seen = self._clock.now()
        return waiting

    def is_owner(self, session_id: str, token: str | None) -> bool:
        """Returns whether the client brings a token that controls the session; False for none.

        Raises:
            ProtocolError: `forbidden`, for a token that is not of this session or not valid.
        """
        if token is None:
            return False
        principal = self._tokens.read(token)
        if principal is None or principal.session != session_id:
            raise ProtocolError("forbidden", "The token is not the one given with this session.")
        return principal.owns(session_id)

    def resume(self, session_id: str, token: str, *, is_owner: bool = False) -> Session | Waiting:
        """Returns what a client comes back to after it lost its connection.

        An owner is one by what the request was let in with, and needs no token beside that.

        Raises:
            ProtocolError: `forbidden`, or `session_gone`.
        """
        if not (is_owner or self.is_owner(session_id, token)):
            raise ProtocolError("forbidden", "The token is not one that controls the session.")
        waiting = self.find_waiting(session_id)
        if waiting is not None:
            return waiting
        session = self._sessions.get(session_id)
        if session is None or session.is_closing:
            raise ProtocolError(
                "session_gone", "The session has ended, or nobody came back to it in time."
            )
        session.touch()
        self.resumed += 1
        return session

    def close(self, session_id: str, reason: CloseReason = "client") -> None:
        """Ends a session, or gives up its place in the line.

        Raises:
            ProtocolError: `not_found`.
        """
        waiting = self._line.find(session_id)
        if waiting is None:
            self.find(session_id).close(reason)
            return
        self._line.leave(waiting)
        waiting.end(reason)
        self._line.tell(self._clock.now())

    async def _start(
        self, session_id: str, make: MakeSession, *, claim: Claim | None = None
    ) -> Session:
        """Makes a session whose place is taken in `_entering` already."""
        try:
            if claim is not None:
                await self._keeper.reserve(session_id, claim)
            session = await make(session_id)
            await self._keeper.begin(session)
            if self._group is None:
                raise RuntimeError("Sessions.run has not begun")
            if self.is_draining:
                raise _closing()
            self._sessions[session_id] = session
            self.emptied.clear()
            self.opened += 1
            _LOG.info("session opened", extra={"session": session.id, "who": session.owner.name})
            self._group.create_task(self._live(session), name=f"session {session_id}")
        except BaseException:
            await self._keeper.end(session_id)
            raise
        finally:
            del self._entering[session_id]
            self._admit()
        return session

    async def _live(self, session: Session) -> None:
        try:
            await session.run()
        finally:
            del self._sessions[session.id]
            self.closed[session.reason] += 1
            _LOG.info("session closed", extra={"session": session.id, "reason": session.reason})
            if not self._sessions:
                self.emptied.set()
            self._line.departures.note(self._clock.now())
            self._admit()
            await self._keeper.end(session.id)

    def _admit(self) -> None:
        """Lets in those in line for whom there is room."""
        while self._group is not None and not self.is_draining and self.room > 0:
            waiting = self._line.next()
            if waiting is None:
                return
            waiting.place(0, 0)
            self._entering[waiting.id] = waiting
            self._group.create_task(self._start_waiting(waiting), name="entry")
        self._line.tell(self._clock.now())

    async def _start_waiting(self, waiting: Waiting) -> None:
        try:
            await self._start(waiting.id, waiting.make)
        except VivantError as error:  # its portrait has gone meanwhile, say
            waiting.end("failed", error)
        else:
            waiting.events.close()

    async def _watch(self) -> None:
        """Once a second measures, and ends what nobody uses."""
        while True:
            self._measure(sum(session.is_watched for session in self._sessions.values()))
            await self._clock.sleep_until(self._clock.now() + _SECOND)
            self._look_at_time()
            self.capacity.is_late = any(session.is_reduced for session in self._sessions.values())
            self._line.forget(self._clock.now())
            self._admit()
            await self._forget_reserved()

    async def _forget_reserved(self) -> None:
        """Forgets who has left the line without a session."""
        for session_id in tuple(self._reserved):
            is_in = self._line.find(session_id) is not None or session_id in self._entering
            if not is_in:
                self._reserved.discard(session_id)
                if session_id not in self._sessions:
                    await self._keeper.end(session_id)

    def _look_at_time(self) -> None:
        # Apart, so that the loop above does not keep the session that was looked at last.
        for session in self._sessions.values():
            session.look_at_time()


def _closing() -> CapacityError:
    sentence = "The server is shutting down and takes no new sessions."
    return CapacityError(sentence, retry_after=RETRY_AFTER)
