"""What was made of a deleted portrait goes with it: films, and the real fit of a real picture."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from pathlib import Path

import pytest
from PIL import Image
from skimage.data import astronaut

from server.cli import main
from server.config import Settings
from server.marks.credentials import read_credentials
from server.marks.ledger import DELETED, Entry, Ledger
from server.marks.payload import tag_of
from streaming_model.portrait import forget_other_portraits, make_portrait
from tests.test_consent import OWN, traces
from tests.test_marks_live import filmed
from tests.test_outputs_recording import is_state, record, until
from tests.test_server_live import LiveServer, on_loopback, serving

__all__ = ["on_loopback"]  # a fixture for every test here
MONA_LISA = Path(__file__).parents[1] / "streaming_model" / "assets" / "mona_lisa.jpg"


def films(folder: Path) -> set[str]:
    return {path.name for path in (folder / "recordings").iterdir()}


async def upload(live: LiveServer, content: bytes) -> str:
    files = {"image": ("face.png", content)}
    added = await live.client.post("/v1/portraits", files=files, data=OWN | {"keep": "true"})
    assert added.status_code == 201, added.text
    return str(added.json()["id"])


async def test_recordings_that_show_a_portrait_are_deleted_with_it(tmp_path: Path) -> None:
    async with serving(Settings(size=256, cache_dir=tmp_path, port=0)) as live:
        ann, bob = await upload(live, b"Ann"), await upload(live, b"Bob")
        session = await live.session(portrait=bob)
        of_bob = await filmed(live, session, 0.4, format="webm")
        changing = await live.session()
        async with live.socket(changing) as events:
            of_both = await record(live, changing)
            await until(events, is_state("recording.updated", "recording"))
            patched = await live.client.patch(f"/v1/sessions/{changing}", json={"portrait": ann})
            assert patched.status_code == 200
            told = (await live.client.get(f"/v1/portraits/{ann}/rights")).json()
            assert told["films"] == [of_both["id"]]
            other = await live.session()
            of_mona = await filmed(live, other, 0.4)
            assert {name.partition(".")[0] for name in films(tmp_path)} == {
                of_bob, of_both["id"], of_mona,
            }  # fmt: skip
            assert (await live.client.delete(f"/v1/portraits/{ann}")).status_code == 204
            ended = await until(events, is_state("recording.updated", "closed"))
            assert ended["recording"] == of_both["id"]
        assert {name.partition(".")[0] for name in films(tmp_path)} == {of_bob, of_mona}
        assert (await live.client.delete(f"/v1/portraits/{bob}")).status_code == 204
        left = films(tmp_path)
        assert {name.partition(".")[0] for name in left} == {of_mona}, "also its credentials"


@pytest.mark.model
def test_of_a_real_picture_nothing_is_left(tmp_path: Path) -> None:
    from server.app import Server, real_parts
    from tests.access_rig import call

    data = io.BytesIO()
    Image.fromarray(astronaut()).save(data, "PNG")  # type: ignore[no-untyped-call]
    picture = data.getvalue()
    settings = Settings(size=256, cache_dir=tmp_path, deny_list=tmp_path / "none.json")

    async def run() -> None:
        server = Server(settings, real_parts(settings))
        boundary = b"--x\r\nContent-Disposition: form-data; name="
        body = boundary + b'"image"; filename="e.png"\r\n\r\n' + picture + b"\r\n"
        body += boundary + b'"rights"\r\n\r\nown-picture\r\n--x--\r\n'
        kind = {"content-type": "multipart/form-data; boundary=x"}
        async with server.app.router.lifespan_context(server.app):
            added = await call(server.app, "POST", "/v1/portraits", body=body, headers=kind)
            assert added.status == 201, added.body
            portrait = json.loads(added.body)["id"]
            path = f"/v1/portraits/{portrait}"
            drawn = await call(server.app, "GET", f"{path}/image")
            marks = (picture, drawn.body, hashlib.sha256(picture).hexdigest()[:16].encode())
            assert len(await asyncio.to_thread(traces, tmp_path, *marks)) == 5
            kept = sorted(path.suffix for path in (tmp_path / "portraits").iterdir())
            assert kept == [".json", ".safetensors"], "what was measured, and the fitted rig"
            assert (await call(server.app, "DELETE", path)).status == 204
            assert await asyncio.to_thread(traces, tmp_path, *marks) == ["rights/former.jsonl"]
            assert not list((tmp_path / "portraits").iterdir())

    asyncio.run(run())


@pytest.mark.model
def test_fits_of_other_pictures_are_deleted(tmp_path: Path) -> None:
    make_portrait(MONA_LISA, cache_dir=tmp_path)
    (kept,) = tmp_path.iterdir()
    for name in ("0" * 32 + ".vivant-portrait-6.safetensors", "half.part"):
        (tmp_path / name).write_bytes(b"x")
    forget_other_portraits([MONA_LISA], cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == [kept]
    forget_other_portraits([], cache_dir=tmp_path)
    assert not list(tmp_path.iterdir())
    forget_other_portraits([], cache_dir=tmp_path / "none")


def test_the_ledger_forgets_portraits_and_old_sessions(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.note(Entry("old", "2020-01-01T00:00:00+00:00", "upload-a", "session"))
    ledger.note(Entry("new", "2999-01-01T00:00:00+00:00", "upload-a", "session"))
    ledger.note(Entry("other", "2999-01-01T00:00:00+00:00", "upload-b", "session"))
    ledger.forget("upload-a")
    assert [ledger.find(tag_of(name))[0].portrait for name in ("old", "new", "other")] == [
        DELETED, DELETED, "upload-b",
    ]  # fmt: skip
    assert not traces(tmp_path, b"upload-a")
    ledger.forget_old(365)
    assert ledger.find(tag_of("old")) == []
    assert len(ledger.find(tag_of("new"))) == 1
    assert (tmp_path / "ledger.jsonl").stat().st_mode & 0o077 == 0
    off = Ledger(tmp_path / "off", is_kept=False)
    off.note(Entry("new", "2999-01-01T00:00:00+00:00", "upload-a", "session"))
    off.forget("upload-a")
    assert not (tmp_path / "off").exists()


async def test_a_server_keeps_no_ledger_where_none_is_wanted(tmp_path: Path) -> None:
    async with serving(Settings(size=256, cache_dir=tmp_path, port=0, no_ledger=True)) as live:
        await live.session()
    assert not (tmp_path / "marks" / "ledger.jsonl").exists()


@pytest.mark.model
def test_a_film_says_by_what_right_its_picture_is_used_and_keeps_no_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIVANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    out = tmp_path / "film.mp4"
    motion = tmp_path / "motion.csv"
    assert main(["motion", "--text", "Hello.", "-o", str(motion)]) == 0
    shared = ["render", str(MONA_LISA), "--motion", str(motion), "--size", "256", "-o", str(out)]
    assert main([*shared, "--rights", "public-domain"]) == 0
    credentials = read_credentials(out)
    assert credentials is not None
    assert credentials.rights == "public-domain"
    assert not (tmp_path / "cache" / "portraits").exists()
    capsys.readouterr()
    assert main(["verify", str(out)]) == 0
    assert "public-domain" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*shared, "--rights", "mine"])
