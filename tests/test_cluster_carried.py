"""What a session does besides talking outlives its worker: scripts, streams and recordings."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import connect

from server.cluster.facts import SessionFacts
from server.config import Settings
from server.presenter.bookmark import Bookmark
from tests.cluster_rig import Cluster, cluster
from tests.test_cluster_resume import opened, resumed, watching
from tests.test_server_live import on_loopback  # noqa: F401 - a fixture

SCRIPT = "The first one is over. And here a second one goes on for a while. The third ends it."
SENTENCES = SCRIPT.replace(". ", ".|").split("|")


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Cluster]:
    settings = Settings(
        size=256,
        max_sessions=2,
        cache_dir=tmp_path,
        recordings_dir=tmp_path / "films",
        port=0,
        push_hosts=("127.0.0.1",),
    )
    async with cluster(settings, workers=2) as rig:
        yield rig


@pytest.fixture
async def client(rig: Cluster) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{rig.port}", timeout=20) as client:
        yield client


async def kept(rig: Cluster, session: dict[str, Any]) -> SessionFacts:
    found = await rig.store.read(session["session_id"])
    assert found is not None
    return SessionFacts.model_validate_json(found.facts)


async def until(
    rig: Cluster, session: dict[str, Any], condition: Callable[[Bookmark], bool]
) -> None:
    """Waits until the store has a script of which the condition holds."""

    async def holds() -> bool:
        script = (await kept(rig, session)).script
        return script is not None and condition(script)

    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110 - of a store
            await asyncio.sleep(0.02)


async def greeted(rig: Cluster, session: dict[str, Any]) -> dict[str, Any]:
    """Returns what a new connection is told of the death."""
    address = f"ws://127.0.0.1:{rig.port}/v1/sessions/{session['session_id']}/events"
    async with asyncio.timeout(20), connect(address) as socket:
        while (told := json.loads(await socket.recv()))["type"] != "session.resumed":
            pass
    found: dict[str, Any] = told
    return found


async def test_a_script_goes_on_at_the_sentence_that_broke_off(
    rig: Cluster, client: httpx.AsyncClient
) -> None:
    session = await opened(client)
    path = f"/v1/sessions/{session['session_id']}"
    first = await watching(client, session)
    await client.put(f"{path}/script", json={"text": SCRIPT})
    assert (await client.post(f"{path}/script/play")).status_code == 202
    await until(rig, session, lambda script: script.sentence == 3)  # all of it is made
    await client.post(f"{path}/speak", json={"text": "Said after the script."})
    await until(
        rig, session, lambda script: script.said[0].number == 2 and script.said[0].heard > 0
    )
    rig.of(session["session_id"]).die()
    back = await watching(client, session)
    (told,) = back.received.of_type("session.resumed")
    assert (told["utterance"], told["sentence"], told["from_character"]) == (2, 1, 0)
    assert 0 < told["repeated_characters"] <= len(SENTENCES[1])
    await back.until(
        lambda got: [e for e in got.of_type("script.updated") if e["state"] == "ended"], seconds=30
    )
    await back.until(lambda got: len(got.of_type("agent.speak_ended")) == 3, seconds=30)
    said = "".join(event["text"] for event in back.received.of_type("subtitle.delta"))
    assert "first one" not in said
    assert said.index("second one") < said.index("third ends")
    assert said.endswith("Said after the script")
    told = (await client.get(f"{path}/script")).json()
    assert (told["text"], told["state"], told["revision"]) == (SCRIPT, "ended", 1)
    assert [e["utterance"] for e in back.received.of_type("agent.speak_ended")] == [2, 3, 4]
    await first.close()
    await back.close()


async def test_a_paused_script_stays_where_it_is(rig: Cluster, client: httpx.AsyncClient) -> None:
    session = await opened(client)
    path = f"/v1/sessions/{session['session_id']}"
    await client.put(f"{path}/script", json={"text": f"# {SCRIPT}", "format": "markdown"})
    await client.post(f"{path}/script/seek", json={"sentence": 2})
    before = (await client.get(f"{path}/script")).json()
    rig.of(session["session_id"]).die()
    after = (await client.get(f"{path}/script")).json()
    assert after == before
    assert (after["state"], after["sentence"], after["format"]) == ("paused", 2, "markdown")


async def test_streams_are_begun_again_and_recordings_continued(
    rig: Cluster, client: httpx.AsyncClient, unused_tcp_port: int
) -> None:
    session = await opened(client)
    path = f"/v1/sessions/{session['session_id']}"
    first = await watching(client, session)
    wish = {"url": f"rtmp://127.0.0.1:{unused_tcp_port}/live/secret-key", "bitrate": 500}
    output = (await client.post(f"{path}/outputs", json=wish)).json()["id"]
    another = (await client.post(f"{path}/outputs", json=wish)).json()["id"]
    assert (await client.delete(f"{path}/outputs/{another}")).status_code == 204
    film = (await client.post(f"{path}/recordings", json={"format": "webm"})).json()["id"]
    facts = await kept(rig, session)
    assert [(each.id, each.bitrate) for each in facts.pushes] == [(output, 500_000)]
    assert [(each.id, each.format) for each in facts.films] == [(film, "webm")]
    dead = rig.of(session["session_id"])
    dead.die()
    told = await greeted(rig, session)
    (again,) = (await client.get(f"{path}/outputs")).json()
    assert (told["outputs"], again["id"]) == ([output], output)
    assert "secret" not in json.dumps([told, again])
    (continued,) = told["continued"]
    assert told["recordings"] == [film]
    assert continued != film
    found = {each["id"]: each for each in (await client.get(f"{path}/recordings")).json()}
    assert set(found) == {film, continued}
    async with asyncio.timeout(20):
        while not found.get(continued, {}).get("bytes"):
            found = {each["id"]: each for each in (await client.get(f"{path}/recordings")).json()}
            await asyncio.sleep(0.1)
    ended = await client.delete(f"{path}/recordings/{continued}")
    assert (ended.json()["state"], ended.json()["reason"]) == ("closed", "request")
    assert (await kept(rig, session)).films == []
    await first.close()


async def test_what_live_motion_was_told_is_kept(rig: Cluster, client: httpx.AsyncClient) -> None:
    session = await opened(client)
    path = f"/v1/sessions/{session['session_id']}"
    async with connect(f"ws://127.0.0.1:{rig.port}{path}/events") as socket:
        for message in (
            {"type": "motion.configure", "parts": {"mouth": "off"}, "smoothing": 0.5},
            {"type": "motion", "coefficients": {"jawOpen": 0.25}},
            {"type": "motion.calibrate"},
            {"type": "ping", "t": 1},
        ):
            await socket.send(json.dumps(message))
        while json.loads(await socket.recv())["type"] != "pong":
            pass
    before = (await kept(rig, session)).live
    assert (before.parts, before.smoothing, max(before.neutral)) == ({"mouth": "off"}, 0.5, 0.25)
    rig.of(session["session_id"]).die()
    await resumed(client, session)
    assert (await kept(rig, session)).live == before


def tone() -> bytes:
    """Returns two seconds of a WAV file."""
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        steps = np.arange(32_000)
        file.writeframes((8_000 * np.sin(0.2 * steps)).astype(np.int16).tobytes())
    return made.getvalue()


async def test_a_recorded_script_is_told_to_be_lost(
    rig: Cluster, client: httpx.AsyncClient
) -> None:
    session = await opened(client)
    path = f"/v1/sessions/{session['session_id']}"
    await client.put(f"{path}/script/audio", files={"audio": tone()})
    await client.post(f"{path}/script/play")
    await until(rig, session, lambda script: bool(script.said))
    rig.of(session["session_id"]).die()
    told = await greeted(rig, session)
    assert told["lost"] == [1]
    assert (await client.get(f"{path}/script")).json()["state"] == "empty"
