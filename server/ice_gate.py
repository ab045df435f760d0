"""What reaches an ICE connection from the network: bounded, and from its peer only.

Its ports are open to everybody who finds them. aioice keeps whatever comes, answers every check
that is signed wrongly, learns an address from every one that is signed rightly, and trips over
malformed ones.
"""

from __future__ import annotations

import functools
import logging
import struct
from collections.abc import Callable
from typing import Any, Final

import aioice
from aioice import stun

from server.access.buckets import Buckets
from server.clock import Clock, MonotonicClock

_LOG = logging.getLogger(__name__)
_EARLY: Final = 32  # datagrams kept before there is a path
_WAITING: Final = 2_048  # kept on it, until DTLS comes round to them
_RATE: Final = 1_000.0  # datagrams a second; a microphone and its reports need a hundred
_REFUSALS: Final = 5.0  # a second, of checks that are signed wrongly
_LEARNED: Final = 64  # addresses of the peer's, told and learned
# What aioice raises at datagrams whose lengths it does not check, or at checks that lack a part.
_MALFORMED: Final = (struct.error, LookupError, ValueError, AssertionError)

Address = tuple[str, int]
Take = Callable[[bytes, tuple[Any, ...]], None]


class Gate:
    """Stands before one connection.

    Attributes:
        dropped: datagrams that were not let through.

    Raises:
        AttributeError: aioice is built otherwise than this class knows.
    """

    def __init__(self, connection: aioice.Connection, clock: Clock | None = None) -> None:
        """Takes a connection that has not gathered; `watch` is to follow once it has."""
        self._connection: Any = connection
        self._clock = clock or MonotonicClock()
        self._source: Address | None = None  # of the datagram that is looked at
        self._peer: Address | None = None  # where the last one came from that was let through
        self._datagrams = Buckets(rate=_RATE, burst=2 * _RATE)
        self._refusals = Buckets(rate=_REFUSALS, burst=2 * _REFUSALS)
        self._watched: set[int] = set()
        self.dropped = 0
        hooked: Any = connection
        hooked.data_received = functools.partial(self._take, connection.data_received)
        hooked.check_incoming = functools.partial(self._check, connection.check_incoming)
        hooked.respond_error = functools.partial(self._refuse, connection.respond_error)

    def watch(self) -> None:
        """Looks at what the connection's sockets receive from now on."""
        for protocol in self._connection._protocols:
            if protocol.id not in self._watched:
                self._watched.add(protocol.id)
                look = functools.partial(self._look, protocol.datagram_received)
                protocol.datagram_received = look

    def _look(self, take: Take, data: bytes, address: tuple[Any, ...]) -> None:
        self._source = (address[0], address[1])
        if self._datagrams.take("", 1.0, now=self._clock.now()):
            self.dropped += 1
            return
        try:
            take(data, address)
        except _MALFORMED as error:
            self.dropped += 1
            _LOG.debug("a malformed datagram: %r", error)

    def _take(self, take: Callable[[bytes, int], None], data: bytes, component: int) -> None:
        """Takes what is no STUN, from where ICE has found the peer."""
        connection = self._connection
        most = _WAITING if connection._nominated else _EARLY
        if connection._queue.qsize() >= most or not self._is_peer_s(self._source):
            self.dropped += 1
            return
        take(data, component)

    def _check(
        self,
        check: Callable[..., None],
        message: stun.Message,
        address: Address,
        protocol: Any,  # noqa: ANN401
    ) -> None:
        """Takes a check that is signed rightly, and no more addresses than a peer can have."""
        is_known = self._is_among_candidates(address)
        if not is_known and len(self._connection._remote_candidates) >= _LEARNED:
            self.dropped += 1
            return
        check(message, address, protocol)

    def _refuse(self, refuse: Callable[..., None], *what: Any) -> None:  # noqa: ANN401
        if self._refusals.take("", 1.0, now=self._clock.now()):
            self.dropped += 1
        else:
            refuse(*what)

    def _is_peer_s(self, source: Address | None) -> bool:
        if source is None:
            return False
        if source != self._peer and self._is_among_candidates(source):
            self._peer = source
        return source == self._peer

    def _is_among_candidates(self, address: Address) -> bool:
        return any(
            (each._network_host, each.port) == address
            for each in self._connection._remote_candidates
        )
