"""How the process ends: at once, or once its sessions have finished or had their time.

Orchestrators send SIGTERM and wait. It knows signals only as two methods, and HTTP only as the
function that ends it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from server.clock import Clock
from server.sessions import Sessions

_LOG = logging.getLogger(__name__)
_SECOND = 1_000_000_000  # ns


class Ending:
    """The way to the end of one server."""

    def __init__(
        self, sessions: Sessions, *, seconds: float, clock: Clock, end: Callable[[], None]
    ) -> None:
        """Takes what it needs.

        Args:
            sessions: those that may finish.
            seconds: how long they may take; 0 ends them at once.
            clock: measures that.
            end: ends everything that is left.
        """
        self._sessions = sessions
        self._seconds = seconds
        self._clock = clock
        self._end = end
        self._asked = asyncio.Event()
        self._hurried = asyncio.Event()

    def ask(self) -> None:
        """Begins the end (SIGTERM); asked again, nobody is waited for any longer."""
        if self._asked.is_set():
            self._hurried.set()
        self._asked.set()

    def hurry(self) -> None:
        """Ends at once (SIGINT, a person at the keyboard)."""
        self._hurried.set()
        self._asked.set()

    async def run(self) -> None:
        """Waits to be asked, drains, and ends everything."""
        await self._asked.wait()
        if self._seconds and not self._hurried.is_set():
            await self._drain()
        self._end()

    async def _drain(self) -> None:
        self._sessions.drain(self._seconds)
        _LOG.info("draining: %d sessions have %g s", len(self._sessions), self._seconds)
        instant = self._clock.now() + int(self._seconds * _SECOND)
        async with asyncio.TaskGroup() as group:
            ends = [
                group.create_task(self._sessions.emptied.wait()),
                group.create_task(self._clock.sleep_until(instant)),
                group.create_task(self._hurried.wait()),
            ]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
        _LOG.info("drained: %d sessions are left", len(self._sessions))
