"""The folder of uploaded pictures: each with its name, and what is drawn of it once.

Blocks, so it is called on a worker. It knows files and nothing of faces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from server.voice.cache import write_atomically

_PICTURE = "upload-"
UPLOAD_ID = re.compile(r"upload-[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Upload:
    """One picture in the folder.

    Attributes:
        id: made of its content.
        name: a few words for people.
        path: the picture.
    """

    id: str
    name: str
    path: Path


class UploadFolder:
    """Pictures under their ids; it may not exist yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def list(self) -> list[Upload]:
        """Returns what is there, the oldest first."""
        paths = [path for path in self._folder.glob(f"{_PICTURE}*") if is_own(path)]
        paths.sort(key=lambda path: path.stat().st_mtime)
        return [Upload(_id_of(path), self._name(path), path) for path in paths]

    def path_for(self, upload_id: str, filename: str) -> Path:
        """Returns where a new picture belongs."""
        return self._folder / f"{upload_id}.{_safe(filename)}"

    def write(self, path: Path, data: bytes) -> None:
        """Writes a new picture; one that breaks off leaves nothing."""
        write_atomically(path, [data])

    def rename(self, upload_id: str, name: str) -> None:
        """Keeps another name for a picture."""
        write_atomically(self._name_file(upload_id), [name.encode()])

    def drawing(self, upload_id: str, size: int) -> Path:
        """Returns where the picture drawn at rest is kept, once it was drawn."""
        return self._folder / f"rest-{upload_id}-{size}.jpg"

    def delete(self, upload_id: str) -> None:
        """Deletes a picture and all that belongs to it."""
        named = f"{self._name_file(upload_id).name}*"
        # The stars: also copies that were being written when a server was killed.
        for pattern in (f"{upload_id}.*", f"rest-{upload_id}-*", named):
            for path in self._folder.glob(pattern):
                path.unlink(missing_ok=True)

    def share(self, path: Path) -> None:
        """Makes a new picture known to others; there are none."""

    def fetch(self, path: Path) -> None:
        """Has a picture in the folder; it is there."""

    def drop(self, upload_id: str) -> None:
        """Deletes what is here of a picture that somebody else has deleted."""
        UploadFolder.delete(self, upload_id)

    def vanished(self, paths: Sequence[Path]) -> Sequence[Path]:
        """Returns those of some pictures that somebody has deleted by hand."""
        return [path for path in paths if not path.is_file()]

    def strays(self) -> Sequence[str]:
        """Returns ids of which there is something, and no picture."""
        there = {upload.id for upload in self.list()}
        found = {
            match[0] for path in self._folder.glob("*") if (match := UPLOAD_ID.search(path.name))
        }
        return sorted(found - there)

    def _name(self, path: Path) -> str:
        named = self._name_file(_id_of(path))
        return named.read_text(encoding="utf-8") if is_own(named) else title_of(path)

    def _name_file(self, upload_id: str) -> Path:
        return self._folder / f"name-{upload_id}.txt"


def _id_of(path: Path) -> str:
    return path.name.split(".")[0]


def title_of(path: Path) -> str:
    """Returns a picture's name as its file tells it."""
    return path.name.split(".", 1)[1].rsplit(".", 1)[0] if "." in path.name else path.name


def is_own(path: Path) -> bool:
    """Returns whether a file is in its folder, and not elsewhere under a name that is here."""
    return path.is_file() and not path.is_symlink()


def _safe(filename: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", Path(filename).name)[-60:] or "portrait"
