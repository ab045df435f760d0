"""What aiortc's ICE lacks: bounds, quick gathering, restarts that leave DTLS and media alone."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from aioice import Connection, ConnectionClosed
from aiortc import RTCIceCandidate, RTCIceGatherer, RTCIceServer, RTCIceTransport
from aiortc.rtcicetransport import RTCIceParameters, candidate_to_aioice

from server.candidates import Candidates
from server.ice_gate import Gate

_LOG = logging.getLogger(__name__)
_GATHER_SECONDS: Final = 0.8  # a TURN server far away takes two round trips, two more for TLS
_RESTART_SECONDS: Final = 20  # for the checks of a restart; the old path serves meanwhile


class IceDescription(NamedTuple):
    """One side's ICE: what its checks are signed with, and where it can be reached.

    Attributes:
        username: the username fragment.
        password: of the same generation.
        candidates: all or some of them.
    """

    username: str
    password: str
    candidates: tuple[RTCIceCandidate, ...] = ()


def _ready_to_gather(gatherer: RTCIceGatherer) -> Gate:
    """Waits less long for STUN and TURN servers, and lets in from the network what may come.

    aioice would wait 5 s for a server that is dead.
    """
    ice: Any = gatherer._connection
    gate = Gate(ice)
    gather = ice.get_component_candidates

    async def gather_soon(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as aioice has it
        candidates = await gather(*arguments, **named, timeout=_GATHER_SECONDS)
        gate.watch()
        return candidates

    ice.get_component_candidates = gather_soon
    return gate


class IcePath:
    """The way between a transport's DTLS and the other side, which an ICE restart replaces.

    aiortc ties a transport to one ICE connection for life. This stands between: what DTLS sends
    goes by the connection that is valid now, what it awaits comes from there, and the end of a
    replaced connection is no end (RFC 8445, section 9: media goes on by the old path until the
    new one is there).

    Attributes:
        gate: what is let in from the network, of the newest generation.

    Raises:
        AttributeError: aiortc is built otherwise than this class knows.
    """

    def __init__(self, transport: RTCIceTransport) -> None:
        """Takes a transport that has not been started, and readies it to gather."""
        self.gate = _ready_to_gather(transport.iceGatherer)
        self._transport: Any = transport
        self._current: Connection = transport._connection
        self._next: Connection | None = None
        self._candidates = Candidates()
        self._watch(self._current)
        assert hasattr(transport, "_recv")
        assert hasattr(transport, "_send")
        self._transport._recv = self._receive
        self._transport._send = self._send

    @property
    def username(self) -> str:
        """Our username fragment, of the newest generation."""
        return (self._next or self._current).local_username

    async def add_candidates(self, candidates: Sequence[RTCIceCandidate]) -> None:
        """Takes more of the other side's candidates, of its newest generation."""
        connection = self._next or self._current
        # Together: a name takes a second to be found, or not.
        async with asyncio.TaskGroup() as group:
            for candidate in self._candidates.admit(candidates):
                group.create_task(connection.add_remote_candidate(candidate_to_aioice(candidate)))

    async def restart(
        self, theirs: IceDescription, *, servers: Sequence[RTCIceServer]
    ) -> IceDescription:
        """Begins anew with what the other side sent; returns ours, complete.

        `reconnect` is to follow.
        """
        await self._give_up()
        gatherer = RTCIceGatherer(iceServers=list(servers))
        self.gate = _ready_to_gather(gatherer)
        await gatherer.gather()
        connection = self._next = gatherer._connection
        self._candidates = Candidates()
        connection.ice_controlling = self._current.ice_controlling
        connection.remote_username = theirs.username
        connection.remote_password = theirs.password
        await self.add_candidates(theirs.candidates)
        self._watch(connection)
        ours: RTCIceParameters = gatherer.getLocalParameters()
        assert ours.usernameFragment is not None
        assert ours.password is not None
        return IceDescription(
            ours.usernameFragment, ours.password, tuple(gatherer.getLocalCandidates())
        )

    async def close(self) -> None:
        """Ends a restart that is under way; the transport ends what is valid."""
        await self._give_up()

    async def reconnect(self) -> None:
        """Finds the new path and takes it; where there is none the old one stays."""
        connection = self._next
        if connection is None:
            return
        try:
            async with asyncio.timeout(_RESTART_SECONDS):
                await connection.connect()
        except (ConnectionError, TimeoutError):
            _LOG.info("an ICE restart found no path; the old one stays")
            if connection is self._next:
                self._next = None
            await connection.close()
            return
        old, self._current, self._next = self._current, connection, None
        self._transport._connection = connection
        await old.close()

    async def _give_up(self) -> None:
        unused, self._next = self._next, None
        if unused is not None:
            await unused.close()

    def _watch(self, connection: Connection) -> None:
        hooked: Any = connection
        hooked.get_event = functools.partial(self._event, connection.get_event)

    async def _event(self, get_event: Any) -> Any:  # noqa: ANN401
        """Returns the connection's next event, or its successor's once it was replaced."""
        connection = get_event.__self__
        event = await get_event()
        if isinstance(event, ConnectionClosed) and connection is not self._current:
            return await self._current.get_event()
        return event

    async def _receive(self) -> bytes:
        while True:
            connection = self._current
            try:
                return await connection.recv()
            except ConnectionError:
                if connection is self._current:
                    raise

    async def _send(self, data: bytes) -> None:
        await self._current.send(data)
