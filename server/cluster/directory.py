"""The list of workers: who has told of itself lately. One process's memory, whoever asks it."""

from __future__ import annotations

from server.clock import Clock
from server.cluster.port import Report

PATIENCE = 5_000_000_000  # ns without a word of a worker after which it gets no new sessions


class MemoryDirectory:
    """A directory in memory; it is filled again within a second after a new start."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._latest: dict[str, tuple[int, Report]] = {}

    async def report(self, report: Report) -> None:
        """As `Directory`."""
        self._latest[report.worker] = (self._clock.now(), report)

    async def leave(self, worker: str) -> None:
        """As `Directory`."""
        self._latest.pop(worker, None)

    async def living(self) -> list[Report]:
        """As `Directory`."""
        since = self._clock.now() - PATIENCE
        self._latest = {key: each for key, each in self._latest.items() if each[0] >= since}
        return [report for _, report in self._latest.values()]
