"""Serves an ASGI application by HTTP or HTTPS, to strangers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import _TrustedHosts

from server.access.certificate import Certificate
from server.connections.door import Door
from server.connections.limits import ConnectionLimits
from server.connections.requests import Requests
from server.connections.sockets import Sockets

_MOST_FILES: Final = 65_536  # more are of no use, and some programs close all that may be open
_GRACE: Final = 1  # seconds for open requests at shutdown


class _Config(uvicorn.Config):
    """Uvicorn's, with what its connections here ask for."""

    limits: ConnectionLimits
    door: Door


class HttpServer(uvicorn.Server):
    """Uvicorn, leaving signals to us, and waiting for no handshake of TLS for long."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures nothing: Uvicorn would end the process by the signal it caught."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to serve."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(3)
        config, loop = self.config, asyncio.get_running_loop()
        assert isinstance(config, _Config)

        def connection() -> asyncio.Protocol:
            return Requests(config, self.server_state, self.lifespan.state)

        patience = None if config.ssl is None else config.limits.head
        self.servers = [
            await loop.create_server(
                connection, sock=each, ssl=config.ssl, ssl_handshake_timeout=patience
            )
            for each in sockets or []
        ]
        self.started = True


def allow_files() -> None:
    """Lets the process open as many files as the system allows: each connection is one or two.

    Shells and containers start processes with 1,024, for the sake of programs that use `select`.
    """
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MOST_FILES if most == resource.RLIM_INFINITY else min(most, _MOST_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def http_server(
    app: ASGIApp, limits: ConnectionLimits, certificate: Certificate | None = None
) -> HttpServer:
    """Returns what serves HTTP, or HTTPS, on given sockets; it ends when `should_exit` is set."""
    config = _Config(
        app,
        # Below, it tells addresses with all that is in them, and that requests are malformed,
        # which whoever sends them may do as often as he likes.
        log_level="error",
        log_config=None,
        server_header=False,  # strangers need not know what to look up
        ws=Sockets,
        timeout_graceful_shutdown=_GRACE,
        ws_ping_interval=limits.ping,
        ws_ping_timeout=limits.ping,
        ssl_certfile=certificate and certificate.file,
        ssl_keyfile=certificate and str(certificate.key),
    )
    config.limits = limits
    proxies = _TrustedHosts(config.forwarded_allow_ips)
    config.door = Door(
        most=limits.most,
        most_of_address=limits.most_of_address,
        is_proxy=lambda host: host in proxies,
    )
    return HttpServer(config)
