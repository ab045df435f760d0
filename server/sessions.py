"""The sessions of a server: admitted while there is room, ended when nobody uses them.

Each runs as a task of the server's TaskGroup. It knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from server.capacity import Capacity
from server.clock import Clock
from server.protocol import CloseReason, ProtocolError
from server.session import Session

_SECOND = 1_000_000_000  # ns
RETRY_AFTER = 5  # seconds, told to clients that are turned away


class Sessions:
    """The registry.

    Attributes:
        capacity: decides how many sessions may live at once.
    """

    def __init__(
        self,
        *,
        capacity: Capacity,
        measure: Callable[[int], None],
        idle_seconds: float,
        clock: Clock,
    ) -> None:
        """Takes what it needs; `measure` is told every second how many sessions are watched."""
        self.capacity = capacity
        self._measure = measure
        self._idle = int(idle_seconds * _SECOND)
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._group: asyncio.TaskGroup | None = None

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def room(self) -> int:
        """How many more may open now."""
        return self.capacity.verdict(len(self)).room

    async def run(self, is_over: asyncio.Event) -> None:
        """Keeps sessions alive until `is_over`, then ends them all with reason `shutdown`."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            watch = group.create_task(self._watch(), name="watch")
            await is_over.wait()
            watch.cancel()
            for session in self._sessions.values():
                session.close("shutdown")

    def open(self, make: Callable[[str], Session]) -> Session:
        """Starts the session that `make` builds from a fresh id.

        Raises:
            ProtocolError: `capacity`.
        """
        self.check_room()
        if self._group is None:
            raise RuntimeError("Sessions.run has not begun")
        session = make(secrets.token_urlsafe(12))
        self._sessions[session.id] = session
        self._group.create_task(self._live(session), name=f"session {session.id}")
        return session

    def check_room(self) -> None:
        """Returns if one more session may open.

        Raises:
            ProtocolError: `capacity`.
        """
        if self.room <= 0:
            raise ProtocolError("capacity", f"All {len(self)} sessions are in use; try again soon.")

    def find(self, session_id: str) -> Session:
        """Returns a living session.

        Raises:
            ProtocolError: `not_found`.
        """
        session = self._sessions.get(session_id)
        if session is None or session.is_closing:
            raise ProtocolError("not_found", f"There is no session {session_id[:60]!r}.")
        return session

    def close(self, session_id: str, reason: CloseReason = "client") -> None:
        """Ends a session.

        Raises:
            ProtocolError: `not_found`.
        """
        self.find(session_id).close(reason)

    async def _live(self, session: Session) -> None:
        try:
            await session.run()
        finally:
            del self._sessions[session.id]

    async def _watch(self) -> None:
        """Once a second measures, and ends what nobody uses."""
        while True:
            self._measure(sum(session.is_watched for session in self._sessions.values()))
            await self._clock.sleep_until(self._clock.now() + _SECOND)
            for session in self._sessions.values():
                is_due = self._clock.now() - session.last_used > self._idle
                if is_due and not session.is_in_use:
                    session.close("idle")
