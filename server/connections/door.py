"""Counts connections, and makes room for new ones at the cost of those that do nothing.

It decides; what closing means, a connection knows.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final

_NETWORK: Final = 64  # bits of an IPv6 address that one subscriber has


class Door:
    """One server's.

    Args:
        most: connections at once.
        most_of_address: of one address; those of this machine are not counted: it may be a proxy.
        is_proxy: tells which other addresses are not, because they are known to be one.

    Attributes:
        turned_away: how many were not let in.
        sent_off: how many were closed to make room while they did nothing.
    """

    def __init__(
        self,
        *,
        most: int,
        most_of_address: int,
        is_proxy: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._is_proxy = is_proxy
        self._most = most
        self._most_of_address = most_of_address
        self._inside: dict[object, str] = {}
        self._of_address: Counter[str] = Counter()
        self._resting: OrderedDict[object, Callable[[], None]] = OrderedDict()
        self.turned_away = self.sent_off = 0

    def __len__(self) -> int:
        return len(self._inside)

    def enter(self, connection: object, host: str) -> bool:
        """Returns whether a connection is let in; one that rests longest may go for it."""
        address = subscriber(host)
        is_crowd = (
            self._of_address[address] >= self._most_of_address
            and not _is_own(host)
            and not self._is_proxy(host)
        )
        if len(self) >= self._most and not is_crowd and self._resting:
            longest, close = self._resting.popitem(last=False)
            self.leave(longest)
            self.sent_off += 1
            close()
        if is_crowd or len(self) >= self._most:
            self.turned_away += 1
            return False
        self._inside[connection] = address
        self._of_address[address] += 1
        return True

    def leave(self, connection: object) -> None:
        """Forgets a connection; one that is not inside stays unknown."""
        self._resting.pop(connection, None)
        address = self._inside.pop(connection, None)
        if address is not None:
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]

    def rest(self, connection: object, close: Callable[[], None]) -> None:
        """Notes that a connection waits for a request, and how it is closed for another."""
        if connection in self._inside:
            self._resting.setdefault(connection, close)

    def wake(self, connection: object) -> None:
        """Notes that a connection's request is served."""
        self._resting.pop(connection, None)


def subscriber(host: str) -> str:
    """Returns an address as limits count it: of IPv6, the network of its subscriber.

    >>> subscriber("2001:db8::1:2")
    '2001:db8::/64'
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address.packed, _NETWORK), strict=False))


def _is_own(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True  # a socket of this machine's file system has no address
