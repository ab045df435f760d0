"""Virtual time for the server's tests: a clock that moves when told, work done in place."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

ResultT = TypeVar("ResultT")
ParametersT = ParamSpec("ParametersT")

_SETTLE = 25  # turns of the event loop after which nothing more happens by itself


class VirtualClock:
    """Satisfies `server.clock.Clock`; sleepers wake as `run_until` passes them."""

    def __init__(self) -> None:
        self._now = 0
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now(self) -> int:
        return self._now

    async def sleep_until(self, instant: int) -> None:
        if instant <= self._now:
            await asyncio.sleep(0)
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (instant, next(self._order), waiting))
        await waiting

    async def run_until(self, instant: int) -> None:
        await settle()
        while self._sleepers and self._sleepers[0][0] <= instant:
            self._now = max(self._now, self._sleepers[0][0])
            self._wake()
            await settle()
        self._now = max(self._now, instant)

    def _wake(self) -> None:
        """Wakes all whose time it is together, as the event loop does."""
        while self._sleepers and self._sleepers[0][0] <= self._now:
            waiting = heapq.heappop(self._sleepers)[2]
            if not waiting.done():
                waiting.set_result(None)

    def jump(self, nanoseconds: int) -> None:
        """Lets time pass without anybody waking, as when the whole process stood still."""
        self._now += nanoseconds


async def settle() -> None:
    for _ in range(_SETTLE):
        await asyncio.sleep(0)


class InlineExecutor(Executor):
    """Does the work where it is submitted."""

    def submit(
        self,
        fn: Callable[ParametersT, ResultT],
        /,
        *args: ParametersT.args,
        **kwargs: ParametersT.kwargs,
    ) -> Future[ResultT]:
        future: Future[ResultT] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - as executors do
            future.set_exception(error)
        return future
