"""Keeps a session open: comes back to one that was lost, opens another where it has ended.

It knows nothing of Pipecat, nor what a session is used for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from vivant_client.errors import ClientError, NoRoomError, RefusedError, SessionEndedError
from vivant_client.session import Session

_FIRST_PAUSE: Final = 0.5  # seconds between attempts; doubled after each
_LONGEST_PAUSE: Final = 5.0


class Link:
    """One place at a server, for as long as `run` runs.

    Args:
        open_session: returns a new session, to be entered.
        resume: returns one that was lost, to be entered again.
        serve: is given each session, and lasts as long as it does; raises SessionEndedError.
        on_lost: is told why a session is gone, or could not be opened at first.
        patience: seconds to try for before giving up.
    """

    def __init__(
        self,
        *,
        open_session: Callable[[], Session],
        resume: Callable[[Session], Session],
        serve: Callable[[Session], Awaitable[None]],
        on_lost: Callable[[ClientError], Awaitable[None]],
        patience: float,
    ) -> None:
        self._open_session = open_session
        self._resume = resume
        self._serve = serve
        self._on_lost = on_lost
        self._patience = patience

    async def run(self) -> None:
        """Keeps a session open until cancelled.

        Raises:
            ClientError: the server refuses, or was away for too long.
        """
        lost: Session | None = None  # to come back to
        since: float | None = None  # instant from which there was none
        pause = _FIRST_PAUSE
        while True:
            session = self._open_session() if lost is None else self._resume(lost)
            try:
                async with session:
                    since = None
                    await self._serve(session)
            except ClientError as error:
                if isinstance(error, RefusedError) and not isinstance(error, NoRoomError):
                    if lost is None:
                        raise  # the same question would get the same answer
                    lost = None
                elif isinstance(error, SessionEndedError):
                    lost = session if error.reason == "lost" else None
                if since is None:
                    since, pause = time.monotonic(), _FIRST_PAUSE
                    await self._on_lost(error)
                if isinstance(error, NoRoomError):
                    pause = error.retry_after
                if time.monotonic() + pause - since > self._patience:
                    raise
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
