"""A server that answers calls in this process, by either layout (`tests.layout`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.types import ASGIApp

from server.app import Parts, Server
from server.config import Settings
from tests import layout
from tests.live_fakes import fake_parts


@dataclass(frozen=True)
class Answering:
    """What is called, and who performs.

    Attributes:
        app: the server's, or a gateway's.
        server: in one process with it, or a worker behind it.
    """

    app: ASGIApp
    server: Server


@asynccontextmanager
async def answering(settings: Settings, parts: Parts | None = None) -> AsyncIterator[Answering]:
    """Yields a server of the fake model, unless it is given other parts."""
    if layout.chosen == "ray":
        from tests.cluster_rig import cluster

        async with cluster(settings, workers=1, parts=parts) as rig:
            yield Answering(rig.app, rig.workers[0].worker.server)
        return
    server = Server(settings, parts or fake_parts(settings))
    async with server.app.router.lifespan_context(server.app):
        await asyncio.sleep(0)
        yield Answering(server.app, server)
