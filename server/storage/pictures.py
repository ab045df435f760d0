"""Uploaded pictures that all workers know: kept in the storage, and here once they are shown.

`portraits/ID/picture/FILE`, `portraits/ID/name`; the id is made of the picture's content and its
owner. It replaces a folder of uploads (`server.uploads`) and blocks as that does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from server.protocol import ProtocolError
from server.storage.blobs import Blobs
from server.uploads import UPLOAD_ID, Upload, UploadFolder, is_own, title_of

PORTRAITS: Final = "portraits"


class SharedUploads(UploadFolder):
    """The pictures of all workers.

    Args:
        folder: of this worker, for what it has fetched and drawn.
        blobs: the storage.
    """

    def __init__(self, folder: Path, blobs: Blobs) -> None:
        super().__init__(folder)
        self._blobs = blobs
        self._names: dict[str, tuple[str, str]] = {}  # by upload: its version and what it says

    def list(self) -> list[Upload]:
        """Returns what all workers know, the oldest first.

        Raises:
            StorageError: the storage cannot be reached.
        """
        found: list[tuple[float, str, Path]] = []
        names: dict[str, str] = {}  # versions, by upload
        for blob in self._blobs.list(PORTRAITS):
            match blob.name.split("/"):
                case [_, upload_id, "picture", filename] if UPLOAD_ID.fullmatch(upload_id):
                    found.append((blob.changed, upload_id, self._folder / filename))
                case [_, upload_id, "name"]:
                    names[upload_id] = blob.version
        uploads = []
        for _, upload_id, path in sorted(found):
            name = self._shared_name(upload_id, names.get(upload_id)) or title_of(path)
            uploads.append(Upload(upload_id, name, path))
        return uploads

    def share(self, path: Path) -> None:
        """Makes a picture that is here known to all.

        Raises:
            StorageError: the storage refuses.
        """
        upload_id = path.name.split(".")[0]
        self._blobs.put_file(f"{PORTRAITS}/{upload_id}/picture/{path.name}", path)

    def fetch(self, path: Path) -> None:
        """Has a picture here.

        Raises:
            ProtocolError: `not_found`, it was deleted.
            StorageError: the storage cannot be reached.
        """
        if is_own(path):
            return
        upload_id = path.name.split(".")[0]
        data = self._blobs.get(f"{PORTRAITS}/{upload_id}/picture/{path.name}")
        if data is None:
            raise ProtocolError("not_found", f"There is no portrait {upload_id!r}.")
        self.write(path, data)

    def rename(self, upload_id: str, name: str) -> None:
        """Keeps another name for a picture.

        Raises:
            StorageError: the storage refuses.
        """
        self._blobs.put(f"{PORTRAITS}/{upload_id}/name", name.encode())

    def delete(self, upload_id: str) -> None:
        """Deletes a picture and all that belongs to it, for all.

        Raises:
            StorageError: the storage refuses.
        """
        for blob in self._blobs.list(f"{PORTRAITS}/{upload_id}"):
            self._blobs.delete(blob.name)
        self._names.pop(upload_id, None)
        super().delete(upload_id)

    def drop(self, upload_id: str) -> None:
        """Deletes what is here of a picture that somebody has deleted for all."""
        # Recordings may have been noted after it was gone; all else may be a new upload's.
        for blob in self._blobs.list(f"{PORTRAITS}/{upload_id}/films"):
            self._blobs.delete(blob.name)
        self._names.pop(upload_id, None)
        super().delete(upload_id)

    def vanished(self, paths: Sequence[Path]) -> Sequence[Path]:
        """Returns nothing: a picture that is not here may be fetched."""
        del paths
        return ()

    def strays(self) -> Sequence[str]:
        """Returns ids of which there is something here, and no picture in the storage.

        Raises:
            StorageError: the storage cannot be reached.
        """
        there = {upload.id for upload in self.list()}
        files = self._folder.glob("*")
        found = {match[0] for path in files if (match := UPLOAD_ID.search(path.name))}
        return sorted(found - there)

    def _shared_name(self, upload_id: str, version: str | None) -> str | None:
        if version is None:
            return None
        known = self._names.get(upload_id)
        if known is None or known[0] != version:
            data = self._blobs.get(f"{PORTRAITS}/{upload_id}/name")
            if data is None:
                return None
            self._names[upload_id] = known = (version, data.decode())
        return known[1]
