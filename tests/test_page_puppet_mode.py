"""The page's mode Puppet, with a stand-in for MediaPipe: what moves, and what is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from benchmarks.chromium import SOUND_ALLOWED
from tests.conftest import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, WebSocket

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

Visit = Callable[..., "Page"]
Photograph = Callable[..., None]

LIVE = "body[data-phase=live]"
# Finds a face turned to the left in every picture, for as long as the page lets it.
STAND_IN = """
const turned = [0.8, 0, -0.6, 0, 0, 1, 0, 0, 0.6, 0, 0.8, 0, 0, 0, -40, 1];
const points = new Float32Array(3 * 478).fill(0.5);
const scores = [{ name: "jawOpen", score: 0.2 }, { name: "browInnerUp", score: 0.7 }];
const hidden = new BroadcastChannel("hidden");
let isHidden = false;
hidden.onmessage = ({ data }) => (isHidden = data);
onmessage = ({ data }) => {
  data.picture.close();
  postMessage({ id: data.id, found: isHidden ? null : { scores, matrix: turned, points } });
};
postMessage("ready");
"""


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(SOUND_ALLOWED)


@pytest.fixture
def said(browser: Browser, visit: Visit, fake_server: ServerProcess) -> tuple[Page, list[Any]]:
    """Returns a page in the mode, and what it has said to the server so far."""
    page = visit(browser, "about:blank")
    page.context.grant_permissions(["camera", "clipboard-read", "clipboard-write"])
    javascript = {"content_type": "text/javascript"}
    page.context.route("**/vision_bundle.mjs", lambda route: route.fulfill(body="", **javascript))
    page.context.route(
        "**/face_worker.js", lambda route: route.fulfill(body=STAND_IN, **javascript)
    )
    messages: list[Any] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: messages.append(json.loads(frame)))

    page.on("websocket", listen)
    page.goto(f"{fake_server.address}/#puppet")
    page.wait_for_selector(LIVE)
    page.wait_for_selector("#puppet-copy:enabled")
    return page, messages


def of_kind(messages: list[Any], kind: str) -> list[Any]:
    return [message for message in messages if message["type"] == kind]


def test_a_face_is_followed_lost_and_found_again(
    said: tuple[Page, list[Any]], photograph: Photograph
) -> None:
    page, messages = said
    assert not page.locator("#puppet-neutral").is_visible()
    page.click("#puppet-camera")
    page.wait_for_selector("body[data-face=seen]")
    assert page.locator("#mirror").is_visible()
    page.wait_for_function(
        "/Face seen · \\d+/.test(document.querySelector('#mirror-mark').textContent)"
    )
    for _ in range(40):  # the neutral face is taken once, after a second
        if of_kind(messages, "motion.calibrate"):
            break
        page.wait_for_timeout(100)
    page.evaluate("new BroadcastChannel('hidden').postMessage(true)")
    page.wait_for_selector("body[data-face=lost]")
    assert "your voice goes on" in page.inner_text("#puppet-state")
    assert page.is_disabled("#puppet-neutral")
    photograph(page, "puppet-lost")
    page.evaluate("new BroadcastChannel('hidden').postMessage(false)")
    page.wait_for_selector("body[data-face=seen]")
    assert len(of_kind(messages, "motion.calibrate")) == 1
    page.click("#puppet-neutral")
    page.wait_for_timeout(100)
    assert len(of_kind(messages, "motion.calibrate")) == 2
    page.click("#mode-present")
    page.wait_for_selector("body[data-face=off]")
    assert page.evaluate("document.querySelector('#mirror-video').srcObject") is None


def test_what_follows_the_camera_is_told_and_remembered(said: tuple[Page, list[Any]]) -> None:
    page, messages = said
    page.click("#puppet-more-summary")
    page.click("#puppet-camera")
    page.wait_for_selector("body[data-face=seen]")
    page.check("input[name=lips][value=both]")
    page.uncheck("#puppet-head")
    page.fill("#puppet-smoothing", "0.8")
    page.wait_for_timeout(100)
    told = of_kind(messages, "motion.configure")
    rest = {"eyes": "replace", "brows": "replace", "cheeks": "replace"}
    assert told[0]["parts"] == {"mouth": "off", "head": "replace", **rest}
    assert told[-1]["parts"] == {"mouth": "add", "head": "off", **rest}
    assert told[-1]["smoothing"] == 0.8
    page.reload()
    page.wait_for_selector("#puppet-more-summary")
    page.click("#puppet-more-summary")
    assert page.is_checked("input[name=lips][value=both]")
    assert not page.is_checked("#puppet-head")
    assert page.input_value("#puppet-smoothing") == "0.8"


def test_the_address_for_obs_is_copied_and_shows_the_session(
    said: tuple[Page, list[Any]], browser: Browser, visit: Visit
) -> None:
    page, _ = said
    plain = page.input_value("#puppet-address")
    assert page.get_attribute("#puppet-view", "href") == plain
    page.check("#puppet-transparent")
    page.check("#puppet-muted")
    page.click("#puppet-copy")
    page.wait_for_selector("#puppet-copy:text('Copied')")
    assert page.evaluate("navigator.clipboard.readText()") == f"{plain}?transparent&muted"
    visit(browser, plain).wait_for_selector(LIVE)


def test_a_refused_camera_is_explained(
    said: tuple[Page, list[Any]], photograph: Photograph
) -> None:
    page, _ = said
    explanations = {
        "NotFoundError": "No camera was found",
        "NotReadableError": "in use by another program",
        "NotAllowedError": "blocked for this page",
    }
    for name, words in explanations.items():
        page.evaluate(
            "name => { navigator.mediaDevices.getUserMedia ="
            " async () => { throw new DOMException('', name); }; }",
            name,
        )
        page.click("#puppet-camera")
        page.wait_for_selector(f"#puppet-fault:has-text('{words}')")
        assert page.get_attribute("#puppet-camera", "aria-pressed") == "false"
    photograph(page, "puppet-refused")


def test_the_tracker_has_a_policy_of_its_own(fake_server: ServerProcess) -> None:
    """The page's would not let MediaPipe run; this lets it reach nobody."""
    answer = httpx.get(f"{fake_server.address}/face_worker.js")
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"default-src 'self'", "connect-src 'self'"} <= set(policy)
    assert "javascript" in answer.headers["content-type"]
