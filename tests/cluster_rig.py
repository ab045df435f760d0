"""Workers behind a gateway, all in this process, each with an HTTP port of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import uvicorn
from starlette.types import ASGIApp

from server.access.making import make_access
from server.app import Parts, page_folder
from server.clock import MonotonicClock
from server.cluster.directory import MemoryDirectory
from server.cluster.forward import Forwarder
from server.cluster.gateway import Router, make_gateway
from server.cluster.line import MemoryLine
from server.cluster.store import MemoryStore
from server.cluster.worker import Worker, shared
from server.config import Settings
from server.origins import Origins
from tests.live_fakes import fake_parts


class Uvicorn(uvicorn.Server):
    """Leaves signals alone, and can die without a word to anybody."""

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        config = uvicorn.Config(
            app, port=port, log_level="error", ws="websockets-sansio", timeout_graceful_shutdown=1
        )
        super().__init__(config)

    @property
    def port(self) -> int:
        port: int = self.servers[0].sockets[0].getsockname()[1]
        return port

    def capture_signals(self) -> contextless:  # type: ignore[override]
        return contextless()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}"

    async def until_started(self) -> None:
        while not self.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)

    def die(self) -> None:
        """Closes the door and every connection at once, as the death of a process does."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()


class contextless:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


@dataclass
class Running:
    worker: Worker
    http: Uvicorn
    telling: asyncio.Task[None] | None = None

    def die(self) -> None:
        """Is gone for gateways; what it performs is performed to nobody."""
        assert self.telling is not None
        self.telling.cancel()
        self.http.die()


@dataclass
class Cluster:
    store: MemoryStore
    directory: MemoryDirectory
    gateway: Uvicorn
    app: ASGIApp
    group: asyncio.TaskGroup
    workers: list[Running] = field(default_factory=list)
    serving: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.gateway.port

    async def serve_gateway(self) -> None:
        """Runs the gateway in a task."""
        self.serving.append(self.group.create_task(self.gateway.serve()))
        await self.gateway.until_started()

    async def restart_gateway(self, pause: float = 0.0) -> None:
        """Kills the gateway, and starts another on its port after so many seconds."""
        dead, port = self.gateway, self.port
        dead.die()
        dead.should_exit = True
        await asyncio.sleep(pause)
        self.gateway = Uvicorn(self.app, port)
        await self.serve_gateway()

    def of(self, session_id: str) -> Running:
        """Returns the worker that performs a session."""
        (found,) = [
            each
            for each in self.workers
            if each.worker.server.house.sessions.get(session_id) is not None
            and each.telling is not None
            and not each.telling.cancelled()
        ]
        return found


@asynccontextmanager
async def cluster(
    settings: Settings, *, workers: int, parts: Parts | None = None
) -> AsyncIterator[Cluster]:
    clock = MonotonicClock()
    store, directory = MemoryStore(), MemoryDirectory(clock)
    settings, secret = await shared(settings, store)
    forwarder = Forwarder(secret, beat=1.0)  # all are in one loop, which may be late
    line = MemoryLine(clock)
    origins = Origins(settings.allow_origin)
    access = make_access(settings, origins, clock)
    router = Router(
        store,
        directory,
        forwarder,
        line,
        clock=clock,
        quotas=access.quotas,
        queue_length=settings.queue_length,
    )
    app = make_gateway(router, access=access, origins=origins, page=page_folder(), clock=clock)
    async with asyncio.TaskGroup() as group:
        rig = Cluster(store, directory, Uvicorn(app), app, group)
        tasks = rig.serving
        for number in range(workers):
            # Each with a folder of its own, as Ray's have; the tests of one server know its.
            own = settings.cache_dir / f"worker-{number}" if workers > 1 else settings.cache_dir
            worker = Worker(
                replace(settings, cache_dir=own),
                parts or fake_parts(settings),
                store=store,
                directory=directory,
                line=line,
                secret=secret,
                name=f"worker-{number}",
            )
            await worker.server.warm_up()
            running = Running(worker, Uvicorn(worker))
            tasks.append(group.create_task(running.http.serve()))
            await running.http.until_started()
            running.telling = group.create_task(worker.run(running.http.address))
            rig.workers.append(running)
        await rig.serve_gateway()
        lobby = group.create_task(router.lobby.run())
        while len(await directory.living()) < workers:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        try:
            yield rig
        finally:
            for running in rig.workers:
                assert running.telling is not None
                running.telling.cancel()
                running.worker.server.end()
                running.http.should_exit = True
            rig.gateway.should_exit = True
            lobby.cancel()
            await asyncio.gather(*tasks)
            await forwarder.aclose()
