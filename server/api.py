"""The HTTP and WebSocket face of the server: docs/protocol.md, route by route.

Every route checks, calls and answers; what happens is decided elsewhere.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, File, Form, Query, Request, Response, UploadFile, WebSocket
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict

from server.access.access import Access
from server.access.credentials import subprotocol
from server.access.guard import Guard
from server.access.headers import SecurityHeaders
from server.access.principal import principal_of
from server.access.routes import ROUTES as ACCESS_ROUTES
from server.backgrounds import Backgrounds
from server.clock import Clock
from server.consent.custody import Custody
from server.converse.talk import BrainRequest, Talk
from server.event_routes import ROUTES as EVENT_ROUTES
from server.event_socket import serve_events
from server.face_tracker import tracker_file
from server.livekit.routes import ROUTES as LIVEKIT_ROUTES
from server.marks.disclosure import DISCLOSURE
from server.metrics import CONTENT_TYPE, Figures
from server.motion_routes import ROUTES as MOTION_ROUTES
from server.opening import SessionRequest, open_for
from server.origins import Origins
from server.outputs.library import Library
from server.outputs.routes import ROUTES as OUTPUT_ROUTES
from server.pipecat.routes import ROUTES as PIPECAT_ROUTES
from server.portrait_routes import ROUTES as PORTRAIT_ROUTES
from server.portrait_routes import read_picture
from server.portraits import Portraits
from server.presenter.routes import ROUTES as SCRIPT_ROUTES
from server.principal import KnowsCaller
from server.protocol import Gesture, Mode, ProtocolError, Style, error_body
from server.realtime.routes import ROUTES as REALTIME_ROUTES
from server.reference import reference_page
from server.refusals import refuse_properly
from server.request_log import RequestLog
from server.session import Session, SessionOptions
from server.sessions import Sessions
from server.stage_report import StageTimeline, choose, tell, trace
from server.stages import LENGTH
from server.voices import Voices
from server.waiting import Waiting
from server.whip.routes import ROUTES as WHIP_ROUTES
from streaming_model.motion.gestures import GESTURES
from streaming_model.motion.style import EMOTION_CHOICES


@dataclass(frozen=True, slots=True)
class House:
    """What the routes serve from.

    Attributes:
        make_session: builds a session; keywords `session_id`, `portrait`, `avatar`, `voice`,
            `style` and `seed` (None for the server's own). The avatar brings its background.
        is_ready: whether portrait, voice and model are warm.
    """

    sessions: Sessions
    figures: Figures
    portraits: Portraits
    custody: Custody
    backgrounds: Backgrounds
    voices: Voices
    library: Library
    talk: Talk
    access: Access
    origins: Origins
    options: SessionOptions
    make_session: Callable[..., Session]
    is_ready: Callable[[], bool]
    clock: Clock


class SessionPatch(BaseModel):
    """What to change in a session."""

    model_config = ConfigDict(extra="forbid")
    portrait: str | None = None
    voice: str | None = None
    background: str | None = None
    style: Style | None = None


class Offer(BaseModel):
    """A viewer's WebRTC offer."""

    type: Literal["offer"]
    sdp: str
    token: str | None = None


class Resume(BaseModel):
    """A client that comes back to its session."""

    token: str


class SpeakBody(BaseModel):
    """Text to say."""

    text: str
    voice: str | None = None
    style: Style | None = None


class SayBody(BaseModel):
    """What the user says."""

    text: str


class GestureBody(BaseModel):
    """A gesture to make."""

    name: str
    strength: float = 1.0
    duration: float | None = None
    mode: Mode = "add"


# MediaPipe runs WebAssembly, and would like to report its use to its makers: no.
_REFERENCE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_TRACKER_POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def make_app(house: House, *, page: Path | None, lifespan: Lifespan) -> FastAPI:
    """Returns the application.

    Args:
        house: what it serves from.
        page: folder of the web page, served at `/`.
        lifespan: entered before the first request and left after the last.
    """
    app = FastAPI(
        title="Vivant",
        version=importlib.metadata.version("vivant"),
        description="A portrait that speaks, live. See docs/protocol.md.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own pages load their scripts from a foreign host
        redoc_url=None,
    )
    app.state.house = house
    refuse_properly(app)
    app.add_middleware(Guard, access=house.access, page=page)
    house.origins.guard(app)
    app.add_middleware(SecurityHeaders, allowed=house.origins.allowed)
    app.add_middleware(RequestLog, clock=house.clock)
    app.add_middleware(KnowsCaller)
    app.include_router(_ROUTES)
    app.include_router(ACCESS_ROUTES)
    app.include_router(PORTRAIT_ROUTES)
    app.include_router(OUTPUT_ROUTES)
    app.include_router(SCRIPT_ROUTES)
    app.include_router(WHIP_ROUTES)
    app.include_router(MOTION_ROUTES)
    app.include_router(EVENT_ROUTES)
    app.include_router(PIPECAT_ROUTES)
    app.include_router(LIVEKIT_ROUTES)
    app.include_router(REALTIME_ROUTES)
    if page is not None:
        app.add_api_route("/view/{session_id}", _shown(page / "view.html"), include_in_schema=False)
        worker = _shown(page / "face_worker.js", policy=_TRACKER_POLICY)
        app.add_api_route("/face_worker.js", worker, include_in_schema=False)
        app.mount("/", StaticFiles(directory=page, html=True), name="page")
    return app


def _shown(file: Path, *, policy: str | None = None) -> Callable[[], Awaitable[FileResponse]]:
    """Returns a route that answers with a file, under a Content-Security-Policy if there is one."""
    headers = {"Cache-Control": "no-cache"}
    if policy is not None:
        headers["Content-Security-Policy"] = policy

    async def answer() -> FileResponse:
        return FileResponse(file, headers=headers)

    return answer


_ROUTES = APIRouter()


@_ROUTES.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@_ROUTES.get("/readyz")
async def readyz(request: Request) -> Response:
    """Portrait, voice and model are warm, and new sessions are let in."""
    house = _house(request)
    if house.sessions.is_draining:
        return JSONResponse(error_body("draining", "The server is shutting down."), 503)
    if house.is_ready():
        return JSONResponse({"status": "ready"})
    return JSONResponse(error_body("not_ready", "The server is still warming up."), 503)


@_ROUTES.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Sums over all sessions, in Prometheus' text format."""
    return Response(_house(request).figures.text(), media_type=CONTENT_TYPE)


@_ROUTES.get("/docs", include_in_schema=False)
async def reference(request: Request) -> HTMLResponse:
    """The calls on one page for people."""
    page = reference_page(request.app.openapi())
    return HTMLResponse(page, headers={"Content-Security-Policy": _REFERENCE_POLICY})


@_ROUTES.get("/v1/info")
async def info(request: Request) -> dict[str, Any]:
    """What this server is."""
    house = _house(request)
    return {
        "version": importlib.metadata.version("vivant"),
        "fps": house.options.fps,
        "size": house.options.size,
        "default_voice": house.voices.default,
        "default_portrait": house.portraits.default,
        "default_background": house.backgrounds.default.name,
        "emotions": list(EMOTION_CHOICES),
        "gestures": list(GESTURES),
        "max_sessions": len(house.sessions) + house.sessions.room,
        "sessions": len(house.sessions),
        "ice_servers": _ice(house),
        "brain": house.talk.usual,
        "transcribes": house.talk.transcriber is not None,
    }


@_ROUTES.get("/v1/capacity")
async def capacity(request: Request) -> dict[str, Any]:
    """How many more sessions this machine can hold, and why."""
    sessions = _house(request).sessions
    return {**sessions.capacity.describe(len(sessions)), "waiting": sessions.waiting}


@_ROUTES.get("/v1/voices")
async def voices(request: Request) -> list[dict[str, Any]]:
    """The voices on offer."""
    house = _house(request)
    return [
        {
            "name": entry.name,
            "engine": entry.engine,
            "language": entry.language,
            "label": entry.label,
            "default": entry.name == house.voices.default,
        }
        for entry in house.voices.entries
    ]


@_ROUTES.post("/v1/backgrounds", status_code=201)
async def add_background(
    request: Request,
    image: Annotated[UploadFile, File()],
    keep: Annotated[bool, Form()] = False,
) -> dict[str, str]:
    """Takes an uploaded picture as a background for sessions."""
    house = _house(request)
    is_kept = house.custody.keeps(is_asked=keep)
    backdrop = await house.backgrounds.add(await read_picture(image), keep=is_kept)
    return {"id": backdrop.name}


@_ROUTES.post("/v1/sessions", status_code=201)
async def open_session(
    request: Request, response: Response, wanted: SessionRequest | None = None
) -> dict[str, Any]:
    """Opens a session; 202 and a position in the line while all places are taken."""
    house = _house(request)
    entered, backdrop = await open_for(house, wanted or SessionRequest())
    return _entered(request, entered, response) | {
        "background": backdrop.name,
        "layout": "packed" if backdrop.is_transparent else "plain",
    }


@_ROUTES.post("/v1/sessions/{session_id}/resume")
async def resume_session(
    request: Request, response: Response, session_id: str, body: Resume
) -> dict[str, Any]:
    """Comes back to a session after the connection was lost."""
    house = _house(request)
    is_owner = not house.access.is_open and principal_of(request.scope).owns(session_id)
    entered = house.sessions.resume(session_id, body.token, is_owner=is_owner)
    description = entered.describe() if isinstance(entered, Session) else {}
    return description | _entered(request, entered, response)


@_ROUTES.get("/v1/sessions/{session_id}")
async def describe_session(request: Request, session_id: str) -> dict[str, Any]:
    """What a session does, or where it stands in the line."""
    sessions = _house(request).sessions
    waiting = sessions.find_waiting(session_id)
    if waiting is not None:
        return {
            "session_id": session_id,
            "state": "queued",
            "position": waiting.position,
            "wait_s": waiting.wait_s,
        }
    return sessions.find(session_id).describe()


@_ROUTES.get("/v1/sessions/{session_id}/timeline", response_model=StageTimeline)
async def stage_timeline(
    request: Request,
    session_id: str,
    limit: Annotated[int, Query(ge=1, le=LENGTH)] = LENGTH,
    since: Annotated[int, Query(ge=0)] = 0,
    format: Literal["json", "trace"] = "json",
) -> Response:
    """When each stage of the latest pictures began and ended, and what became of them."""
    stages = _house(request).sessions.find(session_id).line.stages
    pictures = choose(stages, limit=limit, since=since)
    if format == "trace":
        return JSONResponse(trace(session_id, stages, pictures))
    return JSONResponse(tell(session_id, stages, pictures).model_dump())


@_ROUTES.patch("/v1/sessions/{session_id}")
async def change_session(request: Request, session_id: str, patch: SessionPatch) -> dict[str, Any]:
    """Changes the portrait, the voice, the background or the style."""
    session = _house(request).sessions.find(session_id)
    await session.update(
        portrait=patch.portrait,
        voice=patch.voice,
        background=patch.background,
        style=patch.style,
    )
    return session.describe()


@_ROUTES.delete("/v1/sessions/{session_id}", status_code=204)
async def close_session(request: Request, session_id: str) -> None:
    """Ends a session."""
    _house(request).sessions.close(session_id)


@_ROUTES.post("/v1/sessions/{session_id}/offer")
async def offer(
    request: Request, response: Response, session_id: str, body: Offer
) -> dict[str, str]:
    """Connects a viewer."""
    sessions = _house(request).sessions
    session = sessions.find(session_id)
    is_owner = sessions.is_owner(session_id, body.token)
    scopes = principal_of(request.scope).scopes
    sdp = await session.add_viewer(body.sdp, is_owner=is_owner, scopes=scopes)
    response.headers.update(DISCLOSURE)
    return {"type": "answer", "sdp": sdp}


@_ROUTES.post("/v1/sessions/{session_id}/speak", status_code=202)
async def speak(request: Request, session_id: str, body: SpeakBody) -> dict[str, int]:
    """Says text after what is queued."""
    session = _house(request).sessions.find(session_id)
    return {"utterance": session.speak(body.text, body.voice, body.style)}


@_ROUTES.post("/v1/sessions/{session_id}/gesture", status_code=202)
async def gesture(request: Request, session_id: str, body: GestureBody) -> dict[str, int]:
    """Makes a gesture now."""
    session = _house(request).sessions.find(session_id)
    return {"media_time": session.gesture(Gesture(**body.model_dump()))}


@_ROUTES.post("/v1/sessions/{session_id}/interrupt", status_code=202)
async def interrupt(request: Request, session_id: str) -> dict[str, int]:
    """Stops at once."""
    return {"utterance": _house(request).sessions.find(session_id).interrupt()}


@_ROUTES.put("/v1/sessions/{session_id}/brain")
async def set_brain(request: Request, session_id: str, wanted: BrainRequest) -> dict[str, Any]:
    """Chooses who answers, and how; begins or ends the conversation."""
    session = _house(request).sessions.find(session_id)
    session.touch()
    session.converse.configure(wanted)
    return session.converse.conversation.manner.describe()


@_ROUTES.post("/v1/sessions/{session_id}/say", status_code=202)
async def say(request: Request, session_id: str, body: SayBody) -> dict[str, int]:
    """Takes the user's words, to be answered."""
    session = _house(request).sessions.find(session_id)
    session.touch()
    return {"turn": session.converse.conversation.say(body.text)}


@_ROUTES.get("/v1/sessions/{session_id}/history")
async def history(request: Request, session_id: str) -> list[dict[str, Any]]:
    """What was said; of the portrait's words those that were heard."""
    session = _house(request).sessions.find(session_id)
    return session.converse.conversation.history.describe()


@_ROUTES.get("/face_tracker/{name}", include_in_schema=False)
async def face_tracker(name: str) -> FileResponse:
    """A file of the page's face tracker."""
    file = tracker_file(name)
    if file is None:
        raise ProtocolError("not_found", "The face tracker is not installed: make camera.")
    return FileResponse(file, headers={"Cache-Control": "max-age=86400"})


@_ROUTES.websocket("/v1/sessions/{session_id}/events")
async def events(
    websocket: WebSocket, session_id: str, after: Annotated[int | None, Query(ge=0)] = None
) -> None:
    """Messages both ways, and PCM in."""
    house: House = websocket.app.state.house
    await websocket.accept(subprotocol=subprotocol(websocket.headers))
    await serve_events(websocket, house.sessions, session_id, after)


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house


def _entered(request: Request, entered: Session | Waiting, response: Response) -> dict[str, Any]:
    """Returns what a client needs to connect; makes the status 202 if it must wait first."""
    house = _house(request)
    opened = {
        "session_id": entered.id,
        "token": house.access.token_for(entered.id, principal_of(request.scope)),
        "expires_in": int(house.access.token_time),
        "ice_servers": _ice(house),
        "fps": house.options.fps,
        "size": house.options.size,
    }
    if isinstance(entered, Waiting):
        response.status_code = 202
        opened |= {"position": entered.position, "wait_s": entered.wait_s}
    return opened


def _ice(house: House) -> list[dict[str, Any]]:
    return [server.describe() for server in house.options.ice_servers]
