"""Which work a device does next: what is due first, and with it all of the same kind that waits.

Decides without I/O; knows no device, no session and no clock.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar


class DueJob(Protocol):
    """Work that waits."""

    @property
    def kind(self) -> Hashable:
        """Work of equal kinds can be done in one batch."""
        ...

    @property
    def due(self) -> int:
        """The instant at which its result is wanted, in nanoseconds."""
        ...


JobT = TypeVar("JobT", bound=DueJob)


class DueLine(Generic[JobT]):
    """Work in the order in which it is due, not in that in which it came.

    A session that asks for more than others does not come before them: its later pictures are due
    later. Whoever is late comes first, until its pictures are given up by whoever asked for them.
    """

    def __init__(self) -> None:
        self._waiting: list[JobT] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, job: JobT) -> None:
        """Lets a job wait."""
        self._waiting.append(job)

    def withdraw(self, job: JobT) -> None:
        """Takes out a job that nobody wants any more, if it still waits."""
        if job in self._waiting:
            self._waiting.remove(job)

    def first(self) -> JobT:
        """Returns the job that is due first; of several the one that waits longest."""
        return min(self._waiting, key=lambda job: job.due)

    def take(self, most: int) -> list[JobT]:
        """Takes out the job that is due first, and of its kind those due next, up to `most`."""
        kind = self.first().kind
        alike = [job for job in self._waiting if job.kind == kind]
        batch = sorted(alike, key=lambda job: job.due)[:most]
        self._waiting = [job for job in self._waiting if job not in batch]
        return batch


class BatchLimit:
    """How many jobs of a kind are done at once, by what batches were seen to take.

    A batch holds everybody else up, and must take no longer than a part of a picture's time. It
    grows by a power of two as long as twice as much would do.

    Args:
        most: how many the device is made ready for.
        budget: nanoseconds that a batch may take.
    """

    def __init__(self, most: int, budget: int) -> None:
        self._most, self._budget = most, budget
        self.size = 1

    def note(self, count: int, cost: int) -> None:
        """Takes what a batch of `count` took, in nanoseconds."""
        if cost > self._budget:
            self.size = max(1, min(self.size, count) // 2)
        elif count == self.size and 2 * cost <= self._budget:
            self.size = min(2 * self.size, self._most)
