"""How far sound and picture are apart at libwebrtc receivers.

The server is the shipped one with its model; its pictures flash with the blocks of sound that
drove them (`benchmarks.realtime.rigged`). Measured after the start, after interruptions,
after a long time, on a bad link, and with one track released late on purpose.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.realtime import libwebrtc
from benchmarks.realtime.browser import MeasuringPath, Offsets, Watcher, chromium, watching
from benchmarks.realtime.figures import Spread
from benchmarks.realtime.machine import footprint
from benchmarks.realtime.offset_lines import (
    JITTER,
    LOSS,
    P50,
    P95,
    bad_link_lines,
    details,
    long_lines,
    offset_lines,
    skew_lines,
    soak_lines,
)
from benchmarks.realtime.relay import Relay, Trouble
from benchmarks.realtime.results import Line, spread_lines
from benchmarks.realtime.servers import MeasuringError, ServerProcess, rigged
from benchmarks.realtime.sounds import clicks
from streaming_model.media import SAMPLE_RATE

Progress = Callable[[str, float], None]
WINDOW = 20  # seconds watched
SETTLE = 6  # seconds until a browser's buffers have found their level
SKEW_SETTLE = 36  # seconds for 200 ms: libwebrtc halves what a mean over four seconds tells it
INTERRUPTIONS = 10
_FLAGS = ("--flash", "--voice", "joe", "--quiet-timeout", "0")
_TRIES = 3  # windows; a stall disturbs the browser's buffers for one or two of them
_TALK = 15  # seconds from sentence to sentence
_MOST_CLICKS = 110  # seconds; the server lets two minutes wait


async def measure(
    report: Progress, *, window: int = WINDOW, soak_minutes: int = 0, skews: bool = True
) -> tuple[list[Line], dict[str, Any]]:
    """Measures everything; returns the lines and the details.

    Raises:
        MeasuringError: a server, a browser or a connection fails.
    """
    found: dict[str, Offsets] = {}
    skewed: dict[tuple[str, bool], Offsets] = {}
    soaked: list[tuple[float, float, float]] = []
    async with chromium() as browser:
        async with rigged(*_FLAGS) as server:
            lines = await _estimated_without_browser(server, report, window)
            async with watching(browser, server.address) as watcher:
                found["start"] = await _clicking(server, watcher, window, report, "at the start")
                await _interrupt_often(server, watcher, report)
                found["interrupted"] = await _clicking(
                    server, watcher, window, report, f"after {INTERRUPTIONS} interruptions"
                )
                if soak_minutes:
                    soaked = await _talk(server, watcher, soak_minutes, report)
                    found["long"] = await _clicking(
                        server, watcher, window, report, f"after {soak_minutes} minutes"
                    )
            found["bad link"], lost = await _on_bad_link(browser, server, window, report)
        for late in ("picture", "sound") if skews else ():
            for is_stock in (False, True):
                skewed[late, is_stock] = await _with_late_track(
                    browser, late, is_stock, window, report
                )
    path = MeasuringPath.of(
        offsets for offsets in (*found.values(), *skewed.values()) if offsets.is_sound
    )
    lines += offset_lines("at the start", found["start"], path)
    lines += offset_lines(f"after {INTERRUPTIONS} interruptions", found["interrupted"], path)
    lines += soak_lines(soaked, soak_minutes) if soaked else []
    lines += long_lines(found.get("long"), soak_minutes, path)
    lines += bad_link_lines(found["bad link"], lost, path)
    for (late, is_stock), offsets in skewed.items():
        lines += skew_lines(late, is_stock, offsets, path)
        found[f"late {late}, {'stock' if is_stock else 'own'} reports"] = offsets
    return lines, {name: details(offsets, path) for name, offsets in found.items()}


async def soak(
    report: Progress, *, window: int = WINDOW, minutes: int = 60
) -> tuple[list[Line], dict[str, Any]]:
    """Lets one session speak for so long; returns the lines and the details.

    Raises:
        MeasuringError: the server, the browser or the connection fails.
    """
    async with (
        chromium() as browser,
        rigged(*_FLAGS) as server,
        watching(browser, server.address) as watcher,
    ):
        first = await _clicking(server, watcher, window, report, "at the start")
        readings = await _talk(server, watcher, minutes, report)
        last = await _clicking(server, watcher, window, report, f"after {minutes} minutes")
    path = MeasuringPath.of(offsets for offsets in (first, last) if offsets.is_sound)
    lines = [
        *offset_lines("at the start", first, path),
        *soak_lines(readings, minutes),
        *long_lines(last, minutes, path),
    ]
    found = {
        "start": details(first, path),
        "long": details(last, path),
        "minute, MiB, latency ms": readings,
    }
    return lines, found


async def _estimated_without_browser(
    server: ServerProcess, report: Progress, window: int
) -> list[Line]:
    session_id = await server.open_session()
    what = "libwebrtc's estimate of the offset, in Python (wrtc), at the start"
    try:
        found = await libwebrtc.estimates(
            server.client,
            session_id,
            settle=SETTLE,
            seconds=window,
            report=lambda share: report("wrtc estimates", share),
        )
    except MeasuringError as error:
        return [Line("offset", what, None, "ms", most=P50, note=str(error))]
    finally:
        await server.close_session(session_id)
    spread = Spread.of(np.abs(found))
    note = f"median {np.median(found):+.0f}"
    return spread_lines("offset", what, [("p50", spread.p50, P50), ("p95", spread.p95, P95)], note)


async def _clicking(
    server: ServerProcess, watcher: Watcher, window: int, report: Progress, when: str
) -> Offsets:
    """Watches clicks for a window, again while the browser cannot even time its own clip."""
    async with _events(server, watcher.session_id) as events:
        await _push_clicks(events, min(_MOST_CLICKS, 2 * SETTLE + _TRIES * (window + SETTLE + 4)))
        await asyncio.sleep(SETTLE)
        for _ in range(_TRIES):
            found = await watcher.watch(window, lambda share: report(f"watching {when}", share))
            if found.is_sound:
                break
        await events.send(json.dumps({"type": "interrupt"}))
    return found


async def _interrupt_often(server: ServerProcess, watcher: Watcher, report: Progress) -> None:
    chance = random.Random(3)
    async with _events(server, watcher.session_id) as events:
        for index in range(INTERRUPTIONS):
            await _push_clicks(events, 4)
            await asyncio.sleep(chance.uniform(0.3, 2.0))
            await events.send(json.dumps({"type": "interrupt"}))
            report("interrupting", (index + 1) / INTERRUPTIONS)


async def _talk(
    server: ServerProcess, watcher: Watcher, minutes: int, report: Progress
) -> list[tuple[float, float, float]]:
    """Lets the session speak for a long time; returns (minute, MiB, latency in ms) readings."""
    path = f"/v1/sessions/{watcher.session_id}"
    readings = []
    for second in range(_TALK, 60 * minutes + 1, _TALK):
        text = f"This is sentence {second // _TALK}. It is said so that time may pass."
        (await server.client.post(f"{path}/speak", json={"text": text})).raise_for_status()
        await asyncio.sleep(_TALK)
        latency = float((await server.get(path))["metrics"]["latency_ms"])
        readings.append((second / 60, footprint(server.pid).memory, latency))
        report(f"talking for {minutes} minutes", second / (60 * minutes))
    return readings


async def _on_bad_link(
    browser: Any,  # noqa: ANN401 - Playwright's
    server: ServerProcess,
    window: int,
    report: Progress,
) -> tuple[Offsets, float]:
    relay = Relay(Trouble(loss=LOSS, jitter=JITTER))
    try:
        async with watching(browser, server.address, relay) as watcher:
            await asyncio.sleep(SETTLE)
            found = await _clicking(server, watcher, window, report, "on a bad link")
            return found, relay.lost_share
    finally:
        relay.close()


async def _with_late_track(
    browser: Any,  # noqa: ANN401 - Playwright's
    late: str,
    is_stock: bool,
    window: int,
    report: Progress,
) -> Offsets:
    reports = ["--stock-reports"] if is_stock else []
    when = f"with the {late} late, {'stock' if is_stock else 'own'} reports"
    async with (
        rigged(*_FLAGS, "--late", late, *reports) as server,
        watching(browser, server.address) as watcher,
    ):
        await asyncio.sleep(SKEW_SETTLE)
        return await _clicking(server, watcher, window, report, when)


@contextlib.asynccontextmanager
async def _events(server: ServerProcess, session_id: str) -> AsyncIterator[ClientConnection]:
    """Connects to a session's WebSocket; what it says is read and left."""
    address = f"{server.address}/v1/sessions/{session_id}/events".replace("http", "ws")

    async def read(events: ClientConnection) -> None:
        async for _ in events:
            pass

    try:
        async with (
            connect(address, ping_interval=None, max_size=None) as events,
            asyncio.TaskGroup() as group,
        ):
            reader = group.create_task(read(events))
            yield events
            reader.cancel()
    except ExceptionGroup as failed:  # what went wrong, not that it was in a group
        raise failed.exceptions[0] from failed


async def _push_clicks(events: ClientConnection, seconds: int) -> None:
    await events.send(json.dumps({"type": "audio.start", "sample_rate": SAMPLE_RATE}))
    await events.send(clicks(seconds=seconds))
    await events.send(json.dumps({"type": "audio.end"}))
