"""The wheel: what is in it, what it is called, and that it serves once it is installed."""

from __future__ import annotations

import contextlib
import os
import signal
import site
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.test_deploy import PROJECT
from tests.test_server_app import ROOT

PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
_LEFT_OUT = {".pyc", ".nbi", ".nbc"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a wheel made from this tree; no network is asked."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (it for it in archive.namelist() if it.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def test_everything_is_packed_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        told = {name.rsplit("/", 1)[1] for name in archive.namelist() if ".dist-info/" in name}
    listed = subprocess.run(
        ["git", "ls-files", *PACKAGES], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    assert packed >= {name for name in listed if name and (ROOT / name).is_file()}
    assert {name.split("/")[0] for name in packed} == set(PACKAGES)
    assert not {Path(name).suffix for name in packed} & _LEFT_OUT
    assert told >= {"LICENSE", "NOTICE", "entry_points.txt"}


def test_extras_are_told(wheel: Path) -> None:
    told = metadata(wheel)
    extras = PROJECT["project"]["optional-dependencies"]
    assert set(told.get_all("Provides-Extra", [])) == set(extras)
    assert {"livekit", "pipecat", "gpu", "ray"} <= set(extras)
    assert extras["ray"] == ["ray>=2.50"]
    assert set(extras["gpu"]) <= set(PROJECT["project"]["dependencies"])  # the tested version


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the `bin` of a fresh environment with the wheel, and our packages from here."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # A path in a .pth file shows the packages there, but not the editable Vivant among them.
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()))
    command = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    install = ["install", "--no-deps", "--no-index", "--quiet", "--ignore-installed", str(wheel)]
    subprocess.run([*command, *install], check=True, capture_output=True)
    return folder / "bin"


@contextlib.contextmanager
def served(program: Path, folder: Path) -> Iterator[str]:
    """Runs the installed command far from this tree; yields its address."""
    command = [str(program / "vivant"), "serve", "--port", "0", "--voice", "joe", "--size", "256"]
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "VIVANT_CACHE": str(folder / "cache"),
        "NUMBA_CACHE_DIR": str(folder / "numba"),
        "OMP_NUM_THREADS": "1",
    }
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stdout is not None
            line = running.stdout.readline()
            assert "ready at http://" in line
            yield line.split()[-1]
            running.send_signal(signal.SIGTERM)
            assert running.wait(timeout=20) == 0
        finally:
            running.kill()


@pytest.mark.wide
@pytest.mark.model
def test_an_installed_wheel_serves_the_page_and_speaks(installed: Path, tmp_path: Path) -> None:
    where = subprocess.run(
        [installed / "python", "-c", "import server; print(server.__file__)"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert str(installed.parent) in where
    with served(installed, tmp_path) as address, httpx.Client(base_url=address) as client:
        assert "<title>" in client.get("/").text
        for path in ("/style.css", "/app.js", "/embed/vivant-avatar.js", "/readyz", "/docs"):
            assert client.get(path).status_code == 200, path
        version = client.get("/v1/info").json()["version"]
        assert version == PROJECT["project"]["version"]
        session_id = client.post("/v1/sessions").json()["session_id"]
        port = address.rstrip("/").rsplit(":", 1)[1]
        with connect(f"ws://127.0.0.1:{port}/v1/sessions/{session_id}/events") as socket:
            socket.send('{"type": "speak", "text": "Hello there."}')
            heard = ""
            while "agent.speak_ended" not in heard:
                heard += str(socket.recv(timeout=60))
        assert "subtitle.delta" in heard
        assert "Hello" in heard
