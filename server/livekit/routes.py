"""`POST /v1/livekit/sessions`: a session that goes to a room of LiveKit, for an agent there.

The body is JSON, or a form as bitHuman's plugin for LiveKit Agents sends it to a worker of one's
own. LiveKit's library is an extra, so it is imported when the first session is asked for.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile

from server.access.principal import principal_of
from server.consent.brought import Brought
from server.fetching import Fetcher
from server.opening import SessionRequest, open_for
from server.portrait_pictures import MAX_UPLOAD
from server.portrait_routes import read_picture
from server.protocol import ProtocolError, fault
from server.session import Session

if TYPE_CHECKING:
    from server.api import House

ROUTES = APIRouter()
_SCHEMES: Final = ("wss", "ws", "https", "http")
_PATIENCE: Final = 15.0  # seconds for a picture
_INSTALL: Final = (
    "LiveKit's library is not installed on this server: pip install 'vivant[livekit]'."
)


class LiveKitRequest(BaseModel):
    """Where the avatar is to go, and whom it shows; what else there is in it is not looked at."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)
    livekit_url: str
    livekit_token: Annotated[str, Field(min_length=1, max_length=16_384)]
    room_name: str | None = None
    avatar_id: Annotated[
        str | None, Field(validation_alias=AliasChoices("avatar_id", "agent_id"))
    ] = None
    avatar_image: Annotated[
        str | None, Field(validation_alias=AliasChoices("avatar_image", "image"))
    ] = None
    avatar_image_url: str | None = None
    rights: str | None = None
    rights_note: str | None = None
    background: str | None = None
    async_mode: bool = False


_JSON: Final = "application/json"
# aiohttp, which plugins use, sends a form without a file in the second way.
_FORMS: Final = ("multipart/form-data", "application/x-www-form-urlencoded")
_FIELDS: Final = {"schema": LiveKitRequest.model_json_schema()}
_BODY: Final = {
    "requestBody": {"required": True, "content": dict.fromkeys((_JSON, *_FORMS), _FIELDS)}
}


class Picture(NamedTuple):
    """A portrait that came with a request."""

    content: bytes
    name: str = "avatar"


@ROUTES.post("/v1/livekit/sessions", status_code=201, openapi_extra=_BODY)
async def visit(request: Request, response: Response) -> dict[str, Any]:
    """Sends an avatar to a LiveKit room, to be the face of an agent there."""
    house: House = request.app.state.house
    wanted, picture = await _read(request)
    _check_url(wanted.livekit_url, house.options.outputs.hosts)
    library = await _library()
    portrait = await _portrait(house, wanted, picture)
    what = SessionRequest(portrait=portrait, background=wanted.background)
    session, _ = await open_for(house, what, may_wait=False)
    assert isinstance(session, Session)
    options = house.options
    visit = library.Visit(
        session,
        library.Place(wanted.livekit_url.strip(), wanted.livekit_token, wanted.room_name),
        pictures=library.Pictures(
            options.size, options.fps, options.bitrate, house.portraits.worker
        ),
    )
    await session.accompany(visit.run)
    if wanted.async_mode:
        response.status_code = 202
    else:
        await visit.settled.wait()
        if visit.failure is not None:
            raise visit.failure
    return {
        "session_id": session.id,
        "token": house.access.token_for(session.id, principal_of(request.scope)),
        "room_name": visit.room_name or wanted.room_name,
        "identity": visit.identity or None,
    }


@ROUTES.delete("/v1/livekit/sessions/{session_id}", status_code=204)
async def leave(request: Request, session_id: str) -> None:
    """Calls the avatar back: it tells the agent what was heard, leaves, and its session ends."""
    house: House = request.app.state.house
    house.sessions.close(session_id)


async def _library() -> Any:  # noqa: ANN401 - a module
    """Returns `server.livekit.visit`.

    Raises:
        ProtocolError: `not_installed`.
    """
    try:
        # Two pictures' time, in which live media would stand still.
        return await asyncio.to_thread(importlib.import_module, "server.livekit.visit")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "livekit":
            raise
        raise ProtocolError("not_installed", _INSTALL) from None


async def _read(request: Request) -> tuple[LiveKitRequest, Picture | None]:
    """Returns what is asked for, and the picture that came with it.

    Raises:
        ProtocolError: `bad_request`, `wrong_type`.
        ImageTooLargeError: the picture is.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == _JSON:
        wanted = _checked(await request.body())
        return wanted, _decoded(wanted.avatar_image)
    if kind not in _FORMS:
        raise ProtocolError("wrong_type", f"The body is JSON or a form, not {kind[:60]!r}.")
    async with request.form(max_files=1, max_fields=20) as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        wanted = _checked(fields)
        file = form.get("avatar_image")
        if isinstance(file, UploadFile):
            return wanted, Picture(await read_picture(file), file.filename or "avatar")
    return wanted, _decoded(wanted.avatar_image)


def _checked(body: bytes | Mapping[str, str]) -> LiveKitRequest:
    try:
        if isinstance(body, bytes):
            return LiveKitRequest.model_validate_json(body)
        return LiveKitRequest.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise ProtocolError("bad_request", f"In {where}: {fault(first)}.") from None


def _decoded(picture: str | None) -> Picture | None:
    if not picture:
        return None
    try:
        content = base64.b64decode(picture.rpartition(",")[2], validate=True)  # or a data: URL
    except ValueError:  # binascii's errors, and letters beyond ASCII
        sentence = "In avatar_image: a picture is a file, or in JSON its content as Base64."
        raise ProtocolError("bad_request", sentence) from None
    return Picture(content)


def _check_url(url: str, hosts: tuple[str, ...]) -> None:
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname
    except ValueError:
        host = None
    if host is None or parts.scheme not in _SCHEMES:
        sentence = f"A LiveKit server's address begins with wss:// or ws://, not {url[:20]!r}."
        raise ProtocolError("bad_request", sentence)
    if not any(fnmatchcase(host, pattern) for pattern in hosts):
        raise ProtocolError("forbidden", f"This server does not push streams to {host[:80]!r}.")


async def _portrait(house: House, wanted: LiveKitRequest, picture: Picture | None) -> str | None:
    """Returns the portrait to show, None for the server's own.

    Raises:
        VivantError: it is not there, or the picture cannot be used or fetched.
    """
    given = (wanted.avatar_id, picture, wanted.avatar_image_url)
    if sum(bool(each) for each in given) > 1:
        sentence = "One of avatar_id, avatar_image and avatar_image_url is enough."
        raise ProtocolError("bad_request", sentence)
    if wanted.avatar_image_url:
        fetcher = Fetcher(most=MAX_UPLOAD, seconds=_PATIENCE)
        picture = Picture(await fetcher.fetch(wanted.avatar_image_url))
    if picture is not None:
        brought = Brought(
            picture.content, picture.name, rights=wanted.rights, note=wanted.rights_note
        )
        return (await house.custody.add(brought)).id
    return wanted.avatar_id or None
