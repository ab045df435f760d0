"""The store and the directory of a Ray cluster: one actor that everybody calls.

It is the file's one writer. Ray starts it again when it dies, on the same machine, where its file
is; the directory is told anew within a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from server.access.quotas import NOBODYS, Claim, QuotaError
from server.clock import MonotonicClock
from server.cluster.directory import MemoryDirectory
from server.cluster.file_store import FileStore
from server.cluster.line import MemoryLine, Standing, Ticket
from server.cluster.port import Report
from server.cluster.store import Record, StoreError, Superseded
from server.protocol import CapacityError
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
        self._line = MemoryLine(MonotonicClock())

    async def take(self, session: str, worker: str, after: int, claim: Claim) -> Record:
        """As `Store`."""
        return await self._store.take(session, worker, after=after, claim=claim)

    async def line(self, call: str, *given: Any, **named: Any) -> Any:  # noqa: ANN401
        """As `Line`, by the name of the call."""
        return await getattr(self._line, call)(*given, **named)

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
    """A store that asks the keeper. It is a directory, too.

    Attributes:
        keeper: the actor.
    """

    def __init__(self, keeper: ActorHandle[Any]) -> None:
        self.keeper = keeper

    async def take(
        self, session: str, worker: str, *, after: int, claim: Claim = NOBODYS
    ) -> Record:
        """As `Store`."""
        asked = (session, worker, after, claim)
        return cast(Record, await _answer(self.keeper.take.remote(*asked)))

    async def write(self, session: str, epoch: int, facts: str) -> None:
        """As `Store`."""
        await _answer(self.keeper.write.remote(session, epoch, facts))

    async def read(self, session: str) -> Record | None:
        """As `Store`."""
        return cast("Record | None", await _answer(self.keeper.read.remote(session)))

    async def forget(self, session: str, epoch: int) -> None:
        """As `Store`."""
        await _answer(self.keeper.forget.remote(session, epoch))

    async def held(self) -> list[Record]:
        """As `Store`."""
        return cast("list[Record]", await _answer(self.keeper.held.remote()))

    async def constant(self, name: str, proposed: str) -> str:
        """As `Store`."""
        return cast(str, await _answer(self.keeper.constant.remote(name, proposed)))

    async def report(self, report: Report) -> None:
        """As `Directory`."""
        await _answer(self.keeper.report.remote(report))

    async def leave(self, worker: str) -> None:
        """As `Directory`."""
        await _answer(self.keeper.leave.remote(worker))

    async def living(self) -> list[Report]:
        """As `Directory`."""
        return cast("list[Report]", await _answer(self.keeper.living.remote()))


class RayLine:
    """A line that asks the keeper."""

    def __init__(self, keeper: ActorHandle[Any]) -> None:
        self._keeper = keeper

    async def join(self, ticket: Ticket, *, length: int, sessions: int) -> Standing:
        """As `Line`."""
        return cast(Standing, await self._ask("join", ticket, length=length, sessions=sessions))

    async def restore(self, tickets: Sequence[Ticket]) -> None:
        """As `Line`."""
        await self._ask("restore", tickets)

    async def find(self, session: str) -> tuple[Ticket, Standing] | None:
        """As `Line`."""
        return cast("tuple[Ticket, Standing] | None", await self._ask("find", session))

    async def standings(self, sessions: Collection[str]) -> tuple[str, dict[str, Standing]]:
        """As `Line`."""
        return cast("tuple[str, dict[str, Standing]]", await self._ask("standings", sessions))

    async def call(self, room: int) -> list[Ticket]:
        """As `Line`."""
        return cast("list[Ticket]", await self._ask("call", room))

    async def put_back(self, session: str) -> None:
        """As `Line`."""
        await self._ask("put_back", session)

    async def end(self, session: str, standing: Standing | None = None) -> None:
        """As `Line`."""
        await self._ask("end", session, standing)

    async def length(self) -> int:
        """As `Line`."""
        return cast(int, await self._ask("length"))

    async def portraits(self) -> frozenset[str]:
        """As `Line`."""
        return cast("frozenset[str]", await self._ask("portraits"))

    async def _ask(self, call: str, *given: object, **named: object) -> object:
        return await _answer(self._keeper.line.remote(call, *given, **named))


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
        if isinstance(cause, Superseded | StoreError | QuotaError | CapacityError):
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
