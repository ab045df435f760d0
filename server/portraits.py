"""The portraits a server offers: the built-in one, the operator's and those uploaded.

Pictures are fitted off the event loop; the few used last stay ready. Uploads are kept in a
folder by content, so that a picture sent twice is one portrait. It knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from server.inference import AvatarPort, Inference
from server.protocol import ProtocolError
from server.voice.cache import write_atomically
from streaming_model.backdrop import KEEP, Backdrop
from streaming_model.errors import PortraitError
from streaming_model.media import MotionChunk
from streaming_model.motion_space import MOTION_SIZE

MAX_UPLOAD = 20 * 1024 * 1024  # bytes
MAX_UPLOADS = 100  # kept; the oldest goes
_READY = 4  # fitted avatars in memory
_JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class PortraitEntry:
    """One portrait on offer.

    Attributes:
        id: what clients ask for.
        name: a few words for people.
        builtin: whether it is not an upload.
        path: the picture.
        warnings: what the fit found worth saying, once it was fitted.
    """

    id: str
    name: str
    builtin: bool
    path: Path
    warnings: tuple[str, ...] = ()


MakeAvatar = Callable[[Path], tuple[AvatarPort, tuple[str, ...]]]


class Portraits:
    """The catalogue.

    Attributes:
        default: id of the portrait that sessions get when they ask for none.
        worker: the thread for uploads.
    """

    def __init__(
        self,
        builtin: list[PortraitEntry],
        *,
        default: str,
        folder: Path,
        size: int,
        make_avatar: MakeAvatar,
        inference: Inference,
        worker: Executor,
    ) -> None:
        self.default = default
        self._inference = inference
        self._folder = folder
        self._size = size
        self._make_avatar = make_avatar
        self.worker = worker
        self._entries = {entry.id: entry for entry in [*builtin, *_uploads_in(folder)]}
        self._ready: OrderedDict[str, AvatarPort] = OrderedDict()
        self._fitting = asyncio.Lock()

    def list(self) -> list[PortraitEntry]:
        """Returns every portrait on offer, the default first."""
        return sorted(self._entries.values(), key=lambda entry: entry.id != self.default)

    def check(self, portrait: str | None) -> PortraitEntry:
        """Returns the entry, or the default's for None.

        Raises:
            ProtocolError: `not_found`.
        """
        entry = self._entries.get(self.default if portrait is None else portrait)
        if entry is None:
            raise ProtocolError("not_found", f"There is no portrait {str(portrait)[:60]!r}.")
        return entry

    async def avatar(self, portrait: str, backdrop: Backdrop = KEEP) -> AvatarPort:
        """Returns the portrait ready to speak, fitting it on the worker if need be.

        Before another backdrop it shares its fit, and all else that is heavy, with the others.

        Raises:
            ProtocolError: `not_found`.
            PortraitError: the picture cannot be used.
        """
        entry = self.check(portrait)
        if entry.id not in self._ready:
            async with self._fitting:
                if entry.id not in self._ready:  # another request may have fitted it meanwhile
                    await self._fit(entry)
        self._ready.move_to_end(entry.id)
        avatar = self._ready[entry.id]
        if backdrop == avatar.backdrop:
            return avatar
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.worker, avatar.with_backdrop, backdrop)

    async def add(self, data: bytes, filename: str) -> PortraitEntry:
        """Fits and keeps an uploaded picture.

        Raises:
            PortraitError: the picture cannot be used; nothing is kept.
        """
        digest = "upload-" + hashlib.sha256(data).hexdigest()[:16]
        if digest in self._entries:
            return self._entries[digest]
        path = self._folder / f"{digest}.{_safe_name(filename)}"
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self.worker, _write, path, data)
        entry = PortraitEntry(digest, Path(filename).stem[:60] or "portrait", False, path)
        try:
            async with self._fitting:
                entry = await self._fit(entry)
        except PortraitError as error:
            path.unlink(missing_ok=True)
            # The client knows its picture by its own name, not by ours.
            raise type(error)(str(error).replace(path.name, "The picture")) from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._forget_oldest()
        return entry

    async def image(self, portrait: str) -> bytes:
        """Returns the framed picture at rest, as JPEG; that of an upload is drawn once and kept.

        Raises:
            ProtocolError: `not_found`.
            PortraitError: the picture cannot be used.
        """
        entry = self.check(portrait)
        kept = self._folder / f"rest-{entry.id}-{self._size}.jpg"
        loop = asyncio.get_running_loop()
        if not entry.builtin and kept.is_file():
            return await loop.run_in_executor(self.worker, kept.read_bytes)
        data = await self._draw(portrait)
        if not entry.builtin and entry.id in self._entries:
            await loop.run_in_executor(self.worker, write_atomically, kept, [data])
        return data

    async def _draw(self, portrait: str) -> bytes:
        avatar = await self.avatar(portrait)
        rest = MotionChunk(0, np.zeros((1, MOTION_SIZE), np.float32), np.zeros(1, np.int64))
        _, frames = await self._inference.draw(avatar, avatar.start(), rest)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.worker, _jpeg, frames[0].image)

    async def _fit(self, entry: PortraitEntry) -> PortraitEntry:
        loop = asyncio.get_running_loop()
        avatar, warnings = await loop.run_in_executor(self.worker, self._make_avatar, entry.path)
        fitted = replace(entry, warnings=warnings)
        self._entries[entry.id] = fitted
        self._ready[entry.id] = avatar
        while len(self._ready) > _READY:
            self._ready.popitem(last=False)
        return fitted

    def _forget_oldest(self) -> None:
        uploads = [entry for entry in self._entries.values() if not entry.builtin]
        for entry in uploads[: max(0, len(uploads) - MAX_UPLOADS)]:
            del self._entries[entry.id]
            self._ready.pop(entry.id, None)
            entry.path.unlink(missing_ok=True)
            for kept in self._folder.glob(f"rest-{entry.id}-*"):
                kept.unlink(missing_ok=True)


def _uploads_in(folder: Path) -> list[PortraitEntry]:
    paths = sorted(folder.glob("upload-*"), key=lambda path: path.stat().st_mtime)
    return [PortraitEntry(path.name.split(".")[0], _title(path), False, path) for path in paths]


def _title(path: Path) -> str:
    return path.name.split(".", 1)[1].rsplit(".", 1)[0] if "." in path.name else path.name


def _safe_name(filename: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", Path(filename).name)[-60:] or "portrait"


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    is_encoded, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not is_encoded:
        raise RuntimeError(f"no JPEG of a picture of shape {image.shape}")
    return data.tobytes()
