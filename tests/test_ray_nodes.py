"""Three Ray nodes in network namespaces of their own, with real WebRTC between: a node dies whole.

Needs root and Debian's iproute2. `python -m pytest -m ray tests/test_ray_nodes.py`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path

import pytest

from tests import test_ray
from tests.conftest import REAL
from tests.test_ray import TEXT, Client, Gateway, client, moved, running, subtitles

pytestmark = [pytest.mark.ray, pytest.mark.alone, pytest.mark.timeout(290)]
BRIDGE = "vivant-ray"
HEAD = "10.79.0.1"
ALONE = "10.79.0.10"  # a machine that has the head and nothing else
NODES = ("10.79.0.11", "10.79.0.12", "10.79.0.13")
_RAY = str(Path(sys.executable).parent / "ray")
_OBJECTS = "--object-store-memory=104857600"


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def name_of(address: str) -> str:
    return f"vivant-{address.rsplit('.', 1)[1]}"


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    """A bridge on this machine, and a namespace on it for each node."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if shutil.which("ip") is None:
        pytest.skip("iproute2 is not installed (apt-get install iproute2)")
    try:
        run("ip", "link", "add", BRIDGE, "type", "bridge")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no bridges here: {error.stderr.strip()}")
    try:
        run("ip", "address", "add", f"{HEAD}/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")
        for address in (ALONE, *NODES):
            name, link = name_of(address), f"v{address.rsplit('.', 1)[1]}"
            run("ip", "netns", "add", name)
            run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
            run("ip", "link", "set", link, "master", BRIDGE, "up")
            run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                run("ip", "-n", name, "link", "set", device, "up")
            # Programs of Ray's find the node of their machine by the address that leads outside.
            run("ip", "-n", name, "route", "add", "default", "via", HEAD)
        yield
    finally:
        for address in (ALONE, *NODES):
            subprocess.run(["ip", "netns", "delete", name_of(address)], check=False)
        run("ip", "link", "delete", BRIDGE)


@pytest.fixture
def nodes(network: None, tmp_path: Path, unused_tcp_port: int) -> Iterator[str]:
    """A head without processors here, and a node with a worker's in each namespace."""
    del network
    with ExitStack() as stack:
        stack.enter_context(head(tmp_path / "head.log", unused_tcp_port))
        for address in NODES:
            stack.enter_context(node(tmp_path, address, f"{HEAD}:{unused_tcp_port}"))
            stack.callback(kill_all, address)
        yield f"{HEAD}:{unused_tcp_port}"


@contextmanager
def head(log: Path, port: int, at: str = HEAD, **environment: str) -> Iterator[None]:
    """A head without processors, on this machine or in a namespace."""
    options = [f"--node-ip-address={at}", f"--port={port}", "--num-cpus=0"]
    # One that begins looks for others among the processes that it sees: on its machine, none.
    apart = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc") if at != HEAD else ()
    command = [*apart, *inside(at), _RAY, "start", "--block", _OBJECTS, "--head", *options]
    with running(log, *command, "--include-dashboard=false", **environment) as process:
        test_ray._until(lambda: b"Ray runtime started" in log.read_bytes(), process, log)
        yield


@contextmanager
def node(folder: Path, address: str, head: str) -> Iterator[None]:
    """A node for one worker in its namespace."""
    log = folder / f"{name_of(address)}.log"
    options = [f"--address={head}", f"--node-ip-address={address}", "--num-cpus=1"]
    command = [*inside(address), _RAY, "start", "--block", _OBJECTS, *options]
    with running(log, *command) as process:
        test_ray._until(lambda: b"Ray runtime started" in log.read_bytes(), process, log)
        yield


def inside(address: str) -> tuple[str, ...]:
    """Returns what runs a program where an address is."""
    return () if address == HEAD else ("ip", "netns", "exec", name_of(address))


def kill_all(address: str) -> None:
    """Kills every process of a node at once."""
    for pid in run("ip", "netns", "pids", name_of(address)).split():
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue


@contextmanager
def gateway(
    folder: Path, name: str, nodes: str, *program: str, at: str = HEAD
) -> Iterator[Gateway]:
    """A gateway of three workers, of the fake model if no other program is given."""
    log = folder / f"{name}.log"
    program = program or ("-m", "tests.ray_fakes", "--anywhere")
    command = [*inside(at), sys.executable, *program, "--host", at]
    command += ["--insecure", "--port", "0"]
    command += ["--size", "256", "--cache-dir", str(folder), "--max-sessions", "6"]
    command += ["--ray", nodes, "--ray-workers", "3", "--ray-cores", "1"]
    with running(log, *command) as process:
        test_ray._until(lambda: b"is ready" in log.read_bytes(), process, log)
        yield Gateway(process, log)


async def test_six_sessions_on_three_nodes_outlive_every_fault(nodes: str, tmp_path: Path) -> None:
    """A gateway and two workers are killed, and one is drained, while all six speak."""
    with gateway(tmp_path, "one", nodes) as first, gateway(tmp_path, "two", nodes) as second:
        await test_ray.outlive_every_fault(first, second, sessions=6)


@pytest.mark.model
async def test_sessions_of_the_shipped_model_outlive_every_fault(
    nodes: str, tmp_path: Path
) -> None:
    """The same with a session on each node, which is what two cores can draw."""
    real = (*REAL, "--voice", "joe")
    with (
        gateway(tmp_path, "one", nodes, *real) as first,
        gateway(tmp_path, "two", nodes, *real) as second,
    ):
        await test_ray.outlive_every_fault(first, second, sessions=3, voice="joe")


async def test_a_whole_node_dies_in_mid_sentence_and_then_the_head(
    nodes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with gateway(tmp_path, "gateway", nodes) as served:
        async with client(served.address) as one:
            viewer = await one.watch()
            await viewer.until(lambda got: got.pictures and got.events, seconds=60)
            holder = await node_of(one)
            await one.http.post(f"{one.path}/speak", json={"text": TEXT})
            async with asyncio.TaskGroup() as group:
                following = group.create_task(one.follow())
                await viewer.until(lambda _: "goes on" in subtitles(viewer), seconds=60)
                kill_all(holder)
                died = time.monotonic()
                await following
            assert (await one.attached())["lost"] is None
            back = await moved(one)
            await one.now.until(lambda got: got.of_type("agent.speak_ended"), seconds=60)
            assert "The third one ends it" in subtitles(one.now)
            assert await node_of(one) != holder
            # The head: its server of state is killed, and the session does not notice.
            kill_gcs()
            pictures = len(one.now.received.pictures)
            said = await one.http.post(f"{one.path}/speak", json={"text": TEXT})
            assert said.status_code == 202, said.text
            await one.now.until(lambda got: len(got.of_type("agent.speak_ended")) == 2, seconds=60)
            assert len(one.now.received.pictures) > pictures + 50
            # `ray start --block` ends the head with it, the store's actor, too: that is said.
            again = await one.http.post(f"{one.path}/speak", json={"text": "And again."})
            if again.status_code != 202:
                assert (again.status_code, again.json()["error"]["code"]) == (503, "store_failed")
        with capsys.disabled():
            print(f"\nsound was back {back - died:.2f} s after the death of a node")  # noqa: T201
        assert back - died < 30


async def node_of(one: Client) -> str:
    """Returns the address of the node whose worker has the session."""
    pid = await test_ray.worker_of(one)
    for address in NODES:
        if str(pid) in run("ip", "netns", "pids", name_of(address)).split():
            return address
    raise AssertionError(f"process {pid} is on no node")


def kill_gcs() -> None:
    """Kills what keeps the cluster's own state: the head's gcs_server."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"gcs_server" in line.split(b"\0")[0] and HEAD.encode() in line:
            os.kill(int(process.name), signal.SIGKILL)
            return
    raise AssertionError("the head is not there")


async def test_sessions_go_on_while_the_head_is_started_again(
    network: None, tmp_path: Path, unused_tcp_port_factory: Callable[[], int]
) -> None:
    """The head has a machine to itself and its state in a Redis; the store is on a node."""
    del network
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    port, state = unused_tcp_port_factory(), unused_tcp_port_factory()
    kept = {"RAY_REDIS_ADDRESS": f"{HEAD}:{state}"}
    async with AsyncExitStack() as stack:
        log = tmp_path / "redis.log"
        command = ["redis-server", "--bind", HEAD, "--port", str(state), "--save", ""]
        command += ["--dir", str(tmp_path), "--protected-mode", "no"]
        redis = stack.enter_context(running(log, *command))
        test_ray._until(lambda: b"Ready to accept" in log.read_bytes(), redis, log)
        stack.enter_context(head(tmp_path / "first.log", port, ALONE, **kept))
        stack.callback(kill_all, ALONE)
        for address in NODES:
            stack.enter_context(node(tmp_path, address, f"{ALONE}:{port}"))
            stack.callback(kill_all, address)
        served = stack.enter_context(gateway(tmp_path, "gateway", f"{ALONE}:{port}", at=NODES[0]))
        one = await stack.enter_async_context(client(served.address))
        viewer = await one.watch()
        await viewer.until(lambda got: got.pictures and got.events, seconds=60)
        kill_all(ALONE)
        before = len(viewer.received.pictures)
        # Nobody is there who knows the cluster, and what is said is acknowledged and said.
        assert (await one.http.post(f"{one.path}/speak", json={"text": TEXT})).status_code == 202
        await viewer.until(lambda got: got.of_type("agent.speak_ended"), seconds=60)
        assert "The third one ends it" in subtitles(viewer)
        stack.enter_context(head(tmp_path / "second.log", port, ALONE, **kept))
        assert (await one.http.post(f"{one.path}/speak", json={"text": TEXT})).status_code == 202
        await viewer.until(lambda got: len(got.of_type("agent.speak_ended")) == 2, seconds=60)
        assert len(viewer.received.pictures) > before + 100
        # It is one cluster again: a worker that dies is replaced, and its session taken up.
        async with asyncio.TaskGroup() as group:
            following = group.create_task(one.follow())
            pid = await test_ray.worker_of(one)
            await asyncio.sleep(1)
            os.kill(pid, signal.SIGKILL)
            await following
        await one.come_back()
        assert (await one.http.post(f"{one.path}/speak", json={"text": TEXT})).status_code == 202
        await one.now.until(lambda got: got.of_type("agent.speak_ended"), seconds=60)
        await test_ray.room_again(one, 3)
