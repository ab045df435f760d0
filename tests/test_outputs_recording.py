"""Recordings of live sessions: asked for, within limits, whole after a crash."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection

import server.outputs.outputs
import server.outputs.recording
from server.audience import EncodedPicture
from server.cli import main
from server.config import Settings
from server.outputs.film import Mp4Film, WholeFile
from server.outputs.seat import Piece
from tests.conftest import FAKE, ServerProcess
from tests.test_media_files import decode_with_matte
from tests.test_outputs_film import heard, seen
from tests.test_server_live import LiveServer, on_loopback, serving

SIZE = 256
__all__ = ["on_loopback"]  # a fixture for every test here
RATE = 48_000
BLOCK = 1920  # samples of 48 kHz in the 40 ms of a motion frame


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[LiveServer]:
    async with serving(Settings(size=SIZE, cache_dir=tmp_path, port=0)) as live:
        yield live


async def record(live: LiveServer, session_id: str, **wanted: object) -> dict[str, Any]:
    answer = await live.client.post(f"/v1/sessions/{session_id}/recordings", json=wanted or None)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def until(
    events: ClientConnection,
    fits: Callable[[dict[str, Any]], bool],
    *,
    seen: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Returns the first event that fits."""
    async with asyncio.timeout(60):
        while True:
            event: dict[str, Any] = json.loads(await events.recv())
            if seen is not None:
                seen.append(event)
            if fits(event):
                return event


def is_state(kind: str, state: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["type"] == kind and event["state"] == state


async def stop(live: LiveServer, session_id: str, recording_id: str) -> dict[str, Any]:
    answer = await live.client.delete(f"/v1/sessions/{session_id}/recordings/{recording_id}")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def clicking(blocks: int, *, loud: tuple[int, ...]) -> bytes:
    """Returns PCM16 at 48 kHz whose blocks of 40 ms are silent, or noise that begins at once."""
    noise = np.random.default_rng(0).uniform(-0.6, 0.6, BLOCK)
    sound = np.concatenate([noise if index in loud else np.zeros(BLOCK) for index in range(blocks)])
    return (sound * 32767).astype("<i2").tobytes()


class Left:
    """What left a session for its audience, each at its media time."""

    def __init__(self, live: LiveServer) -> None:
        (session,) = live.server.house.sessions._sessions.values()
        self.sounds: dict[int, NDArray[np.float32]] = {}
        self.pictures: dict[int, bool] = {}  # whether it is white, by media time
        audience: Any = session._audience
        show, play = audience.show, audience.play

        def note_picture(picture: EncodedPicture) -> None:
            self.pictures[picture.media_time] = bool(picture.image.mean() > 128)
            show(picture)

        async def note_sound(
            sound: NDArray[np.float32], media_time: int, ahead: NDArray[np.float32]
        ) -> None:
            self.sounds[media_time] = sound
            await play(sound, media_time, ahead)

        audience.show, audience.play = note_picture, note_sound

    def sound(self, begin: int, length: int) -> NDArray[np.float32]:
        """Returns `length` samples of 48 kHz sound from the media time `begin` on."""
        sound = np.zeros(length + 960, np.float32)
        for media_time, piece in self.sounds.items():
            at = 3 * (media_time - begin)
            if 0 <= at <= length:
                sound[at : at + 960] = piece
        return sound[:length]


def lag(heard: NDArray[np.float32], left: NDArray[np.float32]) -> int:
    """Returns by how many samples what is heard is late, by correlation; at most 480."""
    middle = left[480:-480]
    return int(np.argmax(np.correlate(heard, middle, "valid"))) - 480


@pytest.mark.parametrize(("film", "tolerance"), [("mp4", 0), ("webm", 25)])
async def test_a_film_has_all_that_left_at_its_media_time(
    live: LiveServer, tmp_path: Path, film: str, tolerance: int
) -> None:
    session_id = await live.session()
    left = Left(live)
    async with live.socket(session_id) as events:
        recording = await record(live, session_id, format=film)
        began = await until(events, is_state("recording.updated", "recording"))
        await events.send(json.dumps({"type": "audio.start", "sample_rate": RATE}))
        await events.send(clicking(40, loud=(2, 3, 12, 13, 27, 28)))
        await events.send(json.dumps({"type": "audio.end"}))
        await until(events, lambda event: event["type"] == "agent.speak_ended")
        await asyncio.sleep(0.3)
        ended = await stop(live, session_id, recording["id"])
        closed = await until(events, is_state("recording.updated", "closed"))
    assert began["recording"] == closed["recording"] == recording["id"]
    assert (ended["state"], ended["reason"], ended["format"]) == ("closed", "request", film)
    path = tmp_path / f"got.{film}"
    path.write_bytes((await live.client.get(ended["url"])).content)
    assert path.stat().st_size == ended["bytes"] == closed["bytes"]

    begin = ended["media_time"]
    shown = {begin + round(640 * time): is_white for time, is_white in seen(path)}
    last = max(shown)
    assert shown == {at: is_white for at, is_white in left.pictures.items() if begin <= at <= last}
    assert sum(shown.values()) >= 3

    sound, whole = heard(path), left.sound(begin, 3 * (last - begin))
    (loud,) = np.nonzero(np.abs(whole) > 0.2)
    bursts = [loud[0], *(after for before, after in pairwise(loud) if after - before > BLOCK)]
    assert len(bursts) == 3
    for burst in bursts:
        around = slice(burst - 960, burst + 2 * BLOCK + 960)
        assert abs(lag(sound[around], whole[around])) <= tolerance
    # The last packets of sound may still be on their way.
    assert abs(ended["seconds"] - len(heard_whole(path)) / RATE) < 0.2


def heard_whole(path: Path) -> NDArray[np.float32]:
    with av.open(str(path)) as film:
        return np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)])


async def test_nothing_is_recorded_unless_asked_and_ranges_and_deletion_work(
    live: LiveServer, tmp_path: Path
) -> None:
    session_id = await live.session()
    viewer = await live.viewer(session_id)
    assert not (tmp_path / "recordings").exists()
    recording = await record(live, session_id)
    url = f"/v1/recordings/{recording['id']}"
    refused = await live.client.get(url)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "recording_live")
    await viewer.until(
        lambda got: [e for e in got.of_type("recording.updated") if e["state"] == "recording"]
    )
    await stop(live, session_id, recording["id"])
    whole = (await live.client.get(url)).content
    part = await live.client.get(url, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole[100:200])
    assert part.headers["content-type"] == "video/mp4"
    assert recording["id"].endswith(session_id)
    await live.client.delete(f"/v1/sessions/{session_id}")
    assert [told["id"] for told in await listed(live, session_id)] == [recording["id"]]
    assert (await live.client.delete(url)).status_code == 204
    assert (await live.client.get(url)).status_code == 404
    assert (await live.client.get(f"/v1/sessions/{session_id}/recordings")).status_code == 404


async def listed(live: LiveServer, session_id: str) -> list[dict[str, Any]]:
    answer = await live.client.get(f"/v1/sessions/{session_id}/recordings")
    assert answer.status_code == 200, answer.text
    told: list[dict[str, Any]] = answer.json()
    return told


async def test_a_recording_ends_with_its_session(live: LiveServer, tmp_path: Path) -> None:
    session_id = await live.session()
    async with live.socket(session_id) as events:
        recording = await record(live, session_id)
        await until(events, is_state("recording.updated", "recording"))
        await live.client.delete(f"/v1/sessions/{session_id}")
        closed = await until(events, is_state("recording.updated", "closed"))
    assert closed["reason"] == "session"
    assert len(seen(tmp_path / "recordings" / f"{recording['id']}.mp4")) >= 1


async def test_a_transparent_portrait_is_recorded_with_its_matte_and_pushed_before_green(
    live: LiveServer, tmp_path: Path
) -> None:
    session_id = await live.session(background="transparent")
    viewer = await live.viewer(session_id, codec="H264")
    async with live.socket(session_id) as events:
        clear, flat = await record(live, session_id), await record(live, session_id, format="mp4")
        for _ in range(2):
            await until(events, is_state("recording.updated", "recording"))
        await viewer.until(lambda got: len(got.pictures) > 40)
        for recording in (clear, flat):
            await stop(live, session_id, recording["id"])
    image = viewer.received.pictures[-1][2]
    assert image is not None
    assert image.shape[:2] == (2 * SIZE, SIZE)  # the viewer's is packed all the while
    folder = tmp_path / "recordings"
    matte = decode_with_matte(folder / f"{clear['id']}.webm")[-1][..., 3]
    assert matte[30, SIZE // 2] > 250
    assert matte[30, 4] < 5
    with av.open(str(folder / f"{flat['id']}.mp4")) as film:
        picture = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)][-1]
    assert picture.shape == (SIZE, SIZE, 3)
    np.testing.assert_allclose(picture[30, 4], (0, 177, 64), atol=12)


@pytest.mark.parametrize(
    ("limit", "reason"), [({"recording_time": 1.0}, "duration"), ({"recording_size": 1}, "size")]
)
async def test_limits_end_a_recording_and_not_its_session(
    tmp_path: Path, limit: dict[str, Any], reason: str
) -> None:
    settings = Settings(size=SIZE, cache_dir=tmp_path, port=0, bitrate=20_000, **limit)
    async with serving(settings) as live:
        session_id = await live.session(background="#112233")
        async with live.socket(session_id) as events:
            await record(live, session_id, format="mp4")
            if reason == "size":  # a face at rest takes a minute for a megabyte
                await events.send(json.dumps({"type": "session.update", "background": "keep"}))
                (session,) = live.server.house.sessions._sessions.values()
                (recording,) = session.outputs.recordings
                object.__setattr__(recording._options, "largest", 20_000)
            closed = await until(events, is_state("recording.updated", "closed"))
        assert closed["reason"] == reason
        assert (await live.client.get(f"/v1/sessions/{session_id}")).status_code == 200


class FullDisk(WholeFile):
    """A file on a disk that is full after 30 kB."""

    def write(self, data: Any, /) -> int:  # noqa: ANN401
        if self.tell() > 30_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


async def test_a_full_disk_ends_the_recording_and_the_session_speaks_on(
    live: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.outputs.recording, "WholeFile", FullDisk)
    session_id = await live.session()
    async with live.socket(session_id) as events:
        recording = await record(live, session_id)
        await events.send(json.dumps({"type": "speak", "text": "x" * 120}))
        closed = await until(events, is_state("recording.updated", "closed"))
        assert closed["reason"] == "disk_full"
        await live.client.post(f"/v1/sessions/{session_id}/interrupt")
        await events.send(json.dumps({"type": "speak", "text": "Still here."}))
        await until(events, lambda event: event["type"] == "agent.speak_ended")
        await until(events, lambda event: event["type"] == "agent.speak_ended")
    assert len(seen(tmp_path / "recordings" / f"{recording['id']}.mp4")) >= 10


class BrokenFilm(Mp4Film):
    """A film with a fault of its own after half a second."""

    def write(self, pieces: Iterable[Piece]) -> None:
        super().write(pieces)
        if self.seconds > 0.5:
            raise RuntimeError("a fault")


async def test_a_fault_ends_the_recording_alone(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.outputs.outputs, "Mp4Film", BrokenFilm)
    session_id = await live.session()
    async with live.socket(session_id) as events:
        await record(live, session_id)
        failed = await until(events, is_state("recording.updated", "failed"))
        assert failed["reason"] == "error"
        await events.send(json.dumps({"type": "speak", "text": "Still here."}))
        await until(events, lambda event: event["type"] == "agent.speak_ended")


class SlowDisk(WholeFile):
    """A file on a disk that takes a second for each write."""

    def write(self, data: Any, /) -> int:  # noqa: ANN401
        time.sleep(1)
        return super().write(data)


async def test_a_slow_disk_slows_nobody(
    live: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = await live.session()
    viewer = await live.viewer(session_id, codec="H264")
    monkeypatch.setattr(server.outputs.recording, "WholeFile", SlowDisk)
    async with live.socket(session_id) as events:
        recording = await record(live, session_id)
        await until(events, is_state("recording.updated", "recording"))
        before = len(viewer.received.pictures)
        await viewer.until(lambda got: len(got.pictures) > before + 60)
        await stop(live, session_id, recording["id"])
    # Were viewers held up by writes of a second, most pictures would wait for one.
    arrivals = [arrival for arrival, _, _ in viewer.received.pictures[before:]]
    assert np.median(np.diff(arrivals)) < 0.2
    assert len(seen(tmp_path / "recordings" / f"{recording['id']}.mp4")) > 20


async def test_no_folder_no_recording(live: LiveServer, tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("in the way")
    session_id = await live.session()
    answer = await live.client.post(f"/v1/sessions/{session_id}/recordings")
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "recording_refused")


async def test_a_session_has_so_many_outputs_and_no_more(tmp_path: Path) -> None:
    async with serving(Settings(size=SIZE, cache_dir=tmp_path, port=0, max_outputs=1)) as live:
        session_id = await live.session()
        await record(live, session_id)
        answer = await live.client.post(f"/v1/sessions/{session_id}/recordings")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "too_many_outputs")
        assert "at most 1" in answer.json()["error"]["message"]


@pytest.mark.parametrize("wanted", [{"format": "avi"}, {"form": "mp4"}, {"format": 7}])
async def test_other_formats_are_refused(live: LiveServer, wanted: dict[str, object]) -> None:
    session_id = await live.session()
    answer = await live.client.post(f"/v1/sessions/{session_id}/recordings", json=wanted)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")


def test_the_command_records_and_fetches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = ServerProcess(FAKE, "--size", str(SIZE), folder=tmp_path)
    try:
        session_id = httpx.post(f"{server.address}/v1/sessions").json()["session_id"]
        run = partial(command, server.address, session_id)
        assert run(tmp_path / "a.mp4", "--seconds", "0.6") == 0
        assert len(seen(tmp_path / "a.mp4")) >= 10
        assert "a.mp4: " in capsys.readouterr().out
        assert not list(tmp_path.glob(".*.part"))
        for out, sentence in (
            (tmp_path / "a.gif", "'a.gif' does not"),
            (tmp_path / "no/a.mp4", "no folder"),
        ):
            assert run(out) == 2
            assert sentence in capsys.readouterr().err
        assert command(server.address, "nothing", tmp_path / "b.mp4") == 2
        assert "There is no session 'nothing'." in capsys.readouterr().err
    finally:
        server.stop()
    assert run(tmp_path / "b.mp4") == 2
    assert "cannot be used" in capsys.readouterr().err


def command(address: str, session_id: str, out: Path, *more: str) -> int:
    return main(["record", "--url", address, f"--session={session_id}", "-o", str(out), *more])


@pytest.mark.single_layout("its folder is a worker's there: test_ray_storage")
def test_what_a_killed_server_leaves_is_a_film(tmp_path: Path) -> None:
    server = ServerProcess(FAKE, "--size", str(SIZE), folder=tmp_path)
    try:
        with httpx.Client(base_url=server.address, timeout=30) as client:
            session_id = client.post("/v1/sessions").json()["session_id"]
            recording = client.post(f"/v1/sessions/{session_id}/recordings").json()
            client.post(f"/v1/sessions/{session_id}/speak", json={"text": "x" * 200})
            seconds = 0.0
            while seconds < 3.5:
                (told,) = client.get(f"/v1/sessions/{session_id}/recordings").json()
                seconds = told["seconds"]
        os.kill(server.pid, signal.SIGKILL)
        left = tmp_path / "recordings" / f"{recording['id']}.mp4"
        times = [time for time, _ in seen(left)]
        assert times[-1] >= 25 * (seconds - 1.2)
        assert np.abs(heard_whole(left)).max() > 0.2
        assert len(heard_whole(left)) / RATE == pytest.approx(times[-1] / 25, abs=0.2)
        server.stop()
        server.start()  # finds it again, whole
        got = httpx.get(f"{server.address}/v1/recordings/{recording['id']}", timeout=30)
        assert got.content == left.read_bytes()
        assert [time for time, _ in seen(left)] == times
    finally:
        server.stop()
