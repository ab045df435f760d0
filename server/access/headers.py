"""What every answer tells browsers: which scripts may run, who may frame it, what leaks to whom.

A route that needs another policy sets its own. It knows no route.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The page's, whose <meta> narrows it further; a frame of another site cannot be told by <meta>.
_POLICY: Final = (
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'none'; require-trusted-types-for 'script'; frame-ancestors 'self'"
)
_FIXED: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()",
}


# Browsers take it from encrypted pages only, and complain of any other that has it.
_ENCRYPTED: Final = {"Cross-Origin-Opener-Policy": "same-origin"}


class SecurityHeaders:
    """ASGI middleware that adds them.

    Args:
        app: whose answers they are.
        allowed: other sites that are let in, and so may show what this server sends.
    """

    def __init__(self, app: ASGIApp, *, allowed: Sequence[str]) -> None:
        self._app = app
        self._headers = _FIXED | {
            "Content-Security-Policy": " ".join([_POLICY, *allowed]),
            "Cross-Origin-Resource-Policy": "cross-origin" if allowed else "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Adds them to the application's answer."""
        is_encrypted = scope.get("scheme") in ("https", "wss")
        added = self._headers | (_ENCRYPTED if is_encrypted else {})

        async def send_guarded(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in added.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_guarded)
