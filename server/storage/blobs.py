"""Objects under names, in whatever `fsspec` knows: a folder, an S3-compatible store, memory.

Blocks, so it is called on a worker. What is written is there as a whole or not at all. It knows
nothing of what the objects are.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from server.storage.errors import StorageError
from streaming_model.errors import VivantError

PIECE: Final = 1 << 20  # bytes that are read at once of what is large
_UNFINISHED: Final = ".part-"  # begins the name of a file that is being written
_NEEDS: Final = "--storage {url} needs a library that is not installed: pip install '{extra}'."


@dataclass(frozen=True, slots=True)
class Blob:
    """One object.

    Attributes:
        name: below the storage's root, with `/` between its parts.
        size: bytes.
        changed: seconds since 1970.
        version: another one when it was written anew.
    """

    name: str
    size: int
    changed: float
    version: str


class Blobs:
    """The storage at an address.

    Every call raises `StorageError` where the storage cannot be reached or refuses.

    Args:
        url: as fsspec has it: `file:///srv/vivant`, `s3://bucket/prefix`, `memory://vivant`.

    Raises:
        StorageError: the address is none, or the library for it is missing.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            import fsspec
        except ImportError:
            raise StorageError(_NEEDS.format(url=url, extra="vivant[s3]")) from None
        try:
            # Listings are never remembered: others write, too.
            self._files, self._root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            if not url.startswith("s3"):  # fsspec says what it takes
                raise StorageError(f"--storage {url}: {error}.") from None
            raise StorageError(_NEEDS.format(url=url, extra="vivant[s3]")) from None
        except ValueError as error:
            raise StorageError(f"--storage {url}: {error}.") from None
        protocol = self._files.protocol
        self._is_local = "file" in ((protocol,) if isinstance(protocol, str) else protocol)

    def put(self, name: str, data: bytes) -> None:
        """Writes an object, in the place of what was there."""
        with self._reaching(), self._whole(name) as path:
            self._files.pipe_file(path, data)

    def put_file(self, name: str, path: Path) -> None:
        """Writes a file's content as an object."""
        with self._reaching(), self._whole(name) as target:
            self._files.put_file(str(path), target)

    def get(self, name: str) -> bytes | None:
        """Returns an object's content; None where there is none."""
        with self._reaching():
            try:
                data: bytes = self._files.cat_file(self._path(name))
            except FileNotFoundError:
                return None
            return data

    def read(self, name: str, start: int, stop: int) -> Iterator[bytes]:
        """Yields bytes of an object from `start` to before `stop`, a megabyte at a time."""
        for begin in range(start, stop, PIECE):
            with self._reaching():
                yield self._files.cat_file(
                    self._path(name), start=begin, end=min(begin + PIECE, stop)
                )

    def find(self, name: str) -> Blob | None:
        """Returns what is known of an object; None where there is none."""
        with self._reaching():
            try:
                info: dict[str, Any] = self._files.info(self._path(name))
            except FileNotFoundError:
                return None
            return self._blob(info) if info["type"] == "file" else None

    def list(self, folder: str) -> list[Blob]:
        """Returns all objects below a folder, by name."""
        with self._reaching():
            try:
                found: dict[str, dict[str, Any]] = self._files.find(self._path(folder), detail=True)
            except FileNotFoundError:
                return []
        blobs = [self._blob(info) for info in found.values()]
        return sorted(
            (each for each in blobs if not PurePosixPath(each.name).name.startswith(_UNFINISHED)),
            key=lambda blob: blob.name,
        )

    def delete(self, name: str) -> None:
        """Deletes an object, if it is there."""
        with self._reaching(), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def _blob(self, info: dict[str, Any]) -> Blob:
        name = str(info["name"]).removeprefix(self._root.rstrip("/") + "/")
        # A folder's, S3's and memory's word for it.
        changed = info.get("mtime") or info.get("LastModified") or info["created"]
        seconds = changed.timestamp() if isinstance(changed, datetime) else float(changed)
        version = f"{info.get('ETag', '')}/{seconds!r}/{info['size']}"
        return Blob(name, int(info["size"]), seconds, version)

    @contextlib.contextmanager
    def _whole(self, name: str) -> Iterator[str]:
        """Yields the path to write to; stores of objects show nothing unfinished, folders do."""
        path = self._path(name)
        if not self._is_local:
            yield path
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f"{_UNFINISHED}{secrets.token_hex(8)}")
        try:
            yield str(unfinished)
            unfinished.replace(target)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise

    @contextlib.contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turns what a storage raises into one sentence; each library has errors of its own."""
        try:
            yield
        except FileNotFoundError as error:
            raise StorageError(f"The storage {self.url} cannot be used: {error}") from None
        except (VivantError, GeneratorExit, KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:
            line = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            raise StorageError(f"The storage {self.url} cannot be used: {line}.") from error
