"""Which sessions and films there were, so that a mark can be told whose it is.

A file of one JSON object a line that only its owner may read: a session's id, when it began and the
portrait's id. When it is full it becomes the former one, and the one before that is forgotten.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from server.marks.payload import tag_of

_LOG = logging.getLogger(__name__)
LEDGER_NAME: Final = "ledger.jsonl"
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

    def __init__(self, folder: Path) -> None:
        self._path = folder / LEDGER_NAME
        self._former = folder / f"former-{LEDGER_NAME}"

    def note(self, entry: Entry) -> None:
        """Adds an entry; what cannot be written is logged, for the session matters more."""
        line = json.dumps(asdict(entry), ensure_ascii=False) + "\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.is_file() and self._path.stat().st_size >= LARGEST:
                self._path.replace(self._former)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            with os.fdopen(os.open(self._path, flags, 0o600), "ab", buffering=0) as file:
                file.write(line.encode())
        except OSError as error:
            _LOG.warning("the ledger of marks cannot be written: %s", error.strerror)

    def find(self, tag: str) -> list[Entry]:
        """Returns the entries whose session has this tag, the latest first."""
        return [entry for entry in self._entries() if tag_of(entry.session) == tag][::-1]

    def _entries(self) -> Iterator[Entry]:
        for path in (self._former, self._path):
            if not path.is_file():
                continue
            with path.open(encoding="utf-8") as file:
                for line in file:
                    try:
                        yield Entry(**json.loads(line))
                    except (ValueError, TypeError):
                        continue  # a line that a crash cut off
