"""The audit log: who had which portrait say which text, and when; hashes, never the words.

One JSON object a line, in a file of its own that is only ever appended to, and in the ordinary
log. What cannot be noted is not done. It knows no route and no session, and reads nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from server.principal import acting, session_now
from streaming_model.errors import VivantError

_LOG = logging.getLogger(__name__)
_MODE: Final = 0o600
_DAY: Final = 86_400  # seconds


class AuditError(VivantError):
    """A deed cannot be noted, and is therefore refused."""

    code = "audit_failed"


class AuditLog:
    """One server's."""

    def __init__(
        self, path: Path | None = None, *, largest: int = 100_000_000, days: float = 0.0
    ) -> None:
        """Takes its settings; without a path there is only the ordinary log.

        Args:
            path: the file; older ones get the time in their names.
            largest: bytes after which another file is begun.
            days: after which older files are deleted; 0 for never.

        Raises:
            AuditError: the file cannot be written.
        """
        self._path = path
        self._largest = largest
        self._days = days
        self._file: int | None = None
        if path is not None:
            try:
                self._write(b"")
            except AuditError as error:
                raise AuditError(f"'{path}' as audit log: {error}") from None

    def note(self, deed: str, **what: str | int | float | bool | None) -> None:
        """Notes a deed by whoever acts now; session and caller are known.

        Raises:
            AuditError: it could not be written down.
        """
        entry: dict[str, Any] = {
            "time": datetime.now(tz=UTC).isoformat(timespec="milliseconds"),
            "who": acting().name,
            "session": session_now(),
            "deed": deed,
            **what,
        }
        if self._path is not None:
            self._write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        _LOG.info("%s", deed, extra={"audit": True, **entry})

    def tell(self, deed: str, **what: str | int | float | bool | None) -> None:
        """Notes what has happened and cannot be refused any more; a fault is logged."""
        with contextlib.suppress(AuditError):
            self.note(deed, **what)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, line: bytes) -> None:
        assert self._path is not None
        try:
            self._open(self._path, len(line))
            assert self._file is not None
            if os.write(self._file, line) < len(line):  # a full disk took a part of it
                os.write(self._file, b"\n")
                raise OSError(28, os.strerror(28))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            _LOG.error("the audit log cannot be written: %s", reason)
            raise AuditError(f"The audit log cannot be written: {reason}.") from None

    def _open(self, path: Path, more: int) -> None:
        """Opens the file where it is not open, was taken away, or would grow too large."""
        if self._file is not None and not _is_still(path, self._file):
            self.close()
        if self._file is not None and os.fstat(self._file).st_size + more > self._largest:
            self.close()
            path.rename(_older(path))
            self._forget_old(path)
        if self._file is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _MODE)

    def _forget_old(self, path: Path) -> None:
        if not self._days:
            return
        oldest = datetime.now(tz=UTC).timestamp() - self._days * _DAY
        for older in path.parent.glob(f"{path.stem}-*Z*{path.suffix}"):
            if older.stat().st_mtime < oldest:
                older.unlink(missing_ok=True)


def text_hash(text: str) -> str:
    """Returns the SHA-256 of a text's UTF-8, in hexadecimal."""
    return hashlib.sha256(
        text.encode("utf-8", "surrogatepass")
    ).hexdigest()  # JSON has half letters


def file_hash(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_still(path: Path, file: int) -> bool:
    """Returns whether the open file is the one that has the name: others may rotate it, too."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _older(path: Path) -> Path:
    stamp = datetime.now(tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    number = 0
    while (name := path.with_name(_name(path, stamp, number))).exists():
        number += 1
    return name


def _name(path: Path, stamp: str, number: int) -> str:
    return f"{path.stem}-{stamp}{f'-{number}' if number else ''}{path.suffix}"
