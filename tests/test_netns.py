"""A server and a viewer in two network namespaces, with trouble by `tc` between them.

Needs root and Debian's iproute2, and for loss and jitter a kernel with netem. Run with
`python -m pytest -m soak tests/test_netns.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.soak

ROOT = Path(__file__).resolve().parent.parent
SERVER, VIEWER = "vivant-server", "vivant-viewer"
ADDRESS, PEER_ADDRESS = "10.77.0.1", "10.77.0.2"
URL = f"http://{ADDRESS}:8080"
SECONDS = 12


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if shutil.which("ip") is None or shutil.which("tc") is None:
        pytest.skip("iproute2 is not installed (apt-get install iproute2)")
    try:
        for name in (SERVER, VIEWER):
            run("ip", "netns", "add", name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    try:
        run("ip", "link", "add", "vivant0", "netns", SERVER, "type", "veth",
            "peer", "name", "vivant1", "netns", VIEWER)  # fmt: skip
        ends = ((SERVER, "vivant0", ADDRESS), (VIEWER, "vivant1", PEER_ADDRESS))
        for name, link, address in ends:
            run("ip", "-n", name, "address", "add", f"{address}/24", "dev", link)
            for device in (link, "lo"):
                run("ip", "-n", name, "link", "set", device, "up")
        yield
    finally:
        for name in (SERVER, VIEWER):
            run("ip", "netns", "delete", name)


@pytest.fixture(scope="module")
def server(network: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    del network
    folder = tmp_path_factory.mktemp("netns")
    inside = ["ip", "netns", "exec", SERVER, sys.executable, "-m", "tests.live_fakes"]
    process = subprocess.Popen(
        [*inside, "--host", ADDRESS, "--insecure", "--port", "8080", "--size", "256"],
        cwd=ROOT,
        env={**os.environ, "VIVANT_CACHE": str(folder), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "ready" in process.stdout.readline()
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)
        assert process.stdout is not None
        process.stdout.close()


def watch() -> dict[str, Any]:
    inside = ["ip", "netns", "exec", VIEWER, sys.executable, "-m", "tests.netns_viewer"]
    done = subprocess.run(
        [*inside, URL, str(SECONDS)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


@pytest.mark.parametrize(
    ("discipline", "pictures", "sounds"),
    [
        pytest.param("", 20, 45, id="clean"),
        pytest.param("netem loss 3%", 15, 40, id="loss"),
        pytest.param("netem delay 30ms 25ms distribution normal", 15, 40, id="jitter"),
        pytest.param("netem delay 20ms reorder 25% 50%", 15, 40, id="reorder"),
        pytest.param("netem loss 3% delay 30ms 25ms", 12, 35, id="loss and jitter"),
        pytest.param("tbf rate 400kbit burst 16kb latency 200ms", 10, 35, id="narrow"),
    ],
)
def test_the_conversation_survives(
    server: None, discipline: str, pictures: float, sounds: float
) -> None:
    """At least so many pictures and packets of sound a second arrive, and it speaks."""
    del server
    device = ["dev", "vivant0", "root"]
    if discipline:
        try:
            run("ip", "netns", "exec", SERVER, "tc", "qdisc", "add", *device, *discipline.split())
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this kernel cannot '{discipline}': {error.stderr.strip()}")
    try:
        began = time.monotonic()
        seen = watch()
        assert time.monotonic() - began >= SECONDS
    finally:
        if discipline:
            run("ip", "netns", "exec", SERVER, "tc", "qdisc", "delete", *device)
    assert seen["spoken"] == 1
    assert seen["pictures"] >= pictures, seen
    assert seen["sounds"] >= sounds, seen
