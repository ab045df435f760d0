"""A worker is gone in mid-sentence: another takes its session up, and tells what is heard twice.

Workers are in this process; tests/test_ray.py kills real ones.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from benchmarks.viewer import Viewer
from server.cluster.facts import SessionFacts
from server.cluster.store import Superseded
from server.config import Settings
from tests.cluster_rig import Cluster, cluster
from tests.test_server_live import loud, on_loopback  # noqa: F401 - a fixture

TEXT = "The first one is over. And here a second one goes on for a while. The third ends it."
SECOND = TEXT.index("And")
SETTINGS = ("buzz", "green", "happy")
THIRD = TEXT.index("The third")


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Cluster]:
    settings = Settings(size=256, max_sessions=2, cache_dir=tmp_path, port=0)
    async with cluster(settings, workers=2) as rig:
        yield rig


@pytest.fixture
async def client(rig: Cluster) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{rig.port}", timeout=20) as client:
        yield client


async def opened(client: httpx.AsyncClient, **wanted: object) -> dict[str, Any]:
    answer = await client.post("/v1/sessions", json=wanted)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def watching(client: httpx.AsyncClient, session: dict[str, Any]) -> Viewer:
    viewer = Viewer(client, session["session_id"], token=session["token"], keeps_pictures=False)
    await viewer.connect()
    await viewer.until(lambda got: got.pictures and got.events)
    return viewer


async def resumed(client: httpx.AsyncClient, session: dict[str, Any]) -> httpx.Response:
    path = f"/v1/sessions/{session['session_id']}/resume"
    return await client.post(path, json={"token": session["token"]})


async def until_heard(rig: Cluster, session_id: str, character: int) -> None:
    async def heard() -> int:
        found = await rig.store.read(session_id)
        assert found is not None
        unheard = SessionFacts.model_validate_json(found.facts).unheard
        return unheard[0].heard if unheard else 0

    async with asyncio.timeout(20):
        while await heard() < character:  # noqa: ASYNC110 - of a file
            await asyncio.sleep(0.02)


async def test_a_session_goes_on_with_the_sentence_that_broke_off(
    rig: Cluster, client: httpx.AsyncClient
) -> None:
    voice, background, emotion = SETTINGS
    session = await opened(client, voice=voice, background=background, style={"emotion": emotion})
    session_id = session["session_id"]
    path = f"/v1/sessions/{session_id}"
    first = await watching(client, session)
    dead = rig.of(session_id)
    async with connect(f"ws://127.0.0.1:{rig.port}{path}/events") as socket:
        await client.post(f"{path}/speak", json={"text": TEXT})
        await client.post(f"{path}/speak", json={"text": "A second text.", "voice": "hum"})
        await until_heard(rig, session_id, SECOND - 2)  # all but the full stop and the space
        dead.die()
        broke = time.monotonic()
        with pytest.raises(ConnectionClosed) as end:
            while True:
                await socket.recv()
        assert end.value.rcvd is not None
        assert end.value.rcvd.code == 1012
    back = await resumed(client, session)
    assert back.status_code == 200, back.text
    told = back.json()
    assert (told["voice"], told["background"], told["style"]["emotion"]) == SETTINGS
    again = await watching(client, {**session, "token": back.json()["token"]})
    (told,) = again.received.of_type("session.resumed")
    assert (told["utterance"], told["from_character"]) == (1, SECOND)
    assert 0 <= told["repeated_characters"] < THIRD - SECOND
    assert told["lost"] == []
    await again.until(lambda got: got.of_type("subtitle.delta"))
    assert time.monotonic() - broke < 10  # the bound of 3 s is tested where nothing else runs
    await again.until(lambda got: len(got.of_type("agent.speak_ended")) == 2, seconds=20)
    texts = [event["text"].strip() for event in again.received.of_type("subtitle.delta")]
    beginnings = ("And here a second one", "The third", "A second text")
    assert all(map(str.startswith, texts, beginnings))
    ended = again.received.of_type("agent.speak_ended")
    assert [event["utterance"] for event in ended] == [1, 2]
    assert not any(event["interrupted"] for event in ended)
    assert ended[0]["spoken_characters"] >= len(TEXT) - 1
    assert loud(again.received)
    assert rig.of(session_id) is not dead
    await first.close()
    await again.close()


async def test_nothing_that_was_acknowledged_is_lost(
    rig: Cluster, client: httpx.AsyncClient
) -> None:
    session = await opened(client)
    path = f"/v1/sessions/{session['session_id']}"
    await client.put(f"{path}/brain", json={"brain": "external", "prompt": "Be brief."})
    for text in ("One", "Two"):
        assert (await client.post(f"{path}/say", json={"text": text})).status_code == 202
    await client.patch(path, json={"voice": "buzz", "style": {"blink_rate": 3}})
    spoken = (await client.post(f"{path}/speak", json={"text": "Wait for me."})).json()
    history = (await client.get(f"{path}/history")).json()
    rig.of(session["session_id"]).die()
    described = (await client.get(path)).json()  # any request finds it
    assert (described["voice"], described["style"]["blink_rate"]) == ("buzz", 3)
    assert described["brain"] == "external"
    assert (await client.get(f"{path}/history")).json() == history != []
    another = (await client.post(f"{path}/speak", json={"text": "And me."})).json()
    assert another["utterance"] == spoken["utterance"] + 1
    store = SessionFacts.model_validate_json((await record(rig, session)).facts)
    assert store.manner.prompt == "Be brief."
    assert [each.text for each in store.unheard] == ["Wait for me.", "And me."]


async def record(rig: Cluster, session: dict[str, Any]) -> Any:  # noqa: ANN401
    found = await rig.store.read(session["session_id"])
    assert found is not None
    return found


async def test_the_store_has_it_before_the_answer(rig: Cluster, client: httpx.AsyncClient) -> None:
    session = await opened(client)
    path = f"/v1/sessions/{session['session_id']}"
    for number in range(5):
        await client.post(f"{path}/speak", json={"text": f"Text {number}."})
        facts = SessionFacts.model_validate_json((await record(rig, session)).facts)
        assert [each.text for each in facts.unheard][-1] == f"Text {number}."
    async with connect(f"ws://127.0.0.1:{rig.port}{path}/events") as socket:
        await socket.send('{"type": "speak", "text": "By socket."}')
        await socket.send('{"type": "ping", "t": 1}')
        while json.loads(await socket.recv())["type"] != "pong":
            pass
        facts = SessionFacts.model_validate_json((await record(rig, session)).facts)
        assert facts.unheard[-1].text == "By socket."


async def test_who_was_thought_dead_and_is_not_lets_go(
    rig: Cluster, client: httpx.AsyncClient
) -> None:
    session = await opened(client)
    path = f"/v1/sessions/{session['session_id']}"
    holder = rig.of(session["session_id"])
    (other,) = [each for each in rig.workers if each is not holder]
    stale = holder.worker.server.house.sessions.find(session["session_id"])
    found = await record(rig, session)
    await other.worker.take_up(session["session_id"], found.epoch)
    stale.speak("Who is it now?")
    holder.worker.journal.touch(session["session_id"])
    with pytest.raises(Superseded):
        await holder.worker.journal.settle(session["session_id"])
    assert stale.is_closing
    assert (await client.get(path)).json()["utterance"] == 0
    assert (await record(rig, session)).worker == other.worker.id


async def test_a_session_that_ended_is_forgotten(rig: Cluster, client: httpx.AsyncClient) -> None:
    session = await opened(client)
    holder = rig.of(session["session_id"])
    await client.delete(f"/v1/sessions/{session['session_id']}")
    async with asyncio.timeout(5):
        while await rig.store.read(session["session_id"]) is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    holder.die()
    gone = await resumed(client, session)
    assert (gone.status_code, gone.json()["error"]["code"]) == (410, "session_gone")


async def test_without_another_worker_the_client_is_told_to_come_again(
    rig: Cluster, client: httpx.AsyncClient
) -> None:
    session = await opened(client)
    for each in rig.workers:
        each.die()
    refused = await resumed(client, session)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "worker_lost")
    assert refused.headers["retry-after"] == "1"


async def test_where_none_has_room_pictures_become_fewer_but_no_session_is_lost(
    rig: Cluster, client: httpx.AsyncClient
) -> None:
    session = await opened(client)
    holder = rig.of(session["session_id"])
    (other,) = [each for each in rig.workers if each is not holder]
    other.worker.server.house.sessions.capacity.is_late = True
    await opened(client)  # to where there is room
    holder.die()
    other.worker.server.house.sessions.capacity.is_late = True
    assert (await resumed(client, session)).status_code == 200
    assert rig.of(session["session_id"]) is other


async def test_a_worker_that_drains_keeps_what_is_left(
    rig: Cluster, client: httpx.AsyncClient
) -> None:
    session = await opened(client)
    path = f"/v1/sessions/{session['session_id']}"
    holder = rig.of(session["session_id"])
    await client.post(f"{path}/speak", json={"text": "Not heard yet."})
    await holder.worker.drain(0.1)
    holder.die()
    other = await opened(client)
    assert rig.of(other["session_id"]) is not holder
    back = await resumed(client, session)
    assert back.json()["utterance"] == 1


async def test_strangers_get_nothing_from_a_worker(rig: Cluster) -> None:
    address = rig.workers[0].http.address
    async with httpx.AsyncClient(base_url=address) as client:
        for header in ({}, {"x-vivant-cluster": "guess"}):
            for method, path in (("GET", "/v1/info"), ("POST", "/cluster/take-up")):
                refused = await client.request(method, path, headers=header)
                assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")


async def test_sessions_go_where_there_is_room(rig: Cluster, client: httpx.AsyncClient) -> None:
    places = [rig.of((await opened(client))["session_id"]) for _ in range(4)]
    assert sorted(map(places.count, rig.workers)) == [2, 2]
    told = (await client.get("/v1/capacity")).json()
    assert len(told["workers"]) == 2
    waiting = await client.post("/v1/sessions")
    assert (waiting.status_code, waiting.json()["position"]) == (202, 1)
    found = await client.get(f"/v1/sessions/{waiting.json()['session_id']}")
    assert found.json()["state"] == "queued"


async def test_pages_of_other_sites_open_no_socket(rig: Cluster, client: httpx.AsyncClient) -> None:
    session = await opened(client)
    address = f"ws://127.0.0.1:{rig.port}/v1/sessions/{session['session_id']}/events"
    async with connect(address, origin=Origin(f"http://127.0.0.1:{rig.port}")) as socket:
        assert json.loads(await socket.recv())["type"] == "session.ready"
    with pytest.raises(InvalidStatus):
        await connect(address, origin=Origin("http://example.org"))


async def test_an_answer_that_was_being_said_is_said_on_and_settled(
    rig: Cluster, client: httpx.AsyncClient
) -> None:
    session = await opened(client)
    path = f"/v1/sessions/{session['session_id']}"
    await client.put(f"{path}/brain", json={"brain": "external"})
    await client.post(f"{path}/say", json={"text": "What is it?"})
    first = await watching(client, session)
    async with connect(f"ws://127.0.0.1:{rig.port}{path}/events") as socket:
        for message in (
            {"type": "speak.start"},
            {"type": "speak.delta", "text": "<happy> It is **one** thing. And"},
            {"type": "speak.delta", "text": " another thing, too. Never"},
        ):
            await socket.send(json.dumps(message))
        await until_heard(rig, session["session_id"], len("It is one thing"))
        rig.of(session["session_id"]).die()
    back = await watching(client, session)
    await back.until(lambda got: got.of_type("agent.speak_ended"), seconds=20)
    said = "".join(event["text"] for event in back.received.of_type("subtitle.delta"))
    assert said.split()[:2] == ["And", "another"]
    answer = (await client.get(f"{path}/history")).json()[-1]
    assert answer["text"] == "It is one thing. And another thing, too. Never"
    assert (answer["role"], answer["pending"]) == ("assistant", False)
    await first.close()
    await back.close()


async def test_pushed_sound_is_told_to_be_lost(rig: Cluster, client: httpx.AsyncClient) -> None:
    session = await opened(client)
    path = f"/v1/sessions/{session['session_id']}"
    async with connect(f"ws://127.0.0.1:{rig.port}{path}/events") as socket:
        await socket.send('{"type": "audio.start", "sample_rate": 16000}')
        await socket.send(bytes(3_200))
        await socket.send('{"type": "ping", "t": 1}')
        while json.loads(await socket.recv())["type"] != "pong":
            pass
        rig.of(session["session_id"]).die()
    await resumed(client, session)
    async with connect(f"ws://127.0.0.1:{rig.port}{path}/events") as socket:
        greeting = [json.loads(await socket.recv()) for _ in range(3)]
    assert [event["type"] for event in greeting][::2] == ["session.ready", "session.resumed"]
    assert (greeting[2]["utterance"], greeting[2]["lost"]) == (None, [1])
