"""The page for OBS: a picture and sound, nothing else, transparent if asked, back after a break."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.chromium import SOUND_ALLOWED
from server.marks.badge import Badge
from streaming_model.avatar import BUILTIN_PORTRAIT
from streaming_model.portrait import make_portrait
from tests.conftest import ARTIFACTS, ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

Visit = Callable[..., "Page"]
RECIPES = (Path(__file__).parent.parent / "docs" / "embed.md").read_text(encoding="utf-8")
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


def test_the_recipe_for_obs_shows_the_person_alone_with_a_soft_edge(
    browser: Browser, visit: Visit, real_server: ServerProcess
) -> None:
    recipe = RECIPES.split("## OBS")[1].split("\n## ")[0]
    (wanted,) = re.findall(r"/v1/sessions -H .* -d '(.*)'", recipe)
    path = re.findall(r"http://127\.0\.0\.1:8080(/view/ID\S*?)`", recipe)[0]
    sessions = f"{real_server.address}/v1/sessions"
    name = httpx.post(sessions, json=json.loads(wanted), timeout=30).json()["session_id"]
    screen: ViewportSize = {"width": 512, "height": 512}
    address = real_server.address + path.replace("ID", name)
    page = visit(browser, address, viewport=screen)
    page.set_default_timeout(60_000)
    page.wait_for_selector(LIVE)
    picture = until(page, lambda seen: seen[300, 256, 3] > 250)
    ARTIFACTS.mkdir(exist_ok=True)
    Image.fromarray(picture).save(ARTIFACTS / "view-transparent.png")
    httpx.delete(f"{sessions}/{name}", timeout=30)
    matte = cv2.resize(make_portrait(BUILTIN_PORTRAIT).matte, (512, 512))
    alpha = picture[..., 3].copy()
    near = np.ones((33, 33), np.uint8)  # pixels that a head at rest may move, twice
    inside = cv2.erode(np.asarray(matte > 250, np.uint8), near) > 0
    outside = cv2.dilate(np.asarray(matte > 5, np.uint8), near) == 0
    top, bottom, left, right = Badge(512).box  # the badge stands on nothing, too
    assert alpha[top:bottom, left:right].max() > 100
    for kept in (inside, outside, alpha):
        kept[top - 2 : bottom + 2, left - 2 : right + 2] = 0
    assert inside.mean() > 0.2 and outside.mean() > 0.1
    assert np.percentile(alpha[inside], 1) > 250, "the person is solid"
    assert np.percentile(alpha[outside], 99) < 5, "and nothing is beside it"
    soft = (alpha > 20) & (alpha < 235)
    assert 0.002 < soft.mean() < 0.06, "with an edge that is neither hard nor wide"
    overlap = ((alpha > 127) & (matte > 127)).sum() / ((alpha > 127) | (matte > 127)).sum()
    print(f"the outline agrees to {overlap:.3f}")  # noqa: T201 - shown by -s
    assert overlap > 0.95
    skin = picture[200:300, 220:300, :3].reshape(-1, 3).mean(axis=0)
    assert skin[0] > skin[2] + 15, "its colours are its own"


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
