"""Requests to a server that is for its own machine must name that machine.

DNS rebinding: a page of evil.example that has its name point at 127.0.0.1 is of the same origin as
the server there, and no other check sees it. Its requests still say `Host: evil.example`.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from server.protocol import error_body


class LocalHosts:
    """ASGI middleware: refuses requests to any name but this machine's own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 403, or lets the application answer."""
        host = Headers(scope=scope).get("host", "") if scope["type"] != "lifespan" else ""
        if scope["type"] == "lifespan" or is_local_name(_hostname(host)):
            await self._app(scope, receive, send)
            return
        sentence = (
            f"This server is for its own machine, which {host[:100]!r} is not: "
            "start it with --require-key to let others in."
        )
        refusal = JSONResponse(error_body("forbidden", sentence), 403)
        if scope["type"] == "http":
            await refusal(scope, receive, send)
        else:
            await WebSocket(scope, receive, send).send_denial_response(refusal)


def is_local_name(name: str) -> bool:
    """Returns whether a name or an address is that of the own machine (RFC 6761, section 6.3)."""
    name = name.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
