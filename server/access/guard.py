"""ASGI middleware before all routes: nothing of a request is read, or looked up, until it may be.

A session that does not exist and one that is somebody else's are the same here: both are refused
before anybody looks whether they exist.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from starlette._utils import get_route_path
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from server.access.access import Access
from server.access.principal import Holder, check_scope
from server.access.rules import PUBLIC, Found, Reach, Rule, find_rule
from server.access.visit import Visit
from server.connections.door import subscriber
from server.principal import PRINCIPAL
from server.protocol import ProtocolError, error_body

RULE: Final = "vivant.rule"  # of an ASGI scope
_NOBODY: Final = Holder("nobody", frozenset())
_WRONG: Final = 5.0  # what a wrong key costs beside the request


class Guard:
    """Lets through whoever may, with a `Holder` in its scope.

    Args:
        app: what it guards.
        access: who may.
        page: the folder of the page's files, which everybody may read; None where there is none.
    """

    def __init__(self, app: ASGIApp, access: Access, page: Path | None) -> None:
        self._app = app
        self._access = access
        self._files = frozenset(() if page is None else _files(page))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or lets the application answer."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refuse(scope)
        if refusal is None and (self._access.is_open or scope[RULE].reach is Reach.PUBLIC):
            await self._app(scope, receive, send)  # what is everybody's ends with no key
        elif refusal is None:
            visit = Visit(self._app, self._access.presences, _unauthorized())
            await visit.serve(scope, receive, send)
        elif scope["type"] == "http":
            await refusal(scope, receive, send)
        else:
            await WebSocket(scope, receive, send).send_denial_response(refusal)

    def _refuse(self, scope: Scope) -> JSONResponse | None:
        """Returns the refusal; None where the request may pass, with what it needs in its scope."""
        is_socket = scope["type"] == "websocket"
        found = self._find(scope)
        headers = Headers(scope=scope)
        rule = PUBLIC if found is None else found.rule
        address = address_of(scope)
        wait = self._access.spend_address(address, rule.cost)
        if wait:
            return _too_many(wait)
        principal = self._access.identify(headers, is_socket=is_socket)
        if found is None and not self._access.is_open:
            return _unauthorized() if principal is None else _not_found()
        if principal is None and rule.reach is not Reach.PUBLIC:
            self._access.spend_address(address, _WRONG)
            return _unauthorized()
        scope[RULE] = rule
        scope[PRINCIPAL] = principal = principal or _NOBODY
        if found is None or rule.reach is Reach.PUBLIC:
            return None
        wait = self._access.spend(principal, rule.cost)
        return _too_many(wait) if wait else self._judge(scope, headers, found)

    def _find(self, scope: Scope) -> Found | None:
        method = scope["method"] if scope["type"] == "http" else "WS"
        path = get_route_path(scope)
        found = find_rule(method, path, scope.get("query_string", b""))
        if found is None and method in ("GET", "HEAD") and path in self._files:
            return Found(PUBLIC, None)
        return found

    def _judge(self, scope: Scope, headers: Headers, found: Found) -> JSONResponse | None:
        principal: Holder = scope[PRINCIPAL]
        if found.session is not None and not principal.reaches(found.session):
            other = self._access.views(headers)  # this browser watches that one, too
            if other is None or not other.reaches(found.session):
                return _not_found(found)
            scope[PRINCIPAL] = principal = other
        try:
            if principal.session is not None and _takes_key(found):
                raise ProtocolError("forbidden", "This takes a key; a session's token does not do.")
            check_scope(principal, found.rule.scope)
        except ProtocolError as error:
            return _refusal(403, error.code, str(error))
        return None


def address_of(scope: Scope) -> str:
    """Returns the address that a request comes from; of IPv6, the network of its subscriber."""
    return subscriber(str((scope.get("client") or ("",))[0]))


def _takes_key(found: Found) -> bool:
    reach = found.rule.reach
    return reach is Reach.SERVER or (reach is Reach.JOINED and found.session is None)


def _files(page: Path) -> list[str]:
    """Returns the addresses of the page's files."""
    files = [f"/{path.relative_to(page).as_posix()}" for path in page.rglob("*") if path.is_file()]
    return ["/", *files]


def _not_found(found: Found | None = None) -> JSONResponse:
    """Returns the refusal that the routes themselves give for what does not exist."""
    if found is None:
        return _refusal(404, "not_found", "Not Found.")
    if found.rule.reach is Reach.FILM:
        recording = found.recording or ""
        return _refusal(404, "not_found", f"There is no recording {recording[:80]!r}.")
    return _refusal(404, "not_found", f"There is no session {(found.session or '')[:60]!r}.")


def _unauthorized() -> JSONResponse:
    sentence = "This server takes a key, or the token of a session, and here was no valid one."
    return _refusal(401, "unauthorized", sentence, {"WWW-Authenticate": 'Bearer realm="vivant"'})


def _too_many(wait: float) -> JSONResponse:
    seconds = math.ceil(wait)
    sentence = f"That was too much at once; ask again in {seconds} s."
    return _refusal(429, "rate_limited", sentence, {"Retry-After": str(seconds)})


def _refusal(
    status: int, code: str, sentence: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    return JSONResponse(error_body(code, sentence), status, headers)


def rule_of(scope: Scope) -> Rule | None:
    """Returns the rule that a request has passed; None where it passed none."""
    rule: Rule | None = scope.get(RULE)
    return rule
