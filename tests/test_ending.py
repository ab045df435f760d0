"""The way to the end: nobody is let in, who is there is told and finishes, or has had its time."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from server.ending import Ending
from server.protocol import CapacityError, Expiring, SessionClosed
from server.session import Session
from tests.test_server_app import process
from tests.test_sessions import House, house, token_of, told
from tests.virtual_time import settle


@dataclass
class Watch:
    """Whether the end has come, and what leads to it."""

    ending: Ending
    has_ended: bool = False


@asynccontextmanager
async def ending(rig: House, seconds: float) -> AsyncIterator[Watch]:
    def end() -> None:
        watch.has_ended = True

    watch = Watch(Ending(rig.sessions, seconds=seconds, clock=rig.clock, end=end))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(watch.ending.run())
        await settle()
        yield watch
        running.cancel()


async def test_sessions_are_told_and_the_end_comes_when_they_have_finished(tmp_path: Path) -> None:
    async with house(tmp_path) as rig, ending(rig, 120) as watch:
        one, two = await rig.open(), await rig.open()
        waiting = await rig.wait()
        with one.events.listen() as to_one, waiting.events.listen() as to_waiting:
            watch.ending.ask()
            await settle()
            assert told(to_one)[-1] == Expiring("shutdown", 120)
            assert told(to_waiting)[-1] == SessionClosed("shutdown")
            with pytest.raises(CapacityError, match="shutting down") as caught:
                await rig.enter()
            assert caught.value.retry_after > 0
            assert rig.sessions.room == 0
            one.close("client")
            await rig.run(1)
            assert not watch.has_ended
            two.close("client")
            await settle()
            assert watch.has_ended


async def test_who_comes_back_meanwhile_is_told_too(tmp_path: Path) -> None:
    async with house(tmp_path) as rig, ending(rig, 20) as watch:
        session = await rig.open()
        assert not [event for event in session.greeting() if isinstance(event, Expiring)]
        watch.ending.ask()
        await rig.run(5)
        assert rig.sessions.resume(session.id, token_of(session.id)) is session
        assert session.greeting()[-1] == Expiring("shutdown", 15)


async def test_sessions_that_go_on_are_ended_at_the_limit_after_warnings(tmp_path: Path) -> None:
    async with house(tmp_path) as rig, ending(rig, 130) as watch:
        session = await rig.open()
        with session.events.listen() as channel:
            watch.ending.ask()
            left = []
            for _ in range(129):
                await rig.run(1)
                session.touch()  # nothing that a client does puts it off
                left += [event.seconds for event in told(channel) if isinstance(event, Expiring)]
            assert left == [130, 60, 10]
            assert not watch.has_ended
            await rig.run(2)
        assert watch.has_ended
        assert session.reason == "shutdown"


async def test_a_session_that_is_being_made_is_turned_away(tmp_path: Path) -> None:
    may_go_on = asyncio.Event()
    async with house(tmp_path) as rig, ending(rig, 20) as watch:

        async def make_slowly(session_id: str) -> Session:
            await may_go_on.wait()
            return await rig.make(session_id)

        entering = asyncio.ensure_future(rig.sessions.enter(make_slowly))  # noqa: TID251 - a client
        await settle()
        watch.ending.ask()
        may_go_on.set()
        with pytest.raises(CapacityError, match="shutting down"):
            await entering
        assert len(rig.sessions) == 0


@pytest.mark.parametrize("way", ["second signal", "keyboard"])
async def test_it_can_be_hurried(way: str, tmp_path: Path) -> None:
    async with house(tmp_path) as rig, ending(rig, 3600) as watch:
        await rig.open()
        watch.ending.ask()
        await rig.run(1)
        assert not watch.has_ended
        if way == "keyboard":
            watch.ending.hurry()
        else:
            watch.ending.ask()
        await settle()
        assert watch.has_ended


async def test_without_a_limit_it_ends_at_once(tmp_path: Path) -> None:
    async with house(tmp_path) as rig, ending(rig, 0) as watch:
        await rig.open()
        watch.ending.ask()
        await settle()
        assert watch.has_ended


def assert_every_door_is_shut(client: httpx.Client, address: str) -> None:
    """Asks for a session by each of the protocols that open one."""
    offer = {"sdp": "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n", "type": "offer"}
    room = {"livekit_url": "wss://livekit.example.org", "livekit_token": "x"}
    for path, body in (("/api/offer", offer), ("/v1/livekit/sessions", room)):
        refused = client.post(path, json=body)
        assert refused.status_code == 503, path
        assert int(refused.headers["Retry-After"]) > 0
    with pytest.raises(InvalidStatus) as caught:
        connect(f"{address.replace('http', 'ws')}v1/realtime")
    assert caught.value.response.status_code == 503
    assert int(caught.value.response.headers["Retry-After"]) > 0


def test_a_process_drains_on_sigterm_and_exits_with_0(tmp_path: Path) -> None:
    flags = ("--cache-dir", str(tmp_path), "--drain-timeout", "600")
    with process(*flags) as (running, address), httpx.Client(base_url=address) as client:
        path = f"/v1/sessions/{client.post('/v1/sessions').json()['session_id']}"
        assert client.get("/readyz").status_code == 200
        os.kill(running.pid, signal.SIGTERM)
        while client.get("/readyz").status_code == 200:
            time.sleep(0.01)
        refused = client.post("/v1/sessions")
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert "shutting down" in refused.json()["error"]["message"]
        assert_every_door_is_shut(client, address)
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").json()["error"]["code"] == "draining"
        assert client.get("/v1/capacity").json()["limit"] == "draining"
        assert "vivant_draining 1.0" in client.get("/metrics").text
        assert client.post(f"{path}/speak", json={"text": "still here"}).status_code == 202
        assert client.delete(path).status_code == 204
        _, err = running.communicate(timeout=20)
        assert running.returncode == 0, err
        assert "Traceback" not in err
