"""A discrete-event model of gateways, workers, lines, deaths and an autoscaler, on SimPy.

As the server does it: a session goes to a worker with room, else into the shortest line, and
stays in it (or, to see what that costs, into one line for all). A worker that dies loses its
line; its sessions come back after `resume_s`, to any other with room, or try again every second
until `patience_s`, and are lost. It starts again after `start_s`.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import simpy

from benchmarks.scaling.costs import Costs

_LOOK_S = 5.0  # between the autoscaler's looks
_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What happens to a cluster.

    Attributes:
        rate: sessions that are asked for a second, on average (Poisson).
        mean_s: mean length of a session (exponential).
        workers: at the beginning.
        sessions: that live at the beginning.
        seconds: simulated, after a warm-up of `warm_s`.
        burst: (from, until, times): the rate is so many times as high then.
        deaths: of each worker an hour.
        line: clients that may wait at each worker; None for any number.
        shares_line: whether all workers have one line.
        headroom: share of places that the autoscaler keeps free; None for none.
        patience_s: for which a client whose worker died tries to come back.
    """

    rate: float
    mean_s: float
    workers: int
    seconds: float
    warm_s: float = 0.0
    sessions: int = 0
    burst: tuple[float, float, float] | None = None
    deaths: float = 0.0
    line: int | None = 20
    shares_line: bool = False
    headroom: float | None = None
    patience_s: float = 10.0


@dataclass
class Outcome:
    """What became of sessions.

    Attributes:
        waits: seconds that each waited that was let in, by when it came.
        refused: how many found every line full.
        abandoned: how many lost their place in a line by a death.
        resumed, lost: what became of those whose worker died.
        live: (second, sessions, places, waiting), once every five seconds.
    """

    waits: list[tuple[float, float]] = field(default_factory=list)
    refused: int = 0
    abandoned: int = 0
    resumed: int = 0
    lost: int = 0
    live: list[tuple[float, int, int, int]] = field(default_factory=list)

    @property
    def share_waiting(self) -> float:
        """The share of those let in who had to wait."""
        return sum(wait > 0 for _, wait in self.waits) / max(1, len(self.waits))

    @property
    def mean_wait(self) -> float:
        """Seconds, of all who were let in."""
        return sum(wait for _, wait in self.waits) / max(1, len(self.waits))

    def wait_quantile(self, share: float) -> float:
        """Returns the seconds that this share of them waited at most."""
        waits = sorted(wait for _, wait in self.waits)
        return waits[min(len(waits) - 1, int(share * len(waits)))] if waits else 0.0


class _Worker:
    def __init__(self, line: deque[simpy.Event]) -> None:
        self.sessions: dict[simpy.Process, None] = {}  # a set in order
        self.reserved = 0  # places of those whose turn it is
        self.line = line
        self.is_alive = True


def simulate(scene: Scene, costs: Costs, *, seed: int = 0) -> Outcome:
    """Returns what became of the sessions of a scene."""
    return _Cluster(scene, costs, seed).run()


class _Cluster:
    def __init__(self, scene: Scene, costs: Costs, seed: int) -> None:
        self._scene, self._costs = scene, costs
        self._chance = random.Random(seed)
        self._env = simpy.Environment()
        self._common: deque[simpy.Event] = deque()
        # By room, so that the roomiest is found at once; dictionaries are sets in order.
        self._rooms: list[dict[_Worker, None]] = [{} for _ in range(costs.places + 1)]
        self._workers: list[_Worker] = []
        self._coming = 0  # workers that were asked for
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Simulates it to the end."""
        for _ in range(self._scene.workers):
            self._join()
        for _ in range(self._scene.sessions):  # what is left of an exponential time is one
            self._env.process(self._visit())
        self._env.process(self._arrive())
        self._env.process(self._watch())
        self._env.run(self._scene.warm_s + self._scene.seconds)
        return self.outcome

    @property
    def _is_counted(self) -> bool:
        return self._env.now >= self._scene.warm_s

    def _arrive(self) -> Generator[simpy.Event, Any, None]:
        """Asks for sessions: a Poisson process, thinned to the rate of the moment."""
        burst = self._scene.burst
        highest = self._scene.rate * (1.0 if burst is None else max(1.0, burst[2]))
        while True:
            yield self._env.timeout(self._chance.expovariate(highest))
            if self._chance.random() * highest < self._rate():
                self._env.process(self._visit())

    def _rate(self) -> float:
        burst, now = self._scene.burst, self._env.now
        is_burst = burst is not None and burst[0] <= now < burst[1]
        return self._scene.rate * (burst[2] if burst is not None and is_burst else 1.0)

    def _visit(self) -> Generator[simpy.Event, Any, None]:
        came = self._env.now
        length = self._chance.expovariate(1 / self._scene.mean_s)
        worker = self._roomiest()
        if worker is None:
            found = self._shortest()
            if found is None:
                self.outcome.refused += self._is_counted
                return
            turn = self._env.event()
            found.append(turn)
            worker = yield turn
            if worker is None or not worker.is_alive:
                self.outcome.abandoned += self._is_counted
                return
            with self._refiled(worker):
                worker.reserved -= 1
        if self._is_counted:
            self.outcome.waits.append((came, self._env.now - came))
        yield from self._live(worker, length)

    def _live(self, worker: _Worker, left: float) -> Generator[simpy.Event, Any, None]:
        """Lives to the end, on other workers where the first one dies."""
        while True:
            process = self._env.active_process
            assert process is not None
            with self._refiled(worker):
                worker.sessions[process] = None
            began = self._env.now
            try:
                yield self._env.timeout(left)
            except simpy.Interrupt:
                left -= self._env.now - began
            else:
                with self._refiled(worker):
                    del worker.sessions[process]
                self._admit(worker)
                return
            found = yield from self._come_back()
            if found is None:
                return
            worker = found

    def _come_back(self) -> Generator[simpy.Event, Any, _Worker | None]:
        died = self._env.now
        yield self._env.timeout(self._costs.resume_s)
        while (worker := self._roomiest()) is None:
            if self._env.now - died >= self._scene.patience_s:
                self.outcome.lost += self._is_counted
                return None
            yield self._env.timeout(_RETRY_S)
        self.outcome.resumed += self._is_counted
        return worker

    def _room(self, worker: _Worker) -> int:
        return self._costs.places - len(worker.sessions) - worker.reserved

    @contextmanager
    def _refiled(self, worker: _Worker) -> Iterator[None]:
        """Lets a worker's sessions change."""
        self._rooms[self._room(worker)].pop(worker, None)
        yield
        if worker.is_alive:
            self._rooms[self._room(worker)][worker] = None

    def _roomiest(self) -> _Worker | None:
        for workers in reversed(self._rooms[1:]):
            if workers:
                return next(reversed(workers))
        return None

    def _shortest(self) -> deque[simpy.Event] | None:
        """Returns the line that a client joins; None where all are full."""
        if not self._workers:
            return None
        most = self._scene.line
        if self._scene.shares_line:
            total = None if most is None else most * len(self._workers)
            return self._common if total is None or len(self._common) < total else None
        line = min((worker.line for worker in self._workers), key=len)
        return line if most is None or len(line) < most else None

    def _admit(self, worker: _Worker) -> None:
        while worker.is_alive and worker.line and self._room(worker) > 0:
            with self._refiled(worker):
                worker.reserved += 1
            worker.line.popleft().succeed(worker)

    def _join(self) -> None:
        worker = _Worker(self._common if self._scene.shares_line else deque())
        self._workers.append(worker)
        with self._refiled(worker):
            pass
        self._admit(worker)
        if self._scene.deaths:
            self._env.process(self._die(worker))

    def _die(self, worker: _Worker) -> Generator[simpy.Event, Any, None]:
        yield self._env.timeout(self._chance.expovariate(self._scene.deaths / 3600))
        with self._refiled(worker):
            worker.is_alive = False
        self._workers.remove(worker)
        if not self._scene.shares_line:
            while worker.line:
                worker.line.popleft().succeed(None)
        for process in tuple(worker.sessions):
            process.interrupt()
        yield self._env.timeout(self._costs.start_s)
        self._join()

    def _watch(self) -> Generator[simpy.Event, Any, None]:
        """Notes what there is, and asks for workers where too few places are free."""
        while True:
            live = sum(len(worker.sessions) for worker in self._workers)
            places = len(self._workers) * self._costs.places
            waiting = (
                len(self._common)
                if self._scene.shares_line
                else sum(len(worker.line) for worker in self._workers)
            )
            self.outcome.live.append((self._env.now, live, places, waiting))
            if self._scene.headroom is not None:
                wanted = (live + waiting) / (1 - self._scene.headroom) / self._costs.places
                for _ in range(max(0, int(wanted) - len(self._workers) - self._coming)):
                    self._coming += 1
                    self._env.process(self._boot())
            yield self._env.timeout(_LOOK_S)

    def _boot(self) -> Generator[simpy.Event, Any, None]:
        yield self._env.timeout(self._costs.boot_s + self._costs.start_s)
        self._coming -= 1
        self._join()
