"""Starts workers when places become few, and lets them go again: Ray finds the machines for them.

A worker that is asked for and fits on no machine is what Ray's autoscaler starts one for; a machine
without a worker is what it takes away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from server.clock import Clock
from server.cluster.command import ClusterOptions
from server.cluster.growth import Growth, name_of
from server.cluster.line import Line
from server.cluster.port import Directory
from server.cluster.ray_store import NAMESPACE
from server.cluster.store import StoreError

_LOG = logging.getLogger(__name__)
_LOOK: Final = 2_000_000_000  # ns between looks
_DRAIN: Final = 60.0  # seconds that sessions have which come to a worker just as it goes


class Growing:
    """One gateway's watch; of several, all start the same worker, which is then there once.

    Args:
        directory: tells which workers live.
        line: tells who waits.
        cluster: how many workers there may be.
        start: asks Ray for the worker of a number; blocks for a moment.
    """

    def __init__(
        self,
        directory: Directory,
        line: Line,
        cluster: ClusterOptions,
        start: Callable[[int], ActorHandle[Any]],
    ) -> None:
        self._directory = directory
        self._line = line
        self._is_wanted = cluster.largest > cluster.workers
        self._growth = Growth(cluster.workers, cluster.largest)
        self._start = start
        self._pending: dict[int, ActorHandle[Any]] = {}

    async def run(self, clock: Clock) -> None:
        """Looks every two seconds, until cancelled."""
        while self._is_wanted:
            await clock.sleep_until(clock.now() + _LOOK)
            try:
                await self._look(clock.now())
            except (StoreError, RayError) as error:
                _LOG.warning("cannot see whether there are enough workers: %s", error)

    async def _look(self, now: int) -> None:
        reports = await self._directory.living()
        there = {each.name for each in reports}
        self._pending = {n: each for n, each in self._pending.items() if name_of(n) not in there}
        change = self._growth.decide(
            reports, waiting=await self._line.length(), pending=self._pending, now=now
        )
        if change.start is not None:
            _LOG.info("one more worker is needed", extra={"worker": name_of(change.start)})
            self._pending[change.start] = await asyncio.to_thread(self._start, change.start)
        if change.drain is not None:
            _LOG.info("a worker has nothing to do", extra={"worker": name_of(change.drain)})
            await asyncio.to_thread(_drain, change.drain)


def _drain(number: int) -> None:
    try:
        worker: Any = ray.get_actor(name_of(number), NAMESPACE)
    except ValueError:  # another gateway was faster
        return
    worker.drain.remote(_DRAIN)
