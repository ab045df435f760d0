"""Who somebody is and whether they may: keys, tokens and limits together, for the guard to ask.

It decides; what is answered is the guard's.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers

from server.access.buckets import Buckets
from server.access.credentials import brought, cookies
from server.access.keys import KeyRing
from server.access.presence import Presences
from server.access.principal import LOCAL, Holder
from server.access.quotas import Quotas
from server.access.tokens import LONGEST, Tokens
from server.clock import Clock
from server.origins import Origins

_BURST: Final = 4.0  # seconds' worth that may come at once
LOGIN_TIME: Final = 43_200.0  # seconds that a login in a browser lasts


class Access:
    """One server's.

    Attributes:
        is_open: whether requests without a key are let in.
        tokens: signs and reads the tokens of sessions.
        presences: who is connected just now.
        quotas: how much each tenant may have.
        token_time: seconds that a token lasts if nothing else is asked for.

    Args:
        usual: who a request without a key comes from; None where it takes one.
        keys: the keys that are valid.
        origins: whose pages may use the server.
        rate: requests a second for each address and for each key; 0 for no limit.
    """

    def __init__(
        self,
        *,
        usual: Holder | None,
        keys: KeyRing,
        tokens: Tokens,
        origins: Origins,
        token_time: float,
        rate: float,
        clock: Clock,
        quotas: Quotas | None = None,
    ) -> None:
        self.is_open = usual is not None
        self._usual = usual
        self.presences = Presences((lambda _: True) if self.is_open else tokens.stands)
        self.keys = keys
        self.quotas = quotas or Quotas(None)
        self.tokens = tokens
        self.origins = origins
        self.token_time = LONGEST if self.is_open else token_time
        self._clock = clock
        self._addresses = Buckets(rate=rate, burst=_BURST * rate) if rate else None
        self._holders = Buckets(rate=rate, burst=_BURST * rate) if rate else None

    def identify(self, headers: Headers, *, is_socket: bool) -> Holder | None:
        """Returns who a request comes from; None where it brings nothing that is valid."""
        for value in brought(headers, is_socket=is_socket):
            found = self.tokens.read(value) if value.count(".") == 2 else None
            if found is None and not self.is_open:
                found = self.keys.find(value)
            if found is not None:
                return found
        return self._usual or self._by_cookie(headers)

    def views(self, headers: Headers) -> Holder | None:
        """Returns who a browser was given one session's token for."""
        _, view = cookies(headers)
        return self.tokens.read(view) if view and self._is_own_page(headers) else None

    def token_for(self, session_id: str, principal: Holder) -> str:
        """Returns the token that whoever opened a session, or came back to it, is given."""
        return self.tokens.for_session(session_id, principal, lifetime=self.token_time)

    def trusts(self, principal: Holder) -> bool:
        """Returns whether somebody may reach this machine's own network by the server's hands.

        Whoever sits at the machine may, and whoever brings a key; the token of a session is not
        enough.
        """
        return self._usual is LOCAL or bool(principal.key_id and principal.session is None)

    def spend_address(self, address: str, cost: float) -> float:
        """Charges an address; returns 0, or the seconds after which it may ask again."""
        if self._addresses is None:
            return 0.0
        return self._addresses.take(address, cost, now=self._clock.now())

    def spend(self, principal: Holder, cost: float) -> float:
        """Charges a key, or one session's tokens of it; returns 0, or the seconds to wait."""
        if self._holders is None:
            return 0.0
        name = f"{principal.key_id}/{principal.session or ''}"
        return self._holders.take(name, cost, now=self._clock.now())

    def _by_cookie(self, headers: Headers) -> Holder | None:
        if not self._is_own_page(headers):
            return None
        login, _ = cookies(headers)
        return (self.tokens.read_login(login) if login else None) or self.views(headers)

    def _is_own_page(self, headers: Headers) -> bool:
        """Whether the browser says that the page is ours: others get no use of our cookies."""
        site = headers.get("sec-fetch-site", "none")
        return self.origins.is_own(headers) and site in ("none", "same-origin")
