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
from benchmarks.realtime.browser import Offsets, Watcher, chromium, watching
from benchmarks.realtime.figures import Spread
from benchmarks.realtime.relay import Relay, Trouble
from benchmarks.realtime.results import Line, spread_lines
from benchmarks.realtime.rigged import LATE_SECONDS
from benchmarks.realtime.servers import MeasuringError, ServerProcess, rigged
from benchmarks.realtime.sounds import clicks
from streaming_model.media import SAMPLE_RATE

Progress = Callable[[str, float], None]
WINDOW = 20  # seconds watched
SETTLE = 6  # seconds until a browser's buffers have found their level
INTERRUPTIONS = 10
_P50, _P95, _BAD_LINK = 10.0, 20.0, 40.0  # ms
LOSS, JITTER = 0.03, 0.05
_FLAGS = ("--flash", "--voice", "joe", "--quiet-timeout", "0")
_MOST_CLICKS = 110  # seconds; the server lets two minutes wait


async def measure(
    report: Progress, *, window: int = WINDOW, soak_minutes: int = 0, skews: bool = True
) -> tuple[list[Line], dict[str, Any]]:
    """Measures everything; returns the lines and the details.

    Raises:
        MeasuringError: a server, a browser or a connection fails.
    """
    found: dict[str, Offsets] = {}
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
                    await _talk(server, watcher, soak_minutes, report)
                    found["long"] = await _clicking(
                        server, watcher, window, report, f"after {soak_minutes} minutes"
                    )
            lines += _offset_lines("at the start", found["start"])
            lines += _offset_lines(f"after {INTERRUPTIONS} interruptions", found["interrupted"])
            lines += _long_lines(found.get("long"), soak_minutes)
            found["bad link"], lost = await _on_bad_link(browser, server, window, report)
            lines += _bad_link_lines(found["bad link"], lost)
        for late in ("picture", "sound") if skews else ():
            for is_stock in (False, True):
                offsets = await _with_late_track(browser, late, is_stock, window, report)
                found[f"late {late}, {'stock' if is_stock else 'own'} reports"] = offsets
                lines.append(_skew_line(late, is_stock, offsets))
    return lines, {name: _details(offsets) for name, offsets in found.items()}


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
        return [Line("offset", what, None, "ms", most=_P50, note=str(error))]
    finally:
        await server.close_session(session_id)
    spread = Spread.of(np.abs(found))
    note = f"median {np.median(found):+.0f}"
    return spread_lines(
        "offset", what, [("p50", spread.p50, _P50), ("p95", spread.p95, _P95)], note
    )


async def _clicking(
    server: ServerProcess, watcher: Watcher, window: int, report: Progress, when: str
) -> Offsets:
    """Watches clicks for a window."""
    async with _events(server, watcher.session_id) as events:
        await _push_clicks(events, min(_MOST_CLICKS, 2 * (SETTLE + window)))
        await asyncio.sleep(SETTLE)
        found = await watcher.watch(window, lambda share: report(f"watching {when}", share))
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


async def _talk(server: ServerProcess, watcher: Watcher, minutes: int, report: Progress) -> None:
    """Lets the session speak for a long time."""
    path = f"/v1/sessions/{watcher.session_id}/speak"
    for second in range(0, 60 * minutes, 15):
        text = f"This is sentence {second // 15}. It is said so that time may pass."
        (await server.client.post(path, json={"text": text})).raise_for_status()
        await asyncio.sleep(15)
        report(f"talking for {minutes} minutes", (second + 15) / (60 * minutes))


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
        await asyncio.sleep(SETTLE)  # libwebrtc corrects by at most 80 ms a second
        return await _clicking(server, watcher, window, report, when)


@contextlib.asynccontextmanager
async def _events(server: ServerProcess, session_id: str) -> AsyncIterator[ClientConnection]:
    """Connects to a session's WebSocket; what it says is read and left."""
    address = f"{server.address}/v1/sessions/{session_id}/events".replace("http", "ws")

    async def read(events: ClientConnection) -> None:
        async for _ in events:
            pass

    async with (
        connect(address, ping_interval=None, max_size=None) as events,
        asyncio.TaskGroup() as group,
    ):
        reader = group.create_task(read(events))
        yield events
        reader.cancel()


async def _push_clicks(events: ClientConnection, seconds: int) -> None:
    await events.send(json.dumps({"type": "audio.start", "sample_rate": SAMPLE_RATE}))
    await events.send(clicks(seconds=seconds))
    await events.send(json.dumps({"type": "audio.end"}))


def _offset_lines(when: str, offsets: Offsets) -> list[Line]:
    seen = Spread.of(np.abs(offsets.seen))
    note = (
        f"median {np.median(offsets.seen):+.0f}; {seen.count} flashes; measuring path "
        f"{np.median(offsets.path):+.0f} ± {offsets.path.std():.0f} taken out"
    )
    lines = spread_lines(
        "offset",
        f"flash and click in Chromium, {when}",
        [("p50", seen.p50, _P50), ("p95", seen.p95, _P95)],
        note,
    )
    estimated = Spread.of(np.abs(offsets.estimated))
    note = f"median {np.median(offsets.estimated):+.0f}"
    return lines + spread_lines(
        "offset",
        f"Chromium's own estimate, {when}",
        [("p50", estimated.p50, _P50), ("p95", estimated.p95, _P95)],
        note,
    )


def _long_lines(offsets: Offsets | None, minutes: int) -> list[Line]:
    if offsets is not None:
        return _offset_lines(f"after {minutes} minutes", offsets)
    note = "an hour; run with --long"
    return [Line("offset", "flash and click in Chromium, after 60 minutes", None, "ms", note=note)]


def _bad_link_lines(offsets: Offsets, lost: float) -> list[Line]:
    seen, estimated = Spread.of(np.abs(offsets.seen)), Spread.of(np.abs(offsets.estimated))
    when = f"at {100 * LOSS:.0f} % loss and {1000 * JITTER:.0f} ms jitter"
    note = f"{100 * lost:.1f} % of packets lost, median {np.median(offsets.seen):+.0f}"
    return [
        Line("offset", f"flash and click, {when}, p95", seen.p95, "ms", _BAD_LINK, note=note),
        Line("offset", f"Chromium's estimate, {when}, p95", estimated.p95, "ms", _BAD_LINK),
    ]


def _skew_line(late: str, is_stock: bool, offsets: Offsets) -> Line:
    early = "sound" if late == "picture" else "picture"
    reports = "stock aiortc's sender reports" if is_stock else "our sender reports"
    return Line(
        "offset",
        f"{early} released {1000 * LATE_SECONDS:.0f} ms early, {reports}, p50",
        float(np.median(np.abs(offsets.seen))),
        "ms",
        most=None if is_stock else _BAD_LINK,
        note=f"the browser's estimate {np.median(offsets.estimated):+.0f}",
    )


def _details(offsets: Offsets) -> dict[str, list[float]]:
    return {
        "estimated": offsets.estimated,
        "seen": [round(float(value), 1) for value in offsets.seen],
        "path": [round(float(value), 1) for value in offsets.path],
    }
