"""The script of a session over HTTP: docs/protocol.md, route by route."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from server.presenter.presenter import Presenter
from server.protocol import ScriptFormat
from server.sessions import Sessions
from streaming_model.errors import AudioError

MOST_BYTES = 100_000_000  # of a recording
_PIECE = 1_000_000  # bytes
ROUTES = APIRouter(prefix="/v1/sessions/{session_id}/script")


class ScriptBody(BaseModel):
    """A script."""

    model_config = ConfigDict(extra="forbid")
    text: str
    format: ScriptFormat = "text"


class ScriptPatch(BaseModel):
    """Another text, for all of the script or from one of its sentences on."""

    model_config = ConfigDict(extra="forbid")
    text: str
    sentence: Annotated[int, Field(ge=0)] | None = None


class PlayBody(BaseModel):
    """Where to begin; where it is, if nothing is said."""

    model_config = ConfigDict(extra="forbid")
    sentence: Annotated[int, Field(ge=0)] | None = None


class PauseBody(BaseModel):
    """When to stop."""

    model_config = ConfigDict(extra="forbid")
    at: Literal["now", "sentence_end"] = "now"


class SeekBody(BaseModel):
    """Where to go."""

    model_config = ConfigDict(extra="forbid")
    sentence: Annotated[int, Field(ge=0)]


@ROUTES.get("")
async def get_script(request: Request, session_id: str) -> dict[str, Any]:
    """The script: its sentences, its warnings, and what is done with it."""
    return _presenter(request, session_id).describe()


@ROUTES.put("")
async def put_script(request: Request, session_id: str, body: ScriptBody) -> dict[str, Any]:
    """Takes a script, in the place of the one before."""
    presenter = _presenter(request, session_id, touch=True)
    await presenter.update(body.text, format=body.format)
    return presenter.describe()


@ROUTES.put("/audio")
async def put_recording(
    request: Request,
    session_id: str,
    audio: Annotated[UploadFile, File()],
    captions: Annotated[str | None, Form()] = None,
) -> dict[str, Any]:
    """Takes recorded speech as the script, with captions (SubRip) if there are any."""
    presenter = _presenter(request, session_id, touch=True)
    with tempfile.NamedTemporaryFile() as kept:
        size = 0
        while piece := await audio.read(_PIECE):
            size += len(piece)
            if size > MOST_BYTES:
                raise AudioError(f"A recording has at most {MOST_BYTES // 1_000_000} MB.")
            kept.write(piece)
        kept.flush()
        name = PurePath(audio.filename or "the recording").name
        await presenter.take_recording(Path(kept.name), name, captions)
    return presenter.describe()


@ROUTES.patch("")
async def patch_script(request: Request, session_id: str, body: ScriptPatch) -> dict[str, Any]:
    """Changes the script, also while it is read."""
    presenter = _presenter(request, session_id, touch=True)
    await presenter.update(body.text, sentence=body.sentence)
    return presenter.describe()


@ROUTES.post("/play", status_code=202)
async def play(request: Request, session_id: str, body: PlayBody | None = None) -> dict[str, Any]:
    """Reads it aloud."""
    presenter = _presenter(request, session_id, touch=True)
    presenter.reader.play(None if body is None else body.sentence)
    return presenter.brief()


@ROUTES.post("/pause", status_code=202)
async def pause(request: Request, session_id: str, body: PauseBody | None = None) -> dict[str, Any]:
    """Stops at once or at the sentence's end."""
    presenter = _presenter(request, session_id, touch=True)
    presenter.reader.pause(at_sentence_end=body is not None and body.at == "sentence_end")
    return presenter.brief()


@ROUTES.post("/seek", status_code=202)
async def seek(request: Request, session_id: str, body: SeekBody) -> dict[str, Any]:
    """Goes to a sentence."""
    presenter = _presenter(request, session_id, touch=True)
    presenter.reader.seek(body.sentence)
    return presenter.brief()


def _presenter(request: Request, session_id: str, *, touch: bool = False) -> Presenter:
    sessions: Sessions = request.app.state.house.sessions
    session = sessions.find(session_id)
    if touch:
        session.touch()
    return session.presenter
