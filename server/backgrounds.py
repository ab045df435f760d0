"""The backgrounds that sessions may ask for: by word, by colour, or a picture that was uploaded.

Pictures are read off the event loop and kept in a folder by their content, so that a name
outlives the server. It knows nothing of HTTP and of portraits.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVar

from server.protocol import ProtocolError
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

    async def add(self, data: bytes) -> Backdrop:
        """Keeps an uploaded picture; the same picture sent twice is one.

        Raises:
            PortraitError: it cannot be read; nothing is kept.
        """
        return await self._work(self._store, data)

    async def _work(self, job: Callable[[T], Backdrop], argument: T) -> Backdrop:
        return await asyncio.get_running_loop().run_in_executor(self._worker, job, argument)

    def _load(self, name: str) -> Backdrop:
        try:
            data = (self._folder / name).read_bytes()
        except FileNotFoundError:
            raise ProtocolError("not_found", f"There is no background {name!r}.") from None
        return Backdrop.from_image(data)

    def _store(self, data: bytes) -> Backdrop:
        backdrop = Backdrop.from_image(data)
        write_atomically(self._folder / backdrop.name, [data])
        kept = sorted(self._folder.glob("image-*"), key=lambda path: path.stat().st_mtime)
        for path in kept[: max(0, len(kept) - MAX_UPLOADS)]:
            path.unlink(missing_ok=True)
        return backdrop
