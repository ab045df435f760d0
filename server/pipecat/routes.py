"""The offer of Pipecat's small WebRTC transport, in its shape, answered by a conversing session.

`POST /api/offer` connects, `PATCH /api/offer` brings ICE candidates. A client that offers again
under its `pc_id` gets a new connection to the session it had, which takes the old one's place.
`POST /start` opens the session beforehand, as Pipecat's runner does; its offer then goes to
`/sessions/{id}/api/offer`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

from aiortc import RTCIceCandidate
from aiortc.sdp import candidate_from_sdp
from fastapi import APIRouter, Request
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from server.access.principal import Holder, Scope, principal_of, require, require_key
from server.desk import Desk
from server.opening import SessionRequest, open_for
from server.pipecat.rtvi import Rtvi
from server.protocol import ProtocolError
from server.session import Session
from server.viewers import Viewer

if TYPE_CHECKING:
    from server.api import House

ROUTES = APIRouter()
_PREFIX = "candidate:"
_SHOWN = 60  # characters of what is at fault


class Wanted(SessionRequest):
    """What an application asks for in its `requestData`: a session, or one that is there."""

    mode: Literal["present", "converse"] = "converse"
    session_id: str | None = None


class PipecatOffer(BaseModel):
    """What the transport posts."""

    model_config = ConfigDict(extra="ignore")
    sdp: str
    type: Literal["offer"]
    pc_id: str | None = None
    restart_pc: bool = False
    wanted: Annotated[
        Wanted | None, Field(validation_alias=AliasChoices("requestData", "request_data"))
    ] = None


class Start(BaseModel):
    """What an application posts to start a bot; `body` is what it would put in `requestData`."""

    model_config = ConfigDict(extra="ignore")
    transport: str = "webrtc"
    wants_room: Annotated[bool, Field(validation_alias="createDailyRoom")] = False
    body: Wanted | None = None


class Candidate(BaseModel):
    """One ICE candidate; an empty one ends them."""

    candidate: str
    sdp_mid: str | None = None
    sdp_mline_index: int | None = None


class Candidates(BaseModel):
    """What the transport sends after its offer."""

    pc_id: str
    candidates: Annotated[list[Candidate], Field(max_length=100)]


@ROUTES.post("/api/offer")
async def offer(request: Request, body: PipecatOffer) -> dict[str, Any]:
    """Connects a client of Pipecat's small WebRTC transport."""
    before = None if body.pc_id is None else _before(request, body.pc_id)
    session = before[0] if before else await _session(request, body.wanted or Wanted())
    return await _connect(request, session, before, body.sdp)


@ROUTES.patch("/api/offer")
async def candidates(request: Request, body: Candidates) -> dict[str, str]:
    """Takes ICE candidates that were found after the offer."""
    return await _add(_before(request, body.pc_id), body)


@ROUTES.post("/start")
async def start(request: Request, body: Start | None = None) -> dict[str, Any]:
    """Opens a session for a client of the small WebRTC transport, which offers later."""
    house: House = request.app.state.house
    wanted = body or Start()
    transport = "daily" if wanted.wants_room else wanted.transport
    if transport != "webrtc":
        sentence = f"The transport here is 'webrtc', not {transport[:_SHOWN]!r}."
        raise ProtocolError("bad_request", sentence)
    session = await _session(request, wanted.body or Wanted())
    servers = [
        {name: value for name, value in asdict(server).items() if value is not None}
        for server in house.options.ice_servers
    ]
    return {"sessionId": session.id} | ({"iceConfig": {"iceServers": servers}} if servers else {})


@ROUTES.post("/sessions/{session_id}/api/offer")
async def offer_to(request: Request, session_id: str, body: PipecatOffer) -> dict[str, Any]:
    """Connects a client to the session that it started."""
    house: House = request.app.state.house
    session = house.sessions.find(session_id)
    before = None if body.pc_id is None else _before(request, body.pc_id)
    is_ours = before is not None and before[0] is session
    return await _connect(request, session, before if is_ours else None, body.sdp)


@ROUTES.patch("/sessions/{session_id}/api/offer")
async def candidates_to(request: Request, session_id: str, body: Candidates) -> dict[str, str]:
    """Takes ICE candidates that were found after the offer."""
    found = _before(request, body.pc_id)
    return await _add(found if found and found[0].id == session_id else None, body)


async def _connect(
    request: Request, session: Session, before: tuple[Session, Viewer] | None, sdp: str
) -> dict[str, Any]:
    principal = principal_of(request.scope)
    desk = Desk(session, takes_pcm=False, scopes=principal.scopes)
    dialect = Rtvi(desk, leave=lambda: _leave(session, principal))
    session.touch()
    viewer = await session.viewers.add(sdp, dialect=dialect, scopes=principal.scopes)
    if before:
        before[1].peer.closed.set()
    return {"sdp": viewer.answer, "type": "answer", "pc_id": f"{session.id}.{viewer.id}"}


async def _add(found: tuple[Session, Viewer] | None, body: Candidates) -> dict[str, str]:
    if found is None:
        raise ProtocolError("not_found", f"There is no connection {body.pc_id[:_SHOWN]!r}.")
    session, viewer = found
    session.touch()
    told = [_candidate(each.candidate) for each in body.candidates if each.candidate]
    await viewer.peer.add_candidates(told)
    return {"status": "success"}


async def _session(request: Request, wanted: Wanted) -> Session:
    house: House = request.app.state.house
    if wanted.session_id is not None:
        require(request.scope, wanted.session_id, Scope.SPEAK)
        return house.sessions.find(wanted.session_id)
    require_key(request.scope)
    entered, _ = await open_for(house, wanted, may_wait=False)
    assert isinstance(entered, Session)
    return entered


def _leave(session: Session, principal: Holder) -> None:
    """Ends the session for a client that sends the bot away, if the bot is its to send."""
    if principal.owns(session.id):
        session.close("client")


def _before(request: Request, pc_id: str) -> tuple[Session, Viewer] | None:
    """Returns the connection of that id; None where it or its session has gone, or is another's."""
    house: House = request.app.state.house
    session_id, _, viewer_id = pc_id.partition(".")
    try:
        require(request.scope, session_id, Scope.SPEAK)
        session = house.sessions.find(session_id)
        return session, session.viewers.find(viewer_id)
    except ProtocolError:
        return None


def _candidate(text: str) -> RTCIceCandidate:
    try:
        return candidate_from_sdp(text.removeprefix(_PREFIX))
    except (AssertionError, ValueError, IndexError) as error:
        sentence = f"{text[:_SHOWN]!r} is not an ICE candidate."
        raise ProtocolError("bad_request", sentence) from error
