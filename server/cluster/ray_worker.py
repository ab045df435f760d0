"""A worker as a Ray actor: a process with an event loop of its own, which Ray does not run.

It begins when the actor does, so that an actor that Ray has started again serves again. Gateways
reach it by HTTP; Ray carries its reports and what is kept of its sessions.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Final

import cv2
import ray
import uvicorn
from ray.actor import ActorHandle
from ray.exceptions import RayError

from server.app import SWITCH_INTERVAL, Parts
from server.cluster.ray_store import NAMESPACE, RayLine, RayStore
from server.cluster.worker import Worker, shared
from server.config import Settings
from server.logs import configure_logs
from server.udp_ports import confine

MakeParts = Callable[[Settings], Parts]
_LOG = logging.getLogger(__name__)
_NICE: Final = 15  # what Ray adds by itself
_FAILED: Final = 1  # exit status
_PING: Final = 5  # seconds between signs of life on a gateway's WebSockets


class WorkerActor:
    """The actor; it is there when it serves.

    Args:
        settings: as the gateway was given them.
        make_parts: makes model and voices, in this process.
        name: its folder's.
        cores: that it may use.
        keeper: of the cluster.

    Raises:
        VivantError: the portrait, the model or the voice cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        make_parts: MakeParts,
        *,
        name: str,
        cores: float,
        keeper: ActorHandle[Any],
    ) -> None:
        # Each has its own uploads: two that clean up in one folder would delete each other's.
        self._settings = replace(settings, cache_dir=settings.cache_dir / "workers" / name)
        self._make_parts = make_parts
        self._name = name
        self._cores = cores
        self._store = RayStore(keeper)
        self._line = RayLine(keeper)
        self._loop = asyncio.new_event_loop()
        self._worker: Worker | None = None
        ready: Future[None] = Future()
        self._name = name
        self._thread = threading.Thread(target=self._run, args=(ready,), name="loop", daemon=True)
        self._thread.start()
        ready.result()

    def pid(self) -> int:
        """Returns its process."""
        return os.getpid()

    def drain(self, seconds: float) -> None:
        """Begins to have its sessions go on elsewhere; it ends when they have."""
        self._loop.call_soon_threadsafe(self._begin_drain, seconds)

    def _begin_drain(self, seconds: float) -> None:
        if self._worker is None:
            os._exit(_FAILED)  # it has not begun
        self._worker.begin_drain(seconds)

    async def _end_when_drained(self, worker: Worker) -> None:
        await worker.drained.wait()
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        """Ends the process, and is not started again."""
        try:
            ray.kill(ray.get_actor(self._name, NAMESPACE), no_restart=True)
        except (RayError, ValueError):
            _LOG.exception("this worker cannot end as an actor does")
            os._exit(_FAILED)

    def _run(self, ready: Future[None]) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve(ready))
        except BaseException as error:  # noqa: BLE001 - the edge of a thread
            if ready.done():
                # A process without its loop is of no use to anybody: Ray starts another.
                os._exit(_FAILED)
            ready.set_exception(error)

    async def _serve(self, ready: Future[None]) -> None:
        settings = self._settings
        configure_logs(
            level=settings.log_level, format=settings.log_format, secrets=settings.secrets()
        )
        if (niceness := os.nice(0)) >= _NICE:
            _LOG.warning(
                "this worker has niceness %d: pictures will be late beside other work; "
                "start Ray with RAY_worker_niceness=0",
                niceness,
            )
        sys.setswitchinterval(SWITCH_INTERVAL)
        cv2.setNumThreads(1)
        if settings.udp_ports is not None:
            confine(self._loop, settings.udp_ports)
        settings, secret = await shared(settings, self._store)
        self._worker = Worker(
            settings,
            self._make_parts(settings),
            store=self._store,
            directory=self._store,
            line=self._line,
            secret=secret,
            cores=self._cores,
            name=self._name,
        )
        await self._worker.server.warm_up()
        gc.collect()
        gc.freeze()
        host = str(ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]
        with socket.create_server((host, 0)) as listener:
            port = listener.getsockname()[1]
            async with asyncio.TaskGroup() as group:
                group.create_task(_http(self._worker).serve(sockets=[listener]))
                group.create_task(self._worker.run(f"http://{host}:{port}"))
                group.create_task(self._end_when_drained(self._worker))
                ready.set_result(None)


def _http(worker: Worker) -> uvicorn.Server:
    config = uvicorn.Config(
        worker,
        log_level="error",
        log_config=None,
        server_header=False,
        ws="websockets-sansio",
        ws_ping_interval=_PING,
        ws_ping_timeout=_PING,
    )
    return uvicorn.Server(config)


def start_worker(
    number: int,
    settings: Settings,
    make_parts: MakeParts,
    *,
    cores: float,
    keeper: ActorHandle[Any],
) -> ActorHandle[Any]:
    """Returns a worker of the cluster, which is started if there is none of that number."""
    name = f"worker-{number}"
    actor: Any = ray.remote(WorkerActor).options(
        name=name,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        max_restarts=-1,
        num_cpus=cores,
    )
    handle: ActorHandle[Any] = actor.remote(
        settings, make_parts, name=name, cores=cores, keeper=keeper
    )
    return handle
