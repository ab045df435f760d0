"""WHEP to watch a session, WHIP to bring it a voice: RFC 9725, route by route.

Every route checks, calls and answers; what happens is decided elsewhere. The session exists
already; a client that knows nothing but HTTP and WebRTC (OBS, GStreamer, FFmpeg) needs no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from server.access.principal import principal_of
from server.ice_servers import IceServer
from server.marks.disclosure import DISCLOSURE
from server.protocol import ProtocolError, error_body
from server.session import Session
from server.viewers import Viewer
from server.webrtc import MAX_SDP
from server.whip.fragment import MEDIA_TYPE as FRAGMENT
from server.whip.fragment import format_fragment, parse_fragment

if TYPE_CHECKING:
    from server.api import House

ROUTES = APIRouter()
SDP: Final = "application/sdp"
_WATCH: Final = "/whep/{session_id}"
_PUSH: Final = "/whip/{session_id}"
_RESERVED: Final = ["GET", "HEAD", "PUT"]  # RFC 9725, section 4.1
_ANY: Final = "*"


class _Found(NamedTuple):
    session: Session
    viewer: Viewer


@ROUTES.post(_WATCH, status_code=201)
async def watch(request: Request, session_id: str) -> Response:
    """Connects a viewer (WHEP)."""
    return await _connect(request, session_id, watches=True)


@ROUTES.post(_PUSH, status_code=201)
async def push(
    request: Request, session_id: str, use: Literal["puppet", "listen"] | None = None
) -> Response:
    """Takes a voice (WHIP): the portrait says it, or listens to it where it converses."""
    _house(request).options.audit.note("audio.whip", use=use)
    response = await _connect(request, session_id, watches=False)
    session = _house(request).sessions.find(session_id)
    converses = session.converse.conversation.manner.brain != "off"
    session.switch_microphone(use or ("listen" if converses else "puppet"))
    return response


@ROUTES.options(_WATCH, include_in_schema=False)
@ROUTES.options(_PUSH, include_in_schema=False)
async def about_endpoint(request: Request, session_id: str) -> Response:
    """Tells what may be posted here, and the ICE servers before anything is."""
    servers = _house(request).options.ice_servers
    _house(request).sessions.find(session_id)
    headers = {"Allow": "POST, OPTIONS", "Accept-Post": SDP}
    return _with_ice(Response(status_code=204, headers=headers), servers)


@ROUTES.patch(_WATCH + "/{viewer_id}")
@ROUTES.patch(_PUSH + "/{viewer_id}")
async def trickle(request: Request, session_id: str, viewer_id: str) -> Response:
    """Takes more ICE candidates, or with `If-Match: *` begins ICE anew."""
    session, viewer = _find(request, session_id, viewer_id)
    text = await _body(request, FRAGMENT)
    condition = request.headers.get("If-Match")
    if condition is None:
        return _refusal(428, "The request has no 'If-Match', which names the generation of ICE.")
    fragment = parse_fragment(text)
    session.touch()
    if condition.strip() == _ANY:
        ours = await session.viewers.restart_ice(viewer, fragment.description())
        answer = format_fragment(ours, answer=viewer.answer)
        return Response(answer, media_type=FRAGMENT, headers={"ETag": _tag(viewer)})
    if _tag(viewer) not in {each.strip() for each in condition.split(",")}:
        return _refusal(412, f"'{condition[:80]}' is not the generation of ICE that is valid now.")
    await viewer.peer.add_candidates(fragment.candidates)
    return Response(status_code=204)


@ROUTES.delete(_WATCH + "/{viewer_id}")
@ROUTES.delete(_PUSH + "/{viewer_id}")
async def leave(request: Request, session_id: str, viewer_id: str) -> Response:
    """Ends a connection; the session goes on."""
    _, viewer = _find(request, session_id, viewer_id)
    viewer.peer.closed.set()
    return Response(status_code=200)


@ROUTES.options(_WATCH + "/{viewer_id}", include_in_schema=False)
@ROUTES.options(_PUSH + "/{viewer_id}", include_in_schema=False)
async def about_connection(request: Request, session_id: str, viewer_id: str) -> Response:
    """Tells what a connection takes."""
    _find(request, session_id, viewer_id)
    headers = {"Allow": "PATCH, DELETE, OPTIONS", "Accept-Patch": FRAGMENT}
    return Response(status_code=204, headers=headers)


@ROUTES.api_route(_WATCH, methods=_RESERVED, include_in_schema=False)
@ROUTES.api_route(_PUSH, methods=_RESERVED, include_in_schema=False)
async def reserved(session_id: str) -> Response:
    """Refuses what the RFC reserves, which the page's folder would take otherwise."""
    del session_id
    return _refusal(405, "An offer is posted here.", {"Allow": "POST, OPTIONS"})


@ROUTES.api_route(_WATCH + "/{viewer_id}", methods=[*_RESERVED, "POST"], include_in_schema=False)
@ROUTES.api_route(_PUSH + "/{viewer_id}", methods=[*_RESERVED, "POST"], include_in_schema=False)
async def reserved_connection(session_id: str, viewer_id: str) -> Response:
    """Refuses what the RFC reserves."""
    del session_id, viewer_id
    allow = {"Allow": "PATCH, DELETE, OPTIONS"}
    return _refusal(405, "A connection is patched or deleted.", allow)


async def _connect(request: Request, session_id: str, *, watches: bool) -> Response:
    sessions = _house(request).sessions
    session = sessions.find(session_id)
    _check_bearer(request, session_id)
    offer = await _body(request, SDP)
    session.touch()
    scopes = principal_of(request.scope).scopes
    viewer = await session.viewers.add(offer, watches=watches, scopes=scopes)
    headers = {
        **DISCLOSURE,
        "Location": f"{request.url.path.rstrip('/')}/{viewer.id}",
        "ETag": _tag(viewer),
        "Accept-Patch": FRAGMENT,
    }
    response = Response(viewer.answer, 201, headers=headers, media_type=SDP)
    return _with_ice(response, _house(request).options.ice_servers)


async def _body(request: Request, media_type: str) -> str:
    """Returns the request's text.

    Raises:
        ProtocolError: `wrong_type` or `invalid_sdp`.
    """
    given = request.headers.get("Content-Type", "")
    if given.partition(";")[0].strip().lower() != media_type:
        raise ProtocolError("wrong_type", f"'{given[:80]}' is not '{media_type}'.")
    body = await request.body()
    if len(body) > MAX_SDP:
        raise ProtocolError("invalid_sdp", f"The description is longer than {MAX_SDP:,} bytes.")
    return body.decode("utf-8", "replace")


def _find(request: Request, session_id: str, viewer_id: str) -> _Found:
    """Returns the session and the connection that a request is about.

    Raises:
        ProtocolError: `not_found`.
        HTTPException: 401, for a wrong token.
    """
    session = _house(request).sessions.find(session_id)
    _check_bearer(request, session_id)
    return _Found(session, session.viewers.find(viewer_id))


def _check_bearer(request: Request, session_id: str) -> None:
    """Checks the session's token, if one is brought and the guard did not (RFC 6750).

    Raises:
        HTTPException: 401, for a wrong one.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not principal_of(request.scope).is_unproven:
        return
    try:
        _house(request).sessions.is_owner(session_id, token.strip())
    except ProtocolError as error:
        wanted = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        raise HTTPException(401, str(error).rstrip("."), wanted) from error


def _tag(viewer: Viewer) -> str:
    """Returns the entity tag of the generation of ICE that is valid now."""
    return f'"{viewer.peer.ice_username}"'


def _with_ice(response: Response, servers: tuple[IceServer, ...]) -> Response:
    """Adds a `Link` for each ICE server (RFC 9725, section 4.6)."""
    for server in (server.leased() for server in servers):
        link = f'<{server.urls}>; rel="ice-server"'
        if server.username is not None and server.credential is not None:
            link += f'; username="{server.username}"; credential="{server.credential}"'
            link += '; credential-type="password"'
        response.headers.append("Link", link)
    return response


def _refusal(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(error_body("bad_request", sentence), status, headers)


def _house(request: Request) -> House:
    house: House = request.app.state.house
    return house
