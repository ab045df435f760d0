"""The page's three modes: tabs, address, memory, files that come when they are needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from benchmarks.chromium import SOUND_ALLOWED
from tests.conftest import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

Visit = Callable[..., "Page"]

LIVE = "body[data-phase=live][data-picture=live]"
MODES = ("present", "converse", "puppet")


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(SOUND_ALLOWED)


@pytest.fixture
def page(browser: Browser, visit: Visit, fake_server: ServerProcess) -> Page:
    page = visit(browser, fake_server.address)
    page.wait_for_selector(LIVE)
    return page


def shown(page: Page) -> list[str]:
    """Returns the modes whose panels can be seen."""
    return [mode for mode in MODES if page.locator(f"#panel-{mode}").is_visible()]


def test_the_first_mode_is_present_and_its_line_is_there_at_once(page: Page) -> None:
    assert shown(page) == ["present"]
    for control in ("text", "speak", "interrupt", "microphone", "voice", "gallery", "add"):
        assert page.locator(f"#{control}").is_visible(), control


def test_a_mode_is_chosen_by_its_tab_and_told_in_the_address(page: Page) -> None:
    for mode in ("puppet", "converse", "present"):
        page.click(f"#mode-{mode}")
        assert shown(page) == [mode]
        assert page.get_attribute(f"#mode-{mode}", "aria-selected") == "true"
        assert page.locator("[role=tab][aria-selected=true]").count() == 1
        assert urlsplit(page.url).fragment == mode


def test_arrow_keys_go_around_the_tabs(page: Page) -> None:
    page.focus("#mode-present")
    visited = []
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "Home", "End"):
        page.keyboard.press(key)
        visited.append(page.evaluate("document.activeElement.id.replace('mode-', '')"))
        assert shown(page) == visited[-1:]
    assert visited == ["converse", "puppet", "present", "puppet", "present", "puppet"]
    assert page.locator("[role=tab][tabindex='0']").count() == 1, "one stop for the Tab key"


def test_a_mode_is_remembered_and_the_address_comes_first(
    browser: Browser, visit: Visit, fake_server: ServerProcess
) -> None:
    page = visit(browser, f"{fake_server.address}/#converse")
    page.wait_for_selector("#converse-text")
    page.goto("about:blank")
    page.goto(fake_server.address)
    page.wait_for_selector("#converse-text")
    assert shown(page) == ["converse"]
    page.evaluate("location.hash = 'puppet'")
    page.wait_for_selector("#panel-puppet:visible")
    page.evaluate("location.hash = 'nonsense'")
    assert shown(page) == ["puppet"]


def test_a_modes_files_come_when_it_is_first_chosen(
    browser: Browser, visit: Visit, fake_server: ServerProcess
) -> None:
    page = visit(browser, "about:blank")
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(urlsplit(request.url).path))
    page.goto(fake_server.address)
    page.wait_for_selector("#script")
    assert not [path for path in fetched if "converse" in path or "puppet" in path]
    page.click("#mode-converse")
    page.wait_for_selector("#converse-text")
    page.click("#mode-present")
    page.click("#mode-converse")
    own = sorted(path for path in fetched if path.startswith("/modes/converse."))
    assert own == ["/modes/converse.css", "/modes/converse.html", "/modes/converse.js"]


@pytest.mark.parametrize("file", ["modes/puppet.html", "modes/puppet.css", "expression.html"])
def test_a_mode_that_does_not_arrive_says_so_and_can_be_had_again(
    browser: Browser, visit: Visit, fake_server: ServerProcess, file: str
) -> None:
    page = visit(browser, "about:blank", expected=("Failed to load",))
    page.route(f"**/{file}", lambda route: route.abort(), times=1)
    page.goto(f"{fake_server.address}/#puppet")
    page.wait_for_selector("text=This part of the page did not arrive.")
    page.wait_for_selector(LIVE)  # the rest of the page works
    page.click("#panel-puppet >> text=Try again")
    page.wait_for_selector("#panel-puppet .label >> nth=0")
    assert page.locator(".mode-fault").count() == 0
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(({ id }) => id)")
    assert len(ids) == len(set(ids)), "nothing came twice"
    assert page.locator("#microphone").is_enabled()


def test_a_conversation_begins_and_ends_with_its_mode(
    browser: Browser, visit: Visit, fake_server: ServerProcess
) -> None:
    page = visit(browser, "about:blank")
    with page.expect_response("**/v1/sessions") as opened:
        page.goto(fake_server.address)
    page.wait_for_selector(LIVE)
    session = fake_server.address + "/v1/sessions/" + opened.value.json()["session_id"]
    brain = "address => fetch(address).then((answer) => answer.json()).then(({ brain }) => brain)"
    assert page.evaluate(brain, session) == "off"
    with page.expect_response("**/brain"):
        page.click("#mode-converse")
    assert page.evaluate(brain, session) == "demo"
    with page.expect_response("**/brain"):
        page.click("#mode-present")
    assert page.evaluate(brain, session) == "off"
