"""`vivant puppet` end to end: a recording in, a film out, in step; a phone's face in."""

from __future__ import annotations

import argparse
import asyncio
import socket
import wave
from pathlib import Path
from typing import Any

import aioice.ice
import av
import numpy as np
import pytest
from numpy.typing import NDArray

from server.app import Parts
from server.config import Settings
from server.puppet.command import add_puppet, play
from server.puppet.live_link import write_packet
from streaming_model.motion_space import INDEX
from tests.live_fakes import FakeAvatar, fake_parts
from tests.test_server_live import serving


@pytest.fixture(autouse=True)
def on_loopback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """aioice leaves 127.0.0.1 out; a test must not depend on the machine's network."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda *_, **__: ["127.0.0.1"])
    monkeypatch.setenv("VIVANT_CACHE", str(tmp_path))


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_puppet(parser.add_subparsers())
    return parser.parse_args(["puppet", *arguments])


def recording(folder: Path) -> Path:
    """Writes a voice that hums for half a second after each second of silence, twice."""
    time = np.arange(24_000) / 48_000
    hum = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 12))
    part = np.concatenate([np.zeros(48_000), 0.3 * np.asarray(hum)])
    pcm = (np.concatenate([part, part]).clip(-1, 1) * 32767).astype("<i2")
    path = folder / "voice.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 48_000, 0, "NONE", ""))
        sound.writeframes(pcm.tobytes())
    return path


def read_film(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns (time in seconds, height of the bar 0..1) of pictures, and 48 kHz sound."""
    bars: list[tuple[float, float]] = []
    sound: list[NDArray[np.float64]] = []
    with av.open(str(path)) as film:
        for frame in film.decode():
            if isinstance(frame, av.VideoFrame):
                column = frame.to_ndarray(format="gray")[:, frame.width // 2]
                bars.append((float(frame.time or 0), float((column > 200).mean())))
            elif isinstance(frame, av.AudioFrame):
                sound.append(frame.to_ndarray()[0].astype(np.float64))
    return np.array(bars), np.concatenate(sound)


async def test_a_recording_becomes_a_film_in_step(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    async with asyncio.timeout(60):
        await play(options("--mic", str(recording(tmp_path)), "--camera", str(film)), fake_parts)
    bars, sound = read_film(film)
    levels = np.abs(sound[: len(sound) // 480 * 480]).reshape(-1, 480).max(axis=1)
    heard = begins(levels > 0.1) / 100
    seen = bars[begins(bars[:, 1] > 0.3), 0]
    assert len(heard) == 2  # none of the sound is lost, however busy the machine
    assert len(seen)
    for begin in seen:
        assert np.abs(heard - begin).min() < 0.085  # a block, and the fake mouth's threshold


def begins(is_on: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Returns where something begins."""
    return np.flatnonzero(is_on[1:] & ~is_on[:-1]) + 1


async def test_a_phones_face_moves_the_portrait_and_junk_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[Parts] = []

    def parts(settings: Settings) -> Parts:
        made.append(fake_parts(settings))
        return made[-1]

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        playing = group.create_task(
            play(options("--live-link", str(port), "--seconds", "2"), parts)
        )
        await send_faces(port, until=playing)
    avatar = made[0].make_avatar(tmp_path / "any.jpg")[0]
    assert isinstance(avatar, FakeAvatar)
    live = avatar.motion.additions.live
    assert live is not None
    assert live.rows[0][INDEX["jawLeft"]] == pytest.approx(0.4)
    assert live.shares[-1].replaces[INDEX["jawOpen"]] == 1  # no voice: the face moves the lips
    printed = capsys.readouterr().out
    assert "were no faces and were ignored" in printed and "/view/" in printed


async def send_faces(port: int, *, until: asyncio.Task[Any]) -> None:
    frame = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        while not until.done():
            face = write_packet({"jawOpen": 0.5, "jawLeft": 0.4}, frame=frame)
            phone.sendto(b"junk" if frame % 10 == 9 else face, ("127.0.0.1", port))
            frame += 1
            await asyncio.sleep(1 / 60)


async def test_a_session_of_another_server_is_joined_and_left(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    settings = Settings(size=256, max_sessions=1, cache_dir=tmp_path, port=0)
    async with asyncio.timeout(60), serving(settings) as live:
        session = await live.session()
        url = ["--url", f"http://{live.address}", "--session", session]
        await play(
            options(
                *url, "--mic", str(recording(tmp_path)), "--camera", str(film), "--seconds", "2"
            )
        )
        assert (await live.client.get(f"/v1/sessions/{session}")).status_code == 200
    assert len(read_film(film)[0]) > 10
