"""Keeps WebRTC's sockets within a range of UDP ports that a firewall or a container can name.

aioice binds each to port 0 and has no setting for it, so the event loop chooses instead of the
system. It knows no WebRTC: any socket that asks for a port of the system's choice gets one.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import random
import socket
from collections.abc import Callable
from typing import Any

_LOG = logging.getLogger(__name__)


def confine(loop: asyncio.AbstractEventLoop, ports: range) -> None:
    """Makes `loop` choose local UDP ports from `ports`, in random order.

    What is bound to a port of its own, or to no address, stays as it is. When all are in use, who
    asks gets OSError (EADDRINUSE), as when the system has none left.
    """
    hooked: Any = loop
    create: Callable[..., Any] = loop.create_datagram_endpoint

    async def create_within(
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        local_addr: tuple[str, int] | None = None,
        **options: object,
    ) -> Any:  # noqa: ANN401 - as the loop's own
        if local_addr is None or local_addr[1] != 0:
            return await create(protocol_factory, local_addr=local_addr, **options)
        host = local_addr[0]
        for port in random.sample(ports, len(ports)):
            bound = _bind(host, port)
            if bound is not None:
                return await create(protocol_factory, sock=bound, **options)
        _LOG.warning("all UDP ports from %d to %d are in use on %s", ports[0], ports[-1], host)
        raise OSError(errno.EADDRINUSE, f"all UDP ports from {ports[0]} to {ports[-1]} are in use")

    hooked.create_datagram_endpoint = create_within


def _bind(host: str, port: int) -> socket.socket | None:
    """Returns a socket with that port, or None where somebody else has it.

    Raises:
        OSError: the address is not ours.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setblocking(False)
        bound.bind(address)
    except OSError as error:
        bound.close()
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        return None
    return bound
