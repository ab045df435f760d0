"""Who a request comes from, and what that may do.

The guard puts it into every request's ASGI scope, under `server.principal.PRINCIPAL`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from server.principal import ALL, LOCAL, PRINCIPAL, Holder, Scope
from server.protocol import ProtocolError

__all__ = [
    "ALL",
    "ANYBODY",
    "LOCAL",
    "SCOPES",
    "Holder",
    "Scope",
    "check_scope",
    "held",
    "principal_of",
    "require",
    "require_key",
]

SCOPES: Final = tuple(each.value for each in Scope)
_HELD: Final = {
    Scope.WATCH: {Scope.WATCH},
    Scope.SPEAK: {Scope.WATCH, Scope.SPEAK},
    Scope.CONTROL: {Scope.WATCH, Scope.SPEAK, Scope.CONTROL, Scope.METRICS},
    Scope.METRICS: {Scope.METRICS},
}


def held(scopes: Iterable[str]) -> frozenset[Scope]:
    """Returns scopes with all that they hold; names that are none hold nothing.

    >>> sorted(held(["speak"]))
    [<Scope.SPEAK: 'speak'>, <Scope.WATCH: 'watch'>]
    """
    known = [Scope(each) for each in scopes if each in SCOPES]
    return frozenset(scope for each in known for scope in _HELD[each])


ANYBODY: Final = Holder("anybody", ALL)  # whoever reaches it, as the operator wants it


def principal_of(scope: Mapping[str, Any]) -> Holder:
    """Returns who an ASGI scope's request comes from.

    Raises:
        KeyError: it has not passed the guard.
    """
    found: Holder = scope[PRINCIPAL]
    return found


def require(scope: Mapping[str, Any], session_id: str, needed: Scope) -> Holder:
    """Returns who it is, if that may do this with a session; for routes that name one in a body.

    Raises:
        ProtocolError: `not_found` for another's session, whether it exists or not; `forbidden`.
    """
    principal = principal_of(scope)
    if not principal.reaches(session_id):
        raise ProtocolError("not_found", f"There is no session {session_id[:60]!r}.")
    check_scope(principal, needed)
    return principal


def require_key(scope: Mapping[str, Any]) -> Holder:
    """Returns who it is, if that may open sessions; for routes that open one as a body says.

    Raises:
        ProtocolError: `forbidden`.
    """
    principal = principal_of(scope)
    if principal.session is not None:
        raise ProtocolError("forbidden", "This takes a key; a session's token does not do.")
    check_scope(principal, Scope.CONTROL)
    return principal


def check_scope(principal: Holder, needed: Scope) -> None:
    """Accepts who has a scope.

    Raises:
        ProtocolError: `forbidden`.
    """
    if needed not in principal.scopes:
        raise ProtocolError("forbidden", f"This takes the scope '{needed}'.")
