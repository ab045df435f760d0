"""The page for OBS: a picture and sound, nothing else, transparent if asked, back after a break."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.chromium import SOUND_ALLOWED
from tests.conftest import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

Visit = Callable[..., "Page"]
LIVE = "body[data-phase=live]"
SOFTWARE_WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
SCREEN = {"width": 640, "height": 360}


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(SOUND_ALLOWED, *SOFTWARE_WEBGL)


@pytest.fixture
def session(fake_server: ServerProcess) -> Iterator[str]:
    sessions = f"{fake_server.address}/v1/sessions"
    name: str = httpx.post(sessions, timeout=30).json()["session_id"]
    yield name
    httpx.delete(f"{sessions}/{name}", timeout=30)


def shot(page: Page) -> NDArray[np.uint8]:
    picture = Image.open(io.BytesIO(page.screenshot(omit_background=True))).convert("RGBA")
    return np.asarray(picture)


def until(page: Page, holds: Callable[[NDArray[np.uint8]], bool]) -> NDArray[np.uint8]:
    for _ in range(100):
        picture = shot(page)
        if holds(picture):
            return picture
        page.wait_for_timeout(100)
    raise AssertionError("the picture never came to look so")


def test_it_fills_the_screen_and_shows_no_controls(
    browser: Browser, visit: Visit, fake_server: ServerProcess, session: str
) -> None:
    page = visit(browser, f"{fake_server.address}/view/{session}", viewport=SCREEN)
    page.wait_for_selector(LIVE)
    picture = until(page, lambda seen: 85 < seen[180, 320, 0] < 110)  # the fake's grey
    assert (picture[180, 320 - 175 : 320 + 175, 0] > 60).all()  # as high as the screen
    assert (picture[:, :130, :3] == 0).all() and (picture[..., 3] == 255).all()
    assert page.locator("button, [controls], a").count() == 0
    assert not page.evaluate("document.querySelector('video').muted")
    httpx.post(f"{fake_server.address}/v1/sessions/{session}/speak", json={"text": "x" * 40})
    until(page, lambda seen: seen[200, 320, 0] > 230)  # the bar


def test_it_is_transparent_if_asked(
    browser: Browser, visit: Visit, fake_server: ServerProcess, session: str
) -> None:
    address = f"{fake_server.address}/view/{session}?transparent&muted"
    page = visit(browser, address, viewport=SCREEN)
    page.wait_for_selector(LIVE)
    picture = until(page, lambda seen: seen[180, 320, 3] > 250)
    assert (picture[:, :130, 3] == 0).all()
    assert picture[180, 150, 3] < 10  # inside the picture, beside the person
    assert page.evaluate("document.querySelector('video').muted")
    told = fake_server.get(f"v1/sessions/{session}")
    assert told["background"] == "transparent"


def test_it_says_that_there_is_no_session_and_shows_one_that_ended_no_more(
    browser: Browser, visit: Visit, fake_server: ServerProcess, session: str
) -> None:
    expected = ("404", "Failed to load")
    page = visit(
        browser, f"{fake_server.address}/view/{session}", expected=expected, viewport=SCREEN
    )
    page.wait_for_selector(LIVE)
    httpx.delete(f"{fake_server.address}/v1/sessions/{session}", timeout=30)
    page.wait_for_selector("body[data-phase=connecting]")
    page.wait_for_function("document.querySelector('#notice').textContent.includes('no session')")
    assert (shot(page)[100:200, 200:440, :3] == 0).all()
