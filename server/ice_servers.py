"""STUN and TURN servers as clients are told them, with TURN credentials that expire.

With a shared secret, coturn (`use-auth-secret`) and others accept names that are dates, signed
by it: nobody keeps accounts, and what a client was told is worth nothing tomorrow
(draft-uberti-behave-turn-rest-00). It opens no socket.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

_USER = "vivant"  # names nobody: TURN servers log it


@dataclass(frozen=True, slots=True)
class TurnSecret:
    """What the TURN server and we know.

    Attributes:
        secret: coturn's `static-auth-secret`.
        seconds: for how long credentials serve to ask for a relay.
    """

    secret: str = field(repr=False)
    seconds: float

    def credentials(self, now: datetime) -> tuple[str, str]:
        """Returns a user name and a password that serve from now on."""
        username = f"{int(now.timestamp() + self.seconds)}:{_USER}"
        # SHA-1 is the draft's and coturn's; as an HMAC it is not known to be weak.
        digest = hmac.digest(self.secret.encode(), username.encode(), hashlib.sha1)
        return username, base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server, as in RTCIceServer.

    Attributes:
        urls: its address.
        username: fixed, where it is.
        credential: that goes with it.
        secret: makes both anew each time, where they are not fixed.
    """

    urls: str
    username: str | None = None
    credential: str | None = field(default=None, repr=False)
    secret: TurnSecret | None = None

    def leased(self) -> IceServer:
        """Returns it with credentials that serve now."""
        if self.secret is None:
            return self
        username, credential = self.secret.credentials(datetime.now(tz=UTC))
        return replace(self, username=username, credential=credential, secret=None)

    def describe(self) -> dict[str, Any]:
        """Returns what clients are told, with credentials that serve now."""
        server = self.leased()
        told = {"urls": server.urls, "username": server.username, "credential": server.credential}
        return {name: value for name, value in told.items() if value is not None}


def make_ice_servers(
    urls: Sequence[str], *, username: str | None, credential: str | None, secret: TurnSecret | None
) -> tuple[IceServer, ...]:
    """Returns the servers of the settings; only TURN servers have credentials."""
    return tuple(
        IceServer(url, username, credential, secret) if url.startswith("turn") else IceServer(url)
        for url in urls
    )
