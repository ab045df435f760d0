"""The monotonic clock that schedules media: the only place in the server that reads time.

Instants and durations are integer nanoseconds. It knows nothing of media time; `pacing`
converts between the two.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

NANOSECONDS_PER_SECOND = 1_000_000_000


class Clock(Protocol):
    """A source of monotonic instants that one can also wait for."""

    def now(self) -> int:
        """Returns the present instant in nanoseconds since an arbitrary origin."""
        ...

    async def sleep_until(self, instant: int) -> None:
        """Returns once `now()` is at least `instant`."""
        ...


class MonotonicClock:
    """The machine's monotonic clock."""

    def now(self) -> int:
        """Returns the present instant in nanoseconds since an arbitrary origin."""
        return time.monotonic_ns()

    async def sleep_until(self, instant: int) -> None:
        """Returns once `now()` is at least `instant`; yields to the loop at least once."""
        await asyncio.sleep(max(0, instant - self.now()) / NANOSECONDS_PER_SECOND)


async def sleep_until_or(clock: Clock, instant: int, event: asyncio.Event) -> None:
    """Returns at the instant, or as soon as the event is set."""
    async with asyncio.TaskGroup() as group:
        ends = [
            group.create_task(clock.sleep_until(instant)),
            group.create_task(_set(event)),
        ]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in ends:
            task.cancel()


async def _set(event: asyncio.Event) -> None:
    await event.wait()


def thread_time() -> int:
    """Returns the processor time that the calling thread has used, in nanoseconds."""
    return time.thread_time_ns()


def process_time() -> int:
    """Returns the processor time that all threads have used, in nanoseconds."""
    return time.process_time_ns()


def wall_time() -> int:
    """Returns the date in nanoseconds since 1970, UTC: for people, never for pacing."""
    return time.time_ns()


def unix_seconds() -> float:
    """Returns the date in seconds since 1970: for what expires, never for pacing."""
    return wall_time() / NANOSECONDS_PER_SECOND
