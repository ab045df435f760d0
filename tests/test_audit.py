"""The audit log: who had which portrait say which text; appended to, rotated, never a word."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from server.access.keys import KeyFile
from server.app import Server
from server.audit import AuditError, AuditLog
from server.config import Settings
from tests.hardening_rig import served, until
from tests.live_fakes import fake_parts
from tests.test_server_app import ROOT
from tests.virtual_time import settle

PICTURE = (ROOT / "streaming_model" / "assets" / "mona_lisa.jpg").read_bytes()
NAMES = ("alice", "bob")
WORDS = "The quick brown fox, and nobody else."


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@asynccontextmanager
async def audited(
    folder: Path, *, asks_for_keys: bool = False
) -> AsyncIterator[tuple[httpx.AsyncClient, Path]]:
    path = folder / "logs" / "audit.jsonl"
    settings = Settings(
        size=256, max_sessions=1, queue_length=1, cache_dir=folder, audit_log=path,
        keys_file=folder / "keys.json", require_key=asks_for_keys,
    )  # fmt: skip
    app = Server(settings, fake_parts(settings)).app
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://server") as client,
    ):
        await settle()
        yield client, path


async def test_who_has_which_portrait_say_which_text(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    alice, bob = ({"Authorization": f"Bearer {keys.add(name, ('control',))}"} for name in NAMES)
    async with audited(tmp_path, asks_for_keys=True) as (client, path):
        opened = await client.post("/v1/sessions", headers=alice)
        session_id = opened.json()["session_id"]
        waiting = (await client.post("/v1/sessions", headers=bob)).json()["session_id"]
        spoken = await client.post(
            f"/v1/sessions/{session_id}/speak", json={"text": WORDS}, headers=bob
        )
        await client.put(
            f"/v1/sessions/{session_id}/script", json={"text": WORDS + " Read."}, headers=alice
        )
        await client.delete(f"/v1/sessions/{session_id}", headers=bob)
        await settle()
        await client.delete(f"/v1/sessions/{waiting}", headers=bob)
        await settle()
        found = lines(path)
    deeds = [(line["deed"], line["who"], line["session"]) for line in found]
    assert deeds[:3] == [
        ("session.opened", "alice", session_id),
        ("text", "bob", session_id),
        ("script", "alice", session_id),
    ]
    # Bob's request ended Alice's session, which let his own in: each is still told as whose it is.
    assert ("session.closed", "alice", session_id) in deeds
    assert ("session.opened", "bob", waiting) in deeds
    assert ("session.closed", "bob", waiting) in deeds
    assert found[0]["portrait_sha256"] == sha256(PICTURE)
    assert found[1]["text_sha256"] == sha256(WORDS.encode())
    assert found[1]["utterance"] == spoken.json()["utterance"]
    assert found[2]["text_sha256"] == sha256((WORDS + " Read.").encode())
    assert all(line["time"].endswith("+00:00") for line in found)
    assert "fox" not in path.read_text()


@pytest.mark.parametrize("is_ended", [True, False], ids=["ended", "broken off"])
async def test_sound_that_is_pushed_is_noted_by_its_hash(tmp_path: Path, is_ended: bool) -> None:
    log, pcm = tmp_path / "audit.jsonl", bytes(range(256)) * 100
    async with served(tmp_path, audit_log=log) as there:
        session = (await there.open())["session_id"]
        async with connect(f"ws://{there.address}/v1/sessions/{session}/events") as events:
            await events.send(json.dumps({"type": "audio.start", "sample_rate": 16_000}))
            for start in range(0, len(pcm), 640):
                await events.send(pcm[start : start + 640])
            if is_ended:
                await events.send(json.dumps({"type": "audio.end"}))
            await events.send(json.dumps({"type": "ping", "t": 1}))
            while json.loads(await events.recv())["type"] != "pong":
                pass
        await until(lambda: lines(log)[-1]["deed"] == "audio.ended")
        (noted,) = [each for each in lines(log) if each["deed"] == "audio.ended"]
    assert noted["audio_sha256"] == sha256(pcm)
    assert (noted["bytes"], noted["session"], noted["utterance"]) == (len(pcm), session, 1)


async def test_portraits_that_come_and_go_are_noted(tmp_path: Path) -> None:
    picture = PICTURE + b"\0"
    async with audited(tmp_path) as (client, path):
        added = await client.post("/v1/portraits", files={"image": ("me.jpg", picture)})
        portrait = added.json()["id"]
        await client.delete(f"/v1/portraits/{portrait}")
        found = lines(path)
    noted = [(line["deed"], line["portrait"], line["portrait_sha256"]) for line in found]
    hashed = sha256(picture)
    assert noted == [
        ("portrait.added", portrait, hashed),
        ("portrait.deleted", portrait, hashed),
    ]


async def test_what_cannot_be_noted_is_not_done(tmp_path: Path) -> None:
    async with audited(tmp_path) as (client, path):
        session_id = (await client.post("/v1/sessions")).json()["session_id"]
        path.unlink()
        path.mkdir()
        refused = await client.post(f"/v1/sessions/{session_id}/speak", json={"text": WORDS})
        assert refused.status_code == 503
        assert refused.json()["error"] == {
            "code": "audit_failed",
            "message": "The audit log cannot be written: Is a directory.",
        }
        state = (await client.get(f"/v1/sessions/{session_id}")).json()
        assert state["utterance"] == 0
        path.rmdir()
        spoken = await client.post(f"/v1/sessions/{session_id}/speak", json={"text": WORDS})
        assert spoken.status_code == 202
        assert [line["deed"] for line in lines(path)] == ["text"]


def test_lines_are_appended_across_starts_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for deed in ("one", "two"):
        audit = AuditLog(path)
        audit.note(deed)
        audit.close()
    assert [line["deed"] for line in lines(path)] == ["one", "two"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_full_file_is_put_aside_and_none_of_it_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = AuditLog(path, largest=1000)
    for number in range(50):
        audit.note("text", number=number)
    files = sorted(tmp_path.iterdir(), key=lambda file: file.stat().st_mtime_ns)
    assert len(files) > 5
    assert all(file.stat().st_size <= 1000 for file in files)
    numbers = sorted(line["number"] for file in files for line in lines(file))
    assert numbers == list(range(50))


def test_old_files_go_after_their_days_and_nothing_else_does(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    old = tmp_path / "audit-20200101T000000Z.jsonl"
    other = tmp_path / "accounts.jsonl"
    for file in (old, other):
        file.write_text("{}\n")
        os.utime(file, (0, 0))
    AuditLog(path, largest=10).note("kept for ever")
    assert old.exists()
    audit = AuditLog(path, largest=10, days=1)
    audit.note("rotates")
    assert not old.exists()
    assert other.exists()


def test_a_file_that_somebody_else_rotates_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = AuditLog(path)
    audit.note("one")
    path.rename(tmp_path / "audit.jsonl.1")
    audit.note("two")
    assert [line["deed"] for line in lines(path)] == ["two"]


def test_a_place_that_cannot_be_written_is_one_sentence_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditError, match=r"file/audit\.jsonl.*cannot be written: File exists\."):
        AuditLog(tmp_path / "file" / "audit.jsonl")
