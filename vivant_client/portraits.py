"""A server's portraits from a client's side: look at a picture, keep it, rename it, delete it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vivant_client.rest import Rest

_PATH = "/v1/portraits"
Box = tuple[int, int, int, int]  # left, top, width, height in pixels of the picture


@dataclass(frozen=True, slots=True)
class Portrait:
    """A portrait on offer.

    Attributes:
        id: what `connect` and `update` take.
        name: a few words for people.
        builtin: whether it comes with the server, and can be neither renamed nor deleted.
        warnings: sentences about what may look less than good.
        kept: whether it outlives the sessions that show it.
        notices: sentences about its use: that nothing was said of the right to it.
    """

    id: str
    name: str
    builtin: bool
    warnings: tuple[str, ...]
    kept: bool = True
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rights:
    """What was said of a portrait's picture.

    Attributes:
        rights: by what right it is used, or `not-stated`.
        note: a few words more.
        who: name of the key that it came with.
        when: ISO 8601 in UTC.
        picture_sha256: of the picture as it was uploaded, in hexadecimal.
        portrait_sha256: of the part of it that is kept.
    """

    rights: str
    note: str
    who: str
    when: str
    picture_sha256: str
    portrait_sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """What would become of a picture; places are in its own pixels, turned upright.

    Attributes:
        accepted: whether it can become a portrait.
        code: `ok`, or why not; one of docs/protocol.md.
        message: one sentence for people.
        width: of the picture.
        height: of the picture.
        frame: the square that the portrait would show, or None; it may reach beyond the picture.
        landmarks: [478, 2] float32 of the face, [0, 2] where there is none.
        warnings: sentences about what may look less than good.
    """

    accepted: bool
    code: str
    message: str
    width: int
    height: int
    frame: Box | None
    landmarks: NDArray[np.float32]
    warnings: tuple[str, ...]


class Portraits:
    """The portraits of one server, to be entered by `async with`.

    Every call raises ClientError when the server refuses it or cannot be reached; those that take
    a file raise OSError where it cannot be read.
    """

    def __init__(self, address: str, key: str | None = None) -> None:
        """Takes the server's address, such as `http://127.0.0.1:8080`, and a key, if it takes one.

        Without one it is that of `VIVANT_API_KEY`.
        """
        self._rest = Rest(address, key)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._rest.close()

    async def all(self) -> list[Portrait]:
        """Returns every portrait on offer, the server's default first."""
        return [_portrait(item) for item in (await self._rest.call("GET", _PATH))["items"]]

    async def preview(self, picture: Path | bytes, *, crop: Box | None = None) -> Preview:
        """Looks at a picture, or at a part of it; nothing is kept."""
        answer = await self._send(f"{_PATH}/preview", picture, _values(crop=crop))
        frame = answer["frame"]
        return Preview(
            accepted=answer["accepted"],
            code=answer["code"],
            message=answer["message"],
            width=answer["width"],
            height=answer["height"],
            frame=frame and (frame[0], frame[1], frame[2], frame[3]),
            landmarks=np.array(answer["landmarks"], np.float32).reshape(-1, 2),
            warnings=tuple(answer["warnings"]),
        )

    async def add(
        self,
        picture: Path | bytes,
        *,
        name: str | None = None,
        crop: Box | None = None,
        rights: str | None = None,
        note: str | None = None,
        keep: bool = False,
    ) -> Portrait:
        """Makes a portrait of a picture, or of a part of it.

        Args:
            picture: a file, or its content.
            name: of the portrait; the file's otherwise.
            crop: the part.
            rights: by what right the picture is used: `own-picture`, `permission-of-the-person`,
                `public-domain` or `generated-face`. Servers that others reach ask for it.
            note: a few words on that.
            keep: whether it is to outlive the sessions that show it.
        """
        values = _values(name=name, crop=crop)
        values |= {"rights": rights} if rights else {}
        values |= {"rights_note": note} if note else {}
        values |= {"keep": "true"} if keep else {}
        return _portrait(await self._send(_PATH, picture, values))

    async def rights(self, portrait: str) -> Rights:
        """Returns by what right an upload of one's own is used, as it was said."""
        told = await self._rest.call("GET", f"{_PATH}/{portrait}/rights")
        return Rights(**{item.name: told[item.name] for item in fields(Rights)})

    async def rename(self, portrait: str, name: str) -> Portrait:
        """Gives a portrait another name."""
        return _portrait(await self._rest.call("PATCH", f"{_PATH}/{portrait}", {"name": name}))

    async def delete(self, portrait: str, *, ends_sessions: bool = False) -> None:
        """Deletes a portrait, recordings that show it and all else that was made of it.

        Sessions that show it go on, or end.
        """
        query = "?sessions=end" if ends_sessions else ""
        await self._rest.call("DELETE", f"{_PATH}/{portrait}{query}")

    async def _send(
        self, path: str, picture: Path | bytes, values: dict[str, str]
    ) -> dict[str, Any]:
        if isinstance(picture, bytes):
            return await self._rest.send_picture(path, "portrait", picture, values)
        content = await asyncio.to_thread(picture.read_bytes)
        return await self._rest.send_picture(path, picture.name, content, values)


def _values(*, name: str | None = None, crop: Box | None = None) -> dict[str, str]:
    values = {} if name is None else {"name": name}
    return values if crop is None else {**values, "crop": ",".join(map(str, crop))}


def _portrait(item: dict[str, Any]) -> Portrait:
    return Portrait(
        item["id"],
        item["name"],
        item["builtin"],
        tuple(item["warnings"]),
        item["kept"],
        tuple(item["notices"]),
    )
