"""Viewers that have an answer and are not connected yet: few, and the newest before the oldest.

Each holds sockets, tasks and a third of a megabyte while it tries. One that wants to connect does
so in a second; one that never will is the oldest before long, and makes room (as with SYN floods:
RFC 4987, section 3.4). It knows no WebRTC.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable

_AT_ONCE = 8  # offers that are being answered


class HalfOpen:
    """One server's.

    Args:
        most: that may be at once.

    Attributes:
        answering: to be held while an offer is answered.
        given_up: how many had to make room so far.
    """

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._trying: OrderedDict[object, tuple[str, Callable[[], None]]] = OrderedDict()
        self.answering = asyncio.Semaphore(_AT_ONCE)
        self.given_up = 0

    def __len__(self) -> int:
        return len(self._trying)

    def enter(self, viewer: object, session: str, give_up: Callable[[], None]) -> None:
        """Lets a viewer of a session try; the oldest of the session that has most may go for it."""
        while len(self._trying) >= self._most:
            counts = Counter(name for name, _ in self._trying.values())
            fullest = max(counts.values())
            oldest = next(
                each for each, (name, _) in self._trying.items() if counts[name] == fullest
            )
            _, end = self._trying.pop(oldest)
            self.given_up += 1
            end()
        self._trying[viewer] = (session, give_up)

    def leave(self, viewer: object) -> None:
        """Notes that a viewer is connected, or has gone."""
        self._trying.pop(viewer, None)
