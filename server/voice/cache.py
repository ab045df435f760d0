"""The folder for files that are made once per machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def cache_folder() -> Path:
    """Returns `$VIVANT_CACHE`, else `vivant` in the user's cache folder; it may not exist yet."""
    own = os.environ.get("VIVANT_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vivant"


def write_atomically(path: Path, pieces: Iterable[bytes]) -> None:
    """Writes `pieces` to `path` so that nobody ever sees a part of the file.

    Raises:
        OSError: the folder cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in pieces:
                file.write(piece)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
