"""Sessions come and go, and the server is afterwards what it was: threads, tasks, files, memory."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import connect

from benchmarks.viewer import Viewer
from server.config import Settings
from tests import test_server_live
from tests.conftest import FAKE, REAL, ServerProcess

on_loopback = test_server_live.on_loopback  # a fixture

SOAK = 200  # sessions
WARM_UP = 100  # of them, before memory is compared: allocators fill up slowly
AT_ONCE = 4
# KiB a session: half of one picture. What is left below is the allocator's, whose resident size
# wanders by some MiB; the count of Python objects does not grow.
MOST_GROWTH = 96.0


@dataclass(frozen=True)
class Footprint:
    """What a process holds."""

    threads: int
    files: int
    memory: float  # KiB

    @classmethod
    def of(cls, pid: int) -> Footprint:
        folder = Path(f"/proc/{pid}")
        pages = int((folder / "statm").read_text().split()[1])
        return cls(
            len(list((folder / "task").iterdir())),
            len(list((folder / "fd").iterdir())),
            pages * os.sysconf("SC_PAGE_SIZE") / 1024,
        )


class Visitor:
    """Visits a server in one of the ways in which people come and go."""

    def __init__(self, address: str) -> None:
        self._address = address
        # Below the server's five seconds, so that no request meets a connection as it closes.
        limits = httpx.Limits(keepalive_expiry=2)
        self._client = httpx.AsyncClient(base_url=f"http://{address}", timeout=60, limits=limits)
        self.ways: list[Callable[[], Awaitable[None]]] = [
            self.watch_and_end,
            self.watch_and_vanish,
            self.listen_and_leave,
            self.open_and_forget_the_offer,
        ]

    async def watch_and_end(self) -> None:
        path, viewer = await self._watch("VP8")
        await self._client.delete(path)
        await viewer.until(lambda got: got.of_type("session.closed"))
        await viewer.close()

    async def watch_and_vanish(self) -> None:
        _, viewer = await self._watch("H264")
        await viewer.close()

    async def listen_and_leave(self) -> None:
        session_id = await self._open()
        async with connect(f"ws://{self._address}/v1/sessions/{session_id}/events") as socket:
            await socket.recv()
            await socket.send('{"type":"speak","text":"Hello."}')
        await self._client.delete(f"/v1/sessions/{session_id}")

    async def open_and_forget_the_offer(self) -> None:
        session_id = await self._open()
        viewer = Viewer(self._client, session_id)
        await viewer.connect()
        await viewer.close()
        await self._client.delete(f"/v1/sessions/{session_id}")

    async def leave(self) -> None:
        """Waits until no session is left, and closes its own connections."""
        async with asyncio.timeout(60):
            while (await self._client.get("/v1/capacity")).json()["sessions"]:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        await self._client.aclose()

    async def _open(self) -> str:
        answer = await self._client.post("/v1/sessions")
        assert answer.status_code in (201, 202), answer.text
        session_id = str(answer.json()["session_id"])
        async with asyncio.timeout(60):
            path = f"/v1/sessions/{session_id}"
            while (await self._client.get(path)).json()["state"] == "queued":  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        return session_id

    async def _watch(self, codec: str) -> tuple[str, Viewer]:
        path = f"/v1/sessions/{await self._open()}"
        viewer = Viewer(self._client, path.rsplit("/", 1)[1], codec=codec, keeps_pictures=False)
        await viewer.connect()
        await viewer.until(lambda got: got.pictures and got.sounds and got.events, seconds=60)
        viewer.send(type="speak", text="A word.")
        await viewer.until(lambda got: got.of_type("agent.speak_started"), seconds=60)
        return path, viewer


async def visit(address: str, count: int) -> None:
    """Makes that many visits, a few at a time, in all ways by turns; returns when all are over."""
    numbers = iter(range(count))
    visitor = Visitor(address)

    async def some() -> None:
        for number in numbers:
            await visitor.ways[number % len(visitor.ways)]()

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(some())
    await visitor.leave()
    await asyncio.sleep(0.5)  # for closed transports to let go


@pytest.mark.soak
async def test_ten_sessions_leave_nothing_behind(tmp_path: Path) -> None:
    settings = Settings(
        size=256, max_sessions=AT_ONCE, resume_timeout=1, cache_dir=tmp_path, port=0
    )
    async with test_server_live.serving(settings) as live:
        await come_and_go(live)


async def come_and_go(live: test_server_live.LiveServer) -> None:
    def held() -> tuple[int, int, int, int]:
        gc.collect()
        process = Footprint.of(os.getpid())
        # FFmpeg's own threads, too, but not those that asyncio keeps for any work.
        kept = sum(thread.name.startswith("asyncio") for thread in threading.enumerate())
        threads, files = process.threads - kept, process.files
        sessions = len(live.server.house.sessions)
        return threads, len(asyncio.all_tasks()), files, sessions

    await visit(live.address, 4)
    before = held()
    await visit(live.address, 10)
    assert held() == before


@pytest.mark.soak
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("program", [FAKE, REAL], ids=["fake", "real"])
async def test_two_hundred_sessions_leave_nothing_behind(
    program: tuple[str, ...], tmp_path: Path
) -> None:
    flags = ["--size", "256", "--max-sessions", str(AT_ONCE), "--resume-timeout", "1"]
    flags += ["--voice", "joe"] if program is REAL else []
    server = ServerProcess(program, *flags, folder=tmp_path)
    held: list[Footprint] = []
    try:
        for _ in range(0, SOAK, 20):
            await visit(server.address.removeprefix("http://"), 20)
            held.append(Footprint.of(server.pid))
            print(held[-1], flush=True)  # noqa: T201 - the curve, for people
    finally:
        server.stop()
    assert "Traceback" not in server.log()
    rest = held[WARM_UP // 20 - 1 :]
    assert rest[-1].threads == rest[0].threads
    assert rest[-1].files == rest[0].files
    slope = float(np.polyfit(20 * np.arange(len(rest)), [item.memory for item in rest], 1)[0])
    assert slope < MOST_GROWTH, f"{slope:.1f} KiB a session"
