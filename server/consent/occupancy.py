"""Whether another server works in a folder: what lies there is then not ours to clear away."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, Final

_NAME: Final = ".in-use"


class Occupancy:
    """A lock on a file of a folder, which every server there holds together."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        self._file: IO[bytes] | None = None

    def enter(self) -> bool:
        """Notes that a server works there; returns whether it is the only one. Blocks.

        Raises:
            OSError: the folder cannot be written to.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("ab")
        if sys.platform == "win32":
            return True
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self._file, fcntl.LOCK_SH)
            return False
        return True

    def share(self) -> None:
        """Lets others in, once what an earlier server left is cleared away."""
        if self._file is not None and sys.platform != "win32":
            import fcntl

            fcntl.flock(self._file, fcntl.LOCK_SH)

    def leave(self) -> None:
        """Notes that the server has ended."""
        if self._file is not None:
            self._file.close()
            self._file = None
