"""The example that drives a 3D head: examples/head as a stranger would serve it, with Three.js."""

from __future__ import annotations

import functools
import io
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.chromium import SOUND_ALLOWED
from tests.conftest import FAKE, ROOT, ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

SOFTWARE_WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
SCREEN = {"width": 320, "height": 320}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def site(tmp_path: Path, node_modules: Path) -> Iterator[str]:
    """Yields the address of the example's folder after `npm install three`."""
    folder = tmp_path / "head"
    shutil.copytree(ROOT / "examples" / "head", folder)
    (folder / "node_modules").symlink_to(node_modules)
    (folder / "favicon.ico").write_bytes(b"")
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()
        thread.join()


def shot(page: Page) -> NDArray[np.int16]:
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), np.int16)


def test_the_head_opens_its_mouth_when_the_session_speaks(
    launch: Callable[..., Browser],
    visit: Callable[..., Page],
    site: str,
    chromium: str,
    tmp_path: Path,
) -> None:
    del chromium
    server = ServerProcess(FAKE, "--allow-origin", site, folder=tmp_path)
    try:
        browser = launch(SOUND_ALLOWED, *SOFTWARE_WEBGL)
        address = f"{site}/index.html?server={server.address}&say={'a' * 60}"
        page = visit(browser, address, viewport=SCREEN, expected=("GPU stall",))
        page.wait_for_selector("canvas")
        page.wait_for_function("document.querySelector('canvas').width === 320")
        seen = [shot(page)]
        while np.abs(seen[-1] - seen[0]).mean(axis=2)[170:230, 120:200].max() < 100:
            assert len(seen) < 100, "the mouth never moved"
            page.wait_for_timeout(100)
            seen.append(shot(page))
        skin = seen[-1][150, 160]
        assert skin[0] > skin[2] > 40  # a face, and no black page
    finally:
        server.stop()
