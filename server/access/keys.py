"""API keys: made and revoked by the command line, hashed at rest, read anew when the file changes.

A key is `vvt_ID_SECRET`: a public id that finds it and 256 random bits. Plain SHA-256 is right for
those: slow hashes (bcrypt, Argon2) make guessing a password dear, and nobody guesses 256 bits; a
fast one leaves nothing to wait for in a request. It knows no request.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from server.access.principal import ALL, SCOPES, Holder, held
from server.clock import unix_seconds
from streaming_model.errors import VivantError

_LOG = logging.getLogger(__name__)
PREFIX: Final = "vvt_"
ENVIRONMENT: Final = "environment"  # id and name of the key of VIVANT_API_KEY
_ID_BYTES: Final = 6
_SECRET_BYTES: Final = 32
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_NO_HASH: Final = "0" * 64  # compared with where there is no key, so that this takes as long
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


class KeysError(VivantError):
    """A key cannot be made, found or read."""

    code = "keys_unusable"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What is kept of a key.

    Attributes:
        id: its public part.
        name: who it was made for.
        sha256: of the whole key, in hexadecimal.
        scopes: what it may do.
        created: seconds since 1970.
        expires: seconds since 1970; None for never.
    """

    id: str
    name: str
    sha256: str
    scopes: tuple[str, ...]
    created: float
    expires: float | None = None

    def is_over(self, now: float) -> bool:
        """Returns whether it has expired."""
        return self.expires is not None and now >= self.expires


def keys_path() -> Path:
    """Returns where keys are kept if nothing else is said; it may not exist yet."""
    return config_folder() / "keys.json"


def config_folder() -> Path:
    """Returns `vivant` in the user's folder of configuration; it may not exist yet."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "vivant"


class KeyFile:
    """The file that holds the keys' hashes, readable by its owner alone.

    Args:
        path: may not exist yet.
        now: tells the date in seconds since 1970.
    """

    def __init__(self, path: Path, *, now: Callable[[], float] = unix_seconds) -> None:
        self.path = path
        self._now = now

    def add(
        self, name: str, scopes: tuple[str, ...] = ("control",), *, lifetime: float | None = None
    ) -> str:
        """Makes a key for `lifetime` seconds; returns it, which nobody can do a second time.

        Raises:
            KeysError: the name is taken or impossible, or the file cannot be written.
        """
        if not _NAME.fullmatch(name):
            raise KeysError(
                f"A key's name is 1 to 40 letters, digits, '.', '_' and '-', not {name[:60]!r}."
            )
        unknown = [each for each in scopes if each not in SCOPES]
        if unknown or not scopes:
            known = ", ".join(SCOPES)
            raise KeysError(f"There is no scope {', '.join(unknown)!r}; there are {known}.")
        now = self._now()
        key_id = secrets.token_hex(_ID_BYTES)
        key = f"{PREFIX}{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        expires = None if lifetime is None else now + lifetime
        with self._locked():
            keys = self.read()
            if any(each.name == name for each in keys):
                raise KeysError(f"There is a key '{name}' already: revoke it or take another name.")
            self._write([*keys, StoredKey(key_id, name, digest(key), scopes, now, expires)])
        return key

    def revoke(self, name: str) -> StoredKey:
        """Takes a key away, by its name or its id; a running server knows at once.

        Raises:
            KeysError: there is none, or the file cannot be written.
        """
        with self._locked():
            keys = self.read()
            found = next((each for each in keys if name in (each.name, each.id)), None)
            if found is None:
                raise KeysError(f"There is no key {name[:60]!r}; see `vivant keys list`.")
            self._write([each for each in keys if each is not found])
        return found

    def read(self) -> list[StoredKey]:
        """Returns what is kept; nothing where there is no file.

        Raises:
            KeysError: the file cannot be read, or others may write it.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
            mode = self.path.stat().st_mode
        except FileNotFoundError:
            return []
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise KeysError(f"The keys in '{self.path}' cannot be read: {reason}.") from None
        if mode & _OTHERS_WRITE and sys.platform != "win32":
            raise KeysError(f"Others may write '{self.path}': chmod 600 it.")
        try:
            return [_stored(each) for each in json.loads(text)["keys"]]
        except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError):
            raise KeysError(f"The file '{self.path}' holds no keys of Vivant's.") from None

    def _write(self, keys: list[StoredKey]) -> None:
        text = json.dumps({"keys": [asdict(each) for each in keys]}, indent=2)
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name)  # mode 600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text + "\n")
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keeps other commands from writing meanwhile.

        Raises:
            KeysError: the folder cannot be written to.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self.path.with_name(self.path.name + ".lock").open("w") as lock:
                if sys.platform != "win32":
                    import fcntl

                    fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            reason = error.strerror or "it failed"
            raise KeysError(f"Keys cannot be kept in '{self.path}': {reason}.") from None


class KeyRing:
    """The keys that are valid now.

    Args:
        file: where they are kept; it is looked at in every request, and read when it has changed.
        fixed: one more key, given by the operator's environment.
        now: tells the date in seconds since 1970.
    """

    def __init__(
        self, file: KeyFile, *, fixed: str | None = None, now: Callable[[], float] = unix_seconds
    ) -> None:
        self._file = file
        self._fixed = None if fixed is None else digest(fixed)
        self._now = now
        self._keys: dict[str, StoredKey] = {}
        self._seen: tuple[int, ...] | None = None  # of the file; None where there is none
        self.comparisons = 0
        """How many hashes were compared so far: each request that brings a key costs two."""

    def __bool__(self) -> bool:
        """Whether there is any key, valid or not."""
        self._look()
        return bool(self._keys) or self._fixed is not None

    def find(self, key: str) -> Holder | None:
        """Returns who a key belongs to; None if it is none, or none any more."""
        self._look()
        sha256 = digest(key)
        key_id = key.removeprefix(PREFIX).partition("_")[0]
        stored = self._keys.get(key_id)
        is_stored = self._equal(sha256, _NO_HASH if stored is None else stored.sha256)
        is_fixed = self._equal(sha256, self._fixed or _NO_HASH)
        if is_fixed:
            return Holder(ENVIRONMENT, ALL, key_id=ENVIRONMENT)
        if stored is None or not is_stored or stored.is_over(self._now()):
            return None
        return Holder(stored.name, held(stored.scopes), key_id=stored.id, expires=stored.expires)

    def is_active(self, key_id: str) -> bool:
        """Returns whether the key of that id is valid, so that what was made with it is."""
        self._look()
        if key_id == ENVIRONMENT:
            return self._fixed is not None
        stored = self._keys.get(key_id)
        return stored is not None and not stored.is_over(self._now())

    def _equal(self, ours: str, theirs: str) -> bool:
        self.comparisons += 1
        return hmac.compare_digest(ours, theirs)

    def _look(self) -> None:
        """Reads the file if it is another than before; one that cannot be read holds no keys."""
        seen: tuple[int, ...] | None
        try:
            found = self._file.path.stat()
            seen = (found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode)
        except OSError:
            seen = None
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._keys = {each.id: each for each in self._file.read()}
        except KeysError as error:
            self._keys = {}
            _LOG.error("%s Until then no key of it is valid.", error)


def digest(key: str) -> str:
    """Returns the SHA-256 of a key, in hexadecimal."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def _stored(fields: dict[str, Any]) -> StoredKey:
    expires = fields["expires"]
    return StoredKey(
        id=str(fields["id"]),
        name=str(fields["name"]),
        sha256=str(fields["sha256"]),
        scopes=tuple(str(each) for each in fields["scopes"]),
        created=float(fields["created"]),
        expires=None if expires is None else float(expires),
    )
