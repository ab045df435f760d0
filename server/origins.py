"""Which web sites' pages may use the server: its own, and those that the operator names.

A browser tells where a page came from in `Origin`; programs send none and are not meant. It
knows no route.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from server.protocol import error_body

_CHANGELESS = ("GET", "HEAD", "OPTIONS")
_ASKED = ("Content-Type", "Range", "Authorization", "If-Match")
_ANSWERED = ("Retry-After", "Content-Range", "Location", "ETag", "Link")  # the last of WHEP
_CACHED = 600  # seconds that a browser need not ask again


class Origins:
    """The server's own origin and those that are allowed beside it."""

    def __init__(self, allowed: tuple[str, ...] = ()) -> None:
        """Takes origins as `https://example.org`, or `*` for any."""
        self._allowed = allowed

    def may_use(self, headers: Headers) -> bool:
        """Returns whether a request comes from a page that may change things here."""
        origin = headers.get("origin", "")
        return self.is_own(headers) or "*" in self._allowed or origin.lower() in self._allowed

    @property
    def allowed(self) -> tuple[str, ...]:
        """The origins that are allowed beside the server's own."""
        return self._allowed

    def is_own(self, headers: Headers) -> bool:
        """Returns whether a request comes from a page of the server itself, or from no page."""
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc == headers.get("host")

    def guard(self, app: FastAPI) -> None:
        """Refuses what foreign pages would change, and lets allowed pages read the answers."""
        app.add_middleware(_Guard, origins=self)
        if self._allowed:
            app.add_middleware(
                CORSMiddleware,
                allow_origins=self._allowed,
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
                allow_headers=_ASKED,
                expose_headers=_ANSWERED,
                max_age=_CACHED,
            )


class _Guard:
    """ASGI middleware: turns away what foreign pages would change, which browsers let them send."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_socket = scope["type"] == "websocket"
        is_change = scope["type"] == "http" and scope["method"] not in _CHANGELESS
        headers = Headers(scope=scope) if is_change or is_socket else None
        if headers is None or self._origins.may_use(headers):
            await self._app(scope, receive, send)
            return
        if is_socket:  # which no browser keeps to its own site by itself
            await send({"type": "websocket.close", "code": 1008, "reason": "cross-origin"})
            return
        origin = headers["origin"][:100]
        sentence = f"Pages of {origin!r} may not use this server; --allow-origin lets them."
        await JSONResponse(error_body("forbidden", sentence), 403)(scope, receive, send)
