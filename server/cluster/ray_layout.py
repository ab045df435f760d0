"""`vivant serve --ray`: a gateway in this process, and sessions on workers that Ray places."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError
from starlette.types import ASGIApp

from server.access.certificate import Certificate, certificate_for
from server.access.hosts import LocalHosts
from server.access.making import is_for_this_machine, make_access, require_access
from server.app import bind, page_folder, real_parts
from server.clock import MonotonicClock
from server.cluster.command import LOCAL, ClusterOptions
from server.cluster.forward import Forwarder
from server.cluster.gateway import Router, make_gateway
from server.cluster.orphans import Orphans
from server.cluster.ray_growing import Growing
from server.cluster.ray_store import NAMESPACE, RayLine, RayStore, keeper, started
from server.cluster.ray_worker import MakeParts, start_worker
from server.cluster.worker import shared
from server.config import Settings
from server.connections.serving import http_server
from server.logs import configure_logs
from server.origins import Origins
from streaming_model.errors import VivantError

_LOG = logging.getLogger(__name__)
_STORE: Final = "cluster/sessions.db"  # in the cache folder
_STORAGE: Final = "cluster/storage"  # in the cache folder, where no other is named
_RECOVERY: Final = 60.0  # seconds that a cluster may be without any worker, beside
_GRACE: Final = 5.0  # seconds for workers to end beyond the time for their sessions
_LOOK: Final = 0.2  # seconds between looks whether they have
_OBJECTS: Final = 100 * 2**20  # bytes; hardly anything passes through Ray's object store


def serve_ray(
    settings: Settings,
    cluster: ClusterOptions,
    *,
    make_parts: MakeParts = real_parts,
    make_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Serves as a gateway until SIGINT or SIGTERM.

    Workers of a cluster that was there before go on, for other gateways; one that was started
    here has its sessions finish for the drain's time, and ends.

    Raises:
        VivantError: the port is taken, there is no such cluster, or workers cannot begin.
    """
    require_access(settings)
    certificate = certificate_for(settings)
    configure_logs(level=settings.log_level, format=settings.log_format, secrets=settings.secrets())
    with contextlib.closing(bind(settings)) as listener, connected(cluster):
        workers, store = start(settings, cluster, make_parts)
        growing = Growing(
            store,
            RayLine(store.keeper),
            cluster,
            partial(_start_one, settings, cluster, make_parts, store.keeper),
        )
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(_serve(settings, store, listener, certificate, growing))
        if cluster.address == LOCAL and settings.drain_timeout:
            _drain(workers, settings.drain_timeout)


def _drain(workers: list[ActorHandle[Any]], seconds: float) -> None:
    """Has all drain, and waits until they have ended, or the time is over."""
    end = time.monotonic() + seconds + _GRACE
    for worker in workers:
        worker.drain.remote(seconds)
    for worker in workers:
        with contextlib.suppress(RayError):  # it has ended, or something else has
            while time.monotonic() < end:
                ray.get(worker.pid.remote(), timeout=_GRACE)
                time.sleep(_LOOK)


@contextlib.contextmanager
def connected(cluster: ClusterOptions) -> Iterator[None]:
    """Joins a cluster, or starts one of this machine, for as long as it is entered.

    Raises:
        VivantError: there is none at the address.
    """
    options: dict[str, Any] = {"address": cluster.address}
    if cluster.address == LOCAL:
        options |= {
            "num_cpus": cluster.largest * cluster.cores,
            "object_store_memory": _OBJECTS,
            "include_dashboard": False,
            "_system_config": {"worker_niceness": 0},  # by itself Ray makes them nicer by 15
        }
    try:
        ray.init(namespace=NAMESPACE, log_to_driver=True, logging_level=logging.WARNING, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise VivantError(f"There is no Ray cluster at {cluster.address!r}: {error}") from None
    try:
        yield
    finally:
        ray.shutdown()


def start(
    settings: Settings, cluster: ClusterOptions, make_parts: MakeParts
) -> tuple[list[ActorHandle[Any]], RayStore]:
    """Returns the cluster's workers, once they serve, and its store.

    Raises:
        VivantError: one cannot begin.
    """
    handle = keeper((settings.cache_dir / _STORE).absolute())
    workers = [
        _start_one(settings, cluster, make_parts, handle, number)
        for number in range(cluster.workers)
    ]
    started([worker.pid.remote() for worker in workers])
    return workers, RayStore(handle)


def _start_one(
    settings: Settings,
    cluster: ClusterOptions,
    make_parts: MakeParts,
    handle: ActorHandle[Any],
    number: int,
) -> ActorHandle[Any]:
    """Returns the worker of a number, which is asked for if there is none."""
    if settings.storage is None:
        folder = (settings.cache_dir / _STORAGE).absolute()
        settings = replace(settings, storage=folder.as_uri())
    return start_worker(number, settings, make_parts, cores=cluster.cores, keeper=handle)


async def _serve(
    settings: Settings,
    store: RayStore,
    listener: socket.socket,
    certificate: Certificate | None,
    growing: Growing,
) -> None:
    clock = MonotonicClock()
    settings, secret = await shared(settings, store)
    forwarder = Forwarder(secret)
    origins = Origins(settings.allow_origin)
    access = make_access(settings, origins, clock)
    router = Router(
        store,
        store,
        forwarder,
        RayLine(store.keeper),
        clock=clock,
        quotas=access.quotas,
        queue_length=settings.queue_length,
    )
    app: ASGIApp = make_gateway(
        router, access=access, origins=origins, page=page_folder(), clock=clock
    )
    if is_for_this_machine(settings):
        app = LocalHosts(app)
    http = http_server(app, settings.connections(), certificate)
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, lambda: setattr(http, "should_exit", True))
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    scheme = "http" if certificate is None else "https"
    if settings.log_format == "text":
        print(f"Vivant is ready at {scheme}://{shown}:{port}/", flush=True)  # noqa: T201
    _LOG.info("ready", extra={"address": f"{scheme}://{shown}:{port}/"})
    patience = settings.resume_timeout + _RECOVERY
    orphans = Orphans(store, store, clock, patience=patience, rescue=router.rescue)
    async with asyncio.TaskGroup() as group:
        watches = [
            group.create_task(orphans.run(), name="orphans"),
            group.create_task(router.lobby.run(), name="lobby"),
            group.create_task(growing.run(clock), name="growing"),
        ]
        await http.serve(sockets=[listener])
        for watch in watches:
            watch.cancel()
    await forwarder.aclose()
