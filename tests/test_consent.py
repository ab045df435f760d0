"""Uploads: by what right, whose they are, how long they stay, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from server.access.keys import KeyFile
from server.app import Server
from server.clock import Clock
from server.config import Settings
from server.consent.records import FORMER_NAME, utc_now
from server.consent.rights import RIGHTS
from server.inference import AvatarPort
from tests.live_fakes import fake_parts
from tests.virtual_time import VirtualClock, settle

PICTURE = b"a picture of Ann, as her camera wrote it"
DIGEST = hashlib.sha256(PICTURE).hexdigest()
FILE = {"image": ("ann.png", PICTURE)}
SECOND = 1_000_000_000
OWN = {"rights": "own-picture"}


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    clock: Clock | None = None,
    **chosen: Any,  # noqa: ANN401 - settings
) -> AsyncIterator[httpx.AsyncClient]:
    """Yields a client of a server whose fits leave a file beside the pictures, as real ones do."""
    settings = Settings(
        size=256, max_sessions=3, cache_dir=folder, deny_list=folder / "none.json", **chosen
    )
    parts = fake_parts(settings)
    fits = folder / "portraits"

    def fit(path: Path) -> tuple[AvatarPort, tuple[str, ...]]:
        made = parts.make_avatar(path)
        fits.mkdir(exist_ok=True)
        (fits / f"{path.name}.fit").write_bytes(b"made of " + path.read_bytes())
        return made

    def forget(path: Path) -> None:
        (fits / f"{path.name}.fit").unlink(missing_ok=True)

    server = Server(settings, replace(parts, make_avatar=fit, forget=forget), clock=clock)
    async with (
        server.app.router.lifespan_context(server.app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(server.app), base_url="http://server"
        ) as client,
    ):
        await settle()
        client.worker = server.house.portraits.worker  # type: ignore[attr-defined]
        yield client


async def pass_time(client: httpx.AsyncClient, clock: VirtualClock, seconds: int) -> None:
    """Lets so much time pass, and all be done meanwhile that threads have to do."""
    loop = asyncio.get_running_loop()
    end = clock.now() + seconds * SECOND
    while clock.now() < end:
        await clock.run_until(min(end, clock.now() + 5 * SECOND))
        for _ in range(6):
            await loop.run_in_executor(client.worker, int)  # type: ignore[attr-defined]
            await settle()


@asynccontextmanager
async def shared(
    folder: Path,
    **chosen: Any,  # noqa: ANN401 - settings
) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, str], dict[str, str]]]:
    """Yields a client of a server that takes keys, and the headers of two of them."""
    keys = KeyFile(folder / "keys.json")
    alice, bob = ({"Authorization": f"Bearer {keys.add(name)}"} for name in ("alice", "bob"))
    async with serving(folder, require_key=True, keys_file=keys.path, **chosen) as client:
        yield client, alice, bob


def traces(folder: Path, *marks: bytes) -> list[str]:
    """Returns the files under a folder that hold one of the marks, or are named by it."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
        and any(mark in path.read_bytes() or mark in bytes(path) for mark in marks)
    )


def error_of(answer: httpx.Response) -> tuple[int, str]:
    error = answer.json()["error"]
    assert error["message"].endswith(".")
    assert ". " not in error["message"], "one sentence"
    return answer.status_code, error["code"]


async def test_a_picture_without_a_statement_is_refused_where_strangers_come(
    tmp_path: Path,
) -> None:
    async with shared(tmp_path) as (client, alice, _):
        bare = await client.post("/v1/portraits", files=FILE, headers=alice)
        assert error_of(bare) == (422, "rights_missing")
        assert all(right in bare.json()["error"]["message"] for right in RIGHTS)
        for wrong in ("mine", "not-stated", "own-picture,public-domain"):
            data = {"rights": wrong}
            answer = await client.post("/v1/portraits", files=FILE, data=data, headers=alice)
            assert error_of(answer) == (400, "bad_request")
            assert wrong in answer.json()["error"]["message"]
        for note in ("two\nlines", "x" * 301):
            answer = await client.post(
                "/v1/portraits", files=FILE, data=OWN | {"rights_note": note}, headers=alice
            )
            assert error_of(answer) == (400, "bad_request")
        assert len((await client.get("/v1/portraits", headers=alice)).json()) == 1
        assert traces(tmp_path, PICTURE) == []
        for right in RIGHTS:
            answer = await client.post(
                "/v1/portraits", files=FILE, data={"rights": right}, headers=alice
            )
            assert answer.status_code == 201
            assert answer.json()["notices"] == []


async def test_on_loopback_it_is_taken_and_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        answer = await client.post("/v1/portraits", files=FILE)
        assert answer.status_code == 201
        (notice,) = answer.json()["notices"]
        assert "rights" in notice
        path = f"/v1/portraits/{answer.json()['id']}/rights"
        assert (await client.get(path)).json()["rights"] == "not-stated"
        stated = await client.post("/v1/portraits", files=FILE, data=OWN)
        assert stated.json()["notices"] == []
        assert (await client.get(path)).json()["rights"] == "own-picture"
        await client.post("/v1/portraits", files=FILE)
        assert (await client.get(path)).json()["rights"] == "own-picture", "it is not taken back"


@pytest.mark.parametrize(("consent", "status"), [("required", 422), ("asked", 201)])
async def test_the_operator_may_decide_otherwise(tmp_path: Path, consent: str, status: int) -> None:
    async with serving(tmp_path, consent=consent) as client:
        assert (await client.post("/v1/portraits", files=FILE)).status_code == status
    async with shared(tmp_path, consent=consent) as (client, alice, _):
        answer = await client.post("/v1/portraits", files=FILE, headers=alice)
        assert answer.status_code == status


async def test_who_said_what_of_which_picture_and_when_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    data = OWN | {"rights_note": "taken at home", "keep": "true"}
    async with shared(tmp_path, audit_log=log) as (client, alice, _):
        before = utc_now().replace(microsecond=0)
        added = await client.post("/v1/portraits", files=FILE, data=data, headers=alice)
        portrait = added.json()["id"]
        told = (await client.get(f"/v1/portraits/{portrait}/rights", headers=alice)).json()
    when = told.pop("when")
    assert before.isoformat() <= when <= utc_now().isoformat()
    assert told == {
        "portrait": portrait,
        "picture_sha256": DIGEST,
        "portrait_sha256": DIGEST,
        "rights": "own-picture",
        "note": "taken at home",
        "who": "alice",
        "session": None,
        "address": None,
        "kept": True,
        "films": [],
    }
    (line,) = [json.loads(each) for each in log.read_text().splitlines()]
    assert (line["deed"], line["who"], line["portrait"]) == ("portrait.added", "alice", portrait)
    assert (line["portrait_sha256"], line["rights"]) == (DIGEST, "own-picture")
    async with serving(tmp_path) as client:  # whoever sits at the machine
        again = (await client.get(f"/v1/portraits/{portrait}/rights")).json()
    assert again == {**told, "when": when}, "after a restart, too"


async def test_the_address_is_kept_where_the_operator_wants_it(tmp_path: Path) -> None:
    async with serving(tmp_path, consent_address=True) as client:
        added = await client.post("/v1/portraits", files=FILE, data=OWN)
        told = (await client.get(f"/v1/portraits/{added.json()['id']}/rights")).json()
    assert told["address"] == "127.0.0.1"


async def test_uploads_are_for_their_own_key(tmp_path: Path) -> None:
    async with shared(tmp_path) as (client, alice, bob):
        added = await client.post("/v1/portraits", files=FILE, data=OWN, headers=alice)
        portrait = added.json()["id"]
        path = f"/v1/portraits/{portrait}"
        listed = (await client.get("/v1/portraits", headers=bob)).json()
        assert [each["id"] for each in listed] == ["mona_lisa"]
        none = f"/v1/portraits/upload-{'0' * 16}"
        for method, tail, body in (
            ("GET", "/rights", None), ("GET", "/image", None), ("DELETE", "", None),
            ("PATCH", "", {"name": "Bob's"}),
        ):  # fmt: skip
            foreign = await client.request(method, path + tail, json=body, headers=bob)
            missing = await client.request(method, none + tail, json=body, headers=bob)
            assert error_of(foreign) == error_of(missing) == (404, "not_found"), (method, tail)
        opened = await client.post("/v1/sessions", json={"portrait": portrait}, headers=bob)
        assert error_of(opened) == (404, "not_found")
        same = await client.post("/v1/portraits", files=FILE, data=OWN, headers=bob)
        assert same.json()["id"] != portrait, "the same picture of two keys is two portraits"
        await client.delete(f"/v1/portraits/{same.json()['id']}", headers=bob)
        assert (await client.get(f"{path}/image", headers=alice)).status_code == 200
        mine = await client.post("/v1/sessions", json={"portrait": portrait}, headers=alice)
        assert mine.status_code == 201
        assert (await client.get("/v1/portraits/mona_lisa/rights", headers=bob)).status_code == 403


async def test_of_a_deleted_portrait_nothing_is_left_but_that_it_was(tmp_path: Path) -> None:
    data = OWN | {"rights_note": "by Ann's sister", "keep": "true", "name": "Ann"}
    async with serving(tmp_path) as client:
        added = await client.post("/v1/portraits", files=FILE, data=data)
        portrait = added.json()["id"]
        path = f"/v1/portraits/{portrait}"
        drawn = (await client.get(f"{path}/image")).content
        opened = await client.post("/v1/sessions", json={"portrait": portrait})
        assert opened.status_code == 201
        marks = (PICTURE, DIGEST[:16].encode(), drawn, b"sister", portrait.encode())
        assert len(traces(tmp_path, *marks)) >= 5, "picture, fit, drawing, name, record, ledger"
        assert (await client.delete(path)).status_code == 204
        assert traces(tmp_path, *marks) == [f"rights/{FORMER_NAME}"]
        (left,) = (tmp_path / "rights" / FORMER_NAME).read_text().splitlines()
        told = json.loads(left)
        assert (told["picture_sha256"], told["rights"], told["who"], told["reason"]) == (
            DIGEST, "own-picture", "local", "deleted",
        )  # fmt: skip
        assert (told["note"], told["films"]) == ("", [])
        ledger = (tmp_path / "marks" / "ledger.jsonl").read_text()
        assert json.loads(ledger)["portrait"] == "deleted"
        assert (await client.get(f"{path}/rights")).status_code == 404
        session = f"/v1/sessions/{opened.json()['session_id']}"
        assert (await client.get(session)).status_code == 200, "its session finishes"
        refused = await client.post(f"{session}/recordings")
        assert error_of(refused) == (403, "forbidden")
        assert not list((tmp_path / "recordings").glob("*"))


async def test_sessions_end_with_a_portrait_where_that_is_wanted(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        portrait = (await client.post("/v1/portraits", files=FILE)).json()["id"]
        shown = (await client.post("/v1/sessions", json={"portrait": portrait})).json()
        other = (await client.post("/v1/sessions")).json()
        wrong = await client.delete(f"/v1/portraits/{portrait}?sessions=maybe")
        assert error_of(wrong) == (400, "bad_request")
        await client.delete(f"/v1/portraits/{portrait}?sessions=end")
        await settle()
        assert (await client.get(f"/v1/sessions/{shown['session_id']}")).status_code == 404
        assert (await client.get(f"/v1/sessions/{other['session_id']}")).status_code == 200


async def test_a_statement_may_go_with_its_picture(tmp_path: Path) -> None:
    async with serving(tmp_path, consent_keep=0.0) as client:
        portrait = (await client.post("/v1/portraits", files=FILE, data=OWN)).json()["id"]
        await client.delete(f"/v1/portraits/{portrait}")
        assert traces(tmp_path, PICTURE, DIGEST[:16].encode(), portrait.encode()) == []


async def test_an_upload_goes_after_its_session_unless_it_is_to_be_kept(tmp_path: Path) -> None:
    clock = VirtualClock()
    log = tmp_path / "audit.jsonl"
    async with serving(tmp_path, clock=clock, idle_timeout=3_600.0, audit_log=log) as client:
        added = await client.post("/v1/portraits", files=FILE, data=OWN)
        assert added.json()["kept"] is False
        portrait = added.json()["id"]
        kept = await client.post(
            "/v1/portraits", files={"image": ("bo.png", b"Bo")}, data=OWN | {"keep": "true"}
        )
        assert kept.json()["kept"] is True
        session = (await client.post("/v1/sessions", json={"portrait": portrait})).json()
        await pass_time(client, clock, 1_000)
        assert (await client.get(f"/v1/portraits/{portrait}/rights")).status_code == 200
        await client.delete(f"/v1/sessions/{session['session_id']}")
        await settle()
        await pass_time(client, clock, 285)
        assert (await client.get(f"/v1/portraits/{portrait}/rights")).status_code == 200
        await pass_time(client, clock, 40)
        assert traces(tmp_path / "uploads", PICTURE) == []
        listed = (await client.get("/v1/portraits")).json()
        assert [each["id"] for each in listed] == ["mona_lisa", kept.json()["id"]]
        assert traces(tmp_path / "portraits", PICTURE) == []
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    (expired,) = [line for line in lines if line["deed"] == "portrait.expired"]
    assert (expired["portrait"], expired["reason"]) == (portrait, "session ended")


async def test_an_upload_stays_as_long_as_the_session_that_it_is_for(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with serving(tmp_path, clock=clock, idle_timeout=3_600.0) as client:
        session = (await client.post("/v1/sessions")).json()["session_id"]
        added = await client.post("/v1/portraits", files=FILE, data=OWN | {"session": session})
        path = f"/v1/portraits/{added.json()['id']}/rights"
        await pass_time(client, clock, 2_000)
        assert (await client.get(path)).json()["session"] == session
        unknown = await client.post(
            "/v1/portraits", files={"image": ("bo.png", b"Bo")}, data=OWN | {"session": "x" * 999}
        )
        told = await client.get(f"/v1/portraits/{unknown.json()['id']}/rights")
        assert told.json()["session"] is None


async def test_an_upload_waits_in_line_with_who_wants_it(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with serving(tmp_path, clock=clock, idle_timeout=3_600.0) as client:
        for _ in range(3):
            assert (await client.post("/v1/sessions")).status_code == 201
        portrait = (await client.post("/v1/portraits", files=FILE, data=OWN)).json()["id"]
        waiting = await client.post("/v1/sessions", json={"portrait": portrait})
        assert waiting.status_code == 202
        for _ in range(70):
            await pass_time(client, clock, 5)
            await client.get(f"/v1/sessions/{waiting.json()['session_id']}")
        assert (await client.get(f"/v1/portraits/{portrait}/rights")).status_code == 200


async def test_a_server_that_starts_deletes_what_was_not_to_be_kept(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await client.post("/v1/portraits", files=FILE, data=OWN)
        kept = await client.post(
            "/v1/portraits", files={"image": ("bo.png", b"Bo")}, data=OWN | {"keep": "true"}
        )
    (tmp_path / "uploads" / "rest-upload-0123456789abcdef-256.jpg").write_bytes(b"stray")
    async with serving(tmp_path) as client:
        listed = (await client.get("/v1/portraits")).json()
        assert [each["id"] for each in listed] == ["mona_lisa", kept.json()["id"]]
        assert traces(tmp_path, PICTURE, b"stray") == []


async def test_a_background_goes_after_its_sessions_unless_it_is_to_be_kept(
    tmp_path: Path,
) -> None:
    clock = VirtualClock()
    folder = tmp_path / "backgrounds"
    async with serving(tmp_path, clock=clock, idle_timeout=3_600.0, portrait_wait=60.0) as client:
        names = []
        for shade in (10, 20, 30):
            data = io.BytesIO()
            Image.new("RGB", (64, 64), (shade, 0, 0)).save(data, "PNG")
            answer = await client.post(
                "/v1/backgrounds",
                files={"image": ("wall.png", data.getvalue())},
                data={"keep": str(shade == 30)},
            )
            names.append(answer.json()["id"])
            long_ago = utc_now().timestamp() - 59
            os.utime(folder / names[-1], (long_ago, long_ago))
        shown, unused, kept = names
        await client.post("/v1/sessions", json={"background": shown})
        await pass_time(client, clock, 12)
        assert (folder / unused).is_file()
        too_long_ago = utc_now().timestamp() - 61
        for name in names:
            os.utime(folder / name, (too_long_ago, too_long_ago))
        await pass_time(client, clock, 12)
        left = {path.name for path in folder.glob("image-*")}
        assert left == {shown, kept}
    async with serving(tmp_path):
        assert {path.name for path in folder.glob("image-*")} == {kept}


async def test_a_second_server_in_the_folder_leaves_what_the_first_took_in(
    tmp_path: Path,
) -> None:
    clock = VirtualClock()
    async with serving(tmp_path) as first:
        portrait = (await first.post("/v1/portraits", files=FILE, data=OWN)).json()["id"]
        async with serving(tmp_path, clock=clock) as second:
            await pass_time(second, clock, 1_000)
            shown = await first.get(f"/v1/portraits/{portrait}/rights")
            assert shown.status_code == 200
            await first.delete(f"/v1/portraits/{portrait}")
            await pass_time(second, clock, 20)
            listed = (await second.get("/v1/portraits")).json()
            assert [each["id"] for each in listed] == ["mona_lisa"]
    assert len((tmp_path / "rights" / FORMER_NAME).read_text().splitlines()) == 1
    async with serving(tmp_path) as first:
        await first.post("/v1/portraits", files=FILE, data=OWN)
    async with serving(tmp_path):
        assert traces(tmp_path, PICTURE) == [], "the next one alone clears up"


@pytest.mark.parametrize(("keeping", "keep", "kept"), [("always", "", True), ("never", "1", False)])
async def test_the_operator_may_keep_all_or_none(
    tmp_path: Path, keeping: str, keep: str, kept: bool
) -> None:
    data = {"keep": keep} if keep else {}
    async with serving(tmp_path, keep_portraits=keeping) as client:
        added = await client.post("/v1/portraits", files=FILE, data=data)
        assert added.json()["kept"] is kept
    async with serving(tmp_path) as client:
        assert len((await client.get("/v1/portraits")).json()) == 1 + kept


async def test_kept_portraits_grow_old_and_so_does_what_is_left_of_them(tmp_path: Path) -> None:
    async with serving(tmp_path) as client:
        await client.post("/v1/portraits", files=FILE, data=OWN | {"keep": "true"})
    (record,) = (tmp_path / "rights").glob("upload-*.json")

    def age(path: Path, name: str, days: float) -> None:
        values = json.loads(path.read_text())
        values[name] = (utc_now() - timedelta(days=days)).isoformat(timespec="seconds")
        path.write_text(json.dumps(values) + "\n")

    age(record, "when", 29.9)
    async with serving(tmp_path) as client:
        assert len((await client.get("/v1/portraits")).json()) == 2
    age(record, "when", 30.1)
    async with serving(tmp_path, portrait_keep=0.0) as client:
        assert len((await client.get("/v1/portraits")).json()) == 2, "never deleted"
    async with serving(tmp_path) as client:
        assert len((await client.get("/v1/portraits")).json()) == 1
    assert traces(tmp_path, PICTURE) == []
    former = tmp_path / "rights" / FORMER_NAME
    assert json.loads(former.read_text())["reason"] == "kept long enough"
    age(former, "gone", 364)
    async with serving(tmp_path):
        assert former.is_file()
    age(former, "gone", 366)
    async with serving(tmp_path):
        assert not former.exists()


async def test_what_an_operator_deletes_by_hand_is_not_shown_from_memory(tmp_path: Path) -> None:
    clock = VirtualClock()
    async with serving(tmp_path, clock=clock) as client:
        portrait = (await client.post("/v1/portraits", files=FILE)).json()["id"]
        (picture,) = (tmp_path / "uploads").glob(f"{portrait}.*")
        picture.unlink()
        await pass_time(client, clock, 15)
        assert (tmp_path / "rights" / FORMER_NAME).is_file()
        opened = await client.post("/v1/sessions", json={"portrait": portrait})
        assert opened.status_code == 404


async def test_what_an_earlier_version_kept_is_the_operators(tmp_path: Path) -> None:
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / f"upload-{'a' * 16}.ann.png").write_bytes(PICTURE)
    async with shared(tmp_path) as (client, alice, _):
        listed = (await client.get("/v1/portraits", headers=alice)).json()
        assert [each["kept"] for each in listed] == [True, True]
        refused = await client.delete(f"/v1/portraits/{listed[1]['id']}", headers=alice)
        assert error_of(refused) == (404, "not_found")
    async with serving(tmp_path) as client:
        assert (await client.delete(f"/v1/portraits/{listed[1]['id']}")).status_code == 204


async def test_a_damaged_statement_does_not_keep_a_server_from_starting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "rights"
    folder.mkdir()
    for number, text in enumerate(("{", "[]", '{"portrait": "x"}', "")):
        (folder / f"upload-{number}.json").write_text(text)
    (folder / FORMER_NAME).write_text('{"gone": 3}\n{"half')
    async with serving(tmp_path) as client:
        assert len((await client.get("/v1/portraits")).json()) == 1
    assert caplog.text.count("cannot be read") == 4
