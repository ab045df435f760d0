"""A server on a real socket, as it ships but for its model, and clients that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from server.access.certificate import Certificate
from server.access.hosts import LocalHosts
from server.access.keys import KeyFile
from server.access.making import is_for_this_machine
from server.app import Server, bind, http_server
from server.config import Settings
from server.connections.door import Door
from server.connections.limits import ConnectionLimits
from server.connections.serving import HttpServer
from server.connections.serving import http_server as serve_http
from tests import layout
from tests.live_fakes import fake_parts

LIMIT = 60.0  # seconds after which a test has failed; what is measured takes much less


@dataclass(frozen=True)
class Served:
    server: Server
    door: Door
    port: int
    file: KeyFile
    key: str | None
    raws: list[Raw]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def client(self, **options: Any) -> httpx.AsyncClient:  # noqa: ANN401
        headers = {} if self.key is None else {"authorization": f"Bearer {self.key}"}
        # Kept connections end after 5 s, on a busy machine just as they are used again.
        fresh = httpx.Limits(max_keepalive_connections=0)
        return httpx.AsyncClient(
            base_url=f"http://{self.address}",
            timeout=LIMIT,
            headers=headers,
            limits=fresh,
            **options,
        )

    async def open(self) -> dict[str, Any]:
        """Returns what the server tells of a new session."""
        async with self.client() as client:
            answer = await client.post("/v1/sessions")
            assert answer.status_code == 201, answer.text
            told: dict[str, Any] = answer.json()
            return told

    async def raw(self) -> Raw:
        raw = Raw(*await asyncio.open_connection("127.0.0.1", self.port))
        self.raws.append(raw)
        return raw

    async def answers(self) -> bool:
        """Returns whether somebody else is served."""
        async with self.client() as client:
            return (await client.get("/healthz")).status_code == 200


class Raw:
    """A connection that sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> bytes:
        """Returns all that comes until the server closes."""
        async with asyncio.timeout(LIMIT):
            return await _rest(self.reader)

    async def status(self) -> int:
        """Returns the status of the last answer, once the server has closed."""
        told = await self.answer()
        return int(told.rpartition(b"HTTP/1.1 ")[2][:3])

    async def close(self) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    told = bytearray()
    with contextlib.suppress(ConnectionError):  # a reset after it is an end, too
        while piece := await reader.read(65_536):
            told += piece
    return bytes(told)


async def drip(raw: Raw, data: bytes, *, every: float) -> None:
    """Sends byte by byte until the server hangs up."""
    with contextlib.suppress(ConnectionError):
        for byte in data:
            await raw.send(bytes([byte]))
            await asyncio.sleep(every)


@contextlib.asynccontextmanager
async def served(
    folder: Path,
    *,
    has_keys: bool = False,
    limits: ConnectionLimits | None = None,
    certificate: Certificate | None = None,
    **settings: Any,  # noqa: ANN401
) -> AsyncIterator[Served]:
    """Yields a server on a port of loopback; with keys it is one for a network."""
    file = KeyFile(folder / "keys.json")
    key = file.add("web") if has_keys else None
    if has_keys:
        settings = {"require_key": True, "rate_limit": 0.0, **settings}
    chosen: dict[str, Any] = {"size": 256, "port": 0, "max_sessions": 3, "cache_dir": folder}
    made = Settings(keys_file=file.path, **(chosen | settings))
    async with _performing(made, certificate, limits) as (server, http):
        listener = bind(made)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(http.serve(sockets=[listener]))
            while not http.started:  # noqa: ASYNC110 - Uvicorn has no event for it
                await asyncio.sleep(0.005)
            door: Door = http.config.door  # type: ignore[attr-defined]
            there = Served(server, door, listener.getsockname()[1], file, key, [])
            try:
                yield there
            finally:
                for raw in there.raws:
                    await raw.close()
                if layout.chosen == "single":
                    server.end()
                http.should_exit = True
                await serving
                listener.close()


@contextlib.asynccontextmanager
async def _performing(
    settings: Settings, certificate: Certificate | None, limits: ConnectionLimits | None
) -> AsyncIterator[tuple[Server, HttpServer]]:
    """Yields who performs, and what serves strangers: it or a gateway, with the same limits."""
    limits = limits or settings.connections()
    if layout.chosen == "ray":
        from tests.cluster_rig import cluster

        async with cluster(settings, workers=1) as rig:
            app = LocalHosts(rig.app) if is_for_this_machine(settings) else rig.app
            yield rig.workers[0].worker.server, serve_http(app, limits, certificate)
        return
    server = Server(settings, fake_parts(settings))
    server.connections = limits
    yield server, http_server(server, certificate)


async def until(is_so: Any, *, seconds: float = LIMIT) -> None:  # noqa: ANN401 - a function
    """Returns once something is so.

    Raises:
        TimeoutError: it has not become so.
    """
    async with asyncio.timeout(seconds):
        while not is_so():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0.01)
