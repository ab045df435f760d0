"""The recordings on disk: how they are named, found, and forgotten.

The folder is all there is to it: a server that was killed finds every film again. Whoever knows
a recording's id may have it, as with sessions, whose id is part of it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from server.clock import Clock
from server.outputs.repair import end_after_whole_fragments
from server.protocol import ProtocolError
from server.uploads import is_own

_LOG = logging.getLogger(__name__)
SUFFIXES = (".mp4", ".webm")
CREDENTIALS: Final = ".c2pa"
LEAST_FREE = 64_000_000  # bytes that a recording leaves free, for its own end and for others
_ID = re.compile(r"\d{8}T\d{6}Z(?:-\d+)?_([A-Za-z0-9_-]{1,64})")
_HOUR = 3_600_000_000_000  # ns


@dataclass(frozen=True, slots=True)
class Stored:
    """A film that has ended, or the credentials beside one.

    Attributes:
        id: of the recording.
        suffix: of the file, with its dot.
        size: bytes.
        path: the file; None where it lies elsewhere.
    """

    id: str
    suffix: str
    size: int
    path: Path | None = None

    @property
    def name(self) -> str:
        """The file's."""
        return f"{self.id}{self.suffix}"


class Library:
    """A folder of films.

    Attributes:
        folder: where they are.
        kept: seconds that films stay in it; 0 for ever.
    """

    def __init__(self, folder: Path, *, kept: float, clock: Clock) -> None:
        """Takes the folder, which need not exist, and for how many seconds films stay in it."""
        self.folder = folder
        self.kept = kept
        self._clock = clock

    def new(self, session_id: str, suffix: str) -> Path:
        """Returns the path of a film that does not exist yet, named by time and session.

        Raises:
            ProtocolError: `recording_refused`, the folder cannot be made or the disk is full.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            free = self.free
        except OSError as error:
            raise ProtocolError(
                "recording_refused", f"Recordings cannot be kept here: {error.strerror}."
            ) from error
        if free < LEAST_FREE:
            raise ProtocolError(
                "recording_refused", f"The disk is full: {free // 1_000_000} MB are left."
            )
        stamp = datetime.now(tz=UTC).strftime("%Y%m%dT%H%M%SZ")
        number = 1
        while self._named(name := _name(stamp, number, session_id)):
            number += 1
        return self.folder / f"{name}{suffix}"

    @property
    def free(self) -> int:
        """Bytes that are free where films are."""
        return shutil.disk_usage(self.folder).free

    def find(self, recording_id: str) -> Path:
        """Returns a film's path.

        Raises:
            ProtocolError: `not_found`.
        """
        path = self._named(recording_id) if _ID.fullmatch(recording_id) else None
        if path is None:
            raise ProtocolError("not_found", f"There is no recording {recording_id[:80]!r}.")
        return path

    def stored(self, recording_id: str) -> Stored:
        """Returns what is known of a film.

        Raises:
            ProtocolError: `not_found`.
        """
        return _stored(self.find(recording_id))

    def credentials(self, film: Stored) -> Stored | None:
        """Returns the content credentials that lie beside a film, if any do."""
        path = None if film.path is None else credentials_of(film.path)
        return None if path is None or not path.is_file() else _stored(path)

    def read(self, film: Stored, start: int, stop: int) -> Iterator[bytes]:
        """Yields bytes of a film that lies elsewhere: none does."""
        del film, start, stop
        return iter(())

    def keep(self, path: Path) -> None:
        """Takes a film that has ended; it stays where it is."""

    def films_of(self, session_id: str) -> list[Stored]:
        """Returns the films of a session that are known, the oldest first."""
        return [_stored(path) for path in self.of_session(session_id)]

    def of_session(self, session_id: str) -> list[Path]:
        """Returns the films of a session, the oldest first."""
        return [path for path in self._films() if session_of(path.stem) == session_id]

    def forget_old(self) -> list[str]:
        """Deletes films that are older than they are kept; returns their ids.

        Raises:
            OSError: one cannot be deleted.
        """
        now = datetime.now(tz=UTC).timestamp()
        old = [path for path in self._films() if now - path.stat().st_mtime > self.kept]
        for path in old if self.kept else []:
            Library.delete(self, _stored(path))
        return [path.stem for path in old] if self.kept else []

    def delete(self, film: Stored | Path) -> None:
        """Deletes a film, with the credentials that lie beside it.

        Raises:
            OSError: it cannot be deleted.
        """
        path = film if isinstance(film, Path) else film.path
        if path is not None:
            path.unlink(missing_ok=True)
            credentials_of(path).unlink(missing_ok=True)

    def repair(self) -> None:
        """Ends films whose making was broken off after what of them is whole.

        Copies that were being signed then are deleted.

        Raises:
            OSError: one cannot be read, written or deleted.
        """
        for copy in self.folder.glob(".*.signed"):
            copy.unlink(missing_ok=True)
        for path in self._films():
            if path.suffix == ".mp4" and end_after_whole_fragments(path):
                _LOG.warning("recording %s was broken off and ends earlier", path.stem)

    async def run(self) -> None:
        """Repairs films that an earlier server left; deletes old ones, every hour."""
        try:
            await asyncio.to_thread(self.repair)
        except OSError as error:
            _LOG.warning("recordings cannot be repaired: %s", error)
        while True:
            try:
                await asyncio.to_thread(self.forget_old)
            except OSError as error:
                _LOG.warning("old recordings cannot be deleted: %s", error)
            await self._clock.sleep_until(self._clock.now() + _HOUR)

    def _films(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted(
            path
            for path in self.folder.iterdir()
            if path.suffix in SUFFIXES and _ID.fullmatch(path.stem) and is_own(path)
        )

    def _named(self, name: str) -> Path | None:
        paths = (self.folder / f"{name}{suffix}" for suffix in SUFFIXES)
        return next((path for path in paths if is_own(path)), None)


def credentials_of(path: Path) -> Path:
    """Returns the file of the content credentials that a film does not hold itself."""
    return path.with_suffix(CREDENTIALS)


def is_id(text: str) -> bool:
    """Returns whether a text may be a recording's id."""
    return _ID.fullmatch(text) is not None


def _stored(path: Path) -> Stored:
    return Stored(path.stem, path.suffix, path.stat().st_size, path)


def session_of(recording_id: str) -> str | None:
    """Returns the session that a recording is of, None if it is no recording's id."""
    match = _ID.fullmatch(recording_id)
    return match[1] if match else None


def _name(stamp: str, number: int, session_id: str) -> str:
    return f"{stamp}{f'-{number}' if number > 1 else ''}_{session_id}"
