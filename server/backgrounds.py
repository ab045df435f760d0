"""The backgrounds that sessions may ask for: by word, by colour, or a picture that was uploaded.

Pictures are read off the event loop and lie in a folder by their content: for their sessions, or so
that a name outlives the server where that was asked for. It knows nothing of HTTP and portraits.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection
from concurrent.futures import Executor
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from server.protocol import ProtocolError
from server.uploads import is_own
from server.voice.cache import write_atomically
from streaming_model.backdrop import Backdrop

T = TypeVar("T")

MAX_UPLOADS = 100  # kept; the oldest goes
_UPLOAD = re.compile(r"image-[0-9a-f]{16}")


class Backgrounds:
    """The catalogue.

    Attributes:
        default: what sessions get that ask for none.
    """

    def __init__(self, *, default: Backdrop, folder: Path, worker: Executor) -> None:
        self.default = default
        self._folder = folder
        self._worker = worker

    async def find(self, name: str | None) -> Backdrop:
        """Returns the background of this name, or the default for None.

        Raises:
            BackdropError: there is none of this name.
            ProtocolError: `not_found`, for a picture that is not kept.
        """
        if name is None or name == self.default.name:
            return self.default
        if not _UPLOAD.fullmatch(name):
            return Backdrop.parse(name)
        return await self._work(self._load, name)

    async def add(self, data: bytes, *, keep: bool = True) -> Backdrop:
        """Takes an uploaded picture; the same picture sent twice is one.

        Raises:
            PortraitError: it cannot be read; nothing is kept.
        """
        backdrop = await self._work(self._store, data)
        if keep:
            await self._work(self._mark_kept, backdrop)
        return backdrop

    def forget(self, *, shown: Collection[str], seconds: float) -> None:
        """Deletes pictures that are not to be kept and were not shown for so long; blocks.

        Args:
            shown: names of those that sessions show.
            seconds: 0 for all that are not shown.
        """
        now = datetime.now(tz=UTC).timestamp()
        for path in self._folder.glob("image-*"):
            if self._kept(path.name).exists():
                continue
            if path.name in shown:
                path.touch()
            elif now - path.stat().st_mtime >= seconds:
                path.unlink(missing_ok=True)

    async def _work(self, job: Callable[[T], Backdrop], argument: T) -> Backdrop:
        return await asyncio.get_running_loop().run_in_executor(self._worker, job, argument)

    def _load(self, name: str) -> Backdrop:
        try:
            path = self._folder / name
            if not is_own(path):
                raise FileNotFoundError
            data = path.read_bytes()
        except FileNotFoundError:
            raise ProtocolError("not_found", f"There is no background {name!r}.") from None
        return Backdrop.from_image(data)

    def _store(self, data: bytes) -> Backdrop:
        backdrop = Backdrop.from_image(data)
        write_atomically(self._folder / backdrop.name, [data])
        known = sorted(self._folder.glob("image-*"), key=lambda path: path.stat().st_mtime)
        for path in known[: max(0, len(known) - MAX_UPLOADS)]:
            path.unlink(missing_ok=True)
            self._kept(path.name).unlink(missing_ok=True)
        return backdrop

    def _mark_kept(self, backdrop: Backdrop) -> Backdrop:
        self._kept(backdrop.name).touch()
        return backdrop

    def _kept(self, name: str) -> Path:
        return self._folder / f"kept-{name}"
