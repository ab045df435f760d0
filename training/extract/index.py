"""What has been extracted already: `index.json` beside the items. Knows nothing of films."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streaming_model.errors import VivantError

NAME: Final = "index.json"
FORMAT: Final = 1


class IndexDamagedError(VivantError):
    """The folder's index cannot be read."""

    code = "index_damaged"


@dataclass
class Index:
    """The films of a folder, by the SHA-256 of their content.

    Attributes:
        path: of the file.
        films: by digest: `name`, `settings`, `items` (file, and quality by name) and `refused`
            (seconds by reason).
    """

    path: Path
    films: dict[str, dict[str, Any]]

    @classmethod
    def open(cls, folder: Path) -> Index:
        """Reads the folder's index, or begins one.

        Raises:
            IndexDamagedError: there is one that is not ours.
        """
        path = folder / NAME
        if not path.exists():
            return cls(path, {})
        try:
            stored = json.loads(path.read_text())
            if stored["format"] != FORMAT:
                raise IndexDamagedError(
                    f"'{path}' is of format {stored['format']}; this program writes {FORMAT}."
                )
            return cls(path, dict(stored["films"]))
        except (ValueError, KeyError, TypeError) as error:
            raise IndexDamagedError(f"'{path}' is not an index of extracted films.") from error

    def holds(self, digest: str, settings: dict[str, float]) -> bool:
        """Tells whether a film was finished with these settings, and its items are still there."""
        film = self.films.get(digest)
        if film is None or film["settings"] != settings:
            return False
        return all((self.path.parent / item["file"]).exists() for item in film["items"])

    def add(self, digest: str, film: dict[str, Any]) -> None:
        """Adds a finished film and writes the index, under another name until it is whole."""
        self.films[digest] = film
        partial = self.path.with_suffix(".part")
        partial.write_text(json.dumps({"format": FORMAT, "films": self.films}, indent=1) + "\n")
        partial.replace(self.path)


def digest_of(path: Path) -> str:
    """Returns the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
