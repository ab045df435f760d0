"""The port between a gateway and the workers that it passes requests on to.

A worker is an ASGI application, called in one process, or over HTTP (`server.cluster.forward`).
Which workers live is the directory's; which one holds a session is the store's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from starlette.types import ASGIApp
from starlette.websockets import WebSocket

SECRET_HEADER: Final = b"x-vivant-cluster"  # proves that a gateway asks, and no stranger
CLIENT_HEADER: Final = b"x-vivant-client"  # the address that the gateway was asked from
PLACE_HEADER: Final = b"x-vivant-place"  # of who may open a session: `VOUCH`, `ASK`, or its id
VOUCH: Final = "vouch"  # check and answer as to somebody who waits; a gateway keeps the place
ASK: Final = "ask"  # the same where there is no room
SCHEME_HEADER: Final = b"x-vivant-scheme"  # http or https, as the client has it
TAKE_UP: Final = "/cluster/take-up"  # POST {"session", "epoch", "is_pressed"} to a worker
FIGURES: Final = "/cluster/figures"  # GET from a worker: its page for Prometheus
ROOM: Final = "/cluster/room"  # GET from a worker: what `GET /v1/capacity` tells of it alone
ALIVE: Final = "/cluster/alive"  # any answer will do
WARM: Final = "/cluster/warm"  # POST {"portrait", "background"}: a session of these may come
DRAIN: Final = "/cluster/drain"  # POST {"seconds"}: its sessions are to go on elsewhere
LOOK: Final = "/cluster/look"  # POST {"ends_sessions": [PORTRAIT]}: others have changed portraits


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker tells of itself, every second.

    Attributes:
        worker: its id; another one after each start.
        address: `http://host:port` of its HTTP.
        room: how many more sessions it could begin.
        sessions: how many it has.
        waiting: how many clients wait in its line.
        pid: its process.
        portraits: ids of those that it can show at once.
        shown: names of portraits and backgrounds that its sessions show, or wait for.
        is_draining: whether it lets nobody in any more.
        name: the same after each start, for people and Prometheus; empty for none.
    """

    worker: str
    address: str
    room: int
    sessions: int
    waiting: int
    pid: int
    portraits: frozenset[str]
    is_draining: bool = False
    shown: frozenset[str] = frozenset()
    name: str = ""


class Directory(Protocol):
    """Which workers live."""

    async def report(self, report: Report) -> None:
        """Takes what a worker tells; it lives from now on."""
        ...

    async def leave(self, worker: str) -> None:
        """Notes that a worker is no more."""
        ...

    async def living(self) -> list[Report]:
        """Returns the latest of every worker that has told lately."""
        ...


class Reach(Protocol):
    """How a worker is called."""

    def __call__(self, report: Report, /) -> ASGIApp:
        """Returns the worker as an application; calling it raises `Unreachable` if it has gone."""
        ...


class Broken(Exception):
    """A WebSocket broke off without a word of the worker, which may be dead.

    Attributes:
        client: whose it is, still open.
    """

    def __init__(self, client: WebSocket) -> None:
        super().__init__("a worker broke off")
        self.client = client


class Unreachable(Exception):
    """A worker let nobody in: nothing of the request has been done, another may do it."""
