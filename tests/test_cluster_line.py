"""One line for all workers: positions, turns, quotas, and what outlives a gateway or the line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from server.access.keys import KeyFile
from server.access.quotas import NOBODYS, Claim, QuotaError
from server.cluster.file_store import FileStore
from server.cluster.line import LAPSE, MemoryLine, Standing, Ticket
from server.config import Settings
from server.protocol import CapacityError
from server.waiting import PATIENCE
from tests.cluster_rig import Cluster, cluster
from tests.virtual_time import VirtualClock

SECOND = 1_000_000_000


def ticket(name: str, claim: Claim = NOBODYS) -> Ticket:
    return Ticket(name, claim, None, (), b"", {"token": name})


async def positions(line: MemoryLine, *names: str) -> list[int | None]:
    _, found = await line.standings(names)
    return [found[each].position if each in found else None for each in names]


async def test_who_comes_first_is_first_and_everybody_is_told_their_position() -> None:
    line = MemoryLine(VirtualClock())
    for number, name in enumerate("abc", start=1):
        assert (await line.join(ticket(name), length=3, sessions=0)).position == number
    with pytest.raises(CapacityError, match=r"^All sessions are in use, and 3 wait for a place;"):
        await line.join(ticket("d"), length=3, sessions=0)
    assert [each.session for each in await line.call(1)] == ["a"]
    assert await positions(line, "a", "b", "c") == [0, 1, 2]
    assert await line.call(1) == []  # the place is being taken
    await line.put_back("a")
    assert await positions(line, "a", "b", "c") == [1, 2, 3]
    assert [each.session for each in await line.call(2)] == ["a", "b"]
    await line.end("a")
    await line.end("b", Standing(0, None, "not_found", "There is no portrait."))
    assert await positions(line, "a", "c") == [None, 1]
    assert (await line.standings(["b"]))[1]["b"].code == "not_found"


async def test_who_shows_no_sign_loses_the_place_and_a_dead_gateways_turn_lapses() -> None:
    clock = VirtualClock()
    line = MemoryLine(clock)
    for name in "ab":
        await line.join(ticket(name), length=9, sessions=0)
    clock.jump(PATIENCE)
    assert await positions(line, "b") == [2]
    clock.jump(1)
    assert await positions(line, "b") == [1]
    assert (await line.standings(["a"]))[1]["a"].code == "idle"
    assert [each.session for each in await line.call(1)] == ["b"]
    clock.jump(LAPSE)
    assert await line.call(1) == []
    clock.jump(1)
    assert [each.session for each in await line.call(1)] == ["b"]


async def test_a_line_that_was_lost_is_what_it_was_when_gateways_tell_of_it() -> None:
    before, after = MemoryLine(VirtualClock()), MemoryLine(VirtualClock())
    for name in "abcd":
        await before.join(ticket(name), length=9, sessions=0)
    found = [await before.find(name) for name in "abcd"]
    tickets = [each[0] for each in found if each is not None]
    assert (await before.standings(["a"]))[0] != (await after.standings(["a"]))[0]
    await after.restore(tickets[2:])  # one gateway, and then the other
    await after.restore(tickets[:2])
    assert await positions(after, *"abcd") == [1, 2, 3, 4]
    assert (await after.join(ticket("e"), length=9, sessions=0)).position == 5


@given(st.lists(st.sampled_from(["join", "call", "end", "back"]), max_size=40))
async def test_nobody_is_overtaken(steps: list[str]) -> None:
    line, came, called = MemoryLine(VirtualClock()), 0, []
    out: list[str] = []
    for step in steps:
        match step:
            case "join":
                came += 1
                await line.join(ticket(f"{came:03}"), length=99, sessions=0)
            case "call":
                out += [each.session for each in await line.call(len(out) + 1)]
            case "end" if out:
                called.append(out[0])
                await line.end(out.pop(0))
            case "back" if out:
                await line.put_back(out.pop())
    assert called == sorted(called)
    assert out == sorted(out)


async def test_a_tenant_has_so_many_places_and_no_more() -> None:
    line = MemoryLine(VirtualClock())
    claim = Claim("tenant:acme", "Tenant 'acme'", sessions=3, waiting=1)
    await line.join(ticket("a", claim), length=9, sessions=1)
    with pytest.raises(QuotaError) as refusal:
        await line.join(ticket("b", claim), length=9, sessions=1)
    assert str(refusal.value) == (
        "All sessions are in use, and Tenant 'acme' has 1 places in line, of at most 1."
    )
    with pytest.raises(QuotaError, match=r"^Tenant 'acme' has 3 sessions \(1 in line\), of at mo"):
        await line.join(ticket("c", claim), length=9, sessions=2)
    await line.join(ticket("d", Claim("key:x", "Key 'x'")), length=9, sessions=0)


async def test_the_store_counts_a_tenant_exactly_and_remembers(tmp_path: Path) -> None:
    claim = Claim("tenant:acme", "Tenant 'acme'", sessions=2)
    store = FileStore(tmp_path / "sessions.db")
    taken = await asyncio.gather(
        *(store.take(f"s{n}", f"w{n}", after=0, claim=claim) for n in range(6)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, QuotaError) for each in taken) == 4
    store.close()
    again = FileStore(tmp_path / "sessions.db")
    (one, _) = await again.held()
    with pytest.raises(QuotaError, match=r"has 2 sessions, of at most 2 at once: end one first"):
        await again.take("other", "w", after=0, claim=claim)
    assert (await again.take(one.session, "w", after=1)).tenant == "tenant:acme"  # taken up
    await again.forget(one.session, 2)
    await again.take("other", "w", after=0, claim=claim)
    again.close()


@asynccontextmanager
async def full(
    folder: Path,
    **chosen: Any,  # noqa: ANN401 - settings
) -> AsyncIterator[tuple[Cluster, httpx.AsyncClient, list[str]]]:
    """Yields two workers of one place each, both taken."""
    settings = Settings(size=256, max_sessions=1, cache_dir=folder, port=0, **chosen)
    async with cluster(settings, workers=2) as rig:
        address = f"http://127.0.0.1:{rig.port}"
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            opened = [await client.post("/v1/sessions") for _ in range(2)]
            assert [each.status_code for each in opened] == [201, 201]
            yield rig, client, [each.json()["session_id"] for each in opened]


async def said(socket: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            event: dict[str, Any] = json.loads(await socket.recv())
            if event["type"] == kind:
                return event


def follow(rig: Cluster, session: str) -> connect:
    return connect(f"ws://127.0.0.1:{rig.port}/v1/sessions/{session}/events")


async def test_a_place_at_any_worker_is_for_who_is_first(tmp_path: Path) -> None:
    async with full(tmp_path) as (rig, client, opened):
        waiting = [await client.post("/v1/sessions", json={"voice": "buzz"}) for _ in range(2)]
        assert [each.status_code for each in waiting] == [202, 202]
        assert [each.json()["position"] for each in waiting] == [1, 2]
        first, second = (each.json()["session_id"] for each in waiting)
        assert (await client.get("/v1/capacity")).json()["waiting"] == 2
        for hasty in ("/start", "/api/offer"):  # they cannot wait, and do not pass the others
            refused = await client.post(hasty, json={"sdp": "v=0", "type": "offer"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "capacity")
            assert int(refused.headers["retry-after"]) > 0
        async with follow(rig, first) as one, follow(rig, second) as two:
            assert (await said(one, "session.queued"))["position"] == 1
            assert (await said(two, "session.queued"))["position"] == 2
            left = rig.of(opened[1])
            await client.delete(f"/v1/sessions/{opened[1]}")
            assert (await said(one, "session.ready"))["voice"] == "buzz"
            assert rig.of(first) is left
            assert (await said(two, "session.queued"))["position"] == 1
            await one.send('{"type":"speak","text":"Now."}')
            await said(one, "agent.speak_started")
            other = rig.of(opened[0])
            await client.delete(f"/v1/sessions/{opened[0]}")
            await said(two, "session.ready")
            assert rig.of(second) is other


async def test_who_asks_without_a_socket_is_let_in_too_and_who_leaves_is_told(
    tmp_path: Path,
) -> None:
    async with full(tmp_path, queue_length=2) as (rig, client, opened):
        gone, polls = [(await client.post("/v1/sessions")).json() for _ in range(2)]
        refused = await client.post("/v1/sessions")
        assert refused.status_code == 503
        assert refused.json()["error"]["message"].startswith("All sessions are in use, and 2 wait")
        assert int(refused.headers["retry-after"]) > 0
        path = f"/v1/sessions/{polls['session_id']}"
        assert (await client.get(path)).json()["position"] == 2
        back = await client.post(f"{path}/resume", json={"token": polls["token"]})
        assert (back.status_code, back.json()["position"]) == (202, 2)
        wrong = await client.post(f"{path}/resume", json={"token": gone["token"]})
        assert wrong.status_code == 403
        async with follow(rig, gone["session_id"]) as socket:
            await client.delete(f"/v1/sessions/{gone['session_id']}")
            assert (await said(socket, "session.closed"))["reason"] == "client"
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        await client.delete(f"/v1/sessions/{opened[0]}")
        async with asyncio.timeout(20):
            while (await client.get(path)).json().get("state") == "queued":  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert (await client.get(path)).json()["state"] == "idle"
        bad = await client.post("/v1/sessions", json={"portrait": "nobody"})
        assert bad.status_code == 404  # at once, and not when its turn comes


async def test_a_tenants_quota_holds_over_all_workers(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    own, shared_a, shared_b = (keys.add(name) for name in ("own", "web", "app"))
    quotas = tmp_path / "quotas.toml"
    quotas.write_text("[default]\nsessions = 2\n\n[acme]\nkeys = ['web', 'app']\nsessions = 3\n")
    settings = Settings(
        size=256, max_sessions=3, cache_dir=tmp_path, port=0,
        keys_file=keys.path, require_key=True, quotas=quotas, deny_list=tmp_path / "none.json",
    )  # fmt: skip
    async with cluster(settings, workers=2) as rig:
        address = f"http://127.0.0.1:{rig.port}"
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:

            async def ask(key: str) -> httpx.Response:
                bearer = {"Authorization": f"Bearer {key}"}
                return await client.post("/v1/sessions", headers=bearer)

            answers = await asyncio.gather(*(ask(own) for _ in range(4)))
            assert sorted(each.status_code for each in answers) == [201, 201, 429, 429]
            refusal = next(each for each in answers if each.status_code == 429)
            assert refusal.json()["error"] == {
                "code": "quota_exceeded",
                "message": "Key 'own' has 2 sessions, of at most 2 at once: end one first.",
            }
            mixed = [await ask(key) for key in (shared_a, shared_b, shared_a, shared_b)]
            assert [each.status_code for each in mixed] == [201, 201, 201, 429]
            assert "Tenant 'acme' has 3 sessions" in mixed[3].json()["error"]["message"]
            ended = next(each for each in answers if each.status_code == 201).json()
            bearer = {"Authorization": f"Bearer {own}"}
            await client.delete(f"/v1/sessions/{ended['session_id']}", headers=bearer)
            async with asyncio.timeout(10):
                while (await ask(own)).status_code != 201:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
