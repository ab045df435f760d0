"""Which sessions and films there were, so that a mark can be told whose it is.

A file of one JSON object a line that only its owner may read: a session's id, when it began and the
portrait's id. When it is full it becomes the former one, and the one before that is forgotten; what
is older than the operator keeps it goes before. A portrait that is deleted is not named any more.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from server.marks.payload import tag_of
from server.voice.cache import write_atomically

_LOG = logging.getLogger(__name__)
LEDGER_NAME: Final = "ledger.jsonl"
DELETED: Final = "deleted"  # instead of a portrait's id
LARGEST: Final = 16_000_000  # bytes; as many again in the former file


@dataclass(frozen=True, slots=True)
class Entry:
    """One session or one film.

    Attributes:
        session: its id.
        began: when, ISO 8601 in UTC.
        portrait: the portrait's id or file name.
        kind: what it was.
    """

    session: str
    began: str
    portrait: str
    kind: str


class Ledger:
    """A ledger in a folder, which need not exist."""

    def __init__(self, folder: Path, *, is_kept: bool = True) -> None:
        """Takes the folder; what is noted in a ledger that is not kept is gone."""
        self._is_kept = is_kept
        self._lock = threading.Lock()  # it is rewritten on another thread than it is written on
        self._path = folder / LEDGER_NAME
        self._former = folder / f"former-{LEDGER_NAME}"

    def note(self, entry: Entry) -> None:
        """Adds an entry; what cannot be written is logged, for the session matters more."""
        if not self._is_kept:
            return
        with self._lock:
            try:
                self._append(_line(entry))
            except OSError as error:
                _LOG.warning("the ledger of marks cannot be written: %s", error.strerror)

    def forget(self, portrait: str) -> None:
        """Names a portrait no more in the entries of its sessions.

        Raises:
            OSError: the ledger cannot be written.
        """
        self._rewrite(
            lambda entry: replace(entry, portrait=DELETED) if entry.portrait == portrait else entry
        )

    def forget_old(self, days: float) -> None:
        """Deletes entries of sessions that began more than `days` ago.

        Raises:
            OSError: the ledger cannot be written.
        """
        oldest = (datetime.now(tz=UTC) - timedelta(days=days)).isoformat(timespec="seconds")
        self._rewrite(lambda entry: entry if entry.began >= oldest else None)

    def _append(self, line: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.is_file() and self._path.stat().st_size >= LARGEST:
            self._path.replace(self._former)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with os.fdopen(os.open(self._path, flags, 0o600), "ab", buffering=0) as file:
            file.write(line)

    def _rewrite(self, change: Callable[[Entry], Entry | None]) -> None:
        with self._lock:
            for path in (self._former, self._path):
                before = list(_entries_of(path))
                after = [kept for entry in before if (kept := change(entry)) is not None]
                if after != before:
                    write_atomically(path, map(_line, after))

    def find(self, tag: str) -> list[Entry]:
        """Returns the entries whose session has this tag, the latest first."""
        return [entry for entry in self._entries() if tag_of(entry.session) == tag][::-1]

    def _entries(self) -> Iterator[Entry]:
        for path in (self._former, self._path):
            yield from _entries_of(path)


def _line(entry: Entry) -> bytes:
    return json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n"


def _entries_of(path: Path) -> Iterator[Entry]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                entry = Entry(**json.loads(line))
            except (ValueError, TypeError, RecursionError):
                continue  # a line that a crash cut off
            if all(isinstance(value, str) for value in asdict(entry).values()):
                yield entry
