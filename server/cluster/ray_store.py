"""The store and the directory of a Ray cluster: one actor that everybody calls.

It is the file's one writer. Ray starts it again when it dies, on the same machine, where its file
is; the directory is told anew within a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from server.clock import MonotonicClock
from server.cluster.directory import MemoryDirectory
from server.cluster.file_store import FileStore
from server.cluster.port import Report
from server.cluster.store import Record, StoreError, Superseded
from streaming_model.errors import VivantError

NAMESPACE: Final = "vivant"
_KEEPER: Final = "keeper"
_PATIENCE: Final = 5.0  # seconds with a call; the actor needs one to start again
_CALLS_AT_ONCE: Final = 1000
ResultT = TypeVar("ResultT")


class Keeper:
    """The actor; its methods are those of `Store` and `Directory`."""

    def __init__(self, path: Path) -> None:
        self._store = FileStore(path)
        self._directory = MemoryDirectory(MonotonicClock())

    async def take(self, session: str, worker: str, after: int) -> Record:
        """As `Store`."""
        return await self._store.take(session, worker, after=after)

    async def write(self, session: str, epoch: int, facts: str) -> None:
        """As `Store`."""
        await self._store.write(session, epoch, facts)

    async def read(self, session: str) -> Record | None:
        """As `Store`."""
        return await self._store.read(session)

    async def forget(self, session: str, epoch: int) -> None:
        """As `Store`."""
        await self._store.forget(session, epoch)

    async def held(self) -> list[Record]:
        """As `Store`."""
        return await self._store.held()

    async def constant(self, name: str, proposed: str) -> str:
        """As `Store`."""
        return await self._store.constant(name, proposed)

    async def report(self, report: Report) -> None:
        """As `Directory`."""
        await self._directory.report(report)

    async def leave(self, worker: str) -> None:
        """As `Directory`."""
        await self._directory.leave(worker)

    async def living(self) -> list[Report]:
        """As `Directory`."""
        return await self._directory.living()


def keeper(path: Path) -> ActorHandle[Any]:
    """Returns the cluster's keeper, which is started on this machine if there is none.

    Args:
        path: of its file, where it is started.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor: Any = ray.remote(Keeper).options(
        name=_KEEPER,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        max_restarts=-1,
        max_concurrency=_CALLS_AT_ONCE,
        num_cpus=0,
        scheduling_strategy=here,
    )
    handle: ActorHandle[Any] = actor.remote(path)
    return handle


class RayStore:
    """A store that asks the keeper. It is a directory, too."""

    def __init__(self, keeper: ActorHandle[Any]) -> None:
        self._keeper = keeper

    async def take(self, session: str, worker: str, *, after: int) -> Record:
        """As `Store`."""
        return cast(Record, await _answer(self._keeper.take.remote(session, worker, after)))

    async def write(self, session: str, epoch: int, facts: str) -> None:
        """As `Store`."""
        await _answer(self._keeper.write.remote(session, epoch, facts))

    async def read(self, session: str) -> Record | None:
        """As `Store`."""
        return cast("Record | None", await _answer(self._keeper.read.remote(session)))

    async def forget(self, session: str, epoch: int) -> None:
        """As `Store`."""
        await _answer(self._keeper.forget.remote(session, epoch))

    async def held(self) -> list[Record]:
        """As `Store`."""
        return cast("list[Record]", await _answer(self._keeper.held.remote()))

    async def constant(self, name: str, proposed: str) -> str:
        """As `Store`."""
        return cast(str, await _answer(self._keeper.constant.remote(name, proposed)))

    async def report(self, report: Report) -> None:
        """As `Directory`."""
        await _answer(self._keeper.report.remote(report))

    async def leave(self, worker: str) -> None:
        """As `Directory`."""
        await _answer(self._keeper.leave.remote(worker))

    async def living(self) -> list[Report]:
        """As `Directory`."""
        return cast("list[Report]", await _answer(self._keeper.living.remote()))


async def _answer(reference: Any) -> object:  # noqa: ANN401 - Ray's references have no type
    """Awaits a call of the keeper in any event loop.

    Raises:
        Superseded: as the store raises it.
        StoreError: the keeper does not answer, or its file fails.
    """
    future: Awaitable[object] = asyncio.wrap_future(reference.future())
    try:
        async with asyncio.timeout(_PATIENCE):
            return await future
    except RayTaskError as error:
        cause = error.cause
        if isinstance(cause, Superseded | StoreError):
            raise cause from None
        raise
    except (RayError, TimeoutError) as error:
        raise StoreError(f"The keeper of the cluster does not answer: {_line(error)}.") from None


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def started(reference: Any) -> None:  # noqa: ANN401
    """Waits for what an actor needs to begin.

    Raises:
        VivantError: it could not begin.
    """
    try:
        ray.get(reference)
    except RayError as error:
        raise VivantError(f"A worker could not begin: {_line(error)}.") from None
