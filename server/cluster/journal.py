"""Keeps a worker's sessions in the store: before anything is told that depends on them.

`settle` returns when the store has a session as it is now; many who wait share one write. What
clients do not wait for, such as how much was heard, is written in the background.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from server.access.quotas import NOBODYS, Claim
from server.clock import Clock
from server.cluster.facts import SessionFacts
from server.cluster.store import Record, Store, StoreError, Superseded
from server.protocol import (
    Metrics,
    ServerEvent,
    UserSpeechStarted,
    UserSpeechStopped,
)
from server.session import Session

NOBODY: Final = ""  # holds what was left to whoever is asked for it next
_PROGRESS: Final = 250_000_000  # ns between notes of how much was heard, while it speaks
_LOG = logging.getLogger(__name__)
# What clients are told without any change of what is kept.
_PASSING: Final = (Metrics, UserSpeechStarted, UserSpeechStopped)


@dataclass(slots=True)
class _Page:
    record: Record
    session: Session | None = None
    is_new: bool = False  # whether the session may have changed since it was written
    written: str = ""
    parting: str | None = None  # the last that is written, for another worker to take up
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Journal:
    """One worker's.

    Args:
        store: where facts lie.
        worker: who holds the sessions.
        clock: tells when a sentence has been heard to its end.
    """

    def __init__(self, store: Store, worker: str, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._worker = worker
        self._pages: dict[str, _Page] = {}
        self._news = asyncio.Event()

    async def reserve(self, session_id: str, claim: Claim = NOBODYS) -> None:
        """Makes a new session known as this worker's, before its id is told.

        Raises:
            StoreError: the store cannot be reached.
            QuotaError: its tenant has as many as it may have, in the whole cluster.
        """
        record = await self._store.take(session_id, self._worker, after=0, claim=claim)
        self._pages[session_id] = _Page(record)

    async def take_up(self, session_id: str, *, after: int) -> Record:
        """Makes another's session this worker's; returns it as it was written last.

        Raises:
            Superseded: somebody else was faster.
            StoreError: the store cannot be reached.
        """
        record = await self._store.take(session_id, self._worker, after=after)
        self._pages[session_id] = _Page(record)
        return record

    async def begin(self, session: Session) -> None:
        """Writes a session that begins, and follows it from now on.

        Raises:
            StoreError: the store cannot be reached.
        """
        page = self._pages[session.id]
        page.session = session
        session.events.number_run(page.record.epoch)
        session.events.tap(partial(self._heed, page))
        session.settled = partial(self._settle_or_warn, session.id)
        page.is_new = True
        await self.settle(session.id)

    async def end(self, session_id: str) -> None:
        """Forgets a session that has ended, or never began."""
        page = self._pages.pop(session_id, None)
        if page is None:
            return
        if page.parting is not None:
            return
        async with page.writing:
            try:
                await self._store.forget(session_id, page.record.epoch)
            except StoreError as error:
                _LOG.warning("a session's end is not noted: %s", error)

    def touch(self, session_id: str) -> None:
        """Notes that a session may be another than was written."""
        page = self._pages.get(session_id)
        if page is not None:
            page.is_new = True
            self._news.set()

    async def settle(self, session_id: str) -> None:
        """Returns when the store has the session as it was at the call, or later.

        Raises:
            StoreError: the store cannot be reached.
            Superseded: another worker has the session, or will have it.
        """
        page = self._pages.get(session_id)
        if page is None or not (page.is_new or page.writing.locked()):
            return
        async with page.writing:
            await self._write(page)

    async def let_go(self, session_id: str, hush: Callable[[], None]) -> int:
        """Writes a session a last time; returns the epoch after which another may take it up.

        `hush` is called as soon as it is known what is written; nothing is, after that.

        Raises:
            Superseded: another has it already.
            StoreError: the store cannot be reached; a second call writes what this one would have.
        """
        page = self._pages[session_id]
        async with page.writing:
            if page.parting is None and page.session is not None:
                page.parting = SessionFacts.of(page.session).model_dump_json()
                hush()
            await self._store.write(session_id, page.record.epoch, page.parting or page.written)
        return page.record.epoch

    async def abandon(self, session_id: str) -> None:
        """Leaves a session that was let go to whoever is asked for it next."""
        page = self._pages.get(session_id)
        if page is not None:
            try:
                await self._store.take(session_id, NOBODY, after=page.record.epoch)
            except (StoreError, Superseded) as error:
                _LOG.warning("session %s: %s", session_id, error)

    async def settle_all(self) -> None:
        """Settles every session, as far as the store can be reached."""
        for session_id in tuple(self._pages):
            self.touch(session_id)
            await self._settle_or_warn(session_id)

    async def run(self) -> None:
        """Writes what nobody waits for, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write_news(), name="news")
            group.create_task(self._write_progress(), name="progress")

    async def _write_progress(self) -> None:
        """Notes how much has been heard of what is being said."""
        while True:
            await self._clock.sleep_until(self._clock.now() + _PROGRESS)
            self._touch_speaking()

    def _touch_speaking(self) -> None:
        # Apart, so that the loop above does not keep the session that was looked at last.
        for session_id, page in self._pages.items():
            if page.session is not None and page.session.turns.speaking is not None:
                self.touch(session_id)

    async def _write_news(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            for session_id in [key for key, page in self._pages.items() if page.is_new]:
                await self._settle_or_warn(session_id)

    async def _write(self, page: _Page) -> None:
        if page.session is None or not page.is_new:
            return
        page.is_new = False
        if page.parting is not None:
            raise Superseded(f"Session {page.record.session!r} moves to another worker.")
        facts = SessionFacts.of(page.session).model_dump_json()
        if facts == page.written:
            return
        try:
            await self._store.write(page.record.session, page.record.epoch, facts)
        except Superseded:
            _LOG.warning("another worker has taken up session %s", page.record.session)
            page.session.close("moved")
            raise
        except StoreError:
            page.is_new = True
            raise
        else:
            page.written = facts

    async def _settle_or_warn(self, session_id: str) -> None:
        """Lets events pass where the store is gone: the session goes on, unkept for now."""
        try:
            await self.settle(session_id)
        except (StoreError, Superseded) as error:
            _LOG.warning("session %s is not kept: %s", session_id, error)

    def _heed(self, page: _Page, event: ServerEvent) -> None:
        if not isinstance(event, _PASSING):
            page.is_new = True
            self._news.set()
