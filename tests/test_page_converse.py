"""The page's mode Converse: what is said, heard, cut off and failed, typed and by voice."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from benchmarks.chromium import REMEMBER_PEERS, SOUND_ALLOWED
from tests.conftest import FAKE, ServerProcess
from tests.test_page_access import axe, faults
from tests.test_vad import vowel

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["axe", "faults"]  # fixtures
pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

Visit = Callable[..., "Page"]

LIVE = "body[data-phase=live][data-picture=live]"
# A recogniser that understands one question when it is told to stop.
RECOGNISER = """
window.SpeechRecognition = class {
  start() {}
  stop() {
    const result = Object.assign([{ transcript: "Who are you?" }], { isFinal: true });
    this.onresult({ resultIndex: 0, results: [result] });
    this.onend();
  }
  abort() { this.onend(); }
};
"""
NO_RECOGNISER = "delete window.webkitSpeechRecognition; delete window.SpeechRecognition;"
NO_PERMISSION = """
navigator.mediaDevices.getUserMedia = async () => {
  throw new DOMException("Permission denied", "NotAllowedError");
};
"""
REMEMBER_SOCKETS = """
window.sockets = [];
window.alter = (url) => url;
window.WebSocket = class extends WebSocket {
  constructor(url) { super(alter(`${url}`)); sockets.push(this); }
};
"""
IS_SENDING = "peers.at(-1).getSenders().some((sender) => sender.track?.kind === 'audio')"


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser], tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """Returns a browser whose microphone hears somebody sing without an end."""
    song = tmp_path_factory.mktemp("voice") / "song.wav"
    write_wav(song, np.concatenate([vowel(1.0)] * 4))
    return launch(SOUND_ALLOWED, f"--use-file-for-fake-audio-capture={song}")


@pytest.fixture(scope="module")
def deaf_server(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Yields a server that understands no speech, and whose brain cannot be reached."""
    del chromium
    options = ("--transcriber", "off", "--brain-url", "http://127.0.0.1:9/v1")
    fallback = ("--brain-model", "any", "--brain-fallback", "")
    folder = tmp_path_factory.mktemp("deaf")
    server = ServerProcess(FAKE, *options, *fallback, folder=folder)
    yield server
    server.stop()


@pytest.fixture
def conversing(visit: Visit, browser: Browser) -> Callable[..., tuple[Page, str]]:
    """Returns a function that opens the mode on a server; gives the page and its session's path."""

    def open_page(server: ServerProcess, *scripts: str, **options: Any) -> tuple[Page, str]:  # noqa: ANN401
        page = visit(browser, "about:blank", **options)
        for script in (REMEMBER_PEERS, REMEMBER_SOCKETS, *scripts):
            page.add_init_script(script)
        with page.expect_response(lambda answer: answer.url.endswith("/history")) as history:
            page.goto(f"{server.address}/#converse")
        page.wait_for_selector(LIVE)
        return page, history.value.url.removeprefix(f"{server.address}/").removesuffix("/history")

    return open_page


def write_wav(file: Path, speech: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes((np.clip(3 * speech, -1, 1) * 32767).astype("<i2").tobytes())


def say(page: Page, text: str) -> None:
    page.fill("#converse-text", text)
    page.press("#converse-text", "Enter")


def test_a_typed_turn_is_answered_and_shown(
    conversing: Callable[..., tuple[Page, str]], fake_server: ServerProcess
) -> None:
    page, session = conversing(fake_server)
    assert fake_server.get(session)["brain"] == "demo"
    assert "a script, not a language model" in page.inner_text("#converse-who")
    page.click("#converse-chips >> text=Who are you?")
    page.wait_for_selector(".turn-portrait .words")
    assert page.inner_text(".turn-user .words") == "Who are you?"
    assert not page.is_visible("#converse-chips")
    page.wait_for_selector("#converse-state[data-state=speaking]")
    page.wait_for_selector(".turn-portrait:not([aria-busy])")
    answer = fake_server.get(f"{session}/history")[-1]
    assert page.inner_text(".turn-portrait .words") == answer["text"]
    assert page.locator(".unheard, .ahead").count() == 0
    page.click("#mode-present")
    page.wait_for_function(
        "path => fetch(path).then(a => a.json()).then(({ brain }) => brain === 'off')",
        arg=f"/{session}",
    )


def test_an_interruption_shows_what_was_heard_and_what_was_not(
    conversing: Callable[..., tuple[Page, str]], fake_server: ServerProcess
) -> None:
    page, session = conversing(fake_server)
    say(page, "Who are you?")
    page.wait_for_selector("#converse-state[data-state=speaking]")
    page.wait_for_timeout(1200)  # some words are to be heard
    page.focus("#converse-text")
    page.keyboard.press("Escape")
    page.wait_for_selector(".turn-portrait .unheard")
    answer = fake_server.get(f"{session}/history")[-1]
    heard = page.evaluate("document.querySelector('.turn-portrait .words').firstChild.data")
    assert answer["interrupted"] and heard.strip() == answer["text"] != ""
    assert page.inner_text(".turn-portrait .unheard").strip() != ""
    with page.expect_response(lambda reply: reply.url.endswith("/history")):
        # a number of another worker's run: the session has moved, and all is connected anew
        page.evaluate(
            """alter = (url) => url.replace(/after=[1-9][0-9]*/, `after=${5 * 2 ** 32}`);
            sockets.at(-1).close()"""
        )
        page.wait_for_selector("body[data-phase=waiting]")
    page.wait_for_selector(".unheard:text-is('…')")  # the log is what the server remembers
    assert page.locator(".turn").count() == 2
    assert heard.strip() in page.inner_text(".turn-portrait .words")


def test_a_new_visit_is_told_apart_from_what_was_said_before(
    conversing: Callable[..., tuple[Page, str]], fake_server: ServerProcess
) -> None:
    page, session = conversing(fake_server)
    say(page, "Who are you?")
    page.wait_for_selector(".turn-portrait")
    httpx.delete(f"{fake_server.address}/{session}").raise_for_status()
    with page.expect_response(lambda reply: reply.url.endswith("/history")) as history:
        page.click("text=Wake the portrait")
    assert session not in history.value.url
    page.wait_for_selector(".turn-event:has-text('remembers nothing')")
    assert page.locator(".turn.is-former").count() == 3
    say(page, "How old are you?")
    page.wait_for_selector(".turn-portrait:not(.is-former)")


def test_a_brain_that_fails_is_told_in_the_log_and_the_browser_understands_speech(
    conversing: Callable[..., tuple[Page, str]], deaf_server: ServerProcess
) -> None:
    page, session = conversing(deaf_server, RECOGNISER)
    assert "your browser turns it into text" in page.inner_text("#talk-hint")
    page.hover("#talk")
    page.mouse.down()
    page.wait_for_selector("#talk-text:has-text('let go')")
    page.wait_for_timeout(300)  # shorter, and it says that it is to be held
    page.mouse.up()
    page.wait_for_selector(".turn-failure:has-text('cannot be reached')")
    assert page.inner_text(".turn-user .who") == "You, by voice"
    assert deaf_server.get(f"{session}/history")[-1]["source"] == "voice"
    assert not page.inner_text("#talk-fault")


def test_holding_the_space_bar_opens_and_closes_the_track(
    conversing: Callable[..., tuple[Page, str]], deaf_server: ServerProcess
) -> None:
    page, _ = conversing(deaf_server, RECOGNISER.replace("Who are you?", ""))
    page.evaluate("document.activeElement.blur()")
    for _ in range(2):
        assert not page.evaluate(IS_SENDING)
        page.keyboard.down(" ")
        page.wait_for_selector("#converse-state[data-state=listening]")
        assert page.evaluate(IS_SENDING)
        page.keyboard.up(" ")
        page.wait_for_function(f"!{IS_SENDING}")
        page.wait_for_selector("#talk-heard:has-text('Understanding')")
        page.wait_for_selector("#converse-state[data-state=idle]", state="attached")
    page.focus("#converse-text")
    page.keyboard.press(" ")
    assert page.input_value("#converse-text") == " "
    page.check("[name=way][value=open]")
    page.click("#talk")
    page.wait_for_selector("body[data-microphone=on]")
    page.click("#mode-present")
    page.wait_for_selector("body[data-microphone=off]")  # it does not repeat what is said now


def test_where_nobody_understands_speech_it_is_said_and_typing_works(
    conversing: Callable[..., tuple[Page, str]],
    fake_server: ServerProcess,
    deaf_server: ServerProcess,
) -> None:
    page, _ = conversing(deaf_server, NO_RECOGNISER)
    assert "typing works" in page.inner_text("#talk-hint")
    assert "vivant[listen]" in page.inner_text("#talk-hint")
    assert not page.is_visible("#talk")
    page, _ = conversing(fake_server, NO_PERMISSION)
    page.focus("#talk")
    page.keyboard.down(" ")
    page.wait_for_selector("#talk-fault:has-text('blocked for this page')")
    page.keyboard.up(" ")
    assert "Typing works" in page.inner_text("#talk-fault")
    say(page, "Who are you?")
    page.wait_for_selector(".turn-portrait .words")


def test_no_state_of_a_conversation_has_a_serious_fault_of_access(
    conversing: Callable[..., tuple[Page, str]],
    faults: Callable[[Page, str], None],
    deaf_server: ServerProcess,
    fake_server: ServerProcess,
) -> None:
    page, _ = conversing(fake_server, NO_PERMISSION)
    say(page, "Who are you?")
    page.wait_for_selector(".turn-portrait .ahead")
    faults(page, "speaking")
    say(page, "How old are you?")
    page.wait_for_selector(".turn-portrait[aria-busy] .ahead")
    page.wait_for_selector("#converse-state[data-state=speaking]")
    page.click("#converse-stop")
    page.wait_for_selector(".turn-portrait .unheard")
    page.focus("#talk")
    page.keyboard.down(" ")
    page.wait_for_selector("#talk-fault:has-text('blocked')")
    faults(page, "cut off, and no microphone")
    page, _ = conversing(deaf_server, NO_RECOGNISER)
    say(page, "Who are you?")
    page.wait_for_selector(".turn-failure")
    faults(page, "failed, and no recogniser")
