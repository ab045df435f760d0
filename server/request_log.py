"""A log line for every request: what was asked, by whom, what it got, and how long that took.

The route and not the address is told: addresses may hold what no log should. It knows no route.
"""

from __future__ import annotations

import logging
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.clock import Clock

_LOG = logging.getLogger(__name__)
_PROBES: Final = ("/healthz", "/readyz", "/metrics")  # asked every few seconds
_MILLISECOND: Final = 1_000_000  # ns
_ACCEPTED: Final = 101


class RequestLog:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request, and notes what became of it."""
        if scope["type"] == "lifespan" or not _LOG.isEnabledFor(logging.INFO):
            await self._app(scope, receive, send)
            return
        status: int | None = None

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = _ACCEPTED
            await send(message)

        began = self._clock.now()
        try:
            await self._app(scope, receive, watch)
        finally:
            self._tell(scope, status, self._clock.now() - began)

    def _tell(self, scope: Scope, status: int | None, took: int) -> None:
        route = getattr(scope.get("route"), "path", "page")
        method = scope.get("method", "WS")
        client = scope.get("client")
        told = {
            "method": method,
            "route": route,
            "status": status,
            "ms": round(took / _MILLISECOND, 1),
            "client": client[0] if client else None,
        }
        level = logging.DEBUG if route in _PROBES else logging.INFO
        _LOG.log(level, "%s %s %s", method, route, status or "broken off", extra=told)
