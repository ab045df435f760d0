"""The portraits' part of docs/protocol.md: list, look at, keep, rename, delete.

Every route checks, calls and answers; what happens is decided elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import UploadFile as AnyUpload

from server.consent.brought import Brought
from server.consent.custody import Custody
from server.portrait_pictures import MAX_UPLOAD, PortraitEntry
from server.portraits import Portraits
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
    return [_described(request, entry) for entry in _portraits(request).list()]


@ROUTES.post("/v1/portraits", status_code=201)
async def add_portrait(
    request: Request,
    image: Picture,
    name: Part = None,
    crop: Part = None,
    rights: Part = None,
    rights_note: Part = None,
    keep: Annotated[bool, Form()] = False,
    session: Part = None,
) -> dict[str, Any]:
    """Makes a portrait of an uploaded picture, or of a part of it."""
    brought = Brought(
        data=await read_picture(image),
        filename=image.filename or "portrait",
        name=name,
        crop=_crop(crop),
        rights=rights,
        note=rights_note,
        keep=keep,
        session=session,
        address=request.client.host if request.client is not None else None,
    )
    entry = await _custody(request).add(brought)
    return _described(request, entry)


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
    return _described(request, await _portraits(request).rename(portrait_id, patch.name))


@ROUTES.delete("/v1/portraits/{portrait_id}", status_code=204)
async def delete_portrait(
    request: Request, portrait_id: str, sessions: Literal["finish", "end"] = "finish"
) -> None:
    """Deletes an uploaded portrait and the recordings that show it; sessions with it finish."""
    await _custody(request).remove(portrait_id, ends_sessions=sessions == "end")


@ROUTES.get("/v1/portraits/{portrait_id}/rights")
async def portrait_rights(request: Request, portrait_id: str) -> dict[str, Any]:
    """Who brought a portrait's picture, when, and by what right it is used."""
    return _custody(request).record(portrait_id).to_json()


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


def _custody(request: Request) -> Custody:
    house: House = request.app.state.house
    return house.custody


def _described(request: Request, entry: PortraitEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "name": entry.name,
        "builtin": entry.builtin,
        "warnings": list(entry.warnings),
        **_custody(request).terms_of(entry.id),
    }
