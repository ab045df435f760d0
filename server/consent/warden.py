"""Whose an uploaded portrait is, what was said of it, and whose face may not be used at all.

What blocks is called on a worker. It knows no session and no route.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from server.access.keys import ENVIRONMENT
from server.access.principal import Holder
from server.consent.deny import DenyList
from server.consent.records import Record, Records, utc_now
from server.consent.rights import NOT_STATED
from server.principal import Principal, acting

NOBODY: Final = ""  # owner of what was uploaded where no key is asked for


def owner_id(principal: Principal) -> str:
    """Returns under whose name uploads are kept: the key's id, or nobody's."""
    return principal.key_id if isinstance(principal, Holder) else NOBODY


def is_operator(principal: Principal) -> bool:
    """Returns whether it is whoever runs the server: at the machine, or by its environment."""
    return owner_id(principal) in (NOBODY, ENVIRONMENT)


class Warden:
    """One server's.

    Attributes:
        records: of every upload, by its portrait's id.
        deny: whose faces may not be used.
    """

    def __init__(self, records: Records, deny: DenyList, *, days: float) -> None:
        """Reads the records; `days` is how long they outlive their pictures."""
        self.records: dict[str, Record] = records.all()
        self.deny = deny
        self._store = records
        self._days = days
        self._lock = threading.Lock()  # films are noted while others are retired

    def adopt(self, portrait: str, when: float) -> None:
        """Takes in what an earlier version kept without a statement, `when` in seconds since 1970.

        It belongs to whoever runs the server.
        """
        if portrait not in self.records:
            began = datetime.fromtimestamp(when, tz=utc_now().tzinfo)
            self.records[portrait] = Record(
                portrait=portrait, picture_sha256="", portrait_sha256="", rights=NOT_STATED,
                note="", who="", owner=NOBODY, session=None, address=None,
                when=began.isoformat(timespec="seconds"), is_kept=True,
            )  # fmt: skip

    def may_see(self, portrait: str) -> bool:
        """Returns whether who acts now may see and show a portrait.

        Theirs, or one of whoever runs the server.
        """
        record = self.records.get(portrait)
        return record is None or record.owner == NOBODY or self.may_change(portrait)

    def may_change(self, portrait: str) -> bool:
        """Returns whether who acts now may change and delete a portrait: theirs, or as operator."""
        record = self.records.get(portrait)
        now = acting()
        return record is None or is_operator(now) or record.owner == owner_id(now)

    def keep(self, record: Record) -> None:
        """Keeps what was said of a portrait.

        Raises:
            OSError: it cannot be written.
        """
        with self._lock:
            former = self.records.get(record.portrait)
            if former is not None:
                record = replace(
                    record,
                    films=former.films,
                    is_kept=record.is_kept or former.is_kept,
                    rights=former.rights if record.rights == NOT_STATED else record.rights,
                )
            self._store.write(record)
            self.records[record.portrait] = record

    def note_films(self, portrait: str, films: Sequence[str]) -> None:
        """Notes recordings that show a portrait.

        Raises:
            OSError: it cannot be written.
        """
        with self._lock:
            record = self.records.get(portrait)
            if record is None or set(films) <= set(record.films):
                return
            new = tuple(film for film in films if film not in record.films)
            record = replace(record, films=(*record.films, *new))
            self._store.note_films(record, new)
            self.records[portrait] = record

    def look(self) -> None:
        """Takes in what others have said of portraits meanwhile."""
        with self._lock:
            self.records = self._store.all()

    def drop(self, portrait: str) -> None:
        """Forgets a portrait that somebody else has retired."""
        with self._lock:
            record = self.records.pop(portrait, None)
            if record is not None:
                self.deny.forget(record.portrait_sha256)

    def retire(self, portrait: str, reason: str) -> None:
        """Forgets a portrait that goes.

        Raises:
            OSError: what is left of it cannot be written.
        """
        with self._lock:
            record = self.records.get(portrait)
            if record is not None:
                self.deny.forget(record.portrait_sha256)
                self._store.retire(record, reason=reason, now=utc_now(), days=self._days)
                del self.records[portrait]

    def forget_former(self) -> None:
        """Deletes what has been kept long enough of portraits that have gone.

        Raises:
            OSError: the list cannot be written.
        """
        with self._lock:
            self._store.forget_former(now=utc_now(), days=self._days)

    @property
    def is_screening(self) -> bool:
        """Whether there is any face that may not be used."""
        return not self.deny.is_empty

    def screen(self, picture: Path | bytes) -> None:
        """Accepts a picture whose face may be used.

        Raises:
            FaceDeniedError: it is on the list.
            ModelFileError: the embedder's file is missing or damaged.
        """
        self.deny.screen(picture)

    def told(self) -> Mapping[str, Record]:
        """Returns the records, as they are now."""
        with self._lock:
            return dict(self.records)
