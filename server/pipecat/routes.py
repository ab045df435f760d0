"""The offer of Pipecat's small WebRTC transport, in its shape, answered by a conversing session.

`POST /api/offer` connects, `PATCH /api/offer` brings ICE candidates. A client that offers again
under its `pc_id` gets a new connection to the session it had, which takes the old one's place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from aiortc import RTCIceCandidate
from aiortc.sdp import candidate_from_sdp
from fastapi import APIRouter, Request
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

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
    house: House = request.app.state.house
    before = None if body.pc_id is None else _before(house, body.pc_id)
    session = before[0] if before else await _session(house, body.wanted or Wanted())
    dialect = Rtvi(Desk(session, takes_pcm=False), leave=lambda: session.close("client"))
    session.touch()
    viewer = await session.viewers.add(body.sdp, dialect=dialect)
    if before:
        before[1].peer.closed.set()
    return {"sdp": viewer.answer, "type": "answer", "pc_id": f"{session.id}.{viewer.id}"}


@ROUTES.patch("/api/offer")
async def candidates(request: Request, body: Candidates) -> dict[str, str]:
    """Takes ICE candidates that were found after the offer."""
    found = _before(request.app.state.house, body.pc_id)
    if found is None:
        raise ProtocolError("not_found", f"There is no connection {body.pc_id[:_SHOWN]!r}.")
    session, viewer = found
    session.touch()
    told = [_candidate(each.candidate) for each in body.candidates if each.candidate]
    await viewer.peer.add_candidates(told)
    return {"status": "success"}


async def _session(house: House, wanted: Wanted) -> Session:
    if wanted.session_id is not None:
        return house.sessions.find(wanted.session_id)
    entered, _ = await open_for(house, wanted, may_wait=False)
    assert isinstance(entered, Session)
    return entered


def _before(house: House, pc_id: str) -> tuple[Session, Viewer] | None:
    """Returns the connection of that id, or None where it or its session has gone."""
    session_id, _, viewer_id = pc_id.partition(".")
    try:
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
