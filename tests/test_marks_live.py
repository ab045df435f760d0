"""A live session's films and pictures carry their marks, and its ledger knows it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.viewer import Received
from server.app import Server
from server.cli import main
from server.config import Settings, SettingsError
from server.marks.badge import Badge
from server.marks.certificates import CertificateError
from server.marks.credentials import CredentialsError, read_credentials
from server.marks.ledger import Ledger
from server.marks.payload import tag_of
from server.marks.verify import read_watermark
from tests.live_fakes import fake_parts
from tests.test_outputs_recording import is_state, record, stop, until
from tests.test_server_live import LiveServer, on_loopback, serving

SIZE = 256
__all__ = ["on_loopback"]  # a fixture for every test here


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveServer]:
    async with serving(Settings(size=SIZE, cache_dir=tmp_path, port=0)) as live:
        yield live


async def filmed(live: LiveServer, session_id: str, seconds: float, **wanted: object) -> str:
    async with live.socket(session_id) as events:
        recording = await record(live, session_id, **wanted)
        await until(events, is_state("recording.updated", "recording"))
        await asyncio.sleep(seconds)
        await stop(live, session_id, recording["id"])
    return str(recording["id"])


@pytest.mark.parametrize("film", ["mp4", "webm"])
async def test_a_recording_says_which_session_it_is_of(
    film: str, live: LiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session_id = await live.session()
    recording = await filmed(live, session_id, 1.2, format=film)
    path = tmp_path / "recordings" / f"{recording}.{film}"
    credentials = read_credentials(path)
    assert credentials is not None
    assert (credentials.state, credentials.tag) == ("valid", tag_of(session_id))
    reading = await asyncio.to_thread(read_watermark, path)
    assert reading is not None
    assert reading.payload.tag == tag_of(session_id)
    (entry,) = Ledger(tmp_path / "marks").find(tag_of(session_id))
    assert (entry.session, entry.portrait, entry.kind) == (session_id, "mona_lisa", "session")
    assert main(["verify", str(path), "--ledger", str(tmp_path / "marks"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sessions"][0]["session"] == session_id

    beside = await live.client.get(f"/v1/recordings/{recording}/credentials")
    assert beside.status_code == (200 if film == "webm" else 404)
    if film == "webm":
        assert beside.headers["content-type"] == "application/c2pa"
        assert beside.content == path.with_suffix(".c2pa").read_bytes()
    assert (await live.client.delete(f"/v1/recordings/{recording}")).status_code == 204
    assert list((tmp_path / "recordings").iterdir()) == []


async def test_a_disk_too_full_to_sign_leaves_the_film_whole(
    live: LiveServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(path: Path, *_: object) -> None:
        raise CredentialsError(f"'{path.name}' gets no content credentials: the disk is full.")

    monkeypatch.setattr("server.marks.seal.sign_apart", refuse)
    recording = await filmed(live, await live.session(), 0.2)
    path = tmp_path / "recordings" / f"{recording}.mp4"
    with av.open(str(path)) as film:
        assert next(film.decode(video=0)).width == SIZE
    assert read_credentials(path) is None
    assert "gets no content credentials: the disk is full" in caplog.text


async def test_viewers_see_the_badge_before_every_background(live: LiveServer) -> None:
    session_id = await live.session()
    viewer = await live.viewer(session_id)
    top, bottom, left, right = Badge(SIZE).box
    for background in ("keep", "#ffffff"):
        await live.client.patch(f"/v1/sessions/{session_id}", json={"background": background})
        enough = len(viewer.received.pictures) + 15
        await viewer.until(partial(_has, enough))
        image = viewer.received.pictures[-1][2]
        assert image is not None
        inside = image[top:bottom, left:right].astype(float).mean(axis=2)
        assert inside.max() - np.median(inside) > 90, "white letters on a dark pill"


async def test_what_is_left_out_is_logged_with_its_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(
        size=SIZE,
        cache_dir=tmp_path,
        no_badge_reason="the page shows its own",
        no_credentials_reason="a test",
    )
    server = Server(settings, fake_parts(settings))
    with caplog.at_level(logging.WARNING, "server.app"):
        server.tell_omissions()
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "Pictures get no badge: the page shows its own",
        "Films get no content credentials: a test",
    ]


def test_impossible_marks_keep_the_server_from_starting(tmp_path: Path) -> None:
    settings = Settings(cache_dir=tmp_path, c2pa_certificate=tmp_path / "none.pem")
    with pytest.raises(CertificateError, match="go together"):
        Server(settings, fake_parts(settings))
    with pytest.raises(SettingsError, match="badge_corner"):
        _load(tmp_path, 'badge_corner = "middle"')


def _has(enough: int, got: Received) -> bool:
    return len(got.pictures) > enough


def _load(folder: Path, text: str) -> Settings:
    import argparse

    path = folder / "vivant.toml"
    path.write_text(text)
    return Settings.load(argparse.Namespace(config=str(path)), {})
