"""The portraits a server offers: the built-in one, the operator's and those uploaded.

Pictures are fitted off the event loop; the few used last stay ready. Uploads are kept by
content, so that a picture sent twice is one portrait. A session that shows a portrait holds it
itself and goes on with it when it is deleted here. It knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

import numpy as np

from server.inference import AvatarPort, Inference
from server.portrait_guard import Guard, Prepare, Unguarded, prepare_nothing
from server.portrait_pictures import (
    LONGEST_NAME,
    MakeAvatar,
    PortraitEntry,
    Preview,
    as_jpeg,
    check_name,
    cut_out,
    digest_of,
    forget_nothing,
    preview_picture,
    upload_id,
)
from server.protocol import ProtocolError
from server.uploads import Upload, UploadFolder, is_own
from server.voice.cache import write_atomically
from streaming_model.backdrop import KEEP, Backdrop
from streaming_model.crop import Crop
from streaming_model.errors import PortraitError
from streaming_model.media import MotionChunk
from streaming_model.motion_space import MOTION_SIZE

if TYPE_CHECKING:
    from streaming_model.portrait.preview import PortraitPreview

MAX_UPLOADS = 100  # kept; the oldest goes
_READY = 4  # fitted avatars in memory
_FORMER = 1000  # names of deleted portraits, which sessions may still show
_Given = TypeVarTuple("_Given")
_Result = TypeVar("_Result")


class Portraits:
    """The catalogue.

    Attributes:
        default: id of the portrait that sessions get when they ask for none.
        worker: the thread for uploads.
        ask: looks for what others have uploaded, where there are others.
    """

    def __init__(
        self,
        builtin: list[PortraitEntry],
        *,
        default: str,
        uploads: UploadFolder,
        size: int,
        make_avatar: MakeAvatar,
        inference: Inference,
        worker: Executor,
        preview: Preview = preview_picture,
        forget: Callable[[Path], None] = forget_nothing,
        guard: Guard | None = None,
    ) -> None:
        """Takes what it needs.

        Args:
            builtin: what comes with the server.
            default: id of the portrait for who asks for none.
            uploads: keeps those.
            size: of portraits, in pixels.
            make_avatar: fits a picture.
            inference: draws.
            worker: the thread for uploads.
            preview: looks at a picture.
            forget: deletes what `make_avatar` kept of a picture.
            guard: decides whose uploads are for whom, and which faces for nobody.
        """
        self._guard: Guard = guard or Unguarded()
        self.default = default
        self._inference = inference
        self._uploads = uploads
        self._preview = preview
        self._forget = forget
        self._size = size
        self._make_avatar = make_avatar
        self.worker = worker
        self._entries = {entry.id: entry for entry in [*builtin, *map(_entry, uploads.list())]}
        self._passing: set[str] = set()  # ids of uploads that come or go just now
        self._former: OrderedDict[str, str] = OrderedDict()  # names of deleted ones
        self._ready: OrderedDict[str, AvatarPort] = OrderedDict()
        self._digests: dict[str, str] = {}
        self._fitting = asyncio.Lock()
        self.ask: Callable[[], Awaitable[None]] | None = None  # what others have uploaded

    def list(self) -> list[PortraitEntry]:
        """Returns every portrait on offer to who acts now, the default first."""
        seen = [entry for entry in self._entries.values() if self._guard.may_see(entry.id)]
        return sorted(seen, key=lambda entry: entry.id != self.default)

    @property
    def paths(self) -> Sequence[Path]:
        """Every picture, whoever's."""
        return [entry.path for entry in self._entries.values()]

    @property
    def uploads(self) -> Sequence[PortraitEntry]:
        """Every upload, whoever's, the oldest first."""
        return [entry for entry in self._entries.values() if not entry.builtin]

    def check(self, portrait: str | None) -> PortraitEntry:
        """Returns the entry, or the default's for None.

        Raises:
            ProtocolError: `not_found`, also for somebody else's.
        """
        entry = self._entries.get(self.default if portrait is None else portrait)
        if entry is None or not self._guard.may_see(entry.id):
            raise ProtocolError("not_found", f"There is no portrait {str(portrait)[:60]!r}.")
        return entry

    @property
    def ready(self) -> frozenset[str]:
        """The ids of those that can be shown at once."""
        return frozenset(self._ready)

    async def look(self) -> Sequence[PortraitEntry]:
        """Takes in what others have uploaded, and returns what others have deleted meanwhile.

        What comes or goes here just now is left alone.
        """
        passing = self._passing
        there = {each.id: _entry(each) for each in await self._work(self._uploads.list)}
        for entry in there.values():
            known = self._entries.get(entry.id)
            if entry.id not in passing and (known is None or known.name != entry.name):
                warnings = () if known is None else known.warnings
                self._entries[entry.id] = replace(entry, warnings=warnings)
        return [each for each in self.uploads if each.id not in there and each.id not in passing]

    async def drop(self, entry: PortraitEntry) -> None:
        """Deletes what is here of a portrait that somebody else has deleted."""
        async with self._fitting:
            self._unlist(entry)
            if entry.path.is_file():
                await self._work(self._forget, entry.path)
            await self._work(self._uploads.drop, entry.id)

    def vanished(self) -> Sequence[str]:
        """Returns ids of uploads that somebody has deleted by hand; blocks."""
        uploads = {entry.path: entry.id for entry in self.uploads}
        return [uploads[path] for path in self._uploads.vanished(list(uploads))]

    async def avatar(self, portrait: str, backdrop: Backdrop = KEEP) -> AvatarPort:
        """Returns the portrait ready to speak, fitting it on the worker if need be.

        Before another backdrop it shares its fit, and all else that is heavy, with the others.

        Raises:
            ProtocolError: `not_found`.
            PortraitError: the picture cannot be used, or its face is one that may not be.
        """
        if portrait not in self._entries and self.ask is not None:
            await self.ask()
        entry = self.check(portrait)
        await self._fetch(entry)
        if self._guard.is_screening:  # the face may have been put on the list since
            await self._work(self._guard.screen, entry.path)
        if entry.id not in self._ready:
            async with self._fitting:
                if entry.id not in self._ready:  # another request may have fitted it meanwhile
                    await self._fit(entry)
        self._ready.move_to_end(entry.id)
        avatar = self._ready[entry.id]
        if backdrop == avatar.backdrop:
            return avatar
        return await self.before(avatar, backdrop)

    async def before(self, avatar: AvatarPort, backdrop: Backdrop) -> AvatarPort:
        """Returns the same portrait before another backdrop, also of one that was deleted."""
        return await self._work(avatar.with_backdrop, backdrop)

    def clear_strays(self) -> None:
        """Deletes what an upload has left whose picture is not there."""
        for stray in self._uploads.strays():
            self._guard.retire(stray, "deleted by hand")
            self._uploads.delete(stray)

    def name(self, portrait: str) -> str:
        """Returns a portrait's name, also of one that was deleted.

        Raises:
            ProtocolError: `not_found`.
        """
        if portrait in self._entries:
            return self._entries[portrait].name
        former = self._former.get(portrait)
        return self.check(portrait).name if former is None else former

    async def digest(self, portrait: str) -> str | None:
        """Returns the SHA-256 of a portrait's picture, in hexadecimal; None if it is not kept."""
        entry = self._entries.get(portrait)
        if entry is not None and portrait not in self._digests:
            await self._fetch(entry)
            self._digests[portrait] = await self._work(digest_of, entry.path)
        return self._digests.get(portrait)

    async def preview(self, data: bytes, crop: Crop | None = None) -> PortraitPreview:
        """Returns what is found in a picture; nothing is kept.

        Raises:
            PortraitError: it cannot be read, the crop does not lie in it, or its face is one that
                may not be used.
        """
        found = await self._work(self._preview, data, crop)
        if self._guard.is_screening and found.accepted:
            part = data if crop is None else await self._work(cut_out, data, crop)
            await self._work(self._guard.screen, part)
        return found

    async def add(
        self,
        data: bytes,
        filename: str,
        *,
        name: str | None = None,
        crop: Crop | None = None,
        owner: str = "",
        prepare: Prepare = prepare_nothing,
    ) -> PortraitEntry:
        """Fits and keeps an uploaded picture, or a part of it and nothing else.

        Args:
            data: the file.
            filename: as its owner calls it.
            name: for people; the file's if None.
            crop: the part.
            owner: whose it is; the same picture of two owners is two portraits.
            prepare: is given the portrait's id and the picture on the worker, before it is kept.

        Raises:
            ProtocolError: `bad_request`, the name is impossible.
            PortraitError: the picture cannot be used, or its face is one that may not be; nothing
                is kept.
        """
        if name is not None:
            name = check_name(name)
        if crop is not None:
            data = await self._work(cut_out, data, crop)
            filename = f"{Path(filename).stem}.png"
        if self._guard.is_screening:
            await self._work(self._guard.screen, data)
        digest = upload_id(data, owner)
        if digest in self._entries:
            await self._work(prepare, digest, data)
            return self._entries[digest] if name is None else await self.rename(digest, name)
        path = self._uploads.path_for(digest, filename)
        title = name or Path(filename).stem[:LONGEST_NAME] or "portrait"
        self._passing.add(digest)
        try:
            await self._work(prepare, digest, data)
            await self._work(self._uploads.write, path, data)
            if name is not None:
                await self._work(self._uploads.rename, digest, name)
            async with self._fitting:
                entry = await self._fit(PortraitEntry(digest, title, False, path))
                await self._share(entry)
        except PortraitError as error:
            await self._clear(digest)
            # The client knows its picture by its own name, not by ours.
            raise type(error)(str(error).replace(path.name, "The picture")) from error
        except BaseException:
            await self._clear(digest)
            raise
        finally:
            self._passing.discard(digest)
        await self._forget_oldest()
        return entry

    async def rename(self, portrait: str, name: str) -> PortraitEntry:
        """Gives an upload another name.

        Raises:
            ProtocolError: `not_found`; `forbidden`, it is no upload; `bad_request`, the name is
                impossible.
        """
        entry = self.own(portrait, "renamed")
        name = check_name(name)
        await self._work(self._uploads.rename, entry.id, name)
        self._entries[entry.id] = renamed = replace(self.check(entry.id), name=name)
        return renamed

    async def remove(self, portrait: str, reason: str = "deleted") -> None:
        """Deletes an upload and all that was made of it.

        Raises:
            ProtocolError: `not_found`; `forbidden`, it is no upload.
        """
        async with self._fitting:  # what is being fitted would come back
            await self._remove(self.own(portrait, "deleted"), reason)

    async def note_films(self, portrait: str, films: Sequence[str]) -> None:
        """Notes recordings that show a portrait.

        Raises:
            ProtocolError: `forbidden`, it was deleted.
        """
        if not films:
            return
        if portrait not in self._entries:
            sentence = "The portrait that this session shows was deleted: it is not recorded."
            raise ProtocolError("forbidden", sentence)
        await self._work(self._guard.note_films, portrait, films)

    async def image(self, portrait: str) -> bytes:
        """Returns the framed picture at rest, as JPEG; that of an upload is drawn once and kept.

        Raises:
            ProtocolError: `not_found`.
            PortraitError: the picture cannot be used.
        """
        entry = self.check(portrait)
        kept = self._uploads.drawing(entry.id, self._size)
        if not entry.builtin and is_own(kept):
            return await self._work(kept.read_bytes)
        data = await self._draw(portrait)
        if not entry.builtin and entry.id in self._entries:
            await self._work(write_atomically, kept, [data])
        return data

    async def _draw(self, portrait: str) -> bytes:
        avatar = await self.avatar(portrait)
        rest = MotionChunk(0, np.zeros((1, MOTION_SIZE), np.float32), np.zeros(1, np.int64))
        _, frames = await self._inference.draw(avatar, avatar.start(), rest)
        return await self._work(as_jpeg, frames[0].image)

    async def _fit(self, entry: PortraitEntry) -> PortraitEntry:
        avatar, warnings = await self._work(self._make_avatar, entry.path)
        fitted = replace(self._entries.get(entry.id, entry), warnings=warnings)
        self._former.pop(entry.id, None)
        self._entries[entry.id] = fitted
        self._ready[entry.id] = avatar
        while len(self._ready) > _READY:
            self._ready.popitem(last=False)
        return fitted

    async def _share(self, entry: PortraitEntry) -> None:
        """Makes a new upload known to all; one that cannot be is none."""
        try:
            await self._work(self._uploads.share, entry.path)
        except BaseException:
            self._unlist(entry)
            raise

    async def _fetch(self, entry: PortraitEntry) -> None:
        if not entry.builtin:
            await self._work(self._uploads.fetch, entry.path)

    async def _forget_oldest(self) -> None:
        for entry in self.uploads[: max(0, len(self.uploads) - MAX_UPLOADS)]:
            await self._remove(entry, "too many")

    async def _clear(self, upload_id: str) -> None:
        """Deletes what came of an upload that failed, unless another one like it did not."""
        if upload_id not in self._entries:
            await self._work(self._guard.retire, upload_id, "refused")
            await self._work(self._uploads.delete, upload_id)

    async def _remove(self, entry: PortraitEntry, reason: str) -> None:
        self._passing.add(entry.id)
        try:
            self._unlist(entry)
            await self._work(self._guard.retire, entry.id, reason)
            if entry.path.is_file():  # an operator may have deleted it by hand
                await self._work(self._forget, entry.path)  # reads the picture
            await self._work(self._uploads.delete, entry.id)
        finally:
            self._passing.discard(entry.id)

    def _unlist(self, entry: PortraitEntry) -> None:
        self._entries.pop(entry.id, None)
        self._ready.pop(entry.id, None)
        self._digests.pop(entry.id, None)
        self._former[entry.id] = entry.name
        while len(self._former) > _FORMER:
            self._former.popitem(last=False)

    def own(self, portrait: str, deed: str) -> PortraitEntry:
        """Returns an upload that who acts now may change.

        Raises:
            ProtocolError: `not_found`, also for somebody else's; `forbidden`, it is no upload.
        """
        entry = self.check(portrait)
        if not self._guard.may_change(entry.id):
            raise ProtocolError("not_found", f"There is no portrait {portrait[:60]!r}.")
        if entry.builtin:
            sentence = f"'{entry.name}' comes with the server and cannot be {deed}."
            raise ProtocolError("forbidden", sentence)
        return entry

    async def _work(self, function: Callable[[*_Given], _Result], *given: *_Given) -> _Result:
        """Runs a function on the worker."""
        return await asyncio.get_running_loop().run_in_executor(self.worker, function, *given)


def _entry(upload: Upload) -> PortraitEntry:
    return PortraitEntry(upload.id, upload.name, False, upload.path)
