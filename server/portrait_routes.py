"""The portraits' part of docs/protocol.md: list, look at, keep, rename, delete.

Every route checks, calls and answers; what happens is decided elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import UploadFile as AnyUpload

from server.portraits import MAX_UPLOAD, PortraitEntry, Portraits
from server.protocol import ProtocolError
from server.refusals import too_large
from streaming_model.crop import Crop

if TYPE_CHECKING:
    from server.api import House

ROUTES = APIRouter()
Picture = Annotated[UploadFile, File()]
Part = Annotated[str | None, Form()]


class PortraitPatch(BaseModel):
    """What to change in a portrait."""

    model_config = ConfigDict(extra="forbid")
    name: str


@ROUTES.get("/v1/portraits")
async def portraits(request: Request) -> list[dict[str, Any]]:
    """The portraits on offer."""
    return [_described(entry) for entry in _portraits(request).list()]


@ROUTES.post("/v1/portraits", status_code=201)
async def add_portrait(
    request: Request,
    image: Picture,
    name: Annotated[str | None, Form()] = None,
    crop: Part = None,
) -> dict[str, Any]:
    """Makes a portrait of an uploaded picture, or of a part of it."""
    data, part = await read_picture(image), _crop(crop)
    filename = image.filename or "portrait"
    entry = await _portraits(request).add(data, filename, name=name, crop=part)
    await _note(request, "portrait.added", entry.id)
    return _described(entry)


@ROUTES.post("/v1/portraits/preview")
async def preview_portrait(request: Request, image: Picture, crop: Part = None) -> dict[str, Any]:
    """What would become of a picture; nothing is kept."""
    data, part = await read_picture(image), _crop(crop)
    return (await _portraits(request).preview(data, part)).to_json()


@ROUTES.patch("/v1/portraits/{portrait_id}")
async def rename_portrait(
    request: Request, portrait_id: str, patch: PortraitPatch
) -> dict[str, Any]:
    """Gives an uploaded portrait another name."""
    return _described(await _portraits(request).rename(portrait_id, patch.name))


@ROUTES.delete("/v1/portraits/{portrait_id}", status_code=204)
async def delete_portrait(request: Request, portrait_id: str) -> None:
    """Deletes an uploaded portrait; sessions that show it go on."""
    await _note(request, "portrait.deleted", portrait_id)
    await _portraits(request).remove(portrait_id)


@ROUTES.get("/v1/portraits/{portrait_id}/image")
async def portrait_image(request: Request, portrait_id: str) -> Response:
    """The framed picture at rest."""
    data = await _portraits(request).image(portrait_id)
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": "max-age=3600"})


async def read_picture(image: AnyUpload) -> bytes:
    """Returns an uploaded file's content.

    Raises:
        ImageTooLargeError: it is larger than any picture may be.
    """
    data = await image.read(MAX_UPLOAD + 1)
    if len(data) > MAX_UPLOAD:
        raise too_large()
    return data


def _crop(text: str | None) -> Crop | None:
    """Reads `left,top,width,height`."""
    if text is None:
        return None
    try:
        left, top, width, height = (int(number) for number in text.split(","))
    except ValueError:
        sentence = f"A crop is left,top,width,height in whole pixels, not {text[:60]!r}."
        raise ProtocolError("bad_request", sentence) from None
    return Crop(left, top, width, height)


def _portraits(request: Request) -> Portraits:
    house: House = request.app.state.house
    return house.portraits


async def _note(request: Request, deed: str, portrait: str) -> None:
    house: House = request.app.state.house
    digest = await house.portraits.digest(portrait)
    house.options.audit.note(deed, portrait=portrait, portrait_sha256=digest)


def _described(entry: PortraitEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "name": entry.name,
        "builtin": entry.builtin,
        "warnings": list(entry.warnings),
    }
