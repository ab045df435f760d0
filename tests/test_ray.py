"""Sessions on Ray's workers, and deaths: real processes, real WebRTC, a fake face and voice.

`python -m pytest -m ray tests/test_ray.py`. Bounds of time are wide here: what was measured on a
machine with nothing else on it is in docs/scaling.md, and told with `--log-cli-level=WARNING`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from benchmarks.viewer import Viewer
from tests.test_server_live import on_loopback  # noqa: F401 - a fixture

pytestmark = [pytest.mark.ray, pytest.mark.alone, pytest.mark.timeout(280)]
ROOT = Path(__file__).resolve().parent.parent
TEXT = "The first one is over. And here a second one goes on for a while. The third one ends it."
SECOND, THIRD = TEXT.index("And"), TEXT.index("The third")
_START = 120  # seconds for Ray and two workers beside other work
_RAY = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT)}
_RAY |= {"RAY_worker_niceness": "0"}


@dataclass
class Gateway:
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def address(self) -> str:
        found = re.search(r"ready at (http://[^/]+)", self.log.read_text())
        assert found, self.log.read_text()
        return found[1]


@contextmanager
def running(log: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program in a session of its own; what it started ends with it."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | _RAY, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):  # Ray leaves agents behind
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def gateway(folder: Path, name: str, *flags: str) -> Iterator[Gateway]:
    log = folder / f"{name}.log"
    command = [sys.executable, "-m", "tests.ray_fakes", "--port", "0", "--size", "256"]
    command += ["--cache-dir", str(folder), "--ray-cores", "0.5", "--max-sessions", "3", *flags]
    with running(log, *command) as process:
        _until(lambda: b"is ready" in log.read_bytes(), process, log)
        yield Gateway(process, log)


@contextmanager
def head(folder: Path, port: int) -> Iterator[str]:
    """A cluster of this machine that outlives gateways."""
    log = folder / "head.log"
    ray = str(Path(sys.executable).parent / "ray")
    command = [ray, "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={port}"]
    command += ["--num-cpus=2", "--object-store-memory=104857600", "--include-dashboard=false"]
    with running(log, *command) as process:
        _until(lambda: b"Ray runtime started" in log.read_bytes(), process, log)
        yield f"127.0.0.1:{port}"


def _until(condition: Any, process: subprocess.Popen[bytes], log: Path) -> None:  # noqa: ANN401
    end = time.monotonic() + _START
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)


@dataclass
class Client:
    """Does what the page does: follows the events, and comes back when they break off."""

    http: httpx.AsyncClient
    session: dict[str, Any]
    viewers: list[Viewer] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/v1/sessions/{self.session['session_id']}"

    @property
    def now(self) -> Viewer:
        return self.viewers[-1]

    async def watch(self) -> Viewer:
        viewer = Viewer(
            self.http,
            self.session["session_id"],
            token=self.session["token"],
            keeps_pictures=False,
        )
        self.viewers.append(viewer)
        await viewer.connect()
        return viewer

    async def follow(self) -> None:
        """Returns when the events break off."""
        address = str(self.http.base_url).replace("http", "ws", 1).rstrip("/")
        with pytest.raises(ConnectionClosed) as end:
            async with connect(f"{address}{self.path}/events", open_timeout=20) as socket:
                while True:
                    await socket.recv()
        assert end.value.rcvd is None or end.value.rcvd.code == 1012

    async def come_back(self) -> Viewer:
        """Resumes, as the page does after half a second."""
        await asyncio.sleep(0.5)
        async with asyncio.timeout(60):
            while True:
                answer = await self.http.post(
                    f"{self.path}/resume", json={"token": self.session["token"]}
                )
                if answer.status_code == 200:
                    break
                assert answer.status_code == 503, answer.text
                await asyncio.sleep(0.2)
        viewer = await self.watch()
        await viewer.until(lambda got: got.of_type("session.resumed"), seconds=60)
        return viewer


@asynccontextmanager
async def client(address: str) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(base_url=address, timeout=60) as http:
        opened = await http.post("/v1/sessions", json={"voice": "buzz", "style": {"gaze": "away"}})
        assert opened.status_code == 201, opened.text
        one = Client(http, opened.json())
        try:
            yield one
        finally:
            for viewer in one.viewers:
                await viewer.close()


async def worker_of(one: Client) -> int:
    """Returns the process that performs the only session."""
    async with asyncio.timeout(30):
        while True:
            told = (await one.http.get("/v1/capacity")).json()["workers"]
            holding = [each["pid"] for each in told if each["sessions"] == 1]
            if len(holding) == 1:
                return int(holding[0])
            await asyncio.sleep(0.1)


def subtitles(viewer: Viewer) -> str:
    return "".join(event["text"] for event in viewer.received.of_type("subtitle.delta"))


async def speak_into_death(one: Client) -> float:
    """Has the worker killed in the second sentence; returns the seconds until sound is back."""
    first = await one.watch()
    await first.until(lambda got: got.pictures and got.events, seconds=30)
    pid = await worker_of(one)
    said = await one.http.post(f"{one.path}/speak", json={"text": TEXT})
    assert said.json() == {"utterance": 1}
    async with asyncio.TaskGroup() as group:
        broken = group.create_task(one.follow())
        await first.until(lambda _: "goes on" in subtitles(first), seconds=60)
        await asyncio.sleep(0.5)
        os.kill(pid, signal.SIGKILL)
        died = time.monotonic()
        await broken
        noticed = time.monotonic()
    back = await one.come_back()
    await back.until(lambda got: [each for each in got.sounds if each[2] > 0.05], seconds=60)
    heard = next(each[0] for each in back.received.sounds if each[2] > 0.05)
    told = f"events broke off after {noticed - died:.2f} s, sound was back after"
    logging.getLogger(__name__).warning("%s %.2f s", told, heard - died)
    return heard - died


async def test_a_worker_killed_in_mid_sentence_is_replaced(tmp_path: Path) -> None:
    with gateway(tmp_path, "gateway", "--ray", "--ray-workers", "2") as running:
        async with client(running.address) as one:
            seconds = await speak_into_death(one)
            (told,) = one.now.received.of_type("session.resumed")
            assert (told["utterance"], told["from_character"]) == (1, SECOND)
            assert 0 < told["repeated_characters"] < THIRD - SECOND
            await one.now.until(lambda got: got.of_type("agent.speak_ended"), seconds=60)
            said = subtitles(one.now)
            assert said.startswith("And here a second one")
            assert "The third one ends it" in said
            described = (await one.http.get(one.path)).json()
            assert (described["voice"], described["style"]["gaze"]) == ("buzz", "away")
            assert seconds < 20
            async with asyncio.timeout(60):  # Ray starts another in its place
                while (await one.http.get("/v1/capacity")).json()["room"] < 5:  # noqa: ASYNC110
                    await asyncio.sleep(0.2)


async def test_six_sessions_on_three_workers_outlive_every_one_of_them(tmp_path: Path) -> None:
    """Kills each worker once while all speak; tells how long until sound was back."""
    flags = ("--ray", "--ray-workers", "3", "--ray-cores", "1", "--max-sessions", "6")
    seconds: list[float] = []
    async with AsyncExitStack() as stack:
        running = stack.enter_context(gateway(tmp_path, "gateway", *flags))
        opened = [await stack.enter_async_context(client(running.address)) for _ in range(6)]
        for one in opened:
            viewer = await one.watch()
            await viewer.until(lambda got: got.pictures and got.events, seconds=60)
        first = (await opened[0].http.get("/v1/capacity")).json()["workers"]
        assert sorted(each["sessions"] for each in first) == [2, 2, 2]
        for worker in first:
            await asyncio.gather(*(say_again(one) for one in opened))
            async with asyncio.TaskGroup() as group:
                backs = [group.create_task(back_at(one)) for one in opened]
                await asyncio.sleep(1)
                os.kill(worker["pid"], signal.SIGKILL)
                died = time.monotonic()
            heard = [back.result() for back in backs]
            seconds += [each - died for each in heard if each is not None]
    logging.getLogger(__name__).warning("sound was back after %s s", sorted(seconds))
    assert len(seconds) >= 6
    assert max(seconds) < 30


async def say_again(one: Client) -> None:
    """Has all that waits dropped, and a text begun."""
    await one.http.post(f"{one.path}/interrupt")
    said = await one.http.post(f"{one.path}/speak", json={"text": 2 * (TEXT + " ")})
    number = said.json()["utterance"]
    await one.now.until(
        lambda got: [e for e in got.of_type("agent.speak_started") if e["utterance"] == number],
        seconds=60,
    )


async def back_at(one: Client) -> float | None:
    """Returns when sound was back; None where another's worker has died."""
    try:
        async with asyncio.timeout(6):
            await one.follow()
    except TimeoutError:
        return None
    back = await one.come_back()
    (told,) = back.received.of_type("session.resumed")
    longest = max(len(each) for each in TEXT.split("."))
    assert told["utterance"] is not None
    assert told["repeated_characters"] <= longest
    await back.until(lambda got: [each for each in got.sounds if each[2] > 0.05], seconds=60)
    return next(each[0] for each in back.received.sounds if each[2] > 0.05)


async def test_gateways_and_the_keeper_may_die(tmp_path: Path, unused_tcp_port: int) -> None:
    with (
        head(tmp_path, unused_tcp_port) as address,
        gateway(tmp_path, "one", "--ray", address, "--ray-workers", "2") as first,
        gateway(tmp_path, "two", "--ray", address, "--ray-workers", "2") as second,
    ):
        async with client(first.address) as one:
            viewer = await one.watch()
            await viewer.until(lambda got: got.pictures and got.events, seconds=30)
            await one.http.post(f"{one.path}/speak", json={"text": TEXT})
            await viewer.until(lambda got: got.of_type("agent.speak_started"), seconds=30)
            first.process.kill()
            pictures = len(viewer.received.pictures)
            await viewer.until(lambda got: got.of_type("agent.speak_ended"), seconds=30)
            assert len(viewer.received.pictures) > pictures + 50  # media did not notice
            assert "The third one ends it" in subtitles(viewer)
            async with httpx.AsyncClient(base_url=second.address, timeout=60) as http:
                back = await http.post(
                    f"{one.path}/resume", json={"token": one.session["token"]}
                )  # the token holds at every gateway
                assert (back.status_code, back.json()["utterance"]) == (200, 1)
                _kill_keeper()
                # Nothing is acknowledged before the store is there again; then it is the same.
                async with asyncio.timeout(60):
                    while await spoken(http, one.path) != 202:  # noqa: ASYNC110
                        await asyncio.sleep(0.2)
                assert (await http.get(one.path)).json()["voice"] == "buzz"
            first.process.wait()


async def spoken(http: httpx.AsyncClient, path: str) -> int:
    return (await http.post(f"{path}/speak", json={"text": "Again."})).status_code


def _kill_keeper() -> None:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes()
            started = (process / "environ").read_bytes()
        except OSError:
            continue
        if line.startswith(b"ray::Keeper") and f"PYTHONPATH={ROOT}".encode() in started:
            os.kill(int(process.name), signal.SIGKILL)
            return
    raise AssertionError("the keeper is not there")
