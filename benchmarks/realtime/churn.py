"""Whether sessions leave anything behind: opened, watched, spoken and closed, again and again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

from benchmarks.realtime.figures import slope
from benchmarks.realtime.machine import footprint
from benchmarks.realtime.results import Line
from benchmarks.realtime.servers import MeasuringError, ServerProcess, rigged
from benchmarks.realtime.tap import WireViewer

Progress = Callable[[str, float], None]
ROUNDS = 20
_WARM_UP = 5  # sessions before the first reading: caches fill, threads start
_SLOPE = 0.1  # MiB a session
_SETTLE = 1.0  # seconds for the last connections to close


async def measure(report: Progress, *, rounds: int = ROUNDS) -> tuple[list[Line], dict[str, Any]]:
    """Opens and closes `rounds` sessions after a few; returns the lines and the details.

    Raises:
        MeasuringError: a session says nothing.
    """
    readings: list[dict[str, float]] = []
    async with rigged("--voice", "joe") as server:
        for index in range(_WARM_UP + rounds):
            await _once(server)
            if index >= _WARM_UP - 1:
                readings.append(await _reading(server))
            report("opening and closing", (index + 1) / (_WARM_UP + rounds))
        await asyncio.sleep(_SETTLE)
        readings.append(await _reading(server))
    return _lines(readings, rounds), {"readings": readings}


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


def _lines(readings: list[dict[str, float]], rounds: int) -> list[Line]:
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
    rise = slope(list(range(len(memory))), memory)
    note = f"{memory[0]:.0f} MiB before, {memory[-1]:.0f} after"
    return [
        *lines,
        Line("churn", "memory's slope", round(rise, 3), "MiB a session", most=_SLOPE, note=note),
    ]
