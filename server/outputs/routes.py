"""The outputs' part of docs/protocol.md: record, push, download.

Every route checks, calls and answers; what happens is decided elsewhere.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from server.access.principal import principal_of
from server.marks.disclosure import DISCLOSURE
from server.outputs.download import film_response
from server.outputs.library import Stored, session_of
from server.outputs.recording import Recording
from server.protocol import ProtocolError

if TYPE_CHECKING:
    from server.api import House

ROUTES = APIRouter()
_TYPES = {".mp4": "video/mp4", ".webm": "video/webm"}


class RecordingBody(BaseModel):
    """What to record into."""

    model_config = ConfigDict(extra="forbid")
    format: Literal["mp4", "webm"] | None = None


class OutputBody(BaseModel):
    """Where to push a stream."""

    model_config = ConfigDict(extra="forbid")
    url: str
    bearer: str | None = None
    bitrate: Annotated[int, Field(ge=100, le=20_000)] | None = None  # kbit/s


@ROUTES.post("/v1/sessions/{session_id}/recordings", status_code=201)
async def record(
    request: Request, session_id: str, body: RecordingBody | None = None
) -> dict[str, Any]:
    """Begins a recording."""
    house = _house(request)
    session = house.sessions.find(session_id)
    is_transparent = session.background.is_transparent
    wanted = (body or RecordingBody()).format or ("webm" if is_transparent else "mp4")
    session.line.begin()
    recording = session.outputs.record(house.library, wanted, is_transparent=is_transparent)
    try:
        await house.portraits.note_films(session.portrait, [recording.id])
    except BaseException:  # what shows a person and cannot be found again is not made
        recording.stop("request")
        await recording.ended.wait()
        await asyncio.to_thread(house.library.delete, recording.path)
        raise
    return _going_on(recording)


@ROUTES.get("/v1/sessions/{session_id}/recordings")
async def recordings(request: Request, session_id: str) -> list[dict[str, Any]]:
    """The session's recordings, also after it has ended."""
    house = _house(request)
    films = await asyncio.to_thread(house.library.films_of, session_id)
    live = house.sessions.get(session_id)
    if (live is None or live.is_closing) and not films:
        raise ProtocolError("not_found", f"There is no session {session_id[:60]!r}.")
    going_on = [] if live is None else live.outputs.recordings
    told = [_going_on(recording) for recording in going_on]
    known = {recording.id for recording in going_on}
    return [*(_finished(film) for film in films if film.id not in known), *told]


@ROUTES.delete("/v1/sessions/{session_id}/recordings/{recording_id}")
async def stop_recording(request: Request, session_id: str, recording_id: str) -> dict[str, Any]:
    """Ends a recording; its film stays."""
    house = _house(request)
    session = house.sessions.find(session_id)
    recording = session.outputs.recording(recording_id)
    if recording is None:
        return _finished(await asyncio.to_thread(house.library.stored, recording_id))
    recording.stop("request")
    await recording.ended.wait()
    return _going_on(recording)


@ROUTES.get("/v1/recordings/{recording_id}", response_class=FileResponse)
async def download(request: Request, recording_id: str) -> Response:
    """A film, or the range of it that is asked for."""
    house = _house(request)
    if _live(house, recording_id) is not None:
        raise ProtocolError(
            "recording_live", f"The recording {recording_id!r} goes on: end it first."
        )
    film = await asyncio.to_thread(house.library.stored, recording_id)
    return film_response(request, house.library, film, kind=_TYPES[film.suffix], headers=DISCLOSURE)


@ROUTES.get("/v1/recordings/{recording_id}/credentials", response_class=FileResponse)
async def credentials(request: Request, recording_id: str) -> Response:
    """The content credentials of a film that cannot hold them itself."""
    library = _house(request).library
    film = await asyncio.to_thread(library.stored, recording_id)
    found = await asyncio.to_thread(library.credentials, film)
    if found is None:
        raise ProtocolError("not_found", f"No credentials lie beside {recording_id[:80]!r}.")
    return film_response(request, library, found, kind="application/c2pa", headers={})


@ROUTES.delete("/v1/recordings/{recording_id}", status_code=204)
async def delete_recording(request: Request, recording_id: str) -> None:
    """Ends a recording if it goes on, and deletes its film."""
    house = _house(request)
    recording = _live(house, recording_id)
    if recording is not None:
        recording.stop("request")
        await recording.ended.wait()
    film = await asyncio.to_thread(house.library.stored, recording_id)
    await asyncio.to_thread(house.library.delete, film)


@ROUTES.post("/v1/sessions/{session_id}/outputs", status_code=201)
async def push(request: Request, session_id: str, body: OutputBody) -> dict[str, Any]:
    """Begins to push the session to a streaming server."""
    house = _house(request)
    session = house.sessions.find(session_id)
    is_anywhere = house.access.trusts(principal_of(request.scope))
    bitrate = None if body.bitrate is None else 1000 * body.bitrate
    output = session.outputs.push(
        body.url, bearer=body.bearer, bitrate=bitrate, is_anywhere=is_anywhere
    )
    session.line.begin()
    return output.describe()


@ROUTES.get("/v1/sessions/{session_id}/outputs")
async def outputs(request: Request, session_id: str) -> list[dict[str, Any]]:
    """Where the session is pushed."""
    session = _house(request).sessions.find(session_id)
    return [output.describe() for output in session.outputs.pushed]


@ROUTES.delete("/v1/sessions/{session_id}/outputs/{output_id}", status_code=204)
async def stop_output(request: Request, session_id: str, output_id: str) -> None:
    """Ends a pushed stream."""
    _house(request).sessions.find(session_id).outputs.stop(output_id)


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


def _live(house: House, recording_id: str) -> Recording | None:
    session = house.sessions.get(session_of(recording_id) or "")
    return None if session is None else session.outputs.recording(recording_id)


def _going_on(recording: Recording) -> dict[str, Any]:
    return recording.describe() | {"url": f"/v1/recordings/{recording.id}"}


def _finished(film: Stored) -> dict[str, Any]:
    return {
        "id": film.id,
        "format": film.suffix[1:],
        "state": "closed",
        "bytes": film.size,
        "url": f"/v1/recordings/{film.id}",
    }
