"""The statements on pictures that all workers know: `portraits/ID/rights.json` in the storage.

Recordings that show a picture are noted each under a name of its own, so that two workers that
note one at the same time lose none. What is left of pictures that have gone is `former/ID.json`.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from server.consent.records import Record, Records, left_of, read_record
from server.storage.blobs import Blob, Blobs
from server.storage.pictures import PORTRAITS

_LOG = logging.getLogger(__name__)
_FORMER: Final = "former"


class SharedRecords(Records):
    """Those of all workers."""

    def __init__(self, blobs: Blobs) -> None:
        super().__init__(Path())
        self._blobs = blobs
        self._read: dict[str, tuple[str, Record]] = {}  # by portrait: its version and what it says

    def all(self) -> dict[str, Record]:
        """Returns every record by its portrait; a damaged one is left out, and told.

        Raises:
            StorageError: the storage cannot be reached.
        """
        films: dict[str, list[str]] = {}
        statements: list[Blob] = []
        for blob in self._blobs.list(PORTRAITS):
            match blob.name.split("/"):
                case [_, portrait, "films", film]:
                    films.setdefault(portrait, []).append(film)
                case [_, portrait, "rights.json"]:
                    statements.append(blob)
        known, self._read = self._read, {}
        for blob in statements:
            portrait = blob.name.split("/")[1]
            found = known.get(portrait)
            if found is None or found[0] != blob.version:
                record = self._fetch(blob.name)
                found = None if record is None else (blob.version, record)
            if found is not None:
                self._read[portrait] = found
        return {
            portrait: replace(record, films=tuple(films.get(portrait, ())))
            for portrait, (_, record) in self._read.items()
        }

    def write(self, record: Record) -> None:
        """Keeps a record; what was said last holds.

        Raises:
            StorageError: the storage refuses.
        """
        data = json.dumps(asdict(replace(record, films=()))).encode()
        self._blobs.put(f"{PORTRAITS}/{record.portrait}/rights.json", data)

    def note_films(self, record: Record, films: tuple[str, ...]) -> None:
        """Notes that recordings show a portrait.

        Raises:
            StorageError: the storage refuses.
        """
        for film in films:
            self._blobs.put(f"{PORTRAITS}/{record.portrait}/films/{film}", b"")

    def retire(self, record: Record, *, reason: str, now: datetime, days: float) -> None:
        """Takes a record out, and keeps for `days` who said what of which picture, and when.

        Raises:
            StorageError: the storage refuses.
        """
        name = f"{PORTRAITS}/{record.portrait}/rights.json"
        if days and self._blobs.find(name) is not None:  # else another worker was first
            left = left_of(record, reason=reason, now=now)
            # The same picture may come and go again: the time makes it another one.
            at = now.strftime("%Y%m%dT%H%M%S")
            self._blobs.put(f"{_FORMER}/{at}-{record.portrait}.json", json.dumps(left).encode())
        self._blobs.delete(name)

    def former(self) -> list[dict[str, Any]]:
        """Returns what is left of portraits that have gone, the oldest first.

        Raises:
            StorageError: the storage cannot be reached.
        """
        found = (self._blobs.get(blob.name) for blob in self._blobs.list(_FORMER))
        return [json.loads(data) for data in found if data is not None]

    def forget_former(self, *, now: datetime, days: float) -> None:
        """Deletes what was kept of portraits that went more than `days` ago.

        Raises:
            StorageError: the storage refuses.
        """
        oldest = (now - timedelta(days=days)).timestamp()
        for blob in self._blobs.list(_FORMER):
            if blob.changed < oldest:
                self._blobs.delete(blob.name)

    def _fetch(self, name: str) -> Record | None:
        data = self._blobs.get(name)
        if data is None:
            return None
        try:
            return read_record(data.decode())
        except (ValueError, TypeError, KeyError) as error:
            _LOG.warning("%s cannot be read: %s", name, error)
            return None
