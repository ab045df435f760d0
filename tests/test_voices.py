"""Where voices work: on one thread what computes, on many what waits for a server."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from server.voices import RemoteThreads, Voices
from tests.live_fakes import FakeEntry, FakeVoice


async def test_servers_that_hang_leave_other_voices_their_threads() -> None:
    answer = threading.Event()
    opened: list[str] = []

    def open_voice(name: str) -> FakeVoice:
        if "hangs" in name:
            answer.wait(10)
        opened.append(name)
        return FakeVoice(name)

    with ThreadPoolExecutor(1) as worker, RemoteThreads(4, "remote") as remote:
        voices = Voices(
            entries=[FakeEntry("hum")],
            default="hum",
            open_voice=open_voice,
            worker=worker,
            urgent_worker=worker,
            remote_worker=remote,
        )
        async with asyncio.TaskGroup() as group:
            for index in range(3):
                group.create_task(voices.open(f"openai:hangs{index}"))
            await asyncio.sleep(0)
            async with asyncio.timeout(5):
                await voices.open("hum")
                await voices.open("openai:answers")
            assert opened == ["hum", "openai:answers"]
            assert remote.waiting == 3
            answer.set()
    assert remote.waiting == 0
