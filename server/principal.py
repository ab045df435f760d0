"""Who acts on which session in whatever is running now: for log lines and the audit.

Access control, where there is any, leaves a `Principal` in the ASGI scope under `PRINCIPAL`;
without one it is somebody at this machine. It knows no key and no route.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

PRINCIPAL: Final = "vivant.principal"  # key of the ASGI scope


class Scope(StrEnum):
    """What may be done; `speak` holds `watch`, and `control` all."""

    WATCH = "watch"
    SPEAK = "speak"
    CONTROL = "control"
    METRICS = "metrics"


ALL: Final = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who may use the server.

    Attributes:
        name: of the key, never the key.
        key_id: which key stands behind it; empty where the server asks for none.
        token_id: of the login that it came with; empty for none.
    """

    name: str
    key_id: str = field(default="", kw_only=True)
    token_id: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class Holder(Principal):
    """A principal with what it may do, by the key or the token that it brought.

    Attributes:
        scopes: what it may do.
        session: the one session that it may do it with; None for all of them.
        expires: seconds since 1970 after which it is nobody; None for never.
    """

    scopes: frozenset[Scope]
    session: str | None = None
    expires: float | None = None

    @property
    def is_unproven(self) -> bool:
        """Whether it is let in without a key or a token."""
        return self.session is None and not self.key_id

    def reaches(self, session_id: str) -> bool:
        """Returns whether it may have to do with a session."""
        return self.session is None or self.session == session_id

    def owns(self, session_id: str) -> bool:
        """Returns whether it holds the session's own token, or a key to all of them."""
        return Scope.CONTROL in self.scopes and self.reaches(session_id)


LOCAL: Final = Holder("local", ALL)  # whoever sits at the machine
# The scope of the request, not what is in it: access control may run inside of us.
_SCOPE: ContextVar[MutableMapping[str, Any] | None] = ContextVar("scope", default=None)
_ACTING: ContextVar[Principal | None] = ContextVar("principal", default=None)
_SESSION: ContextVar[str | None] = ContextVar("session", default=None)


def acting() -> Principal:
    """Returns who acts now: of the request, else of the session that runs, else `LOCAL`."""
    scope = _SCOPE.get()
    found = _ACTING.get() if scope is None else scope.get(PRINCIPAL)
    return found if isinstance(found, Principal) else LOCAL


def session_now() -> str | None:
    """Returns the id of the session that is served now, or None."""
    return _SESSION.get()


@contextmanager
def on_behalf_of(principal: Principal, session_id: str) -> Iterator[None]:
    """Makes all that is begun meanwhile a session's own doing, in its opener's name."""
    scope = _SCOPE.set(None)
    acting_before, session_before = _ACTING.set(principal), _SESSION.set(session_id)
    try:
        yield
    finally:
        _SESSION.reset(session_before)
        _ACTING.reset(acting_before)
        _SCOPE.reset(scope)


class KnowsCaller:
    """ASGI middleware: what a request begins is done by whoever the request is from."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Serves a request as its caller."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        token = _SCOPE.set(scope)
        session = _SESSION.set(session_in(scope["path"]))
        try:
            await self._app(scope, receive, send)
        finally:
            _SESSION.reset(session)
            _SCOPE.reset(token)


def session_in(path: str) -> str | None:
    """Returns the session that a path names: `/v1/sessions/ID/...`, `/whep/ID`, `/whip/ID`."""
    match path.split("/"):
        case ["", "v1", "sessions", session_id, *_] | ["", "whep" | "whip", session_id, *_]:
            return session_id[:64] or None
    return None
