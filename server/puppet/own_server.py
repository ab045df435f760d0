"""A server of one's own on this machine, in this process, for as long as it is needed."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import cv2
import uvicorn

from server.app import SWITCH_INTERVAL, Parts, Server, bind, http_server
from server.config import Settings


@asynccontextmanager
async def own_server(settings: Settings, parts: Parts) -> AsyncIterator[str]:
    """Yields the address of a server that is ready; it ends with the block.

    Raises:
        VivantError: the port is taken, or the portrait or the voice cannot be used.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)
    cv2.setNumThreads(1)
    listener = bind(settings)
    with contextlib.closing(listener):
        server = Server(settings, parts)
        await server.warm_up()
        http: uvicorn.Server = http_server(server)
        host, port = listener.getsockname()[:2]
        # Entered and left by hand: a group would wrap whatever the block raises.
        group = asyncio.TaskGroup()
        await group.__aenter__()
        serving = group.create_task(http.serve(sockets=[listener]))
        try:
            yield f"http://{host}:{port}"
        finally:
            server.end()
            http.should_exit = True
            await serving
            await group.__aexit__(None, None, None)
