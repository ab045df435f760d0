"""The statements on uploaded pictures, and what is left of them when the pictures go.

A statement is a file of JSON in a folder beside the uploads, deleted with its picture; without its
note and the films' names it then becomes a line of a list, which is kept for so many days.
Blocks, so it is called on a worker.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from server.voice.cache import write_atomically

_LOG = logging.getLogger(__name__)
FORMER_NAME: Final = "former.jsonl"
_MODE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Record:
    """What was said of one portrait's picture.

    Attributes:
        portrait: its id.
        picture_sha256: of the picture as it was uploaded.
        portrait_sha256: of the part of it that is kept; the same where that is all.
        rights: by what right it is used.
        note: a few words more.
        who: name of the key that it came with.
        owner: id of that key; empty where the server asks for none.
        session: the session that it was uploaded for, or None.
        address: from where, or None where addresses are not kept.
        when: ISO 8601 in UTC.
        is_kept: whether it was asked for that it outlives its sessions.
        films: recordings that show it.
    """

    portrait: str
    picture_sha256: str
    portrait_sha256: str
    rights: str
    note: str
    who: str
    owner: str
    session: str | None
    address: str | None
    when: str
    is_kept: bool
    films: tuple[str, ...] = ()

    @property
    def began(self) -> datetime:
        """When it was said."""
        return datetime.fromisoformat(self.when)

    def to_json(self) -> dict[str, Any]:
        """Returns it for people and programs: without the owner's id, which is a key's."""
        told = asdict(self)
        del told["owner"]
        told["kept"] = told.pop("is_kept")
        return told


class Records:
    """Those of a folder, which need not exist."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._former = folder / FORMER_NAME

    def all(self) -> dict[str, Record]:
        """Returns every record by its portrait; a damaged one is left out, and told."""
        found: dict[str, Record] = {}
        for path in sorted(self._folder.glob("*.json")):
            try:
                record = read_record(path.read_text(encoding="utf-8"))
            except (OSError, ValueError, TypeError, KeyError) as error:
                _LOG.warning("%s cannot be read: %s", path.name, error)
                continue
            found[record.portrait] = record
        return found

    def write(self, record: Record) -> None:
        """Keeps a record; what was said last holds.

        Raises:
            OSError: it cannot be written.
        """
        values = asdict(record)
        write_atomically(self._path(record.portrait), [json.dumps(values).encode()])

    def note_films(self, record: Record, films: tuple[str, ...]) -> None:
        """Notes that recordings show a portrait, whose record has them already.

        Raises:
            OSError: it cannot be written.
        """
        del films
        self.write(record)

    def retire(self, record: Record, *, reason: str, now: datetime, days: float) -> None:
        """Takes a record out, and keeps for `days` who said what of which picture, and when.

        Raises:
            OSError: it cannot be written.
        """
        if days and self._path(record.portrait).exists():  # else another server was first
            left = left_of(record, reason=reason, now=now)
            self._folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            with os.fdopen(os.open(self._former, flags, _MODE), "ab", buffering=0) as file:
                file.write(json.dumps(left).encode() + b"\n")
        self._path(record.portrait).unlink(missing_ok=True)

    def former(self) -> list[dict[str, Any]]:
        """Returns what is left of portraits that have gone, the oldest first."""
        return list(self._former_lines())

    def forget_former(self, *, now: datetime, days: float) -> None:
        """Deletes what was kept of portraits that went more than `days` ago.

        Raises:
            OSError: the list cannot be written.
        """
        oldest = now - timedelta(days=days)
        lines = self.former()
        kept = [line for line in lines if datetime.fromisoformat(line["gone"]) > oldest]
        if len(kept) == len(lines):
            return
        if not kept:
            self._former.unlink(missing_ok=True)
            return
        write_atomically(self._former, (json.dumps(line).encode() + b"\n" for line in kept))

    def _former_lines(self) -> Iterator[dict[str, Any]]:
        if not self._former.is_file():
            return
        with self._former.open(encoding="utf-8") as file:
            for line in file:
                try:
                    values = json.loads(line)
                    datetime.fromisoformat(values["gone"])
                except (ValueError, TypeError, KeyError):
                    continue  # a line that a crash cut off
                yield values

    def _path(self, portrait: str) -> Path:
        return self._folder / f"{portrait}.json"


def left_of(record: Record, *, reason: str, now: datetime) -> dict[str, Any]:
    """Returns what is kept of a portrait that goes: neither the note nor the films."""
    gone = now.isoformat(timespec="seconds")
    return asdict(replace(record, note="", films=())) | {"gone": gone, "reason": reason}


def read_record(text: str) -> Record:
    """Returns a record as it was written.

    Raises:
        ValueError: it is no JSON, or has a date without a time zone.
        KeyError: it lacks something.
        TypeError: it has something that records do not have.
    """
    values = json.loads(text)
    record = Record(**{**values, "films": tuple(values["films"])})
    if record.began.tzinfo is None:
        raise ValueError("a date without a time zone")
    return record


def utc_now() -> datetime:
    """Returns the time of day."""
    return datetime.now(tz=UTC)
