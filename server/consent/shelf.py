"""The uploads of a server as they lie in its folders, without a server: told of, and deleted.

Blocks. What it deletes, a running server notices.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from server.clock import MonotonicClock
from server.config import Settings
from server.consent.records import utc_now
from server.consent.rights import NOT_STATED
from server.marks.ledger import Ledger
from server.marks.seal import MARKS_FOLDER
from server.protocol import ProtocolError
from server.storage.making import Places
from server.uploads import Upload
from streaming_model.errors import VivantError
from streaming_model.portrait import forget_portrait


class Shelf:
    """That of the server whose settings it is given."""

    def __init__(self, settings: Settings) -> None:
        cache = settings.cache_dir
        self._fitted = cache / "portraits"
        places = Places(settings)
        self._uploads = places.uploads()
        self._records = places.records()
        self._ledger = Ledger(cache / MARKS_FOLDER)
        self._library = places.library(MonotonicClock())

    def ids(self) -> Sequence[str]:
        """Returns what is there, the oldest first."""
        return [upload.id for upload in self._uploads.list()]

    def describe(self, upload_id: str) -> dict[str, Any]:
        """Returns what is known of an upload.

        Raises:
            VivantError: there is none.
        """
        upload = self._find(upload_id)
        record = self._records.all().get(upload_id)
        if record is not None:
            return {"name": upload.name} | record.to_json()
        return {
            "name": upload.name, "portrait": upload_id, "rights": NOT_STATED, "kept": True,
            "who": "", "when": "", "portrait_sha256": "", "films": (),
        }  # fmt: skip

    def delete(self, upload_id: str, *, days: float) -> Sequence[str]:
        """Deletes an upload and all that was made of it; returns the recordings among that.

        What was said of it is kept for so many days, but for the note.

        Raises:
            VivantError: there is none.
            OSError: something cannot be deleted.
        """
        upload = self._find(upload_id)
        record = self._records.all().get(upload_id)
        forget_portrait(upload.path, cache_dir=self._fitted)
        self._uploads.delete(upload_id)
        films = record.films if record is not None else ()
        for film in films:
            with contextlib.suppress(ProtocolError):  # it was deleted by itself
                self._library.delete(self._library.stored(film))
        self._ledger.forget(upload_id)
        if record is not None:
            self._records.retire(record, reason="deleted", now=utc_now(), days=days)
        return films

    def _find(self, upload_id: str) -> Upload:
        for upload in self._uploads.list():
            if upload.id == upload_id:
                return upload
        raise VivantError(f"There is no uploaded portrait {upload_id[:60]!r}.")
