"""Whether sessions leave anything behind: opened, watched, spoken and closed, again and again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

from benchmarks.realtime.figures import median_step
from benchmarks.realtime.machine import footprint, thread_names
from benchmarks.realtime.results import Line
from benchmarks.realtime.servers import MeasuringError, ServerProcess, rigged
from benchmarks.realtime.tap import WireViewer

Progress = Callable[[str, float], None]
ROUNDS = 20
_WARM_UP = 10  # sessions before the first reading: caches fill, pools of threads grow
_EVERY = 5  # sessions from reading to reading
_SLOPE = 0.1  # MiB a session
_RISE = 32.0  # MiB in all: allocators grow by steps of some 10
_SETTLE = 1.0  # seconds for the last connections to close


async def measure(report: Progress, *, rounds: int = ROUNDS) -> tuple[list[Line], dict[str, Any]]:
    """Opens and closes `rounds` sessions after a few; returns the lines and the details.

    Raises:
        MeasuringError: a session says nothing.
    """
    readings: list[dict[str, float]] = []
    threads: list[int] = []  # before garbage is collected
    async with rigged("--voice", "joe") as server:
        for index in range(_WARM_UP + rounds):
            await _once(server)
            report("opening and closing", (index + 1) / (_WARM_UP + rounds))
            if index >= _WARM_UP - 1:
                threads.append(footprint(server.pid).threads)
            if index >= _WARM_UP - 1 and (index + 1 - _WARM_UP) % _EVERY == 0:
                await asyncio.sleep(_SETTLE)
                readings.append({"sessions": index + 1, **await _reading(server)})
        names = thread_names(server.pid)
    details = {"readings": readings, "threads_before_collecting": threads, "threads": names}
    return _lines(readings, rounds, max(threads)), details


async def _once(server: ServerProcess) -> None:
    session_id = await server.open_session()
    viewer = WireViewer(server.client, session_id)
    await viewer.connect()
    try:
        await viewer.until(lambda _: viewer.channel.readyState == "open", seconds=20)
        viewer.send(type="speak", text="Here and gone.")
        await viewer.until(lambda got: got.of_type("agent.speak_ended"), seconds=20)
    except TimeoutError:
        raise MeasuringError("A session said nothing within 20 s.") from None
    await server.close_session(session_id)
    await viewer.close()
    await asyncio.sleep(0.2)  # the session says goodbye and closes its connection


async def _reading(server: ServerProcess) -> dict[str, float]:
    os.kill(server.pid, signal.SIGUSR1)
    word, _, count = (await server.line()).partition(" ")
    if word != "tasks":
        raise MeasuringError("The server did not tell its tasks.")
    held = footprint(server.pid)
    return {
        "tasks": int(count),
        "threads": held.threads,
        "files": held.files,
        "memory_mib": round(held.memory, 2),
    }


def _lines(readings: list[dict[str, float]], rounds: int, most_threads: int) -> list[Line]:
    first, last = readings[0], readings[-1]
    lines = [
        Line(
            "churn",
            f"{what} more than before, after {rounds} sessions",
            last[what] - first[what],
            "",
            most=0,
            note=f"{first[what]:.0f} before, {last[what]:.0f} after",
        )
        for what in ("tasks", "threads", "files")
    ]
    memory = [reading["memory_mib"] for reading in readings]
    rise = median_step(memory) / _EVERY
    note = f"{memory[0]:.0f} MiB before, {memory[-1]:.0f} after"
    return [
        *lines,
        Line("churn", "memory's slope", round(rise, 3), "MiB a session", most=_SLOPE, note=note),
        Line("churn", "memory more than before", memory[-1] - memory[0], "MiB", most=_RISE),
        Line("churn", "most threads at once, between collections of garbage", most_threads, ""),
    ]
