"""The page's Expression panel: what is chosen reaches the server, and is remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.chromium import SOUND_ALLOWED
from tests.conftest import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

Visit = Callable[..., "Page"]
Photograph = Callable[..., None]

LIVE = "body[data-phase=live][data-picture=live]"
READY = "#expression:not(:disabled)"


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(SOUND_ALLOWED)


@pytest.fixture
def page(browser: Browser, visit: Visit, fake_server: ServerProcess) -> Page:
    page = visit(browser, fake_server.address)
    page.wait_for_selector(f"{LIVE} {READY}")
    return page


def session_of(page: Page) -> Callable[[], dict[str, Any]]:
    """Returns a function that asks the server what it holds for the page's latest session."""
    opened: list[str] = []
    page.on(
        "response",
        lambda answer: (
            opened.append(answer.json()["session_id"])
            if answer.request.method == "POST" and answer.url.endswith("/v1/sessions")
            else None
        ),
    )
    page.reload()
    page.wait_for_selector(f"{LIVE} {READY}")
    script = "id => fetch(`v1/sessions/${id}`).then((answer) => answer.json())"
    return lambda: dict(page.evaluate(script, opened[-1]))


def test_choices_reach_the_server_and_are_asked_for_again(
    page: Page, photograph: Photograph
) -> None:
    session = session_of(page)
    assert page.is_disabled("#intensity")
    page.select_option("#emotion", "happy")
    page.wait_for_selector("#intensity:enabled")
    page.fill("#intensity", "0.9")
    page.select_option("#gaze", label="To the right")
    page.fill("#liveliness", "0.4")
    page.wait_for_function("JSON.parse(localStorage.getItem('vivant.style'))?.head_motion === 0.4")
    style = session()["style"]
    assert (style["emotion"], style["intensity"], style["gaze"]) == ("happy", 0.9, [16, 0])
    assert style["head_motion"] == style["expressiveness"] == 0.4
    photograph(page, "expression")
    session = session_of(page)
    assert session()["style"] == style
    assert page.input_value("#emotion") == "happy" and page.input_value("#intensity") == "0.9"


def test_gestures_are_buttons_and_nothing_is_complained_of(page: Page) -> None:
    buttons = page.locator("#gestures button")
    assert buttons.all_inner_texts()[:2] == ["Nod", "Shake the head"]
    for index in range(buttons.count()):
        buttons.nth(index).click()
    page.wait_for_timeout(300)
    assert page.locator("#notices *").count() == 0


def test_a_style_that_the_server_refuses_does_not_stand_in_the_way(
    browser: Browser, visit: Visit, fake_server: ServerProcess
) -> None:
    page = visit(browser, fake_server.address, expected=("400",))
    page.wait_for_selector(f"{LIVE} {READY}")
    page.evaluate("localStorage.setItem('vivant.style', '{\"emotion\":\"bored\"}')")
    page.reload()
    page.wait_for_selector(f"{LIVE} {READY}")
    assert page.input_value("#emotion") == "neutral"
