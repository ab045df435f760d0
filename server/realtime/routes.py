"""`WS /v1/realtime`: OpenAI's Realtime API. docs/openai_realtime.md says what of it there is."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, WebSocket
from fastapi.responses import JSONResponse

from server.access.credentials import offered as offered_by
from server.access.principal import principal_of
from server.opening import SessionRequest, open_for
from server.protocol import CapacityError, ProtocolError
from server.realtime.socket import RealtimeSocket
from server.refusals import status_of
from server.session import Session
from server.waiting import Waiting

if TYPE_CHECKING:
    from server.api import House

ROUTES = APIRouter()
_ANY_KEY: Final = "any"  # for clients that cannot do without a key
_PROTOCOL: Final = "realtime"
_KEY_PROTOCOL: Final = "openai-insecure-api-key."  # how browsers bring a key


@ROUTES.websocket("/v1/realtime")
async def realtime(websocket: WebSocket, model: str = "vivant", session: str | None = None) -> None:
    """A conversation by OpenAI's events, in a session of its own or in one that is there."""
    house: House = websocket.app.state.house
    offered = offered_by(websocket.headers)
    try:
        if session is None:
            entered = await _enter(house)
        else:
            if principal_of(websocket.scope).is_unproven:
                _check_key(house, session, _key(websocket, offered))
            entered = house.sessions.find(session)
    except ProtocolError as error:
        await _refuse(websocket, error)
        return
    try:
        await websocket.accept(subprotocol=_PROTOCOL if _PROTOCOL in offered else None)
        await RealtimeSocket(websocket, house, model=model).serve(entered)
    finally:
        if session is None:
            with contextlib.suppress(ProtocolError):  # it has ended already
                house.sessions.close(entered.id)


async def _enter(house: House) -> Session | Waiting:
    """Opens a session that converses, or gets in line for one.

    Raises:
        CapacityError: there is no room, and none in the line.
    """
    entered, _ = await open_for(house, SessionRequest(mode="converse"))
    return entered


def _key(websocket: WebSocket, offered: list[str]) -> str | None:
    """Returns the key that a client brings, or None where it says that it has none."""
    scheme, _, key = websocket.headers.get("authorization", "").partition(" ")
    keys = [each.removeprefix(_KEY_PROTOCOL) for each in offered if each.startswith(_KEY_PROTOCOL)]
    if scheme.lower() == "bearer":
        keys.append(key.strip())
    return next((each for each in keys if each != _ANY_KEY), None)


def _check_key(house: House, session_id: str, key: str | None) -> None:
    """Checks the session's token, if one is brought.

    Raises:
        ProtocolError: `forbidden`, for a wrong one.
    """
    house.sessions.is_owner(session_id, key)


async def _refuse(websocket: WebSocket, error: ProtocolError) -> None:
    """Answers the handshake with a status, and OpenAI's shape of a reason."""
    told = {"type": "invalid_request_error", "code": error.code, "message": str(error)}
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, CapacityError) else {}
    status = 401 if error.code == "forbidden" else status_of(error.code)
    body = {"error": told | {"param": None}}
    await websocket.send_denial_response(JSONResponse(body, status, headers=headers))
