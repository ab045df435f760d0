"""Tokens of one session, and the page's login: JSON Web Tokens (RFC 7519), signed with HS256.

Both name the key behind them and die with it. It knows no request.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from typing import Any, Final

import jwt

from server.access.principal import Holder, Scope, held
from server.clock import unix_seconds
from server.principal import Principal

_ALGORITHM: Final = "HS256"
_ISSUER: Final = "vivant"
_SESSION: Final = "vivant-session"  # audiences, so that one kind never passes for the other
_LOGIN: Final = "vivant-login"
_CLAIMS: Final = ["iss", "aud", "sub", "scope", "key", "iat", "exp", "jti"]
_CLOCKS: Final = 60.0  # seconds by which clocks may differ
_SECRET_BYTES: Final = 32
OF_SESSIONS: Final = frozenset({Scope.WATCH, Scope.SPEAK, Scope.CONTROL})
LONGEST: Final = 86_400.0  # seconds


class Tokens:
    """Signs and reads tokens.

    Args:
        secret: what they are signed with; random if not given, and then they end with the process.
        is_active: tells whether the key of an id is valid; None where no key stands behind them.
        now: tells the date in seconds since 1970.
    """

    def __init__(
        self,
        secret: str | None = None,
        *,
        is_active: Callable[[str], bool] | None = None,
        now: Callable[[], float] = unix_seconds,
    ) -> None:
        self._secret = secret or secrets.token_hex(_SECRET_BYTES)
        self._is_active = is_active
        self._ended: dict[str, float] = {}  # ids of logins, and when they would have expired
        self._now = now

    def for_session(self, session_id: str, principal: Holder, *, lifetime: float) -> str:
        """Returns a token for a session, of what `principal` may do, for so many seconds."""
        return self._sign(_SESSION, session_id, narrowed(principal, OF_SESSIONS), lifetime)

    def for_login(self, principal: Holder, *, lifetime: float) -> str:
        """Returns what the page's cookie holds while somebody is logged in."""
        return self._sign(_LOGIN, principal.name, principal, lifetime)

    def read(self, token: str) -> Holder | None:
        """Returns who a session's token belongs to; None if it is none, or none any more."""
        return self._read(token, _SESSION)

    def read_login(self, token: str) -> Holder | None:
        """Returns who is logged in; None for nobody."""
        return self._read(token, _LOGIN)

    def end_login(self, token: str) -> None:
        """Makes a login's token valid no more, wherever copies of it are."""
        claims = self._claims(token, _LOGIN)
        if claims is not None:
            now = self._now()
            self._ended = {name: end for name, end in self._ended.items() if end > now}
            self._ended[claims["jti"]] = claims["exp"]

    def stands(self, principal: Principal) -> bool:
        """Returns whether somebody's key and login, where it came with them, are valid still."""
        if principal.token_id in self._ended:
            return False
        return self._is_active is None or self._is_active(principal.key_id)

    def _sign(self, audience: str, subject: str, principal: Holder, lifetime: float) -> str:
        now = self._now()
        expires = now + lifetime
        if principal.expires is not None and audience == _LOGIN:
            expires = min(expires, principal.expires)
        claims = {
            "iss": _ISSUER,
            "aud": audience,
            "sub": subject,
            "name": principal.name,
            "scope": " ".join(sorted(principal.scopes)),
            "key": principal.key_id,
            "iat": int(now),
            "exp": expires,
            "jti": secrets.token_hex(8),
        }
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def _claims(self, token: str, audience: str) -> dict[str, Any] | None:
        """Returns what a token says that we have signed and that has not expired."""
        # The library checks the signature, who it is of and for; the date is ours to tell.
        options: Any = {"require": _CLAIMS, "verify_exp": False, "verify_iat": False}
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                audience=audience,
                issuer=_ISSUER,
                options=options,
            )
        except jwt.InvalidTokenError:
            return None
        now, dates = self._now(), (claims["iat"], claims["exp"])
        if not all(isinstance(each, int | float) and math.isfinite(each) for each in dates):
            return None
        return claims if dates[0] <= now + _CLOCKS and now < dates[1] else None

    def _read(self, token: str, audience: str) -> Holder | None:
        claims = self._claims(token, audience)
        if claims is None:
            return None
        is_login = audience == _LOGIN
        key_id, token_id = str(claims["key"]), str(claims["jti"]) if is_login else ""
        if not self.stands(Principal("", key_id=key_id, token_id=token_id)):
            return None
        return Holder(
            str(claims.get("name", "")),
            held(str(claims["scope"]).split()),
            session=str(claims["sub"]) if audience == _SESSION else None,
            key_id=key_id,
            token_id=token_id,
            expires=claims["exp"],
        )


def narrowed(principal: Holder, scopes: frozenset[Scope]) -> Holder:
    """Returns who may do only what `scopes` hold, and nothing more than before."""
    return Holder(
        principal.name,
        principal.scopes & scopes,
        session=principal.session,
        key_id=principal.key_id,
        expires=principal.expires,
    )
