"""The process: it starts fast, says why it cannot start, and ends when told."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from server.app import Server, serve
from server.config import Settings, SettingsError
from server.voice.base import SpeechClause
from streaming_model.errors import NoFaceError, VivantError
from tests.live_fakes import FakeVoice, fake_parts

ROOT = Path(__file__).parent.parent


@contextmanager
def process(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Runs a server with the fake model; yields it and its address once it is ready."""
    command = [sys.executable, "-m", "tests.live_fakes", "--port", "0", *flags]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stdout is not None
            line = running.stdout.readline()
            assert "ready at http://" in line, running.communicate()
            yield running, line.split()[-1]
        finally:
            running.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_within_two_seconds_with_clients_connected(
    number: signal.Signals, tmp_path: Path
) -> None:
    with process("--cache-dir", str(tmp_path)) as (running, address):
        with httpx.Client(base_url=address) as client:
            session_id = client.post("/v1/sessions").json()["session_id"]
            client.post(f"/v1/sessions/{session_id}/speak", json={"text": "x" * 1000})
            began = time.monotonic()
            os.kill(running.pid, number)
            out, err = running.communicate(timeout=10)
        assert time.monotonic() - began < 2.5
        assert running.returncode == 0, err
        assert "Traceback" not in out + err


def test_the_server_imports_without_torch() -> None:
    code = (
        "import sys, server.app;"
        "print([name for name in ('torch', 'diffusers', 'numba') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(port=port, cache_dir=tmp_path)
        with pytest.raises(SettingsError, match=rf"port {port}: Address already in use\."):
            serve(settings, fake_parts(settings))


def test_a_host_that_is_not_ours_is_one_sentence(tmp_path: Path) -> None:
    settings = Settings(host="no.such.host.invalid", insecure=True, port=0, cache_dir=tmp_path)
    with pytest.raises(SettingsError, match=r"Cannot listen on no\.such\.host\.invalid"):
        serve(settings, fake_parts(settings))


def test_a_missing_portrait_is_one_sentence(tmp_path: Path) -> None:
    settings = Settings(port=0, portrait=str(tmp_path / "none.jpg"), cache_dir=tmp_path)
    with pytest.raises(VivantError, match=r"none\.jpg"):
        serve(settings, fake_parts(settings))


def test_a_portrait_without_a_face_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "noface.jpg"
    path.write_bytes(b"x")
    settings = Settings(port=0, portrait=str(path), cache_dir=tmp_path)
    with pytest.raises(NoFaceError):
        serve(settings, fake_parts(settings))


class Observing(FakeVoice):
    """Notes how nice its thread is to others while it warms up, and when it speaks."""

    def __init__(self, name: str, niceness: list[int]) -> None:
        super().__init__(name)
        self._niceness = niceness

    def _note(self) -> None:
        thread = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        self._niceness.append(thread - os.getpriority(os.PRIO_PROCESS, os.getpid()))

    def warm_up(self) -> None:
        self._note()

    def speak(
        self, text: str, *, speed: float = 1.0, in_pieces: bool = False
    ) -> Iterator[SpeechClause]:
        self._note()
        return super().speak(text, speed=speed)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no niceness")
async def test_speech_gives_way_to_live_threads_but_not_while_the_server_starts(
    tmp_path: Path,
) -> None:
    niceness: list[int] = []
    settings = Settings(size=256, cache_dir=tmp_path)
    parts = replace(fake_parts(settings), open_voice=lambda name: Observing(name, niceness))
    server = Server(settings, parts)
    await server.warm_up()
    voices = server.house.voices
    voice, worker = await voices.open(voices.default), voices.worker_for(voices.default)
    await asyncio.get_running_loop().run_in_executor(worker, voice.speak, "hello")
    assert niceness == [0, 10]
