"""How many sessions one server holds, and what it does with the next one.

Sessions are opened until admission, as it ships, lets no more in; all speak without a break, and
the pauses between their pictures are measured at viewers that do not decode, in a process of
their own.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.live import TEXT
from benchmarks.realtime.figures import Spread
from benchmarks.realtime.machine import processor_seconds
from benchmarks.realtime.results import Line
from benchmarks.realtime.servers import MeasuringError, ServerProcess, shipped
from benchmarks.realtime.tap import WireViewer

Progress = Callable[[str, float], None]
WANTED = 4  # sessions, on two cores
MOST = 12  # that are opened
SECONDS = 15
_AHEAD = 2  # texts that wait to be said or are being said
_SETTLE = 4  # seconds
_INTERVAL = 60.0  # ms


@dataclass(frozen=True, slots=True)
class Load:
    """What a number of sessions looked like.

    Attributes:
        sessions: how many.
        p50: of the pause between two pictures of one session, ms.
        p99: of the same.
        fps: pictures a second that a session got.
        cores: that the server took.
        own_cores: that the viewers took.
    """

    sessions: int
    p50: float
    p99: float
    fps: float
    cores: float
    own_cores: float


async def measure(
    report: Progress, *, most: int = MOST, seconds: int = SECONDS
) -> tuple[list[Line], dict[str, Any]]:
    """Opens one session after the other; returns the lines and the details.

    Raises:
        MeasuringError: not even one session opens.
    """
    loads: list[Load] = []
    capacity: dict[str, Any] = {}
    async with shipped("--voice", "joe") as server:
        viewers: list[WireViewer] = []
        while len(viewers) < most:
            answer = await server.client.post("/v1/sessions")
            if answer.status_code != 201:
                await server.client.delete(f"/v1/sessions/{answer.json()['session_id']}")
                break
            viewer = WireViewer(server.client, answer.json()["session_id"])
            await viewer.connect()
            viewers.append(viewer)
            await _until_open(viewer)
            _keep_talking(viewer)
            loads.append(await _loaded(server, viewers, seconds))
            capacity = await server.get("/v1/capacity")
            report(f"{len(viewers)} sessions speak", len(viewers) / most)
        for viewer in viewers:
            await viewer.close()
    if not loads:
        raise MeasuringError("The server let no session in.")
    refused = await _refusals()
    details = {"loads": [asdict(load) for load in loads], "capacity": capacity, **refused}
    return [*load_lines(loads, capacity, most), *_refusal_lines(refused)], details


def _keep_talking(viewer: WireViewer) -> None:
    """Lets the session say one text after the other."""

    def say() -> None:
        viewer.send(type="speak", text=TEXT)

    def say_more(message: str) -> None:
        if json.loads(message)["type"] == "agent.speak_ended":
            say()

    viewer.channel.on("message", say_more)
    for _ in range(_AHEAD):
        say()


async def _loaded(server: ServerProcess, viewers: list[WireViewer], seconds: int) -> Load:
    await asyncio.sleep(_SETTLE)
    for viewer in viewers:
        viewer.clear()
    began, spent, own = time.monotonic(), processor_seconds(server.pid), time.process_time()
    await asyncio.sleep(seconds)
    passed = time.monotonic() - began
    arrivals = [viewer.frame_arrivals() for viewer in viewers]
    if min(len(times) for times in arrivals) < 2:
        raise MeasuringError(f"A session of {len(viewers)} got no pictures for {seconds} s.")
    spread = Spread.of(1000 * np.concatenate([np.diff(times) for times in arrivals]))
    return Load(
        sessions=len(viewers),
        p50=round(spread.p50, 1),
        p99=round(spread.p99, 1),
        fps=round(float(np.mean([len(times) for times in arrivals])) / passed, 1),
        cores=round((processor_seconds(server.pid) - spent) / passed, 2),
        own_cores=round((time.process_time() - own) / passed, 2),
    )


async def _until_open(viewer: WireViewer) -> None:
    async with asyncio.timeout(20):
        while viewer.channel.readyState != "open":  # noqa: ASYNC110 - aiortc has an event of its own
            await asyncio.sleep(0.02)


async def _refusals() -> dict[str, Any]:
    """Returns what the one session too many is answered, with room in the line and without."""
    async with shipped("--voice", "joe", "--max-sessions", "1", "--queue-length", "1") as server:
        await server.open_session()
        waits = await server.client.post("/v1/sessions")
        refused = await server.client.post("/v1/sessions")
    return {
        "next": {"status": waits.status_code, "position": waits.json().get("position")},
        "after": {
            "status": refused.status_code,
            "retry_after": refused.headers.get("retry-after"),
            "code": refused.json().get("error", {}).get("code"),
        },
    }


def _refusal_lines(refused: dict[str, Any]) -> list[Line]:
    waits, after = refused["next"], refused["after"]
    is_right = (waits["status"], waits["position"]) == (202, 1) and (
        (after["status"], after["code"]) == (503, "capacity") and after["retry_after"] is not None
    )
    note = (
        f"the next: {waits['status']}, position {waits['position']}; with the line full: "
        f"{after['status']} {after['code']}, Retry-After {after['retry_after']} s"
    )
    return [
        Line(
            "sessions",
            "the one too many waits or is refused",
            float(is_right),
            "",
            least=1,
            note=note,
        )
    ]


def load_lines(loads: list[Load], capacity: dict[str, Any], most: int) -> list[Line]:
    """Returns how many sessions hold, whether admission knew, and the pauses of each number."""
    held = sum(1 for _ in itertools.takewhile(lambda load: load.p99 <= _INTERVAL, loads))
    note = f"admission ends at {len(loads)}, limited by {capacity['limit']}"
    if len(loads) == most:
        note = f"no more than {most} were opened"
    lines = [
        Line(
            "sessions",
            f"sessions with p99 of the pause ≤ {_INTERVAL:.0f} ms",
            held,
            "",
            least=WANTED,
            note=note,
        ),
        Line(
            "sessions",
            "sessions let in beyond those that hold",
            len(loads) - held,
            "",
            most=0,
            note=f"one is forecast to take {_told(capacity)}",
        ),
    ]
    for load in loads:
        share = 100 * load.cores / load.sessions
        note = (
            f"p50 {load.p50} ms, {load.fps} pictures a second, {share:.0f} % of a core each; "
            f"the viewers take {100 * load.own_cores:.0f} %"
        )
        lines.append(
            Line(
                "sessions",
                f"p99 of the pause between pictures, {load.sessions} sessions",
                load.p99,
                "ms",
                note=note,
            )
        )
    return lines


def _told(capacity: dict[str, Any]) -> str:
    costs = {**capacity["session_cost"], "a core for its voice": capacity["speech_cost"]}
    return ", ".join(f"{100 * share:.0f} % of {name}" for name, share in costs.items())
