"""A gateway dies and another is there: media does not notice, and events go on without a gap."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import connect as connect_socket

import vivant_client
from server.config import Settings
from server.protocol import EventsAttached, ServerEvent, SpeakStarted, SubtitleDelta
from tests.cluster_rig import Cluster, cluster
from tests.test_server_live import on_loopback  # noqa: F401 - a fixture

TEXT = "The first one is over. And here a second one goes on for a while. The third ends it."


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Cluster]:
    settings = Settings(size=256, max_sessions=2, cache_dir=tmp_path, port=0)
    async with cluster(settings, workers=2) as rig:
        yield rig


async def test_a_client_goes_on_at_the_gateway_that_is_there_next(rig: Cluster) -> None:
    told: list[ServerEvent] = []
    async with (
        vivant_client.connect(f"http://127.0.0.1:{rig.port}") as session,
        asyncio.TaskGroup() as group,
    ):

        async def note() -> None:
            async for event in session.events():
                told.append(event)

        following = [group.create_task(note()), group.create_task(watch(session))]
        before = await session.describe()
        number = await session.speak(TEXT)
        await session.wait_for(SpeakStarted)
        await rig.restart_gateway(pause=0.6)
        ended = await session.finished(number)
        assert not ended.interrupted
        after = await session.describe()
        assert (after["viewers"], after["session_id"]) == (1, before["session_id"])
        assert after["media_time"] > before["media_time"]
        (attached,) = [event for event in told if isinstance(event, EventsAttached)]
        assert (attached.lost, attached.missed > 0) == (0, True)
        said = "".join(event.text for event in told if isinstance(event, SubtitleDelta))
        assert said.count("second one") == said.count("third ends") == 1
        for task in following:
            task.cancel()


async def watch(session: vivant_client.Session) -> None:
    async for _ in session.frames():
        pass


async def test_what_was_pushed_on_the_old_connection_has_ended(rig: Cluster) -> None:
    address = f"http://127.0.0.1:{rig.port}"
    async with (
        asyncio.timeout(20),
        vivant_client.connect(address, media=False) as session,
        session.audio(16_000) as audio,
        asyncio.TaskGroup() as group,
    ):
        await audio.push(np.zeros(1_600, np.int16))
        attached = group.create_task(session.wait_for(EventsAttached))
        await rig.restart_gateway()
        await attached
        with pytest.raises(vivant_client.ClientError, match="broke off"):
            await audio.push(np.zeros(1_600, np.int16))


async def test_media_of_a_worker_that_died_is_not_mended(rig: Cluster) -> None:
    address = f"http://127.0.0.1:{rig.port}"
    async with asyncio.timeout(20), vivant_client.connect(address) as session:
        rig.of(session.id).die()
        with pytest.raises(vivant_client.SessionEndedError) as end:
            await watch(session)
        assert end.value.reason == "lost"
    async with vivant_client.resume(address, session.id, session.token) as back:
        await anext(back.frames())


async def test_a_session_without_media_follows_to_another_worker(rig: Cluster) -> None:
    address = f"http://127.0.0.1:{rig.port}"
    async with (
        asyncio.timeout(20),
        vivant_client.connect(address, media=False) as session,
        asyncio.TaskGroup() as group,
    ):
        attached = group.create_task(session.wait_for(EventsAttached))
        await asyncio.sleep(0)
        rig.of(session.id).die()
        assert (await attached).lost is None
        assert await session.speak("Still here.") == 1


async def test_server_sent_events_are_taken_up_where_they_broke_off(rig: Cluster) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{rig.port}", timeout=20) as client:
        session = (await client.post("/v1/sessions")).json()["session_id"]
        path = f"/v1/sessions/{session}"
        async with client.stream("GET", f"{path}/events") as answer:
            await client.put(f"{path}/script", json={"text": "One. Two."})
            number = await an_id(answer.aiter_lines())
        await client.patch(f"{path}/script", json={"text": "One. Three."})
        headers = {"Last-Event-ID": str(number)}
        async with client.stream("GET", f"{path}/events", headers=headers) as answer:
            lines = answer.aiter_lines()
            async for line in lines:
                if line == "event: events.attached":
                    break
            assert await an_id(lines) == number + 1


async def an_id(lines: AsyncIterator[str]) -> int:
    async for line in lines:
        if line.startswith("id: "):
            return int(line[4:])
    raise AssertionError("no event had a number")


async def test_numbers_are_for_those_who_ask(rig: Cluster) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{rig.port}", timeout=20) as client:
        session = (await client.post("/v1/sessions")).json()["session_id"]
        address = f"ws://127.0.0.1:{rig.port}/v1/sessions/{session}/events"
        async with connect_socket(address) as plain, connect_socket(f"{address}?after=0") as told:
            for socket, has_numbers in ((plain, False), (told, True)):
                while (event := json.loads(await socket.recv()))["type"] != "metrics":
                    pass
                assert ("seq" in event) == has_numbers
