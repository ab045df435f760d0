"""The page's library of portraits: look before keeping, frame, name, rename, delete, undo."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from PIL import Image

from benchmarks.chromium import FINGERS, SOUND_ALLOWED
from tests.conftest import ServerProcess
from tests.test_page_access import SMALL, axe, faults

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FilePayload, Page, Route, ViewportSize

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

__all__ = ["axe", "faults"]  # fixtures

Visit = Callable[..., "Page"]
Photograph = Callable[..., None]

STATED = "#proof-rights input[value=public-domain]"
LIVE = "body[data-phase=live][data-picture=live]"
# Notes the field `crop` of every form that the page sends, beside the address.
NOTE_CROPS = """() => {
  const { fetch } = window;
  window.sent = [];
  window.fetch = (address, options) => {
    const { body } = options ?? {};
    if (body instanceof FormData) sent.push([String(address).split("/").at(-1), body.get("crop")]);
    return fetch(address, options);
  };
}"""
PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(SOUND_ALLOWED)


@pytest.fixture
def page(browser: Browser, visit: Visit, fake_server: ServerProcess) -> Iterator[Page]:
    page = visit(browser, fake_server.address)
    page.wait_for_selector(LIVE)
    page.wait_for_selector("#add:enabled")
    page.evaluate(NOTE_CROPS)
    yield page
    page.goto("about:blank")
    for portrait in fake_server.get("v1/portraits"):
        if not portrait["builtin"]:
            httpx.delete(f"{fake_server.address}/v1/portraits/{portrait['id']}", timeout=30)


def png(name: str, *, shade: int = 200, width: int = 400, height: int = 300) -> FilePayload:
    data = io.BytesIO()
    ramp = np.tile(np.linspace(0, shade, width, dtype=np.uint8)[None, :, None], (height, 1, 3))
    Image.fromarray(ramp).save(data, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": data.getvalue()}


def bring(page: Page, picture: FilePayload) -> None:
    page.click("#add")
    page.set_input_files("#file", picture)
    page.wait_for_selector("#dialog-proof", state="visible")


def keep(page: Page, picture: FilePayload, name: str) -> str:
    """Keeps a picture; returns its portrait's id."""
    bring(page, picture)
    page.fill("#proof-name", name)
    page.check(STATED)
    page.press("#proof-name", "Enter")
    page.wait_for_selector("#dialog", state="hidden")
    page.wait_for_function(
        "n => document.getElementById('portrait-name').innerText === n", arg=name
    )
    return page.locator("#gallery input:checked").input_value()


def names(server: ServerProcess) -> dict[str, str]:
    return {portrait["id"]: portrait["name"] for portrait in server.get("v1/portraits")}


def until_names(page: Page, server: ServerProcess, expected: set[str]) -> None:
    for _ in range(150):
        if set(names(server).values()) == expected:
            return
        page.wait_for_timeout(100)
    assert set(names(server).values()) == expected


def test_a_picture_is_shown_with_its_frame_and_landmarks_before_it_is_kept(
    page: Page, photograph: Photograph, fake_server: ServerProcess
) -> None:
    before = names(fake_server)
    bring(page, png("aunt_mary.2019.png"))
    assert page.input_value("#proof-name") == "aunt mary.2019"
    assert page.locator("#proof-name").evaluate("element => element === document.activeElement")
    drawn = page.get_attribute(".proof-points", "d") or ""
    assert drawn.count("M") == 478
    frame = page.locator("#crop-box").bounding_box()
    image = page.locator("#proof-image").bounding_box()
    assert frame is not None and image is not None
    scale = 400 / image["width"]
    assert (frame["x"] - image["x"]) * scale == pytest.approx(50, abs=2)
    assert frame["width"] * scale == pytest.approx(300, abs=3)
    assert "A fake." in page.inner_text("#proof-warnings")
    photograph(page, "library-proof")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    photograph(page, "library-proof-phone")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert names(fake_server) == before, "nothing is kept yet"
    page.keyboard.press("Escape")
    assert not page.locator("#dialog").is_visible()
    assert names(fake_server) == before


def test_a_portrait_that_goes_while_it_is_listed_leaves_its_place(
    browser: Browser, visit: Visit, fake_server: ServerProcess
) -> None:
    picture = png("gone.png", shade=90)
    files = {"image": (picture["name"], picture["buffer"], picture["mimeType"])}
    added = httpx.post(f"{fake_server.address}/v1/portraits", files=files, timeout=30)
    portrait = f"v1/portraits/{added.raise_for_status().json()['id']}"

    def go_first(route: Route) -> None:
        httpx.delete(f"{fake_server.address}/{portrait}", timeout=30)
        route.continue_()

    page = visit(browser, "about:blank", expected=(f"{portrait}/image",))
    page.route(f"**/{portrait}/image", go_first)
    with page.expect_response(f"**/{portrait}/image") as answer:
        page.goto(fake_server.address)
    assert answer.value.status == 404
    tile = page.locator(f"#gallery input[value='{portrait.split('/')[-1]}']")
    tile.wait_for(state="detached")
    page.wait_for_selector(LIVE)
    assert page.locator("#gallery input").count() == len(names(fake_server))


def test_the_frame_is_dragged_and_only_what_it_shows_is_kept(
    page: Page, fake_server: ServerProcess
) -> None:
    bring(page, png("crowd.png"))
    page.wait_for_selector("#keep:enabled")
    assert sent_crop(page, 1) is None
    page.locator("#crop-size").fill("0.5")
    assert sent_crop(page, 2) == [125, 75, 150, 150]
    page.wait_for_selector("#keep:enabled")
    box = page.locator("#crop-box").bounding_box()
    image = page.locator("#proof-image").bounding_box()
    assert box is not None and image is not None
    pixel = image["width"] / 400
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] - 60 * pixel, middle[1] + 30 * pixel, steps=4)
    page.mouse.up()
    crop = sent_crop(page, 3)
    assert crop is not None
    assert abs(crop[0] - 65) <= 2 and abs(crop[1] - 105) <= 2 and crop[2:] == [150, 150]
    page.wait_for_selector("#keep:enabled")
    corner = page.locator(".crop-corner").bounding_box()
    assert corner is not None
    right, bottom = corner["x"] + corner["width"] - 4, corner["y"] + corner["height"] - 4
    page.mouse.move(right, bottom)
    page.mouse.down()
    page.mouse.move(right - 50 * pixel, bottom - 50 * pixel, steps=4)
    page.mouse.up()
    smaller = sent_crop(page, 4)
    assert smaller is not None
    assert smaller[:2] == crop[:2]
    assert smaller[2] == smaller[3] == pytest.approx(100, abs=2)
    page.wait_for_selector("#keep:enabled")
    assert page.locator("#proof-whole").is_visible()
    page.check(STATED)
    page.click("#keep")
    page.wait_for_selector("#dialog", state="hidden")
    assert sent_crop(page, 5, to="portraits") == smaller
    assert "crowd" in names(fake_server).values()


def test_the_frame_is_moved_by_keys_and_given_back(page: Page) -> None:
    bring(page, png("crowd.png"))
    page.wait_for_selector("#keep:enabled")
    page.focus("#crop-box")
    for key in ("-", "-", "-", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    assert sent_crop(page, 2) == [65, 15, 282, 282]
    page.wait_for_selector("#keep:enabled")
    page.click("#proof-whole")
    assert sent_crop(page, 3) is None
    page.wait_for_selector("#proof-whole", state="hidden")


def test_a_refusal_is_explained_and_another_picture_may_follow(
    page: Page, photograph: Photograph, fake_server: ServerProcess
) -> None:
    bring(page, png("night.png", shade=0))
    fault = page.inner_text("#dialog-fault")
    assert "There is no face in the picture." in fault
    assert "whole face can be seen" in fault, "what to do about it"
    assert page.locator("#keep").is_disabled()
    assert page.locator("#proof-another").evaluate("element => element === document.activeElement")
    photograph(page, "library-refused")
    page.emulate_media(color_scheme="light")
    photograph(page, "library-refused-light")
    page.click("#proof-another")
    assert page.inner_text("#dialog-fault") == ""
    page.set_input_files("#file", png("day.png"))
    page.wait_for_selector("#keep:enabled")
    page.check(STATED)
    page.click("#keep")
    page.wait_for_selector("#dialog", state="hidden")
    assert "day" in names(fake_server).values()


def test_it_is_asked_by_what_right_a_picture_is_used(
    page: Page, photograph: Photograph, fake_server: ServerProcess
) -> None:
    before = names(fake_server)
    bring(page, png("a.png"))
    assert page.locator("#proof-rights input:checked").count() == 0, "nothing is said for anybody"
    assert page.is_checked("#proof-stay") is False
    page.click("#keep")
    page.wait_for_timeout(300)
    assert page.locator("#dialog-proof").is_visible()
    assert names(fake_server) == before, "it is not sent without an answer"
    assert page.evaluate("document.querySelector('#proof-rights input').validity.valueMissing")
    page.get_by_label("The person agreed").check()
    photograph(page, "library-rights")
    page.click("#keep")
    page.wait_for_selector("#dialog", state="hidden")
    passing = page.locator("#gallery input:checked").input_value()
    told = fake_server.get(f"v1/portraits/{passing}/rights")
    assert (told["rights"], told["kept"]) == ("permission-of-the-person", False)
    assert told["session"], "it stays as long as this page's session"
    bring(page, png("b.png", shade=150))
    assert page.locator("#proof-rights input:checked").count() == 0, "nor for the next"
    page.get_by_label("It shows me").check()
    page.get_by_label("Keep it for next time").check()
    page.click("#keep")
    page.wait_for_selector("#dialog", state="hidden")
    kept = page.locator("#gallery input:checked").input_value()
    told = fake_server.get(f"v1/portraits/{kept}/rights")
    assert (told["rights"], told["kept"]) == ("own-picture", True)
    for portrait in (passing, kept):
        httpx.delete(f"{fake_server.address}/v1/portraits/{portrait}")


def test_every_refusal_comes_with_advice(page: Page) -> None:
    from streaming_model import errors

    codes = [
        kind.code for kind in errors.PortraitError.__subclasses__() if kind.code != "crop_outside"
    ]
    sentences = page.evaluate(
        """async (codes) => {
          const { advise } = await import("/words.js");
          return codes.map((code) => advise(code, "No."));
        }""",
        codes,
    )
    for code, sentence in zip(codes, sentences, strict=True):
        assert sentence.startswith("No. ") and sentence.endswith("."), code


def test_a_portrait_is_renamed(
    page: Page, photograph: Photograph, fake_server: ServerProcess
) -> None:
    portrait = keep(page, png("a.png"), "Aunt")
    assert page.locator(".tile-more").count() == 1, "the server's own is not to be changed"
    page.get_by_role("button", name="Rename or delete Aunt").click()
    assert page.input_value("#editor-name") == "Aunt"
    photograph(page, "library-editor")
    page.fill("#editor-name", "Great-aunt <b>Mary</b>")
    page.press("#editor-name", "Enter")
    page.wait_for_selector("#editor", state="hidden")
    assert names(fake_server)[portrait] == "Great-aunt <b>Mary</b>"
    assert page.inner_text("#portrait-name") == "Great-aunt <b>Mary</b>"
    assert page.locator("#gallery input:checked").input_value() == portrait
    page.get_by_role("button", name="Rename or delete Great-aunt").click()
    page.fill("#editor-name", "   ")
    page.press("#editor-name", "Enter")
    assert page.locator("#editor").is_visible()
    assert names(fake_server)[portrait] == "Great-aunt <b>Mary</b>"


def test_a_portrait_is_deleted_after_a_question_and_may_be_had_back(
    page: Page, photograph: Photograph, fake_server: ServerProcess
) -> None:
    portrait = keep(page, png("a.png"), "Aunt")
    page.get_by_role("button", name="Rename or delete Aunt").click()
    page.click("#editor-delete")
    assert "Delete Aunt?" in page.inner_text("#editor-question")
    photograph(page, "library-delete")
    page.click("#editor-keep")
    page.click("#editor-delete")
    page.click("#editor-sure")
    page.wait_for_selector("#gallery input:checked[value=mona_lisa]")
    page.wait_for_function("document.getElementById('portrait-name').innerText === 'Mona Lisa'")
    assert not page.locator(f"#gallery input[value={portrait}]").is_visible()
    photograph(page, "library-undo")
    page.get_by_role("button", name="Undo").click()
    page.wait_for_selector(f"#gallery input:checked[value={portrait}]")
    page.wait_for_function("document.getElementById('portrait-name').innerText === 'Aunt'")
    page.wait_for_timeout(8_500)
    assert portrait in names(fake_server)
    page.get_by_role("button", name="Rename or delete Aunt").click()
    page.click("#editor-delete")
    page.click("#editor-sure")
    until_names(page, fake_server, {"Mona Lisa"})
    page.wait_for_function(f"!document.querySelector('#gallery input[value={portrait}]')")


def test_it_is_done_by_keys_alone_and_before_the_page_is_left(
    page: Page, fake_server: ServerProcess
) -> None:
    portrait = keep(page, png("a.png"), "Aunt")
    page.focus(f"#gallery input[value={portrait}]")
    page.keyboard.press("F2")
    page.wait_for_selector("#editor-name:focus")
    page.keyboard.type("Uncle")
    page.keyboard.press("Enter")
    page.wait_for_selector("#editor", state="hidden")
    page.wait_for_selector(f"#gallery input[value={portrait}]:focus")
    assert names(fake_server)[portrait] == "Uncle"
    page.keyboard.press("Delete")
    page.wait_for_selector("#editor-keep:focus")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#gallery input:checked[value=mona_lisa]")
    assert portrait in names(fake_server), "it can still be undone"
    page.goto("about:blank")
    until_names(page, fake_server, {"Mona Lisa"})


def test_the_gallery_with_portraits_of_ones_own(page: Page, photograph: Photograph) -> None:
    for index in range(3):
        keep(
            page,
            png(f"{index}.png", shade=120 + 50 * (index % 2), width=300 + index),
            f"No. {index}",
        )
    page.locator("#gallery").scroll_into_view_if_needed()
    photograph(page, "library-gallery")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    page.locator("#gallery").scroll_into_view_if_needed()
    photograph(page, "library-gallery-phone")
    more = page.locator(".tile-box:has(input:checked) .tile-more").bounding_box()
    assert more is not None and min(more["width"], more["height"]) >= 44


def test_none_of_its_states_has_a_serious_fault(
    page: Page, faults: Callable[[Page, str], None]
) -> None:
    page.set_default_timeout(60_000)
    bring(page, png("a.png"))
    page.wait_for_selector("#keep:enabled")
    faults(page, "proof")
    page.click("#proof-another")
    page.set_input_files("#file", png("night.png", shade=0))
    page.wait_for_selector("#dialog-proof", state="visible")
    faults(page, "refused")
    page.keyboard.press("Escape")
    keep(page, png("a.png"), "Aunt")
    page.get_by_role("button", name="Rename or delete Aunt").click()
    page.wait_for_selector("#editor-name:focus")
    faults(page, "editor")
    page.click("#editor-delete")
    faults(page, "question")
    page.keyboard.press("Escape")
    faults(page, "gallery")


def test_nothing_in_it_is_too_small_for_fingers(
    launch: Callable[..., Browser],
    visit: Visit,
    photograph: Photograph,
    fake_server: ServerProcess,
) -> None:
    browser = launch(SOUND_ALLOWED, FINGERS)
    address = fake_server.address
    page = visit(browser, address, viewport=PHONE, has_touch=True, is_mobile=True)
    page.wait_for_selector(LIVE)
    page.wait_for_selector("#add:enabled")
    bring(page, png("a.png"))
    page.wait_for_selector("#keep:enabled")
    assert page.evaluate(SMALL) == []
    page.fill("#proof-name", "Aunt")
    page.check(STATED)
    page.tap("#keep")
    page.wait_for_selector("#dialog", state="hidden")
    page.get_by_role("button", name="Rename or delete Aunt").tap()
    page.wait_for_selector("#editor[open]")
    assert page.evaluate(SMALL) == []
    photograph(page, "library-editor-phone")
    page.tap("#editor-delete")
    assert page.evaluate(SMALL) == []
    page.tap("#editor-sure")
    page.get_by_role("button", name="Undo").wait_for()
    photograph(page, "library-undo-phone")


def sent_crop(page: Page, count: int, to: str = "preview") -> list[int] | None:
    """Returns the crop of the form with that number, counted from 1."""
    page.wait_for_function("count => sent.length >= count", arg=count)
    address, crop = page.evaluate("count => sent[count - 1]", count)
    assert address == to
    return crop and [int(number) for number in crop.split(",")]
