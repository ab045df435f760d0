"""The page's films and streams: recorded, downloaded, deleted, pushed, and refused with reasons."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import av
import httpx
import pytest

from benchmarks.chromium import SOUND_ALLOWED
from tests.conftest import FAKE, ServerProcess
from tests.srt_listener import SrtListener

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

Visit = Callable[..., "Page"]
Photograph = Callable[..., None]

LIVE = "body[data-phase=live][data-picture=live]"
RECORDING = "body[data-recording=on]"
DONE = ".film a"


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(SOUND_ALLOWED)


@pytest.fixture(scope="module")
def strict_server(
    chromium: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """Yields a server that can keep no film, and has one place for outputs."""
    del chromium
    folder = tmp_path_factory.mktemp("strict")
    (folder / "films").write_text("a file is where the folder should be")
    limits = ("--recordings-dir", str(folder / "films"), "--max-outputs", "1", "--size", "256")
    server = ServerProcess(FAKE, *limits, folder=folder)
    yield server
    server.stop()


@pytest.fixture
def page(browser: Browser, visit: Visit, fake_server: ServerProcess) -> Page:
    page = visit(browser, fake_server.address)
    open_drawer(page)
    return page


def open_drawer(page: Page) -> None:
    page.wait_for_selector(LIVE)
    page.click("#films-summary")
    page.wait_for_selector("#record")


def record(page: Page) -> None:
    page.click("#record")
    page.wait_for_selector(RECORDING)
    page.wait_for_function("/0:0[1-9]/.test(document.querySelector('#films-time').textContent)")
    page.click("#record")


def download(page: Page, folder: Path) -> Path:
    with page.expect_download() as begun:
        page.click(DONE)
    path = folder / begun.value.suggested_filename
    begun.value.save_as(path)
    return path


def test_what_is_recorded_is_downloaded_and_deleted(
    page: Page, tmp_path: Path, photograph: Photograph
) -> None:
    page.click("#record")
    page.wait_for_selector(RECORDING)
    page.wait_for_function("/0:0[1-9]/.test(document.querySelector('#record-text').textContent)")
    assert page.get_attribute("#record", "aria-pressed") == "true"
    photograph(page, "films-recording")
    page.click("#record")
    page.wait_for_selector(DONE)
    assert re.search(r"0:0\d · \d+ kB · MP4", page.inner_text(".film"))
    photograph(page, "films-done")
    path = download(page, tmp_path)
    with av.open(str(path)) as film:
        assert {stream.type for stream in film.streams} == {"video", "audio"}
        assert sum(1 for _ in film.decode(video=0)) >= 5
    href = page.get_attribute(DONE, "href") or ""
    page.click(".film >> text=Delete")
    assert httpx.get(href).status_code == 200, "it takes a second press"
    page.click(".film >> text=For good?")
    page.wait_for_selector(".film", state="detached")
    assert httpx.get(href).status_code == 404


def test_a_film_of_the_last_visit_is_still_there(page: Page) -> None:
    record(page)
    page.wait_for_selector(DONE)
    href = page.get_attribute(DONE, "href")
    page.reload()
    open_drawer(page)
    page.wait_for_selector(f"a[href='{href}']")


def test_a_recording_that_somebody_else_began_shows_without_being_asked_for(
    browser: Browser, visit: Visit, fake_server: ServerProcess
) -> None:
    page = visit(browser, "about:blank")
    with page.expect_response("**/v1/sessions") as opened:
        page.goto(fake_server.address)
    page.wait_for_selector(LIVE)
    session = f"{fake_server.address}/v1/sessions/{opened.value.json()['session_id']}"
    recording = httpx.post(f"{session}/recordings").json()["id"]
    page.wait_for_selector(RECORDING)
    assert not page.locator("#films-drawer").is_visible()
    assert "recorded" in (page.get_attribute("#films-summary", "aria-label") or "")
    httpx.delete(f"{session}/recordings/{recording}")
    page.wait_for_selector("body[data-recording=off]")


def test_a_transparent_portrait_is_filmed_with_its_matte(page: Page, tmp_path: Path) -> None:
    page.keyboard.press("Escape")
    page.click("input[name=background][value=transparent]", force=True)
    page.wait_for_selector("body[data-layout=packed]")
    page.click("#films-summary")
    record(page)
    page.wait_for_selector(DONE)
    assert "WebM" in page.inner_text(".film")
    with av.open(str(download(page, tmp_path))) as film:
        assert film.streams.video[0].metadata.get("alpha_mode") == "1"


def test_a_film_that_cannot_be_kept_is_refused_with_the_reason(
    browser: Browser, visit: Visit, strict_server: ServerProcess
) -> None:
    page = visit(browser, strict_server.address, expected=("507",))
    open_drawer(page)
    page.click("#record")
    page.wait_for_selector("#record-fault:not(:empty)")
    assert "cannot be kept here" in page.inner_text("#record-fault")
    assert page.get_attribute("body", "data-recording") == "off"
    assert page.locator("#record").is_enabled()


def test_a_stream_is_seen_to_go_live_and_is_stopped(page: Page, photograph: Photograph) -> None:
    listener = SrtListener()
    try:
        page.click("#streams-summary")
        page.fill("#stream-url", f"srt://127.0.0.1:{listener.port}?streamid=publish:secret")
        page.click("#stream-start")
        page.wait_for_selector(".film[data-state=live]", timeout=60_000)
        assert page.get_attribute("body", "data-streaming") == "live"
        assert page.input_value("#stream-url") == ""
        shown = page.inner_text("#streams-list")
        assert "Live" in shown
        assert "secret" not in shown
        photograph(page, "streams-live")
        page.click("#streams-list >> text=Stop")
        page.wait_for_selector("#streams-list .film", state="detached")
    finally:
        listener.close()
    assert listener.stream_id == "publish:secret"


def test_a_stream_that_is_refused_is_tried_again_and_a_second_is_one_too_many(
    browser: Browser, visit: Visit, strict_server: ServerProcess, photograph: Photograph
) -> None:
    page = visit(browser, strict_server.address, expected=("400", "409"))
    open_drawer(page)
    page.click("#streams-summary")
    page.click("#stream-start")
    assert "Type the address" in page.inner_text("#stream-fault")
    page.fill("#stream-url", "ftp://example.org")
    page.click("#stream-start")
    page.wait_for_function("document.querySelector('#stream-fault').textContent.includes('ftp')")
    page.fill("#stream-url", "rtmp://127.0.0.1:9/live/key")
    assert page.inner_text("#stream-fault") == ""
    page.click("#stream-start")
    page.wait_for_selector(".film[data-state=retrying]", timeout=60_000)
    shown = page.inner_text("#streams-list")
    assert re.search(r"Trying again in \d+ s: .*refuses connections", shown)
    photograph(page, "streams-retrying")
    page.fill("#stream-url", "rtmp://127.0.0.1:9/live/other")
    page.click("#stream-start")
    page.wait_for_function("/at most 1/.test(document.querySelector('#stream-fault').textContent)")
    page.click("#streams-list >> text=Stop")
    page.wait_for_selector("#streams-list .film", state="detached")


def test_a_token_is_asked_for_where_there_is_one(page: Page) -> None:
    page.click("#streams-summary")
    assert not page.locator("#stream-bearer").is_visible()
    page.fill("#stream-url", "whip+https://example.org/live")
    assert page.locator("#stream-bearer").is_visible()


def test_escape_closes_the_drawer_and_gives_the_focus_back(page: Page) -> None:
    page.focus("#record")
    page.keyboard.press("Escape")
    assert not page.locator("#films-drawer").is_visible()
    assert page.evaluate("document.activeElement.id") == "films-summary"
