"""Recordings that every worker serves: made in a folder, and moved to the storage when they end.

One that the storage does not take stays in the folder and is tried again. It replaces a library
(`server.outputs.library`) and blocks as that does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from server.clock import Clock
from server.outputs.library import (
    CREDENTIALS,
    SUFFIXES,
    Library,
    Stored,
    credentials_of,
    is_id,
    session_of,
)
from server.protocol import ProtocolError
from server.storage.blobs import Blob, Blobs

_LOG = logging.getLogger(__name__)
_FILMS: Final = "recordings"


class SharedLibrary(Library):
    """The films of all workers.

    Args:
        folder: of this worker, for films that are being made.
        blobs: the storage.
        kept: seconds that films stay.
    """

    def __init__(self, folder: Path, blobs: Blobs, *, kept: float, clock: Clock) -> None:
        super().__init__(folder, kept=kept, clock=clock)
        self._blobs = blobs

    def keep(self, path: Path) -> None:
        """Moves a film that has ended to the storage, with the credentials beside it.

        Raises:
            StorageError: the storage refuses; the film stays here.
        """
        credentials = credentials_of(path)
        for each in (credentials, path):  # the film last: who sees it finds them, too
            if each.is_file():
                self._blobs.put_file(f"{_FILMS}/{each.name}", each)
        super().delete(path)

    def stored(self, recording_id: str) -> Stored:
        """Returns what is known of a film, from here or the storage.

        Raises:
            ProtocolError: `not_found`.
            StorageError: the storage cannot be reached.
        """
        try:
            return super().stored(recording_id)
        except ProtocolError:
            if not is_id(recording_id):
                raise
        for suffix in SUFFIXES:
            blob = self._blobs.find(f"{_FILMS}/{recording_id}{suffix}")
            if blob is not None:
                return _stored(blob)
        raise ProtocolError("not_found", f"There is no recording {recording_id[:80]!r}.")

    def credentials(self, film: Stored) -> Stored | None:
        """Returns the content credentials beside a film.

        Raises:
            StorageError: the storage cannot be reached.
        """
        if film.path is not None:
            return super().credentials(film)
        blob = self._blobs.find(f"{_FILMS}/{film.id}{CREDENTIALS}")
        return None if blob is None else _stored(blob)

    def read(self, film: Stored, start: int, stop: int) -> Iterator[bytes]:
        """Yields bytes of what lies in the storage.

        Raises:
            StorageError: the storage cannot be reached.
        """
        return self._blobs.read(f"{_FILMS}/{film.name}", start, stop)

    def films_of(self, session_id: str) -> list[Stored]:
        """Returns the films of a session, the oldest first.

        Raises:
            StorageError: the storage cannot be reached.
        """
        here = super().films_of(session_id)
        known = {film.id for film in here}
        kept = [_stored(blob) for blob in self._kept() if session_of(_id(blob)) == session_id]
        return [*(film for film in kept if film.id not in known), *here]

    def forget_old(self) -> list[str]:
        """Deletes films that are older than they are kept; returns their ids.

        Raises:
            OSError: one cannot be deleted.
            StorageError: the storage refuses.
        """
        forgotten = super().forget_old()
        now = datetime.now(tz=UTC).timestamp()
        for blob in self._kept() if self.kept else ():
            if now - blob.changed > self.kept:
                self.delete(_stored(blob))
                forgotten.append(_id(blob))
        return forgotten

    def delete(self, film: Stored | Path) -> None:
        """Deletes a film, with the credentials that lie beside it.

        Raises:
            OSError: it cannot be deleted.
            StorageError: the storage refuses.
        """
        super().delete(film)
        name = film.name
        self._blobs.delete(f"{_FILMS}/{name}")
        self._blobs.delete(f"{_FILMS}/{name.partition('.')[0]}{CREDENTIALS}")

    def repair(self) -> None:
        """Ends films that an earlier worker left, and moves them to the storage.

        Raises:
            OSError: one cannot be read, written or deleted.
            StorageError: the storage refuses.
        """
        super().repair()
        for path in self._films():
            self.keep(path)

    def _kept(self) -> list[Blob]:
        films = self._blobs.list(_FILMS)
        return [each for each in films if each.name.endswith(SUFFIXES) and is_id(_id(each))]


def _id(blob: Blob) -> str:
    return blob.name.rpartition("/")[2].partition(".")[0]


def _stored(blob: Blob) -> Stored:
    name = blob.name.rpartition("/")[2]
    identity, _, suffix = name.partition(".")
    return Stored(identity, f".{suffix}", blob.size)
