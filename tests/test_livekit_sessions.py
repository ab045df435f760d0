"""`POST /v1/livekit/sessions`: what it takes, what it refuses, and what it keeps to itself."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest

from server import fetching
from server.config import Settings
from tests.livekit_cloud import SECRET, URL, Cloud, token, until
from tests.livekit_room import AGENT, AVATAR, ROOM, agent, invited, live, sfu
from tests.test_fetching import found, site
from tests.test_server_live import SIZE, LiveServer, serving

__all__ = ["live", "sfu"]  # fixtures
PATH = "/v1/livekit/sessions"
PICTURE = (Path(__file__).parent.parent / "streaming_model/assets/mona_lisa.jpg").read_bytes()
FORM = {"livekit_url": URL, "room_name": ROOM}


def form(**more: str) -> dict[str, str]:
    """Returns what bitHuman's plugin sends to a worker of one's own."""
    visa = token(AVATAR, ROOM, kind="agent", lk__publish_on_behalf=AGENT)
    return {**FORM, "livekit_token": visa, **more}


async def refused(answer: httpx.Response, status: int, code: str, *words: str) -> None:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    for word in words:
        assert word in error["message"]


async def shown(live: LiveServer, answer: httpx.Response) -> str:
    """Returns the portrait of the session that was opened."""
    assert answer.status_code in (201, 202), answer.text
    described = await live.client.get(f"/v1/sessions/{answer.json()['session_id']}")
    return str(described.json()["portrait"])


async def test_the_form_of_bithumans_plugin_is_taken(live: LiveServer, sfu: Cloud) -> None:
    headers = {"Authorization": "Bearer whatever-bithuman-calls-secret"}
    files = {"avatar_image": ("avatar.jpg", PICTURE, "image/jpeg")}
    given = form(model="expression-2")
    answer = await live.client.post(PATH, data=given, files=files, headers=headers, timeout=60)
    assert (await shown(live, answer)).startswith("upload-")
    assert sfu.member(AVATAR) is not None
    # Its `?async=true` becomes a field; nothing is waited for then.
    answer = await live.client.post(PATH, data=form(async_mode="true"), files=files, timeout=60)
    assert answer.status_code == 202
    await until(lambda: len(live.server.house.sessions) == 1)  # the second took the first's place


async def test_a_portrait_is_chosen_by_its_id_or_brought_along(
    live: LiveServer, sfu: Cloud
) -> None:
    del sfu
    usual = live.server.house.portraits.default
    for wanted in ({}, {"avatar_id": usual}, {"agent_id": usual}, {"avatar_id": ""}):
        answer = await live.client.post(PATH, json=form(**wanted), timeout=60)
        assert await shown(live, answer) == usual
    packed = base64.b64encode(PICTURE).decode()
    for wanted in ({"avatar_image": packed}, {"image": f"data:image/jpeg;base64,{packed}"}):
        answer = await live.client.post(PATH, json=form(**wanted), timeout=60)
        assert (await shown(live, answer)).startswith("upload-")


async def test_a_picture_comes_with_the_right_to_use_it(tmp_path: Path, sfu: Cloud) -> None:
    settings = Settings(size=256, cache_dir=tmp_path, port=0, consent="required")
    async with serving(settings) as live:
        packed = base64.b64encode(PICTURE).decode()
        bare = await live.client.post(PATH, json=form(avatar_image=packed), timeout=60)
        await refused(bare, 422, "rights_missing", "'rights' is one of")
        said = form(avatar_image=packed, rights="public-domain", rights_note="Leonardo")
        answer = await live.client.post(PATH, json=said, timeout=60)
        assert answer.status_code == 201, answer.text
        told = (await live.client.get(f"/v1/sessions/{answer.json()['session_id']}")).json()
        rights = (await live.client.get(f"/v1/portraits/{told['portrait']}/rights")).json()
        assert (rights["rights"], rights["note"]) == ("public-domain", "Leonardo")


async def test_a_picture_is_fetched_from_the_public_internet_only(
    live: LiveServer, sfu: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site(found(PICTURE)) as there:
        url = f"http://127.0.0.1:{there.port}/me.jpg"
        answer = await live.client.post(PATH, json=form(avatar_image_url=url), timeout=60)
        await refused(answer, 403, "forbidden", "'127.0.0.1' is not on the public internet")
        assert there.requests == []
        assert sfu.member(AVATAR) is None
        assert len(live.server.house.sessions) == 0

        async def resolve(host: str, port: int) -> list[fetching.Address]:
            return [ip_address("127.0.0.1")]

        def make(*, most: int, seconds: float) -> fetching.Fetcher:
            return fetching.Fetcher(
                most=most, seconds=seconds, may_reach=lambda _: True, resolve=resolve
            )

        monkeypatch.setattr("server.livekit.routes.Fetcher", make)
        url = f"http://pictures.example:{there.port}/me.jpg"
        answer = await live.client.post(PATH, data=form(avatar_image_url=url), timeout=60)
        assert (await shown(live, answer)).startswith("upload-")


async def test_what_cannot_be_shown_is_refused(live: LiveServer, sfu: Cloud) -> None:
    async def posted(**wanted: str) -> httpx.Response:
        return await live.client.post(PATH, json=form(**wanted), timeout=60)

    await refused(await posted(avatar_id="nobody"), 404, "not_found", "'nobody'")
    for damaged in ("!", "6\x86"):  # the latter was found by schemathesis, and answered with 500
        await refused(await posted(avatar_image=damaged), 400, "bad_request", "Base64")
    noise = base64.b64encode(b"no picture").decode()
    files = {"avatar_image": ("noface.jpg", PICTURE, "image/jpeg")}
    faceless = await live.client.post(PATH, data=form(), files=files, timeout=60)
    await refused(faceless, 422, "no_face")
    both = await posted(avatar_id="mona_lisa", avatar_image=noise)
    await refused(both, 400, "bad_request", "One of avatar_id, avatar_image")
    await refused(await posted(avatar_image_url="ftp://x/"), 400, "bad_request", "https://")
    await refused(await posted(background="nowhere"), 422, "unknown_background")
    assert sfu.member(AVATAR) is None
    assert len(live.server.house.sessions) == 0


def test_serving_does_not_import_livekit() -> None:
    code = "import sys, server.app; print([m for m in sys.modules if m.split('.')[0] == 'livekit'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (b"{", "application/json", 400, "the body"),
        (b"{}", "application/json", 400, "livekit_url"),
        (b"a=b", "application/x-www-form-urlencoded", 400, "livekit_url"),
        (b"a", "text/plain", 415, "JSON or a form, not 'text/plain'"),
        (b"--x--\r\n", "multipart/form-data; boundary=x", 400, "livekit_url"),
    ],
)
async def test_a_body_that_says_too_little_is_refused(
    live: LiveServer, body: bytes, kind: str, status: int, words: str
) -> None:
    answer = await live.client.post(PATH, content=body, headers={"Content-Type": kind})
    await refused(answer, status, "wrong_type" if status == 415 else "bad_request", words)


@pytest.mark.parametrize("url", ["ftp://livekit.test", "livekit.test:7880", "wss://", "wss://[x"])
async def test_what_is_no_livekit_server_is_refused(live: LiveServer, url: str) -> None:
    answer = await live.client.post(PATH, json=form() | {"livekit_url": url})
    await refused(answer, 400, "bad_request", "wss:// or ws://")


async def test_only_hosts_of_the_settings_are_gone_to(tmp_path: Path, sfu: Cloud) -> None:
    del sfu
    settings = Settings(
        size=SIZE, cache_dir=tmp_path, port=0, push_hosts=("*.example.org", "livekit.test")
    )
    async with serving(settings) as live:
        elsewhere = form() | {"livekit_url": "ws://livekit.elsewhere"}
        answer = await live.client.post(PATH, json=elsewhere)
        await refused(answer, 403, "forbidden", "'livekit.elsewhere'")
        await invited(live)


async def test_a_server_that_refuses_is_told_of_without_the_token(
    live: LiveServer, sfu: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = form()
    wrong["livekit_token"] += "x"
    answer = await live.client.post(PATH, json=wrong, timeout=60)
    await refused(answer, 502, "livekit_refused", "ws://livekit.test:7880", "Signature")
    assert wrong["livekit_token"] not in answer.text + caplog.text
    assert wrong["livekit_token"].split(".")[1] not in answer.text + caplog.text
    await until(lambda: len(live.server.house.sessions) == 0)
    assert sfu.members == {}


async def test_the_real_library_finds_nobody_and_keeps_the_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the LiveKit in memory: nobody listens on that port."""
    caplog.set_level(logging.DEBUG)
    async with serving(Settings(size=SIZE, cache_dir=tmp_path, port=0)) as live:
        nowhere = form() | {"livekit_url": "ws://user:word@127.0.0.1:9/?key=s3cret"}
        answer = await live.client.post(PATH, json=nowhere, timeout=60)
        await refused(answer, 502, "livekit_refused", "ws://127.0.0.1:9", "refused")
        for secret in (nowhere["livekit_token"].split(".")[1], "s3cret", "user:word"):
            assert secret not in answer.text
        assert nowhere["livekit_token"].split(".")[1] not in caplog.text


async def test_a_token_for_another_room_is_told(live: LiveServer, sfu: Cloud) -> None:
    answer = await live.client.post(PATH, json=form(room_name="attic"), timeout=60)
    await refused(answer, 400, "bad_request", "'studio'", "'attic'")
    await until(lambda: len(live.server.house.sessions) == 0)
    assert sfu.members == {}


async def test_a_server_that_does_not_answer_is_not_waited_for_for_ever(
    live: LiveServer, sfu: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.livekit.visit._JOIN", 0.3)
    sfu.keeps_waiting = True
    answer = await live.client.post(PATH, json=form(), timeout=60)
    await refused(answer, 502, "livekit_refused", "does not answer")
    await until(lambda: len(live.server.house.sessions) == 0)


async def test_a_session_that_ends_on_its_way_in_is_told_of(live: LiveServer, sfu: Cloud) -> None:
    async def fail(closing: asyncio.Event) -> None:
        raise RuntimeError("the stage is on fire")

    sfu.keeps_waiting = True
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(live.client.post(PATH, json=form(), timeout=60))
        await until(lambda: len(live.server.house.sessions) == 1)
        (session,) = live.server.house.sessions._sessions.values()
        await session.accompany(fail)
    await refused(asked.result(), 404, "not_found", "ended meanwhile")


async def test_a_full_server_says_when_to_come_again(tmp_path: Path, sfu: Cloud) -> None:
    del sfu
    async with serving(Settings(size=SIZE, cache_dir=tmp_path, port=0, max_sessions=1)) as live:
        opened = await invited(live)
        answer = await live.client.post(PATH, json=form())
        await refused(answer, 503, "capacity")
        assert int(answer.headers["Retry-After"]) > 0
        await live.client.delete(f"{PATH}/{opened['session_id']}")
        await until(lambda: len(live.server.house.sessions) == 0)
        await refused(await live.client.delete(f"{PATH}/{opened['session_id']}"), 404, "not_found")


async def test_without_the_extra_one_sentence_tells_what_to_install(
    live: LiveServer, sfu: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("server.livekit.")]:
        if name != "server.livekit.routes":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "livekit", None)
    answer = await live.client.post(PATH, json=form())
    await refused(answer, 501, "not_installed", "pip install 'vivant[livekit]'")
    assert sfu.members == {}
    assert len(live.server.house.sessions) == 0


async def test_no_secret_is_told_to_the_room_or_by_the_api(
    live: LiveServer, sfu: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with agent() as speaker:
        opened = await invited(live)
        await speaker.say(0.2)
        await speaker.end()
        member = sfu.member(AVATAR)
        assert member is not None
        visa = form()["livekit_token"].split(".")[1]
        told = [member.claims.get("attributes"), member.claims.get("metadata"), opened]
        told.append((await live.client.get(f"/v1/sessions/{opened['session_id']}")).json())
        assert member.claims["attributes"] == {"lk.publish_on_behalf": AGENT}
        assert sfu.attributes == []  # it sets none of its own
        assert visa not in json.dumps(told) + caplog.text
        assert SECRET not in json.dumps(told) + caplog.text


async def test_the_call_is_described(live: LiveServer) -> None:
    described: dict[str, Any] = (await live.client.get("/openapi.json")).json()
    bodies = described["paths"][PATH]["post"]["requestBody"]["content"]
    assert set(bodies) == {
        "application/json",
        "multipart/form-data",
        "application/x-www-form-urlencoded",
    }
    fields = bodies["application/json"]["schema"]["properties"]
    assert {"livekit_url", "livekit_token", "room_name", "avatar_id"} <= set(fields)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is in these rooms: they are not waited for."""
    monkeypatch.setattr("server.livekit.visit._EMPTY", 0.1)
