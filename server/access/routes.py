"""Tokens for others, and the page's login: docs/protocol.md, "Access"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from server.access.access import LOGIN_TIME
from server.access.credentials import LOGIN_COOKIE, VIEW_COOKIE, bearer, cookies
from server.access.principal import Holder, Scope, held, principal_of
from server.access.tokens import LONGEST, OF_SESSIONS, narrowed
from server.clock import unix_seconds
from server.protocol import ProtocolError

if TYPE_CHECKING:
    from server.api import House

ROUTES = APIRouter()


class TokenRequest(BaseModel):
    """What a token should be good for."""

    model_config = ConfigDict(extra="forbid")
    scopes: Annotated[list[Scope], Field(min_length=1)] | None = None
    seconds: Annotated[float, Field(ge=1, le=LONGEST)] | None = None


@ROUTES.post("/v1/sessions/{session_id}/tokens", status_code=201)
async def make_token(
    request: Request, session_id: str, wanted: TokenRequest | None = None
) -> dict[str, Any]:
    """Makes a token of a session, to be given to somebody who may do less."""
    house = _house(request)
    if house.sessions.find_waiting(session_id) is None:
        house.sessions.find(session_id)
    wanted = wanted or TokenRequest()
    principal = principal_of(request.scope)
    scopes = OF_SESSIONS if wanted.scopes is None else held(wanted.scopes)
    if not scopes <= principal.scopes & OF_SESSIONS:
        raise ProtocolError("forbidden", "A token cannot do more than whoever makes it.")
    holder = narrowed(principal, scopes)
    seconds = wanted.seconds or house.access.token_time
    token = house.access.tokens.for_session(session_id, holder, lifetime=seconds)
    return {"token": token, "scopes": _told(holder), "expires_in": int(seconds)}


@ROUTES.get("/v1/login")
async def who(request: Request) -> dict[str, Any]:
    """Who the server takes the client for."""
    return _described(principal_of(request.scope))


@ROUTES.post("/v1/login")
async def log_in(request: Request, response: Response) -> dict[str, Any]:
    """Lets a browser keep what came as a bearer token, where no script can read it."""
    house, principal = _house(request), principal_of(request.scope)
    value = bearer(request.headers)
    if value is None:
        raise HTTPException(401, "The key comes as a bearer token", {"WWW-Authenticate": "Bearer"})
    if house.access.is_open:
        return _described(principal)
    if principal.session is None:
        lifetime = LOGIN_TIME
        kept = house.access.tokens.for_login(principal, lifetime=lifetime)
        name = LOGIN_COOKIE
    else:
        lifetime = max(1.0, (principal.expires or 0.0) - unix_seconds())
        kept, name = value, VIEW_COOKIE
    response.set_cookie(
        name,
        kept,
        max_age=int(lifetime),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return _described(principal)


@ROUTES.delete("/v1/login", status_code=204)
async def log_out(request: Request, response: Response) -> None:
    """Ends the login, wherever a copy of its cookie is, and has the browser forget it."""
    login, _ = cookies(request.headers)
    if login:
        _house(request).access.tokens.end_login(login)
    for name in (LOGIN_COOKIE, VIEW_COOKIE):
        response.delete_cookie(name, httponly=True, samesite="strict")


def _described(principal: Holder) -> dict[str, Any]:
    return {"name": principal.name, "scopes": _told(principal), "session_id": principal.session}


def _told(principal: Holder) -> list[str]:
    return [scope for scope in Scope if scope in principal.scopes]


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house
