"""Backgrounds in the page: chosen by hand, seen in Chromium, pixels read off the screen."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.chromium import SOUND_ALLOWED
from server.media_files import FilmWriter
from streaming_model.media import VideoFrame, frame_start
from tests.conftest import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

Visit = Callable[..., "Page"]
Photograph = Callable[..., None]

LIVE = "body[data-phase=live][data-picture=live]"
SOFTWARE_WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
PHONE = {"width": 360, "height": 740}
BLUE_WALL = "#picture { background: rgb(0, 0, 255) !important; }"


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(SOUND_ALLOWED, *SOFTWARE_WEBGL)


@pytest.fixture
def page(browser: Browser, visit: Visit, fake_server: ServerProcess) -> Page:
    page = visit(browser, fake_server.address)
    page.wait_for_selector(LIVE)
    return page


def choose(page: Page, name: str) -> None:
    page.click(f"#backgrounds label:has(input[value={name}])")


def on_screen(page: Page, place: tuple[float, float]) -> NDArray[np.int64]:
    """Returns the colour on the screen at a place of the picture, shares from its left and top."""
    box = page.locator("#picture").bounding_box()
    assert box is not None
    x, y = box["x"] + place[0] * box["width"], box["y"] + place[1] * box["height"]
    shot = page.screenshot(clip={"x": x - 2, "y": y - 2, "width": 4, "height": 4})
    pixels = np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"), np.int64)
    return np.asarray(pixels.reshape(-1, 3).mean(axis=0).round(), np.int64)


def until_shown(page: Page, place: tuple[float, float], colour: tuple[int, int, int]) -> None:
    for _ in range(60):
        seen = on_screen(page, place)
        if np.abs(seen - colour).max() <= 8:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{seen} is not {colour}")


# of the stand-in's picture: a pillar of grey in the middle, the backdrop beside it
BESIDE, PILLAR = (0.06, 0.5), (0.5, 0.3)
GREY = (96, 96, 96)


def test_a_transparent_portrait_stands_before_the_page(page: Page, photograph: Photograph) -> None:
    page.add_style_tag(content=BLUE_WALL)
    choose(page, "transparent")
    page.wait_for_selector("body[data-layout=packed]")
    until_shown(page, BESIDE, (0, 0, 255))
    until_shown(page, PILLAR, GREY)
    # the matte is cut where the stand-in cuts it, an eighth from the left
    assert np.abs(on_screen(page, (0.11, 0.3)) - (0, 0, 255)).max() <= 8
    assert np.abs(on_screen(page, (0.14, 0.3)) - GREY).max() <= 8
    assert np.abs(on_screen(page, (0.5, 0.985)) - GREY).max() <= 8  # no bleeding of the halves
    assert np.abs(on_screen(page, (0.06, 0.985)) - (0, 0, 255)).max() <= 8
    page.click("#figures-summary")
    page.locator("#figures-list dd", has_text="512 × 512").wait_for()
    page.click("#figures-summary")
    photograph(page, "background-transparent")
    choose(page, "green")
    page.wait_for_selector("body[data-layout=plain]")
    until_shown(page, BESIDE, (0, 177, 64))
    until_shown(page, PILLAR, GREY)


def test_it_moves_and_fills_the_screen(page: Page, photograph: Photograph) -> None:
    choose(page, "transparent")
    page.wait_for_selector("body[data-layout=packed]")
    page.fill("#text", "A line that hums for as long as this test needs to look at it. " * 4)
    page.press("#text", "Enter")
    page.click("#full")
    page.wait_for_function("document.fullscreenElement !== null")
    until_shown(page, (0.5, 0.6), (255, 255, 255))  # the stand-in's bar
    photograph(page, "background-full-screen")


def test_a_colour_and_a_picture_are_chosen_and_remembered(
    browser: Browser, visit: Visit, fake_server: ServerProcess, photograph: Photograph
) -> None:
    page = visit(browser, fake_server.address, expected=("415",), bypass_csp=False)
    page.wait_for_selector(LIVE)
    choose(page, "colour")
    page.fill("#background-colour", "#c02060")
    until_shown(page, BESIDE, (192, 32, 96))
    choose(page, "image")
    page.set_input_files("#background-file", png("beach.png", (30, 140, 200)))
    until_shown(page, BESIDE, (30, 140, 200))
    photograph(page, "background-picture")
    page.reload()
    page.wait_for_selector(LIVE)
    until_shown(page, BESIDE, (30, 140, 200))
    assert page.locator("#backgrounds input:checked").input_value() == "image"
    letters: Any = {"name": "a.png", "mimeType": "image/png", "buffer": b"letters"}
    page.set_input_files("#background-file", letters)
    page.wait_for_selector("#background-fault:not(:empty)")
    assert "JPEG, PNG and WebP" in page.inner_text("#background-fault")


def test_a_background_that_is_gone_does_not_stand_in_the_way(
    browser: Browser, visit: Visit, fake_server: ServerProcess
) -> None:
    page = visit(browser, fake_server.address, expected=("404",))
    page.wait_for_selector(LIVE)
    page.evaluate("localStorage.setItem('vivant.background', 'image-0123456789abcdef')")
    page.reload()
    page.wait_for_selector(LIVE)
    assert page.locator("#backgrounds input:checked").input_value() == "keep"


def test_the_keyboard_chooses_backgrounds(page: Page) -> None:
    page.focus("#backgrounds input[value=keep]")
    page.keyboard.press("ArrowLeft")  # round to the last
    page.wait_for_selector("body[data-layout=packed]")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#backgrounds input:checked").input_value() == "colour"
    page.wait_for_selector("body[data-layout=plain]")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "background-colour"


def test_without_webgl_the_page_says_so_and_shows_the_portrait(
    launch: Callable[..., Browser],
    visit: Visit,
    fake_server: ServerProcess,
    photograph: Photograph,
) -> None:
    browser = launch(SOUND_ALLOWED, "--disable-3d-apis")
    page = visit(browser, fake_server.address, expected=("WebGL",))
    page.wait_for_selector(LIVE)
    choose(page, "transparent")
    page.wait_for_selector(".notice:has-text('no WebGL')")
    until_shown(page, PILLAR, GREY)
    photograph(page, "background-no-webgl")


def test_a_phone_holds_the_backgrounds(
    browser: Browser, visit: Visit, photograph: Photograph, fake_server: ServerProcess
) -> None:
    page = visit(browser, fake_server.address, viewport=PHONE, has_touch=True)
    page.wait_for_selector(LIVE)
    choose(page, "transparent")
    page.wait_for_selector("body[data-layout=packed]")
    choose(page, "colour")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.locator("#backgrounds").scroll_into_view_if_needed()
    photograph(page, "background-phone", whole=True)


def test_a_transparent_film_plays_over_a_page(
    browser: Browser, visit: Visit, tmp_path: Path, photograph: Photograph
) -> None:
    image = np.zeros((256, 256, 4), np.uint8)
    image[64:, 64:192] = (200, 60, 40, 255)
    with FilmWriter(tmp_path / "a.webm", size=256, fps=25, is_transparent=True) as film:
        for index in range(25):
            film.write_picture(VideoFrame(frame_start(index, 25), image))
    data = base64.b64encode((tmp_path / "a.webm").read_bytes()).decode()
    page = visit(browser, "about:blank")
    page.set_content(
        "<body style='margin: 0; background: rgb(0, 0, 255)'><video id='picture' muted autoplay"
        f" width='512' height='512' src='data:video/webm;base64,{data}'></video>"
    )
    page.wait_for_function("document.getElementById('picture').currentTime > 0.2")
    until_shown(page, (0.5, 0.6), (200, 60, 40))
    until_shown(page, (0.1, 0.6), (0, 0, 255))
    photograph(page, "transparent-film")


@pytest.mark.model
def test_the_shipped_portrait_stands_before_the_page(
    browser: Browser, visit: Visit, photograph: Photograph, real_server: ServerProcess
) -> None:
    page = visit(browser, real_server.address)
    page.wait_for_selector(LIVE)
    page.add_style_tag(content=BLUE_WALL)
    choose(page, "transparent")
    page.wait_for_selector("body[data-layout=packed]")
    until_shown(page, (0.04, 0.06), (0, 0, 255))
    assert np.abs(on_screen(page, (0.45, 0.4)) - (0, 0, 255)).max() > 100
    photograph(page, "portrait-transparent-blue")
    page.reload()
    page.wait_for_selector("body[data-layout=packed]")
    page.wait_for_timeout(500)
    photograph(page, "portrait-transparent")
    page.emulate_media(color_scheme="light")
    photograph(page, "portrait-transparent-light")
    choose(page, "blur")
    page.wait_for_selector("body[data-layout=plain]")
    photograph(page, "portrait-blurred")


def png(name: str, colour: tuple[int, int, int]) -> Any:  # noqa: ANN401 - Playwright's FilePayload
    data = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(data, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": data.getvalue()}
