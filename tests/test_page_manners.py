"""The page's manners, with a stand-in for the model: access for all, plain words, recovery."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image

from benchmarks.chromium import SOUND_ALLOWED
from tests.conftest import FAKE, ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

Error = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").Error
pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

Visit = Callable[..., "Page"]
Photograph = Callable[..., None]

STATED = "#proof-rights input[value=public-domain]"
LIVE = "body[data-phase=live][data-picture=live]"
PHONE = {"width": 360, "height": 740}
CONTROLS = {
    *("button", "textbox", "combobox", "radio", "link", "dialog", "radiogroup", "region", "slider"),
    *("group", "Video", "DisclosureTriangle", "tab", "tablist", "tabpanel"),
}
NAMELESS_GROUPS = {"group"}  # of options, which carry their own label


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(SOUND_ALLOWED, "--host-resolver-rules=MAP gallery.test 127.0.0.1")


@pytest.fixture
def page(browser: Browser, visit: Visit, fake_server: ServerProcess) -> Page:
    page = visit(browser, fake_server.address)
    page.wait_for_selector(LIVE)
    return page


@pytest.fixture
def small_server(
    chromium: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    del chromium
    folder = tmp_path_factory.mktemp("small")
    one_place = ("--max-sessions", "1", "--queue-length", "1", "--idle-timeout", "3")
    server = ServerProcess(FAKE, *one_place, folder=folder)
    yield server
    server.stop()


def test_every_control_has_a_name(page: Page) -> None:
    for selector in ("body", "#add"):
        page.click(selector, position={"x": 2, "y": 2})
        nodes = accessibility_tree(page)
        nameless = [
            node["role"]["value"]
            for node in nodes
            if node["role"]["value"] in CONTROLS - NAMELESS_GROUPS and not node["name"]["value"]
        ]
        assert not nameless
    assert {"dialog", "button"} <= {node["role"]["value"] for node in nodes}


def test_the_keyboard_reaches_everything_in_reading_order(page: Page) -> None:
    reached = []
    page.wait_for_selector("#script")
    for _ in range(34):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "(() => { const e = document.activeElement;"
                " return e.id || e.className || e.name })()"
            )
        )
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none" or (
            reached[-1] in ("portrait", "background")  # its picture shows the ring
        )
    assert reached == [
        *("skip", "mode-present", "figures-summary", "sound", "captions-switch"),
        *("films-summary", "full"),
        *("text", "speak", "chip", "chip", "chip"),
        *("script-open", "script", "script-play", "script-more"),
        *("microphone", "microphone-more", "voice", "emotion", "gaze", "liveliness"),
        *["chip"] * 9,
        *("portrait", "add", "background"),
    ]


def test_escape_closes_what_lies_on_top_and_else_stops_the_speech(page: Page) -> None:
    page.fill("#text", "A long line that hums for several seconds and more.")
    page.press("#text", "Enter")
    page.wait_for_selector("body[data-speech=speaking]")
    page.click("#add")
    page.keyboard.press("Escape")
    assert not page.locator("#dialog").is_visible()
    assert page.evaluate("document.activeElement.id") == "add"
    page.click("#figures-summary")
    page.keyboard.press("Escape")
    assert not page.locator("#figures-list").is_visible()
    assert page.locator("body[data-speech=speaking]").count() == 1
    page.keyboard.press("Escape")
    page.wait_for_selector("body[data-speech=idle]")


def test_a_blocked_sound_asks_for_a_start(
    launch: Callable[..., Browser],
    visit: Visit,
    photograph: Photograph,
    fake_server: ServerProcess,
) -> None:
    page = visit(launch(), fake_server.address)
    # Playwright's own questions count as gestures of the visitor: ask as a debugger does.
    session = page.context.new_cdp_session(page)
    is_asking = {"expression": "!document.getElementById('unlock').hidden"}
    for _ in range(50):
        if session.send("Runtime.evaluate", is_asking)["result"]["value"]:
            break
        page.wait_for_timeout(200)
    page.wait_for_selector(LIVE)
    assert page.evaluate("document.getElementById('video').muted"), "it lives, silently"
    photograph(page, "start-with-sound")
    page.click("#unlock")
    page.wait_for_selector("#unlock", state="hidden")
    assert not page.evaluate("document.getElementById('video').muted")
    page.click("#sound")
    assert page.evaluate("document.getElementById('video').muted")
    assert page.get_attribute("#sound", "aria-pressed") == "false"


def test_a_full_house_says_so_and_lets_in_later(
    small_server: ServerProcess, browser: Browser, visit: Visit, photograph: Photograph
) -> None:
    first = visit(browser, small_server.address)
    first.wait_for_selector(LIVE)
    second = visit(browser, small_server.address)
    second.wait_for_selector("#veil:visible")
    assert second.inner_text("#veil-title") == "You are next"
    assert "Others are with the portrait" in second.inner_text("#veil-text")
    assert second.inner_text("#state") == "Waiting for a place"
    assert not second.locator("#veil-retry").is_visible()
    photograph(second, "in-line")
    third = visit(browser, small_server.address, expected=("503",))
    third.wait_for_selector("#veil:visible")
    assert third.inner_text("#veil-title") == "Every place is taken"
    assert re.search(r"Others are .* Trying again in \d+ s\.", third.inner_text("#veil-text"))
    assert third.inner_text("#state") == "Waiting for a place"
    photograph(third, "full-house")
    first.goto("about:blank")
    second.wait_for_selector(LIVE)
    assert not second.locator("#veil").is_visible()
    third.click("#veil-retry")
    third.wait_for_selector("body[data-phase=queued]")


def test_the_wait_is_told_in_words(page: Page) -> None:
    told = page.evaluate(
        """async () => {
          const { explainWait } = await import("/words.js");
          const times = [null, 20, 60, 190].map((seconds) => explainWait(1, seconds).message);
          return [explainWait(3, null).title, ...times];
        }"""
    )
    assert told[0] == "Number 3 in line"
    endings = ["just now.", "in about 20 seconds.", "in about a minute.", "in about 3 minutes."]
    for message, ending in zip(told[1:], endings, strict=True):
        assert message.endswith(ending)


def test_a_session_that_was_ended_can_be_woken(
    browser: Browser, visit: Visit, photograph: Photograph, fake_server: ServerProcess
) -> None:
    page = visit(browser, "about:blank")
    with page.expect_response("**/v1/sessions") as opened:
        page.goto(fake_server.address)
    page.wait_for_selector(LIVE)
    session = opened.value.json()["session_id"]
    httpx.delete(f"{fake_server.address}/v1/sessions/{session}").raise_for_status()
    page.wait_for_selector("#veil:visible")
    assert page.inner_text("#veil-title") == "At rest"
    photograph(page, "at-rest")
    page.click("text=Wake the portrait")
    page.wait_for_selector(LIVE)


SOCKETS = """window.sockets = [];
window.told = [];
window.alter = (url) => url;
window.WebSocket = class extends WebSocket {
  constructor(url) {
    super(window.alter(`${url}`));
    this.addEventListener("message", ({ data }) => window.told.push(JSON.parse(data)));
    window.sockets.push(this);
  }
};"""


def test_events_that_break_off_are_taken_up_and_media_goes_on(
    browser: Browser, visit: Visit, fake_server: ServerProcess
) -> None:
    page = visit(browser, "about:blank", expected=("WebSocket",))
    page.add_init_script(SOCKETS)
    posted: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            posted.append(urlsplit(request.url).path)

    page.on("request", note)
    page.goto(fake_server.address)
    page.wait_for_selector(LIVE)
    page.evaluate("window.stream = document.querySelector('video').srcObject")
    page.fill("#text", "A long line that hums for some ten seconds and more. " * 4)
    page.press("#text", "Enter")
    page.wait_for_selector("body[data-speech=speaking]")
    phases = "window.phases = [document.body.dataset.phase]; new MutationObserver(() => "
    phases += "window.phases.push(document.body.dataset.phase)).observe(document.body, "
    page.evaluate(f"{phases} {{attributeFilter: ['data-phase']}})")
    before = list(posted)
    # the first two attempts meet nobody, as while a gateway is started again
    page.evaluate(
        """window.told.length = 0;
        window.alter = (url) => sockets.length < 3 ? "ws://127.0.0.1:9/" : url;
        window.sockets[0].close()"""
    )
    page.wait_for_function("window.told.some(({type}) => type === 'events.attached')")
    attached = page.evaluate("window.told.find(({type}) => type === 'events.attached')")
    assert attached["lost"] == 0
    page.wait_for_function("window.told.some(({type}) => type === 'subtitle.delta')")
    numbers = page.evaluate("window.told.map(({seq}) => seq).filter((seq) => seq !== undefined)")
    assert numbers[1:] == list(range(numbers[0] + 1, numbers[0] + len(numbers)))
    assert page.evaluate("window.phases") == ["live"]
    assert page.evaluate("document.querySelector('video').srcObject === window.stream")
    assert posted == before


def test_a_session_that_moved_is_taken_up_in_mid_sentence(
    browser: Browser, visit: Visit, fake_server: ServerProcess
) -> None:
    page = visit(browser, "about:blank")
    page.add_init_script(SOCKETS)
    opened: list[str] = []
    page.on(
        "request",
        lambda request: (
            opened.append(urlsplit(request.url).path)
            if request.method == "POST" and not request.url.endswith("/offer")
            else None
        ),
    )
    page.goto(fake_server.address)
    page.wait_for_selector(LIVE)
    page.fill("#text", "A long line that hums for some ten seconds and more. " * 4)
    page.press("#text", "Enter")
    page.wait_for_selector("body[data-speech=speaking]")
    # a number of another worker's run is what a session has that was taken up elsewhere
    page.evaluate(
        """window.alter = (url) => url.replace(/after=[1-9][0-9]*/, `after=${5 * 2 ** 32}`);
        window.sockets[0].close()"""
    )
    page.wait_for_selector("body[data-phase=waiting]")
    page.wait_for_selector(LIVE)
    page.wait_for_selector("body[data-speech=speaking]")
    assert opened[0] == "/v1/sessions"
    assert [path.rsplit("/", 1)[1] for path in opened[1:]] == ["resume"]


def test_a_forgotten_page_is_asked_and_goes_to_rest(
    browser: Browser,
    visit: Visit,
    photograph: Photograph,
    chromium: str,
    tmp_path: Path,
) -> None:
    del chromium
    server = ServerProcess(FAKE, "--quiet-timeout", "21", folder=tmp_path)
    try:
        page = visit(browser, server.address)
        page.wait_for_selector(LIVE)
        page.wait_for_selector("text=Are you still there?")
        photograph(page, "still-there")
        page.mouse.click(5, 5)  # whoever is there need not do more
        page.wait_for_timeout(12_000)
        assert page.locator(LIVE).count() == 1
        page.wait_for_selector("#veil:visible")
        assert page.inner_text("#veil-title") == "At rest"
    finally:
        server.stop()


def test_a_lost_server_is_found_again(
    small_server: ServerProcess, browser: Browser, visit: Visit, photograph: Photograph
) -> None:
    page = visit(browser, small_server.address, expected=("Failed to load", "WebSocket"))
    page.wait_for_selector(LIVE)
    page.fill("#text", "What I had typed")
    small_server.stop()
    page.wait_for_selector("#veil:visible")
    assert page.inner_text("#veil-title") == "No connection"
    page.press("#text", "Enter")
    assert page.input_value("#text") == "What I had typed"
    assert "kept" in page.inner_text("#notices")
    page.wait_for_function("document.getElementById('veil-text').textContent.includes('reached')")
    photograph(page, "no-connection")
    small_server.start()
    page.click("#veil-retry")
    page.wait_for_selector(LIVE)
    page.press("#text", "Enter")
    page.wait_for_selector("body[data-speech=speaking]")


def test_the_page_obeys_its_policy_and_asks_no_other_server(
    browser: Browser, visit: Visit, fake_server: ServerProcess
) -> None:
    stopped = ("Content Security Policy", "Failed to load", "Fetch API", "TrustedScript")
    page = visit(browser, "about:blank", expected=stopped, bypass_csp=False)
    hosts = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.goto(fake_server.address)
    page.wait_for_selector(LIVE)
    page.click("#add")
    page.set_input_files("#file", png("portrait.png"))
    page.check(STATED)
    page.click("#keep")
    page.wait_for_selector("#dialog", state="hidden")
    assert hosts - {None, ""} == {"127.0.0.1"}
    with pytest.raises(Error, match="TrustedScript"):
        page.add_script_tag(content="window.strayed = true")
    reached = "fetch('http://203.0.113.1/').then(() => true, () => false)"
    assert page.evaluate(reached) is False
    assert page.evaluate("window.strayed") is None


def test_names_are_text_and_never_markup(page: Page) -> None:
    page.click("#add")
    page.set_input_files("#file", png("<img src=x onerror=alert(1)>.png"))
    page.check(STATED)
    page.click("#keep")
    page.wait_for_selector("#dialog", state="hidden")
    assert page.inner_text("#portrait-name").startswith("<img src=x")
    assert page.locator("#gallery img[src=x], #portrait-name img").count() == 0
    assert "A fake." in page.inner_text("#notices")


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_can_be_dropped_or_pasted(page: Page, way: str) -> None:
    page.evaluate(
        """async ([way, data]) => {
          const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], `by ${way}.png`, { type: "image/png" }));
          const event = way === "drop"
            ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true });
          document.body.dispatchEvent(event);
        }""",
        [way, base64.b64encode(png(way * 9)["buffer"]).decode()],
    )
    page.check(STATED)
    page.click("#keep")
    page.wait_for_function("way => document.body.innerText.includes(`by ${way}`)", arg=way)
    page.wait_for_selector("#dialog", state="hidden")
    assert page.inner_text("#portrait-name") == f"by {way}"


def test_the_camera_takes_a_portrait(page: Page, photograph: Photograph) -> None:
    page.click("#add")
    page.wait_for_timeout(200)
    photograph(page, "dialog")
    page.click("#choose-camera")
    page.wait_for_function("document.getElementById('camera').videoWidth > 0")
    photograph(page, "camera")
    page.click("#snap")
    page.click("#retake")
    page.click("#snap")
    page.click("#use-snapshot")
    page.check(STATED)
    page.click("#keep")
    page.wait_for_selector("#dialog", state="hidden")
    assert page.inner_text("#portrait-name") == "You"
    assert page.evaluate("document.getElementById('camera').srcObject === null"), "it is off"


@pytest.fixture
def insecure_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """Yields a server that answers to any name, as one in a network does."""
    server = ServerProcess(FAKE, "--insecure", folder=tmp_path)
    yield server
    server.stop()


def test_an_unsafe_page_explains_why_there_is_no_microphone(
    browser: Browser, insecure_server: ServerProcess, visit: Visit
) -> None:
    page = visit(browser, insecure_server.address.replace("127.0.0.1", "gallery.test"))
    page.wait_for_selector(LIVE)
    page.click("#microphone")
    page.wait_for_selector("#microphone-fault:not(:empty)")
    fault = page.inner_text("#microphone-fault")
    assert "https" in fault
    assert "http://localhost:" in fault


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NotAllowedError", "blocked for this page"),
        ("NotFoundError", "No microphone was found"),
        ("NotReadableError", "in use by another program"),
    ],
)
def test_a_refused_microphone_is_explained(page: Page, name: str, words: str) -> None:
    page.evaluate(
        "name => { navigator.mediaDevices.getUserMedia ="
        " async () => { throw new DOMException('', name); }; }",
        name,
    )
    page.click("#microphone")
    page.wait_for_selector("#microphone-fault:not(:empty)")
    assert words in page.inner_text("#microphone-fault")
    assert page.inner_text("#microphone-text") == "Use the microphone"


def test_too_long_a_text_is_counted_and_not_sent(page: Page) -> None:
    page.fill("#text", "a" * 10_001)
    assert "10,001 of 10,000" in page.inner_text("#text-count")
    assert page.locator("#speak").is_disabled()
    page.fill("#text", "short")
    assert page.inner_text("#text-count") == ""
    assert page.locator("#speak").is_enabled()


def test_shift_enter_makes_a_line_and_arrow_up_recalls(page: Page) -> None:
    page.type("#text", "one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    assert page.input_value("#text") == "one\ntwo"
    page.keyboard.press("Enter")
    assert page.input_value("#text") == ""
    page.keyboard.press("ArrowUp")
    assert page.input_value("#text") == "one\ntwo"


def test_captions_can_be_switched_off_and_stay_off(page: Page) -> None:
    page.click("#captions-switch")
    page.click(".chip")
    page.wait_for_selector("body[data-speech=speaking]")
    assert not page.locator("#captions").is_visible()
    page.click("#captions-switch")
    assert "To be" in page.inner_text("#captions")
    page.click("#captions-switch")
    page.reload()
    page.wait_for_selector(LIVE)
    assert page.get_attribute("#captions-switch", "aria-pressed") == "false"


def test_the_figures_are_shown_on_demand(page: Page, photograph: Photograph) -> None:
    page.click("#figures-summary")
    for name in ("Delay", "Round trip", "Jitter", "Bit rate", "late at the server", "512 × 512"):
        row = page.locator("#figures-list div", has_text=name)
        row.locator("dd", has_text=re.compile(r"\d")).wait_for()
    photograph(page, "figures")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_phone_needs_no_sideways_scrolling(
    browser: Browser, visit: Visit, photograph: Photograph, fake_server: ServerProcess, scheme: str
) -> None:
    page = visit(browser, fake_server.address, viewport=PHONE, color_scheme=scheme, has_touch=True)
    page.wait_for_selector(LIVE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    photograph(page, f"phone-{scheme}", whole=True)
    page.click("#add")
    page.wait_for_timeout(200)
    photograph(page, f"phone-dialog-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.set_viewport_size({"width": 1440, "height": 900})
    page.keyboard.press("Escape")
    photograph(page, f"desktop-{scheme}")


def test_reduced_motion_is_respected(
    browser: Browser, visit: Visit, fake_server: ServerProcess
) -> None:
    page = visit(browser, fake_server.address, reduced_motion="reduce")
    assert page.evaluate("document.getAnimations().length") == 0
    page.wait_for_selector(LIVE)
    assert page.evaluate("document.getAnimations().length") == 0


def test_pauses_between_attempts_grow_and_keep_the_servers_wish(page: Page) -> None:
    delays = page.evaluate(
        """async () => {
          const { retryDelay } = await import("/retry.js");
          const delays = [1, 2, 3, 10].map((attempt) => retryDelay(attempt, { random: () => 0 }));
          return [...delays, retryDelay(1, { retryAfter: 5 }), retryDelay(1, { random: () => 1 })];
        }"""
    )
    assert delays == [0.5, 1, 2, 15, 5, 0.375]


def test_captions_are_joined_and_cut_between_words(page: Page) -> None:
    joined, cut = page.evaluate(
        """async () => {
          const { join, parts } = await import("/captions.js");
          const joined = [join("To be,", "or not"), join("to ", "be"), join("", "to"),
            join("東京", "都"), join("die,", "“to sleep")];
          return [joined, ["To be, or not to be", `${"word ".repeat(40)}end`, ""].map(parts)];
        }"""
    )
    assert joined == ["To be, or not", "to be", "to", "東京都", "die, “to sleep"]
    assert cut[0] == ["To be, or not to be"]
    assert " ".join(cut[1]) == "word " * 40 + "end"
    assert len(cut[1]) == 3
    assert max(len(part) for part in cut[1]) <= 84
    assert cut[2] == [""]


def accessibility_tree(page: Page) -> list[dict[str, Any]]:
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    return [
        {"role": node["role"], "name": node.get("name", {"value": ""})}
        for node in nodes
        if not node["ignored"]
    ]


def png(name: str) -> Any:  # noqa: ANN401 - Playwright's FilePayload
    data = io.BytesIO()
    Image.fromarray(np.full((64, 64, 3), len(name), np.uint8)).save(data, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": data.getvalue()}
