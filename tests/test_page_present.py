"""The page's mode Present: writing a script, reading it, and what is shown meanwhile."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from benchmarks.chromium import SOUND_ALLOWED
from tests.conftest import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

Visit = Callable[..., "Page"]
Photograph = Callable[..., None]

LIVE = "body[data-phase=live][data-picture=live]"
LONG = "This sentence hums for two seconds or so."
SCRIPT = f"[happy] One. {LONG}\n\n[nod] Three is **very** short. Four. Five."
CUES = "1\n00:00:00,000 --> 00:00:00,800\nFirst cue.\n\n2\n00:00:00,800 --> 00:00:01,600\nSecond.\n"
CURRENT = "#script-sentences [aria-current=true]"


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(SOUND_ALLOWED)


@pytest.fixture
def page(browser: Browser, visit: Visit, fake_server: ServerProcess) -> Page:
    page = visit(browser, "about:blank")
    page.add_init_script(
        """window.sessions = [];
        window.WebSocket = class extends WebSocket {
          constructor(url) { super(url); window.sessions.push(String(url).split("/").at(-2)); }
        };"""
    )
    page.goto(fake_server.address)
    page.wait_for_selector(LIVE)
    page.wait_for_selector("#script")
    return page


@pytest.fixture
def script(page: Page, fake_server: ServerProcess) -> Callable[..., dict[str, Any]]:
    """Returns a function that asks the server for the session's script, or for a change of it."""
    session = page.evaluate("window.sessions.at(-1)")
    address = f"{fake_server.address}/v1/sessions/{session}/script"

    def ask(method: str = "GET", path: str = "", **body: Any) -> dict[str, Any]:  # noqa: ANN401
        answer = httpx.request(method, address + path, json=body or None)
        return dict(answer.raise_for_status().json())

    return ask


def write(page: Page, text: str) -> None:
    """Writes a script and waits until the server has read it."""
    with page.expect_response(lambda answer: answer.url.endswith("/script")):
        page.fill("#script", text)
    page.wait_for_selector("#script-state:not(:empty)")


def words(page: Page, kind: str) -> list[str]:
    return page.locator(f"#script-layer .is-{kind}").all_inner_texts()


def payload(name: str, kind: str, content: bytes) -> Any:  # noqa: ANN401 - Playwright's FilePayload
    return {"name": name, "mimeType": kind, "buffer": content}


def recording() -> bytes:
    """Returns two tones of 0.6 s, with silence between them."""
    tone = 0.4 * np.sin(np.arange(9_600) * 2 * np.pi * 220 / 16_000)
    sound = np.concatenate([tone, np.zeros(12_000), tone])
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((sound * 32_767).astype("<i2").tobytes())
    return data.getvalue()


def test_a_script_is_read_sentence_by_sentence(
    page: Page, script: Callable[..., dict[str, Any]], photograph: Photograph
) -> None:
    write(page, SCRIPT)
    assert page.inner_text("#script-state") == "5 sentences."
    assert words(page, "mark") == ["[happy]", "[nod]", "**very**"]
    page.click("#script-play")
    page.wait_for_selector(f"{CURRENT} >> text={LONG}")
    assert page.inner_text("#script-state") == "Reading sentence 2 of 5."
    assert words(page, "now") == [LONG]
    assert 0 < float(page.evaluate("document.getElementById('script-progress').value")) < 1
    page.wait_for_function("document.getElementById('captions').innerText.includes('hums')")
    photograph(page, "script-reading")
    page.click("#script-play")
    page.wait_for_selector("text=Paused in sentence 2 of 5.")
    assert script()["state"] == "paused"
    page.click("#script-sentences button >> nth=3")
    page.wait_for_selector("text=Paused in sentence 4 of 5.")
    page.click("#script-play")
    page.wait_for_selector("text=It was read to the end.")
    assert script()["state"] == "ended"


def test_it_pauses_after_the_sentence_and_stop_pauses_too(page: Page) -> None:
    write(page, SCRIPT)
    page.click("#script-play")
    page.wait_for_selector(f"{CURRENT} >> text={LONG}")
    page.click("#script-pause-end")
    page.wait_for_selector("text=It pauses after this sentence.")
    page.wait_for_selector("text=Paused in sentence 3 of 5.")
    page.click("#script-restart")
    page.wait_for_selector(f"{CURRENT} >> text={LONG}")
    page.click("#interrupt")
    page.wait_for_selector("text=Paused in sentence 2 of 5.")


def test_what_is_not_understood_is_told_with_its_place(page: Page) -> None:
    write(page, "Fine 🙂.\nThen [hapy] this [pause soon] ends.")
    faults = page.locator("#script-faults button")
    assert faults.all_inner_texts()[0].startswith("Line 2, column 6: There is no mark '[hapy]'")
    assert faults.count() == 2
    assert "2 marks are not understood" in page.inner_text("#script-state")
    assert words(page, "fault") == ["[hapy]", "[pause soon]"]
    faults.nth(1).click()
    chosen = page.evaluate(
        "(() => { const { value, selectionStart: a, selectionEnd: b } ="
        " document.activeElement; return value.slice(a, b) })()"
    )
    assert chosen == "[pause soon]"
    write(page, "Then this ends.")
    assert faults.count() == 0


def test_a_change_is_taken_while_it_is_read(
    page: Page, script: Callable[..., dict[str, Any]]
) -> None:
    slow = LONG.replace(".", ", and goes on, and on, and on, for some five seconds more.")
    write(page, f"{slow} Old end.")
    page.click("#script-play")
    page.wait_for_selector(CURRENT)
    assert page.locator("#script-apply").is_hidden()
    page.fill("#script", f"{slow} New end.")
    page.wait_for_timeout(700)  # longer than it waits otherwise
    assert script()["text"].endswith("Old end."), "half a sentence must not be spoken"
    page.click("#script-apply")
    page.click("#script-sentences >> text=New end.")  # goes there
    page.wait_for_selector(f"{CURRENT} >> text=New end.")
    assert page.locator("#script-apply").is_hidden()
    page.wait_for_selector("text=It was read to the end.")
    assert [sentence["text"] for sentence in script()["sentences"]] == [slow, "New end."]


def test_it_is_read_from_where_one_writes(page: Page) -> None:
    write(page, f"One. Two. {LONG} Four.")
    page.evaluate("document.getElementById('script').setSelectionRange(12, 12)")
    page.press("#script", "Control+Enter")
    page.wait_for_selector(f"{CURRENT} >> text={LONG}")


def test_marks_are_explained_and_put_where_one_writes(page: Page, photograph: Photograph) -> None:
    write(page, "Hello there.")
    page.evaluate("document.getElementById('script').setSelectionRange(5, 5)")
    page.click("#script-help summary")
    marks = page.locator("#script-mark-list button")
    marks.first.wait_for()  # the server is asked which there are
    for mark in ("[happy]", "[nod]", "[pause 600ms]", "**very**", "[gaze away]", "[voice default]"):
        assert mark in marks.all_inner_texts()
    photograph(page, "script-marks")
    with page.expect_response(lambda answer: answer.url.endswith("/script")):
        marks.get_by_text("[nod]").click()
    assert page.input_value("#script") == "Hello [nod]  there."
    page.wait_for_selector("#script-layer .is-mark")


@pytest.mark.parametrize(
    ("name", "content", "format", "sentences"),
    [
        ("talk.md", b"# Title\n\nWords.\r\n", "markdown", ["Title", "Words."]),
        ("talk.txt", b"# Title", "text", ["# Title"]),
        ("talk.srt", CUES.encode(), "srt", ["First cue.", "Second."]),
    ],
)
def test_a_file_becomes_the_script(
    page: Page,
    script: Callable[..., dict[str, Any]],
    name: str,
    content: bytes,
    format: str,
    sentences: list[str],
) -> None:
    with page.expect_response(lambda answer: answer.url.endswith("/script")):
        page.set_input_files("#script-file", payload(name, "", content))
    told = script()
    assert told["format"] == page.input_value("#script-format") == format
    assert [sentence["text"] for sentence in told["sentences"]] == sentences


def test_pasted_subtitles_are_known_as_such(
    page: Page, script: Callable[..., dict[str, Any]]
) -> None:
    write(page, CUES)
    assert script()["format"] == page.input_value("#script-format") == "srt"
    write(page, "Words again.")
    assert script()["format"] == "markdown"


@pytest.mark.parametrize(
    ("name", "kind", "content", "told"),
    [
        ("talk.pdf", "application/pdf", b"%PDF\xff\xfe", "talk.pdf is not a text in UTF-8."),
        ("talk.txt", "text/plain", b" \n", "talk.txt is empty."),
        ("long.txt", "text/plain", b"a" * 100_001, "long.txt has 100,001 characters"),
        ("noise.wav", "audio/wav", b"no sound", "noise.wav"),
    ],
)
def test_an_unfit_file_is_refused_and_the_text_stays(
    browser: Browser,
    visit: Visit,
    fake_server: ServerProcess,
    name: str,
    kind: str,
    content: bytes,
    told: str,
) -> None:
    page = visit(browser, fake_server.address, expected=("422",))
    page.wait_for_selector(LIVE)
    write(page, "What I had written.")
    page.set_input_files("#script-file", payload(name, kind, content))
    page.wait_for_selector("#notices [role=alert]")
    assert told in page.inner_text("#notices")
    assert page.input_value("#script") == "What I had written."
    assert page.locator("#script-play").is_enabled()


def test_recorded_speech_is_read_and_removed(
    page: Page, script: Callable[..., dict[str, Any]], photograph: Photograph
) -> None:
    write(page, "My own words.")
    files = [
        payload("talk.wav", "audio/wav", recording()),
        payload("talk.srt", "application/x-subrip", CUES.encode()),
    ]
    page.set_input_files("#script-file", files)
    page.wait_for_selector("#script-recording:visible")
    assert page.inner_text("#script-name") == "talk.wav"
    assert page.locator("#script").is_hidden()
    rows = page.locator("#script-sentences button").all_inner_texts()
    assert [row.split(maxsplit=1)[1] for row in rows] == ["First cue.", "Second."]
    assert script()["format"] == "audio"
    page.click("#script-play")
    page.wait_for_selector(f"{CURRENT} >> text=Second.")
    photograph(page, "script-recording")
    page.wait_for_selector("text=It was read to the end.")
    page.click("#script-remove")
    page.wait_for_selector("#script:visible")
    assert page.input_value("#script") == script()["text"] == "My own words."


@pytest.mark.parametrize(
    ("name", "kind", "place"),
    [
        ("dropped.md", "text/markdown", "#script-layer .is-mark"),
        ("dropped.png", "image/png", "#dialog[open]"),
    ],
)
def test_what_is_dropped_goes_where_it_belongs(
    browser: Browser, visit: Visit, fake_server: ServerProcess, name: str, kind: str, place: str
) -> None:
    page = visit(browser, fake_server.address, expected=("415", "422"))
    page.wait_for_selector(LIVE)
    page.wait_for_selector("#script")
    page.evaluate(
        """([name, type]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File(["[nod] Dropped."], name, { type }));
          for (const kind of ["dragover", "drop"]) {
            const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
            document.body.dispatchEvent(new DragEvent(kind, options));
          }
        }""",
        [name, kind],
    )
    page.wait_for_selector(place)
    assert page.locator("#dialog").is_visible() == name.endswith(".png")


def test_a_script_outlives_a_visit(browser: Browser, visit: Visit, page: Page) -> None:
    write(page, "[smile] Still here. Good.")
    page.reload()
    page.wait_for_selector(LIVE)
    page.wait_for_selector("text=2 sentences.")
    assert page.input_value("#script") == "[smile] Still here. Good."


def test_a_script_from_elsewhere_is_shown(
    page: Page, script: Callable[..., dict[str, Any]]
) -> None:
    script("PUT", text=f"From a program. {LONG}", format="text")
    page.wait_for_function("document.getElementById('script').value.startsWith('From a')")
    script("POST", "/play")
    page.wait_for_selector(f"{CURRENT} >> text={LONG}")
    script("POST", "/pause")
    page.wait_for_selector("text=Paused in sentence 2 of 2.")


def test_without_text_there_is_nothing_to_read(page: Page) -> None:
    page.fill("#script", "  ")
    page.click("#script-play")
    assert page.evaluate("document.activeElement.id") == "script"
    page.fill("#script", "[nod]")
    page.click("#script-play")
    page.wait_for_selector("#notices [role=alert]")


def test_a_pasted_book_is_coloured_at_once(page: Page) -> None:
    text = "[nod] Aye. " * 8_000
    pieces, spent = page.evaluate(
        """async (text) => {
          const { marksIn, pieceUp } = await import("/modes/script_text.js");
          const ranges = marksIn(text);
          const start = performance.now();
          const pieces = pieceUp(text, ranges);
          return [pieces.map(({ words }) => words).join("") === text && pieces.length,
            performance.now() - start];
        }""",
        text,
    )
    assert pieces == 16_000
    assert spent < 1_000, "not as the square of its length"
