"""A worker is drained while its sessions speak: they go on elsewhere from the end of a sentence."""

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
from websockets.exceptions import ConnectionClosed

from server.cli import main
from server.cluster.facts import SessionFacts
from server.config import Settings
from tests.cluster_rig import Cluster, cluster
from tests.test_cluster_resume import opened, resumed, until_heard, watching
from tests.test_server_live import on_loopback  # noqa: F401 - a fixture

TEXT = "The first one is over. And here a second one goes on for a while. The third ends it."
SECOND, THIRD = TEXT.index("And"), TEXT.index("The third")


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Cluster]:
    settings = Settings(size=256, max_sessions=2, cache_dir=tmp_path, port=0)
    async with cluster(settings, workers=2) as rig:
        yield rig


@pytest.fixture
async def client(rig: Cluster) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{rig.port}", timeout=20) as client:
        yield client


async def drained(client: httpx.AsyncClient, rig: Cluster, session: Any, **body: float) -> Any:  # noqa: ANN401
    holder = rig.of(session["session_id"])
    answer = await client.post(f"/v1/workers/{holder.worker.id}/drain", json=body)
    assert answer.status_code == 202, answer.text
    return holder


async def until_moved(rig: Cluster, session: dict[str, Any], before: str) -> None:
    async with asyncio.timeout(30):
        while True:
            found = await rig.store.read(session["session_id"])
            assert found is not None
            if found.worker != before:
                return
            await asyncio.sleep(0.02)


async def test_a_session_that_speaks_moves_at_the_end_of_its_sentence(
    rig: Cluster, client: httpx.AsyncClient
) -> None:
    session = await opened(client, voice="buzz")
    path = f"/v1/sessions/{session['session_id']}"
    first = await watching(client, session)
    async with connect(f"ws://127.0.0.1:{rig.port}{path}/events?after=0") as socket:
        await client.post(f"{path}/speak", json={"text": TEXT})
        await until_heard(rig, session["session_id"], SECOND + 8)
        holder = await drained(client, rig, session, seconds=30)
        told: list[dict[str, Any]] = []
        with pytest.raises(ConnectionClosed) as end:
            while True:
                told.append(json.loads(await socket.recv()))
        assert end.value.rcvd is not None
        assert end.value.rcvd.code == 1012
    assert not {"session.closed", "agent.speak_ended"} & {each["type"] for each in told}
    assert rig.of(session["session_id"]) is not holder
    assert (await resumed(client, session)).json()["voice"] == "buzz"
    back = await watching(client, session)
    (resumption,) = back.received.of_type("session.resumed")
    assert (resumption["utterance"], resumption["from_character"]) == (1, THIRD)
    assert resumption["repeated_characters"] <= 3  # what left between two looks
    await back.until(lambda got: got.of_type("agent.speak_ended"), seconds=20)
    said = "".join(event["text"] for event in back.received.of_type("subtitle.delta"))
    assert said.startswith("The third")
    assert holder.worker.server.house.sessions.closed["moved"] == 1
    await asyncio.wait_for(holder.worker.drained.wait(), 20)
    told = (await client.get("/v1/capacity")).json()["workers"]
    assert [each["worker"] for each in told] != []
    assert holder.worker.id not in [each["worker"] for each in told]
    await first.close()
    await back.close()


async def test_after_the_bound_it_moves_in_mid_sentence(
    rig: Cluster, client: httpx.AsyncClient
) -> None:
    session = await opened(client)
    path = f"/v1/sessions/{session['session_id']}"
    first = await watching(client, session)
    await client.post(
        f"{path}/speak", json={"text": "One is over. " + "And another goes on and on, " * 12}
    )
    await until_heard(rig, session["session_id"], 30)
    holder = await drained(client, rig, session, seconds=0)
    await until_moved(rig, session, holder.worker.id)
    facts = SessionFacts.model_validate_json((await rig.store.read(session["session_id"])).facts)  # type: ignore[union-attr]
    assert facts.unheard[0].heard >= 30
    await first.close()


async def test_who_is_silent_moves_at_once_and_what_was_acknowledged_with_it(
    rig: Cluster, client: httpx.AsyncClient
) -> None:
    session = await opened(client)
    path = f"/v1/sessions/{session['session_id']}"
    holder = await drained(client, rig, session, seconds=30)
    acknowledged = []
    began = time.monotonic()
    for number in range(40):  # through the move, on whichever worker has it
        answer = await client.post(f"{path}/speak", json={"text": f"Text {number}."})
        assert answer.status_code in (202, 503), answer.text
        if answer.status_code == 202:
            acknowledged.append(f"Text {number}.")
    assert time.monotonic() - began < 20
    await until_moved(rig, session, holder.worker.id)
    found = await rig.store.read(session["session_id"])
    assert found is not None
    kept = [each.text for each in SessionFacts.model_validate_json(found.facts).unheard]
    assert len(kept) > 20  # some were said meanwhile
    assert kept == acknowledged[-len(kept) :]


async def test_new_sessions_go_elsewhere_and_where_nobody_has_room_one_stays(
    rig: Cluster, client: httpx.AsyncClient
) -> None:
    sessions = [await opened(client) for _ in range(4)]
    holder = await drained(client, rig, sessions[0], seconds=0.2)
    await asyncio.wait_for(holder.worker.drained.wait(), 20)
    records = [await rig.store.read(each["session_id"]) for each in sessions]
    left = [each for each in records if each is not None and each.worker == holder.worker.id]
    assert len(left) == 2  # kept for whoever comes
    refused = await client.post("/v1/sessions")
    assert refused.status_code == 202  # the other one's line


async def test_a_text_that_is_being_written_is_waited_for(
    rig: Cluster, client: httpx.AsyncClient
) -> None:
    session = await opened(client)
    path = f"/v1/sessions/{session['session_id']}"
    async with connect(f"ws://127.0.0.1:{rig.port}{path}/events") as socket:
        await socket.send('{"type": "speak.start"}')
        await socket.send('{"type": "speak.delta", "text": "One. Tw"}')
        await socket.send('{"type": "ping", "t": 1}')
        while json.loads(await socket.recv())["type"] != "pong":
            pass
        holder = await drained(client, rig, session, seconds=30)
        await asyncio.sleep(0.3)
        await socket.send('{"type": "speak.delta", "text": "o."}')
        await socket.send('{"type": "speak.end"}')
        with pytest.raises(ConnectionClosed):
            while True:
                await socket.recv()
    await until_moved(rig, session, holder.worker.id)
    found = await rig.store.read(session["session_id"])
    assert found is not None
    assert SessionFacts.model_validate_json(found.facts).unheard[0].text == "One. Two."


async def test_there_is_no_such_worker(client: httpx.AsyncClient) -> None:
    refused = await client.post("/v1/workers/nobody/drain")
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
    refused = await client.post("/v1/workers/nobody/drain", json={"seconds": -1})
    assert refused.status_code == 400


async def test_the_command_lists_and_drains(
    rig: Cluster, client: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    session = await opened(client)
    holder = rig.of(session["session_id"])
    url = ["--url", f"http://127.0.0.1:{rig.port}"]
    assert await asyncio.to_thread(main, ["drain", *url]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert await asyncio.to_thread(main, ["drain", "nobody", *url]) == 2
    assert capsys.readouterr().err == (
        "vivant: There is no worker 'nobody'; `vivant drain` lists all.\n"
    )
    assert await asyncio.to_thread(main, ["drain", holder.worker.id, *url]) == 0
    assert capsys.readouterr().out.endswith(f"The worker {holder.worker.id} has ended.\n")
    assert (await client.get(f"/v1/sessions/{session['session_id']}")).status_code == 200


async def test_a_worker_that_died_is_replaced_before_anybody_asks(
    rig: Cluster, client: httpx.AsyncClient
) -> None:
    session = await opened(client)
    holder = rig.of(session["session_id"])
    address = f"ws://127.0.0.1:{rig.port}/v1/sessions/{session['session_id']}/events"
    async with connect(address) as socket:
        await socket.recv()
        holder.die()
        await until_moved(rig, session, holder.worker.id)
    assert (await client.get(f"/v1/sessions/{session['session_id']}")).status_code == 200
    assert rig.of(session["session_id"]) is not holder
