"""A stream to somewhere else: attempts one after the other, with longer and longer waits between.

How an attempt is made is its subclass's. It knows no protocol of streaming.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.clock import Clock
from server.outputs.targets import Target
from server.protocol import OutputState, OutputUpdated, ServerEvent

_LOG = logging.getLogger(__name__)
_SECOND = 1_000_000_000  # ns
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds before the next attempt; doubled each time
_MOST_ATTEMPTS = 20  # in a row: a quarter of an hour
_PROVEN = 30 * _SECOND  # of being live, after which waits begin anew
_NAME_BYTES = 6
_AGAIN = "The worker that sent the stream is no more; it begins again on another."


class TargetError(Exception):
    """An attempt came to its end.

    Attributes:
        message: one sentence, without secrets.
        is_final: whether another attempt would end alike.
    """

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.is_final = is_final


class Output(ABC):
    """One pushed stream.

    Attributes:
        id: its name.
        target: where it goes.
        state: what it does.
        is_again: whether it was pushed from another worker before, which is told once.
    """

    is_again = False

    def __init__(
        self, target: Target, *, clock: Clock, publish: Callable[[ServerEvent], None]
    ) -> None:
        self.id = secrets.token_urlsafe(_NAME_BYTES)
        self.target = target
        self.state: OutputState = "connecting"
        self._message: str | None = None
        self._retry: float | None = None
        self._attempts = 0
        self._live_since: int | None = None
        self._clock = clock
        self._publish = publish
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ends it, cleanly where the target still listens."""
        self._stopping.set()

    def describe(self) -> dict[str, Any]:
        """Returns what the API tells of it."""
        return {
            "id": self.id,
            "url": self.target.shown,
            "state": self.state,
            "message": self._message,
            "retry_s": self._retry,
            "attempts": self._attempts,
        }

    async def run(self) -> None:
        """Streams until stopped, or until there is no hope; nothing that goes wrong comes out."""
        try:
            await self._keep_trying()
        except Exception as error:  # noqa: BLE001 - the output's edge: the session goes on
            # Without the message: that of a library may quote an address.
            _LOG.error("output %s failed: %s", self.id, where_it_failed(error))
            self._tell("failed", "The stream failed for a reason that only the log tells.")

    async def _keep_trying(self) -> None:
        wait = FIRST_WAIT
        tried = 0
        while not self._stopping.is_set():
            self._attempts += 1
            tried += 1
            self._tell("connecting", _AGAIN if self.is_again else None)
            self.is_again = False
            error = await self._try()
            if error is None or self._stopping.is_set():
                break
            if self._has_proven_itself():
                wait, tried = FIRST_WAIT, 1
            if error.is_final or tried >= _MOST_ATTEMPTS:
                self._tell("failed", error.message)
                return
            self._tell("retrying", error.message, wait)
            await self._pause(wait)
            wait = min(2 * wait, LONGEST_WAIT)
        self._tell("closed")

    @abstractmethod
    async def _attempt(self) -> None:
        """Streams until cancelled; calls `_note_live` when the target has taken the stream.

        Raises:
            TargetError: it did not come to be, or ended.
        """

    def _note_live(self) -> None:
        self._live_since = self._clock.now()
        self._tell("live")

    async def _try(self) -> TargetError | None:
        """Makes one attempt; returns why it ended, or None when stopped."""
        self._live_since = None

        async def attempt() -> TargetError | None:
            try:
                await self._attempt()
            except TargetError as error:
                return error
            return None

        async with asyncio.TaskGroup() as group:
            trying = group.create_task(attempt())
            stop = group.create_task(self._stopping.wait())
            await asyncio.wait((trying, stop), return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            if not trying.done():
                trying.cancel()
                return None
        return trying.result()

    def _has_proven_itself(self) -> bool:
        since = self._live_since
        return since is not None and self._clock.now() - since >= _PROVEN

    async def _pause(self, seconds: float) -> None:
        async with asyncio.TaskGroup() as group:
            instant = self._clock.now() + int(seconds * _SECOND)
            ends = [
                group.create_task(self._clock.sleep_until(instant)),
                group.create_task(self._stopping.wait()),
            ]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()

    def _tell(
        self, state: OutputState, message: str | None = None, retry: float | None = None
    ) -> None:
        self.state, self._message, self._retry = state, message, retry
        if message is not None:
            _LOG.info("output %s to %s: %s", self.id, self.target.shown, message)
        self._publish(OutputUpdated(self.id, self.target.shown, state, message, retry))


def where_it_failed(error: BaseException) -> str:
    """Returns the kind of an error and the places it came from, without its message."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[::-1])
    return f"{type(error).__name__} at {places}"
