"""The web component in pages of other web sites, in headless Chromium."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.chromium import SOUND_ALLOWED
from tests.conftest import FAKE, ServerProcess
from tests.test_page_access import SERIOUS, axe

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

__all__ = ["axe"]  # a fixture

Visit = Callable[..., "Page"]
Photograph = Callable[..., None]
Put = Callable[[str], str]

ROOT = Path(__file__).parent.parent
MODULE = ROOT / "client_web" / "embed" / "vivant-avatar.js"
CHAT = ROOT / "examples" / "chat.html"
SOFTWARE_WEBGL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
SMALL = {"width": 640, "height": 600}
# Notes every event of the elements, with its name, from the first on.
NOTE = """
window.told = [];
const names = ["phase", "queued", "ready", "state", "closed", "speak-started", "speak-ended"];
for (const name of [...names, "reply", "caption", "transcript", "warning", "error"]) {
  addEventListener(`vivant-${name}`, ({ target, detail }) => {
    told.push({ name, id: target.id, ...detail });
  });
}
"""


class Site:
    """Another web site: pages by their paths."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[str, bytes]] = {}
        pages = self.pages

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                kind, body = pages.get(self.path, ("text/plain", b""))
                self.send_response(200 if self.path in pages else 404)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        self.put("/favicon.ico", "", "image/x-icon")

    def put(self, path: str, text: str, kind: str = "text/html") -> str:
        """Keeps a page; returns its address."""
        self.pages[path] = (kind, text.encode())
        return self.origin + path

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def server(
    chromium: str, site: Site, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    del chromium
    folder = tmp_path_factory.mktemp("embedded")
    server = ServerProcess(FAKE, "--allow-origin", site.origin, folder=folder)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(SOUND_ALLOWED, *SOFTWARE_WEBGL)


@pytest.fixture
def embed(browser: Browser, visit: Visit, site: Site, server: ServerProcess) -> Callable[..., Page]:
    """Returns a function that opens a page of the site with some markup in it."""

    def open_page(
        markup: str, *, module: str | None = None, expected: tuple[str, ...] = ()
    ) -> Page:
        source = module or f"{server.address}/embed/vivant-avatar.js"
        script = f'<script type="module" src="{source}"></script>'
        address = site.put("/", f"<!doctype html><body>{script}{markup}")
        page = visit(browser, "about:blank", viewport=SMALL, expected=expected)
        page.add_init_script(NOTE)
        page.goto(address)
        return page

    return open_page


def told(page: Page, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate(
        "name => told.filter((event) => event.name === name)", name
    )
    return found


def until(page: Page, name: str, holds: str = "true") -> None:
    """Waits for an event of that name for which a JavaScript condition on `event` holds."""
    page.wait_for_function(f"told.some((event) => event.name === {name!r} && ({holds}))")


def live(page: Page, element: str = "vivant-avatar") -> None:
    page.wait_for_function(f"document.querySelector({element!r}).phase === 'live'")
    page.wait_for_function(
        "e => { const s = document.querySelector(e).shadowRoot;"
        " return s.querySelector('.still, img').classList.contains('away'); }",
        arg=element,
    )


def is_open(server: ServerProcess, session: str) -> bool:
    answer = httpx.get(f"{server.address}/v1/sessions/{session}", timeout=30)
    return answer.status_code == 200


def gone(page: Page, server: ServerProcess, session: str) -> bool:
    for _ in range(50):
        if not is_open(server, session):
            return True
        page.wait_for_timeout(100)
    return False


def shot(page: Page) -> NDArray[np.uint8]:
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return np.asarray(picture)


def test_the_chat_example_holds_a_conversation_from_another_site(
    browser: Browser,
    visit: Visit,
    photograph: Photograph,
    site: Site,
    server: ServerProcess,
) -> None:
    text = CHAT.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 12
    assert text.count("http://127.0.0.1:8080") == 1
    address = site.put("/chat.html", text.replace("http://127.0.0.1:8080", server.address))
    page = visit(browser, "about:blank", viewport=SMALL)
    page.add_init_script(NOTE)
    page.goto(address)
    page.wait_for_function("avatar.shadowRoot.querySelector('img').naturalWidth > 0")
    photograph(page, "embed-start")
    assert server.get("v1/info")["sessions"] == 0, "a visitor who only looks takes no place"
    page.fill("input", "Who painted you?")
    page.click("form button")
    until(page, "transcript", "event.text === 'Who painted you?'")
    until(page, "speak-started")
    until(page, "caption", "event.text.includes('Leonardo')")
    page.wait_for_function("heard.textContent.includes('Leonardo')")
    photograph(page, "embed-chat")
    assert page.evaluate("avatar.mode") == "converse"


def test_nothing_is_opened_before_it_is_asked_for(
    embed: Callable[..., Page], server: ServerProcess
) -> None:
    page = embed("<vivant-avatar></vivant-avatar>")
    start = page.get_by_role("button", name="Start")
    start.wait_for()
    assert page.evaluate("document.querySelector('vivant-avatar').phase") == "idle"
    before = server.get("v1/info")["sessions"]
    start.focus()
    page.keyboard.press("Enter")
    live(page)
    assert server.get("v1/info")["sessions"] == before + 1
    assert page.get_by_role("button").count() == 0
    assert not page.evaluate(
        "document.querySelector('vivant-avatar').shadowRoot.querySelector('video').muted"
    )
    assert [event["phase"] for event in told(page, "phase")] == ["idle", "connecting", "live"]
    assert told(page, "ready")[0]["portrait"] == "mona_lisa"


def test_a_browser_that_forbids_sound_shows_the_picture_and_asks(
    launch: Callable[..., Browser], visit: Visit, site: Site, server: ServerProcess
) -> None:
    script = f'<script type="module" src="{server.address}/embed/vivant-avatar.js"></script>'
    page = visit(launch(), site.put("/", f"{script}<vivant-avatar id=it autoplay></vivant-avatar>"))
    # Playwright's own questions count as gestures of the visitor: ask as a debugger does.
    debugger = page.context.new_cdp_session(page)
    sound = "it.shadowRoot.querySelector('slot[name=sound]')"
    is_asking = f"!{sound}.hidden && {sound}.checkVisibility()"
    for _ in range(100):
        if debugger.send("Runtime.evaluate", {"expression": is_asking})["result"].get("value"):
            break
        page.wait_for_timeout(200)
    button = page.get_by_role("button", name="Start with sound")
    video = "it.shadowRoot.querySelector('video')"
    page.wait_for_function(f"{video}.currentTime > 0")
    assert page.evaluate(f"{video}.muted"), "it lives, silently"
    button.click()
    page.wait_for_function(f"!{video}.muted")
    assert not button.is_visible()


def test_it_does_what_it_is_told_and_tells_what_happens(
    embed: Callable[..., Page], server: ServerProcess
) -> None:
    markup = "<vivant-avatar id=it muted captions voice=buzz></vivant-avatar>"
    page = embed(markup, expected=("Failed to load resource",))
    page.wait_for_function("!!customElements.get('vivant-avatar')")
    utterance = page.evaluate("it.speak('One two three four five six. Seven.')")
    until(page, "speak-started", f"event.utterance === {utterance}")
    until(page, "state", "event.state === 'speaking'")
    assert page.evaluate("it.state") == "speaking"
    assert page.evaluate("it.matches(':state(speaking):state(live)')")
    caption = page.locator("vivant-avatar").locator("[part=captions]")
    assert caption.inner_text().startswith("One two")
    page.evaluate("it.captions = false")
    assert not caption.is_visible()
    page.evaluate("it.interrupt()")
    until(page, "speak-ended", f"event.utterance === {utterance} && event.interrupted")
    assert page.evaluate("it.gesture('nod', { strength: 0.5 })") >= 0
    assert page.evaluate("it.motion({ jawOpen: 0.5 }, { mode: 'replace' })") is True
    page.evaluate("it.update({ background: 'green', style: { emotion: 'happy' } })")
    until(page, "ready", "event.background === 'green' && event.style.emotion === 'happy'")
    page.evaluate("it.voice = 'hum'")
    until(page, "ready", "event.voice === 'hum'")
    page.evaluate(
        """it.speak((async function* () {
          yield "A text "; yield ""; yield "that is being written. "; yield "It goes on.";
        })())"""
    )
    until(page, "speak-ended", "!event.interrupted && event.spoken_characters > 20")
    refusals = page.evaluate(
        """Promise.all([
          it.speak("x".repeat(10001)), it.gesture("fly"), it.update({ voice: "nobody" }),
        ].map((deed) => deed.then(() => null, (error) => [error.code, error.message])))"""
    )
    assert [code for code, _ in refusals] == ["text_too_long", "bad_request", "unknown_voice"]
    assert all(sentence.endswith(".") for _, sentence in refusals)
    page.evaluate("it.background = 'nowhere'")
    until(page, "error", "event.code === 'unknown_background'")
    page.evaluate("it.muted = false")
    assert not page.evaluate("it.shadowRoot.querySelector('video').muted")


def test_its_mode_may_change_while_it_lives(
    embed: Callable[..., Page], server: ServerProcess
) -> None:
    page = embed("<vivant-avatar id=it muted autoplay></vivant-avatar>")
    live(page)
    path = f"v1/sessions/{page.evaluate('it.sessionId')}"
    assert server.get(path)["brain"] == "off"
    page.evaluate("it.mode = 'converse'")
    for _ in range(50):
        if server.get(path)["brain"] == "demo":
            break
        page.wait_for_timeout(50)
    assert server.get(path)["brain"] == "demo"
    assert page.evaluate("it.say('Who are you?')") == 1
    until(page, "transcript")


def test_the_microphone_is_listened_to_or_moves_the_lips(embed: Callable[..., Page]) -> None:
    page = embed("<vivant-avatar id=it mode=puppet muted></vivant-avatar>")
    page.wait_for_function("!!customElements.get('vivant-avatar')")
    page.evaluate("it.startMicrophone()")
    assert page.evaluate("it.microphone") is True
    until(page, "state", "event.state === 'speaking'")  # Chromium's fake microphone beeps
    page.evaluate("it.stopMicrophone()")
    assert page.evaluate("it.microphone") is False


def test_a_microphone_that_does_not_open_is_explained(embed: Callable[..., Page]) -> None:
    page = embed("<vivant-avatar id=it muted></vivant-avatar>")
    page.wait_for_function("!!customElements.get('vivant-avatar')")
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = async () => "
        "{ throw new DOMException('', 'NotAllowedError'); }; }"
    )
    refusal = page.evaluate("it.startMicrophone().catch(({ code, message }) => [code, message])")
    assert refusal[0] == "microphone"
    assert "blocked" in refusal[1]


def test_several_live_in_one_page_and_each_gives_its_session_up(
    embed: Callable[..., Page], server: ServerProcess
) -> None:
    page = embed(
        "<style>vivant-avatar { --vivant-size: 200px }</style>"
        "<vivant-avatar id=a autoplay muted></vivant-avatar>"
        "<vivant-avatar id=b autoplay muted mode=converse></vivant-avatar><div id=box></div>"
    )
    page.set_default_timeout(60_000)  # there may be a line where a machine is slow
    live(page, "#a")
    live(page, "#b")
    first, second = page.evaluate("[a.sessionId, b.sessionId]")
    assert first != second
    page.evaluate("box.append(a)")
    page.evaluate("a.speak('Moved.')")
    until(page, "speak-ended", "event.id === 'a'")
    assert not any(event["id"] == "b" for event in told(page, "speak-started"))
    assert page.evaluate("a.sessionId") == first, "moving it is not removing it"
    page.evaluate("b.remove()")
    assert gone(page, server, second)
    assert is_open(server, first)
    page.evaluate("a.close()")
    assert gone(page, server, first)
    page.get_by_role("button", name="Start").click()
    live(page, "#a")
    page.goto("about:blank")
    for _ in range(50):
        if server.get("v1/info")["sessions"] == 0:
            break
        page.wait_for_timeout(100)
    assert server.get("v1/info")["sessions"] == 0


def test_before_a_page_its_background_is_transparent(
    embed: Callable[..., Page], photograph: Photograph
) -> None:
    page = embed(
        "<style>body { margin: 0; background: rgb(20, 120, 220) }"
        "vivant-avatar { --vivant-size: 400px }</style>"
        "<vivant-avatar id=it autoplay muted background=transparent></vivant-avatar>"
    )
    live(page)
    page.wait_for_function("!it.shadowRoot.querySelector('canvas').classList.contains('away')")
    for _ in range(50):
        picture = shot(page).astype(int)
        if abs(picture[200, 200] - 96).max() < 12:
            break
        page.wait_for_timeout(100)
    assert abs(picture[200, 200] - 96).max() < 12, "the person"
    assert abs(picture[200, 10] - (20, 120, 220)).max() < 6, "the page beside it"
    photograph(page, "embed-transparent")


def test_it_joins_a_session_and_leaves_it_open(
    embed: Callable[..., Page], server: ServerProcess
) -> None:
    session = httpx.post(f"{server.address}/v1/sessions", timeout=30).json()["session_id"]
    for _ in range(200):  # there may be a line where a machine is slow
        if server.get(f"v1/sessions/{session}")["state"] != "queued":
            break
        time.sleep(0.1)
    for form in ("v1/sessions", "view"):
        address = f"{server.address}/{form}/{session}"
        page = embed(f"<vivant-avatar id=it muted autoplay session-url={address}></vivant-avatar>")
        live(page)
        assert page.evaluate("it.sessionId") == session
        page.evaluate("it.speak('Hello.')")
        until(page, "speak-ended")
        page.evaluate("it.remove()")
        page.wait_for_timeout(500)
        assert is_open(server, session)
    httpx.delete(f"{server.address}/v1/sessions/{session}", timeout=30)


def test_a_copy_of_the_file_is_all_that_a_site_needs(
    embed: Callable[..., Page], site: Site, server: ServerProcess
) -> None:
    text = MODULE.read_text(encoding="utf-8")
    copy = site.put("/lib/avatar.js", text, "text/javascript")
    page = embed(
        f"<vivant-avatar muted autoplay session-url={server.address}></vivant-avatar>", module=copy
    )
    live(page)


def test_a_server_that_was_gone_is_found_again(
    embed: Callable[..., Page], photograph: Photograph, server: ServerProcess
) -> None:
    expected = ("Failed to load", "ERR_", "WebSocket")
    page = embed("<vivant-avatar id=it muted autoplay></vivant-avatar>", expected=expected)
    live(page)
    server.stop()
    page.get_by_role("button", name="Try now").wait_for()
    photograph(page, "embed-lost")
    until(page, "error")
    assert page.evaluate("it.phase") in ("waiting", "connecting")
    server.start()
    page.evaluate("told.length = 0")
    page.wait_for_function("it.phase === 'live'")


def test_it_says_what_is_wrong_where_the_site_may_not_use_the_server(
    embed: Callable[..., Page], site: Site, fake_server: ServerProcess
) -> None:
    copy = site.put("/lib/avatar.js", MODULE.read_text(encoding="utf-8"), "text/javascript")
    page = embed(
        f"<vivant-avatar id=it autoplay session-url={fake_server.address}></vivant-avatar>",
        module=copy,
        expected=("CORS", "Failed to load"),
    )
    page.get_by_text("The server cannot be reached.").first.wait_for()
    until(page, "error", "event.code === 'not_connected'")
    assert fake_server.get("v1/info")["sessions"] == 0


def test_an_impossible_address_is_one_sentence(embed: Callable[..., Page]) -> None:
    page = embed("<vivant-avatar id=it session-url='http://[' ></vivant-avatar>")
    page.wait_for_function("!!customElements.get('vivant-avatar')")
    refusal = page.evaluate("it.start().catch(({ code, message }) => [code, message])")
    assert refusal[0] == "bad_request"
    assert re.search(r"'http://\['\.$", refusal[1])


def test_it_has_no_serious_fault_of_access(embed: Callable[..., Page], axe: str) -> None:
    page = embed("<vivant-avatar id=it captions muted></vivant-avatar>")
    page.evaluate(axe)

    def look() -> None:
        result = page.evaluate("axe.run(it, { resultTypes: ['violations'] })")
        assert not [fault for fault in result["violations"] if fault["impact"] in SERIOUS]

    page.get_by_role("button", name="Start").wait_for()
    look()
    page.evaluate("it.speak('One two three four five six seven eight nine ten.')")
    until(page, "caption")
    look()
    page.evaluate("it.close()")
    look()
