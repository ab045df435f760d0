"""Where a request brings a key or a token: a header, a WebSocket's subprotocol, a cookie.

Never an address: those are logged, remembered and handed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

LOGIN_COOKIE: Final = "vivant_login"
VIEW_COOKIE: Final = "vivant_view"
SUBPROTOCOL: Final = "vivant"  # the server answers with it where a client offers it
TOKEN_PROTOCOL: Final = "vivant-token."  # followed by a key or a token: browsers set no headers
_OPENAI_PROTOCOL: Final = "openai-insecure-api-key."  # how OpenAI's clients do so


def bearer(headers: Headers) -> str | None:
    """Returns what `Authorization: Bearer` brings (RFC 6750, section 2.1)."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def offered(headers: Headers) -> list[str]:
    """Returns the subprotocols that a WebSocket's client offers."""
    return [each.strip() for each in headers.get("sec-websocket-protocol", "").split(",")]


def subprotocol(headers: Headers) -> str | None:
    """Returns the subprotocol to accept a WebSocket of ours with: never one with a secret."""
    return SUBPROTOCOL if SUBPROTOCOL in offered(headers) else None


def brought(headers: Headers, *, is_socket: bool) -> Iterator[str]:
    """Yields the keys and tokens of a request's headers."""
    value = bearer(headers)
    if value is not None:
        yield value
    if is_socket:
        for each in offered(headers):
            for prefix in (TOKEN_PROTOCOL, _OPENAI_PROTOCOL):
                if each.startswith(prefix):
                    yield each.removeprefix(prefix)


def cookies(headers: Headers) -> tuple[str | None, str | None]:
    """Returns the cookies of a login and of a view, where the browser sends them."""
    found = cookie_parser(headers.get("cookie", ""))
    return found.get(LOGIN_COOKIE), found.get(VIEW_COOKIE)
