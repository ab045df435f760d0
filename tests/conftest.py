"""Fixtures shared by the tests of the page: servers as processes, Chromium, watched pages."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import httpx
import pytest
from filelock import FileLock

from benchmarks.chromium import CHROMIUM_FLAGS
from tests import layout
from tools.node import packages

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--layout", choices=get_args(layout.Layout), default="single", help=layout.__doc__
    )


def pytest_configure(config: pytest.Config) -> None:
    layout.chosen = config.getoption("--layout")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items if layout.chosen == "ray" else ():
        for mark in item.iter_markers("single_layout"):
            item.add_marker(pytest.mark.skip(reason=str(mark.args[0])))


ROOT = Path(__file__).resolve().parent.parent
ARTIFACTS = ROOT / "artifacts"
START_TIMEOUT = 150  # seconds for a server to become ready, models and all

# What one test brings must not go while a later one's page has it listed.
UPLOADS_STAY = ("--portrait-wait", "3600")
REAL = ("-c", "import sys; from server.cli import main; sys.exit(main())", "serve")
FAKE = ("-m", "tests.live_fakes")
CLUSTERS = {FAKE: ("-m", "tests.ray_fakes"), REAL: REAL}  # what has the same on Ray
ON_RAY = ("--ray", "--ray-cores", str(os.cpu_count() or 1))
RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_worker_niceness": "0",
    "PYTHONPATH": str(ROOT),
}


class ServerProcess:
    """A server of ours on a free port, with a cache of its own."""

    def __init__(self, program: tuple[str, ...], *arguments: str, folder: Path) -> None:
        is_cluster = layout.chosen == "ray" and program in CLUSTERS
        if is_cluster:
            program, arguments = CLUSTERS[program], (*ON_RAY, *arguments)
        self._command = [sys.executable, *program, "--port", str(_free_port()), *arguments]
        self._log = folder / "server.log"
        self._environment = {
            **os.environ,
            "VIVANT_CACHE": str(folder),
            "OMP_NUM_THREADS": "1",
        }
        if is_cluster:
            self._environment |= RAY_ENVIRONMENT
        self.address = f"http://127.0.0.1:{self._command[self._command.index('--port') + 1]}"
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=self._environment,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"The server did not start:\n{self.log()[-4000:]}")
            time.sleep(0.2)

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """Ends it without a word, as a crash does; `start` starts it again."""
        self._process.kill()
        self._process.wait()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        return httpx.get(f"{self.address}/{path}", timeout=30).raise_for_status().json()

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.address}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def real_server(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Yields the shipped server: our model, and the voice that starts fastest."""
    del chromium  # without a browser it would start for nothing
    folder = tmp_path_factory.mktemp("real")
    server = ServerProcess(REAL, "--voice", "joe", *UPLOADS_STAY, folder=folder)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def fake_server(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Yields the server with a model that draws a bar as high as the sound is loud."""
    del chromium
    server = ServerProcess(FAKE, *UPLOADS_STAY, folder=tmp_path_factory.mktemp("fake"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Returns the npm packages that package-lock.json pins, installed if they are not there."""
    with FileLock(ROOT / "node_modules.lock"):  # `make test` runs two processes
        return packages()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Returns the path of Chromium; skips where the machine has none."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    return path


@pytest.fixture(scope="module")
def launch(chromium: str) -> Iterator[Callable[..., Browser]]:
    """Returns a function that starts Chromium with more flags; all of them end with the module.

    Not of session scope: while Playwright runs, no test may run an event loop of its own.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browsers: list[Browser] = []

        def start(*flags: str) -> Browser:
            browser = playwright.chromium.launch(
                executable_path=chromium,
                headless=True,
                ignore_default_args=["--mute-audio"],
                args=[*CHROMIUM_FLAGS, *flags],
            )
            browsers.append(browser)
            return browser

        yield start
        for browser in browsers:
            browser.close()


@pytest.fixture
def visit() -> Iterator[Callable[..., Page]]:
    """Returns a function that opens an address in a fresh context of a browser.

    A page must not complain: errors in its console fail the test, except for those that match
    `expected`. It is left before it is closed, so that it gives its session back.
    """
    visited: list[tuple[Page, list[str], tuple[str, ...]]] = []

    def open_page(
        browser: Browser,
        address: str,
        *,
        expected: tuple[str, ...] = (),
        **context: Any,  # noqa: ANN401 - Playwright's options
    ) -> Page:
        options = {
            "viewport": {"width": 1440, "height": 900},
            "color_scheme": "dark",
            "bypass_csp": True,  # Playwright evaluates strings, which the page forbids
            **context,
        }
        page = browser.new_context(**options).new_page()
        page.set_default_timeout(20_000)
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: complaints.append(_told(message)) if message.type == "error" else None,
        )
        visited.append((page, complaints, expected))
        page.goto(address)
        return page

    yield open_page
    unexpected = []
    for page, complaints, expected in visited:
        unexpected += [text for text in complaints if not any(part in text for part in expected)]
        page.goto("about:blank")
        page.context.close()
    assert not unexpected


def _told(message: ConsoleMessage) -> str:
    """Returns what a page complains of, and where: what could not be loaded is named there only."""
    return f"{message.text} ({message.location['url']})"


@pytest.fixture
def photograph() -> Callable[..., None]:
    """Returns a function that saves a picture of a page under artifacts/, to be looked at."""
    ARTIFACTS.mkdir(exist_ok=True)

    def save(page: Page, name: str, *, whole: bool = False) -> None:
        page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=whole)

    return save
