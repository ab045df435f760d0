"""A UDP relay that loses and delays packets, between a viewer and the server.

This stands in for `tc netem`, which few containers may use. It reads nothing in the packets:
the server's candidates in the answer are made to name the relay's port, and the viewer's
candidates are taken out of the offer, so that both know only the relay.
"""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import dataclass, field
from typing import Any

Address = tuple[str, int]
HOST = "127.0.0.1"


@dataclass(slots=True)
class Trouble:
    """What a link does to packets, each on its own.

    Attributes:
        loss: the share that is lost.
        jitter: seconds; packets are delayed by a random time up to this, and overtake each other.
        chance: where randomness comes from.
    """

    loss: float = 0.0
    jitter: float = 0.0
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def delay(self) -> float | None:
        """Returns how long the next packet takes, in seconds, or None when it is lost."""
        if self.chance.random() < self.loss:
            return None
        return self.chance.uniform(0.0, self.jitter)


class _Side(asyncio.DatagramProtocol):
    """One socket of the relay: what arrives is sent to the other side after its delay."""

    def __init__(self, trouble: Trouble) -> None:
        self.peer: Address | None = None  # whom this socket talks with
        self.other: _Side | None = None
        self.lost = self.passed = 0
        self._trouble = trouble
        self.transport: asyncio.DatagramTransport | None = None

    def datagram_received(self, data: bytes, address: Address) -> None:
        self.peer = address
        delay = self._trouble.delay()
        if delay is None:
            self.lost += 1
            return
        self.passed += 1
        assert self.other is not None
        asyncio.get_running_loop().call_later(delay, self.other.send, data)

    def send(self, data: bytes) -> None:
        """Sends to whom this socket talks with, if that is known and it is open."""
        if self.transport is not None and self.peer is not None:
            self.transport.sendto(data, self.peer)

    def close(self) -> None:
        """Closes the socket."""
        if self.transport is not None:
            self.transport.close()
            self.transport = None


class Relay:
    """Carries one viewer's connection."""

    def __init__(self, trouble: Trouble) -> None:
        self._trouble = trouble
        self._sides: list[_Side] = []

    @property
    def lost_share(self) -> float:
        """Which share of all packets was lost so far."""
        lost = sum(side.lost for side in self._sides)
        return lost / max(1, lost + sum(side.passed for side in self._sides))

    async def carry(self, answer: str) -> str:
        """Opens a way to the server of this SDP answer; returns the answer for the viewer.

        Raises:
            ValueError: the answer has no UDP candidate.
        """
        host, port = first_candidate(answer)
        viewer, server = await self._open(), await self._open()
        viewer.other, server.other = server, viewer
        server.peer = (host, port)
        assert viewer.transport is not None
        return with_candidate(answer, (HOST, viewer.transport.get_extra_info("sockname")[1]))

    def close(self) -> None:
        """Closes the sockets."""
        for side in self._sides:
            side.close()

    async def _open(self) -> _Side:
        loop = asyncio.get_running_loop()
        side = _Side(self._trouble)
        side.transport, _ = await loop.create_datagram_endpoint(
            lambda: side, local_addr=("0.0.0.0", 0)
        )
        self._sides.append(side)
        return side


_CANDIDATE = re.compile(
    r"^(a=candidate:\S+ \d+ udp \d+) (\S+) (\d+) (typ host.*)$", re.MULTILINE | re.IGNORECASE
)


def first_candidate(sdp: str) -> Address:
    """Returns the address of the first IPv4 host candidate of a description.

    Raises:
        ValueError: there is none.
    """
    for found in _CANDIDATE.finditer(sdp):
        if ":" not in found[2]:
            return found[2], int(found[3])
    raise ValueError("the answer names no UDP candidate to relay to")


def with_candidate(sdp: str, address: Address) -> str:
    """Returns a description whose candidates are this address, once in every section."""
    host, port = address
    sections = re.split(r"(?m)^(?=m=)", sdp)
    return "".join(_with_only(section, host, port) for section in sections)


def _with_only(section: str, host: str, port: int) -> str:
    found = _CANDIDATE.search(section)
    bare = without_candidates(section)
    if found is None:
        return bare
    return bare + f"{found[1]} {host} {port} {found[4].strip()}\r\n"


def without_candidates(sdp: str) -> str:
    """Returns a description without candidates and their end."""
    return re.sub(r"(?m)^a=(candidate:.*|end-of-candidates)\r?\n?", "", sdp)


def describe(trouble: Trouble) -> dict[str, Any]:
    """Returns what a report tells of a link."""
    return {"loss": trouble.loss, "jitter_ms": trouble.jitter * 1000}
