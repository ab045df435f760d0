"""What the page's first paint costs: our own HTML, CSS and JavaScript, uncompressed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from benchmarks.chromium import SOUND_ALLOWED
from tests.conftest import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Response, Route

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

LIVE = "body[data-phase=live][data-picture=live]"
BUDGET = 100_000  # bytes
# what comes after it
LATER = ("/modes/", "/furnishing.js", "/peer.js", "/events.js", "/figures.js")
# what a visitor sees and may use before anything else has come
AT_ONCE = ("text", "speak", "voice", "portrait-name", "gallery", "sound", "mode-converse")


def test_the_first_paint_takes_less_than_100_kb(
    launch: Callable[..., Browser], visit: Callable[..., Page], fake_server: ServerProcess
) -> None:
    page = visit(launch(SOUND_ALLOWED), "about:blank")
    answers: list[Response] = []
    held: list[Route] = []
    is_painted = False

    def hold(route: Route) -> None:
        """Lets through what the first paint takes, and holds what comes later."""
        path = urlsplit(route.request.url).path
        if path.startswith(LATER) and not is_painted:
            held.append(route)
        else:
            route.continue_()

    page.on("response", lambda answer: answers.append(answer))
    page.route("**/*", hold)
    page.goto(fake_server.address, wait_until="commit")
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    while not held:  # app.js asks for them, once all that it imports has come
        page.wait_for_timeout(50)
    for control in AT_ONCE:
        assert page.locator(f"#{control}").is_visible(), control
    assert page.locator("#microphone").is_disabled()
    own = [answer for answer in answers if answer.headers["content-type"].startswith("text/")]
    sizes = {urlsplit(answer.url).path: len(answer.body()) for answer in own}
    assert {"/", "/style.css", "/app.js"} <= sizes.keys()
    assert sum(sizes.values()) < BUDGET, sizes
    is_painted = True
    for route in held:
        route.continue_()
    page.wait_for_selector(LIVE)
    page.wait_for_selector("#microphone:enabled")
    page.wait_for_selector("#script")
