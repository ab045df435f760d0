"""Uploaded backgrounds that all workers know: `backgrounds/NAME`, named by their content.

It replaces the folder of backgrounds (`server.backgrounds`) and blocks as that does.
"""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Executor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from server.backgrounds import MAX_UPLOADS, Backgrounds
from server.protocol import ProtocolError
from server.storage.blobs import Blob, Blobs
from streaming_model.backdrop import Backdrop

_BACKGROUNDS: Final = "backgrounds"
_KEPT: Final = "kept-"


class SharedBackgrounds(Backgrounds):
    """Those of all workers."""

    def __init__(self, *, default: Backdrop, blobs: Blobs, worker: Executor) -> None:
        super().__init__(default=default, folder=Path(), worker=worker)
        self._blobs = blobs
        self._shown: dict[str, float] = {}  # when each was seen to be shown, seconds since 1970

    def forget(self, *, shown: Collection[str], seconds: float) -> None:
        """Deletes pictures that are not to be kept and were not shown for so long; blocks.

        Raises:
            StorageError: the storage refuses.
        """
        now = datetime.now(tz=UTC).timestamp()
        self._shown |= dict.fromkeys(shown, now)
        blobs = {_name(blob): blob for blob in self._blobs.list(_BACKGROUNDS)}
        for name, blob in blobs.items():
            seen = max(blob.changed, self._shown.get(name, 0.0))
            if name.startswith(_KEPT) or _KEPT + name in blobs or name in shown:
                continue
            if now - seen >= seconds:
                self._blobs.delete(blob.name)
        self._shown = {name: at for name, at in self._shown.items() if name in blobs}

    def _load(self, name: str) -> Backdrop:
        data = self._blobs.get(f"{_BACKGROUNDS}/{name}")
        if data is None:
            raise ProtocolError("not_found", f"There is no background {name!r}.")
        return Backdrop.from_image(data)

    def _store(self, data: bytes) -> Backdrop:
        backdrop = Backdrop.from_image(data)
        self._blobs.put(f"{_BACKGROUNDS}/{backdrop.name}", data)
        known = [each for each in self._blobs.list(_BACKGROUNDS) if not _is_mark(each)]
        known.sort(key=lambda blob: blob.changed)
        for blob in known[: max(0, len(known) - MAX_UPLOADS)]:
            self._blobs.delete(blob.name)
            self._blobs.delete(f"{_BACKGROUNDS}/{_KEPT}{_name(blob)}")
        return backdrop

    def _mark_kept(self, backdrop: Backdrop) -> Backdrop:
        self._blobs.put(f"{_BACKGROUNDS}/{_KEPT}{backdrop.name}", b"")
        return backdrop


def _name(blob: Blob) -> str:
    return blob.name.rpartition("/")[2]


def _is_mark(blob: Blob) -> bool:
    return _name(blob).startswith(_KEPT)
