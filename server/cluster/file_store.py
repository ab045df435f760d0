"""A store in a file of SQLite: what was acknowledged is on the disk, one transaction for many.

All of it also lies in memory, so that reading asks no disk. One thread writes: it takes every
call that waits, does them in one transaction, and answers them when that is committed. The file
has one writer; a second one is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from server.access.quotas import NOBODYS, Claim, QuotaError
from server.cluster.store import Record, Shelf, StoreError, Superseded
from streaming_model.errors import VivantError

_MOST_AT_ONCE: Final = 256  # calls in one transaction
_PATIENCE: Final = 1.0  # seconds that the file may be locked by another
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS sessions (
    session TEXT PRIMARY KEY, worker TEXT NOT NULL, epoch INTEGER NOT NULL, facts TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS constants (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_TENANTS: Final = "ALTER TABLE sessions ADD COLUMN tenant TEXT NOT NULL DEFAULT ''"
ResultT = TypeVar("ResultT")
_Call: TypeAlias = tuple[Callable[[], Any], "Future[Any]"]


class FileStore:
    """The store in one file; its folder is made.

    Raises:
        StoreError: the file cannot be opened, or somebody else writes to it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shelf = Shelf()
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        opened: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._work, args=(opened,), name="store", daemon=True
        )
        self._thread.start()
        opened.result()

    def close(self) -> None:
        """Ends the thread once all calls are answered."""
        self._calls.put(None)
        self._thread.join()

    async def take(
        self, session: str, worker: str, *, after: int, claim: Claim = NOBODYS
    ) -> Record:
        """As `Store`."""

        def take() -> Record:
            record = self._shelf.take(session, worker, after, claim)
            self._keep(record)
            return record

        return await self._do(take)

    async def write(self, session: str, epoch: int, facts: str) -> None:
        """As `Store`."""
        await self._do(lambda: self._keep(self._shelf.write(session, epoch, facts)))

    async def read(self, session: str) -> Record | None:
        """As `Store`; what is being written is not told before it is on the disk."""
        return await self._do(lambda: self._shelf.records.get(session))

    async def forget(self, session: str, epoch: int) -> None:
        """As `Store`."""

        def forget() -> None:
            if self._shelf.forget(session, epoch):
                self._file.execute("DELETE FROM sessions WHERE session = ?", (session,))

        await self._do(forget)

    async def held(self) -> list[Record]:
        """As `Store`."""
        return await self._do(self._shelf.held)

    async def constant(self, name: str, proposed: str) -> str:
        """As `Store`."""

        def propose() -> str:
            value = self._shelf.constants.setdefault(name, proposed)
            self._file.execute("INSERT OR IGNORE INTO constants VALUES (?, ?)", (name, value))
            return value

        return await self._do(propose)

    async def _do(self, call: Callable[[], ResultT]) -> ResultT:
        answer: Future[ResultT] = Future()
        self._calls.put((call, answer))
        return await asyncio.wrap_future(answer)

    def _keep(self, record: Record) -> None:
        self._file.execute(
            "INSERT OR REPLACE INTO sessions (session, worker, epoch, facts, tenant) "
            "VALUES (?, ?, ?, ?, ?)",
            (record.session, record.worker, record.epoch, record.facts, record.tenant),
        )

    def _work(self, opened: Future[None]) -> None:
        """Opens the file, and answers calls until it is closed."""
        try:
            self._file = self._open()
            self._load()
        except (OSError, sqlite3.Error) as error:
            opened.set_exception(StoreError(f"Cannot use the store '{self._path}': {error}."))
            return
        opened.set_result(None)
        with contextlib.closing(self._file):
            for calls in self._waiting():
                self._answer(calls)

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # We begin and commit ourselves; a writer that was killed has let go of its lock.
        file = sqlite3.connect(self._path, isolation_level=None, timeout=_PATIENCE)
        file.execute("PRAGMA locking_mode = EXCLUSIVE")
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = FULL")  # also what the machine's own death takes
        file.executescript(_TABLES)
        if "tenant" not in {row[1] for row in file.execute("PRAGMA table_info(sessions)")}:
            file.execute(_TENANTS)
        self._path.chmod(0o600)
        return file

    def _load(self) -> None:
        """Reads what the file holds, which also is what the shelf is when a commit has failed."""
        rows = self._file.execute("SELECT session, worker, epoch, facts, tenant FROM sessions")
        self._shelf.records = {row[0]: Record(*row) for row in rows}
        self._shelf.constants = dict(self._file.execute("SELECT name, value FROM constants"))

    def _waiting(self) -> Iterator[list[_Call]]:
        """Yields the calls that wait together, until the end."""
        while (call := self._calls.get()) is not None:
            calls = [call]
            while len(calls) < _MOST_AT_ONCE and not self._calls.empty():
                if (more := self._calls.get()) is None:
                    yield calls
                    return
                calls.append(more)
            yield calls

    def _answer(self, calls: list[_Call]) -> None:
        """Does all in one transaction; nobody is answered before it is on the disk."""
        outcomes: list[tuple[Future[Any], Any, VivantError | None]] = []
        try:
            self._file.execute("BEGIN IMMEDIATE")
            for call, answer in calls:
                try:
                    outcomes.append((answer, call(), None))
                except (Superseded, QuotaError) as refused:  # it has written nothing
                    outcomes.append((answer, None, refused))
            self._file.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            failure = StoreError(f"The store '{self._path}' cannot write: {error}.")
            outcomes = [(answer, None, None) for _, answer in calls]
            for answer, _, _ in outcomes:
                _set(answer, None, failure)
            return
        for answer, result, refusal in outcomes:
            _set(answer, result, refusal)

    def _undo(self) -> None:
        if self._file.in_transaction:
            self._file.execute("ROLLBACK")
        self._load()


def _set(answer: Future[Any], result: Any, error: Exception | None) -> None:  # noqa: ANN401
    """Answers, unless whoever asked has gone."""
    if not answer.set_running_or_notify_cancel():
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
