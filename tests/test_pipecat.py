"""Pipecat's own JavaScript client and transport, from npm, against our offer and our RTVI."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from benchmarks.chromium import SOUND_ALLOWED
from server import protocol
from server.pipecat.rtvi import Rtvi
from tests.conftest import ROOT, ServerProcess
from tools.node import node

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PACKAGES = ("@pipecat-ai/client-js", "@pipecat-ai/small-webrtc-transport")
BUNDLE = """
import { build } from "esbuild";
const [entry, out] = process.argv.slice(-2);
await build({ entryPoints: [entry], outfile: out, bundle: true, format: "iife", nodePaths: ["node_modules"], logLevel: "error" });
"""  # noqa: E501
browsing = [pytest.mark.browser, pytest.mark.timeout(180)]


class FakeDesk:
    """Remembers what it is asked, and refuses what it is told to."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.motion = None

    async def take_text(self, text: str) -> list[protocol.ServerEvent]:
        self.asked.append(json.loads(text))
        refused = "refuse" in text
        return [protocol.Failed("bad_request", "No.")] if refused else [protocol.Pong(1.0)]


def rtvi() -> tuple[Rtvi, FakeDesk, list[str]]:
    desk, left = FakeDesk(), list[str]()
    return Rtvi(desk, leave=lambda: left.append("left")), desk, left  # type: ignore[arg-type]


def kinds(texts: list[str]) -> list[str]:
    messages = [json.loads(text) for text in texts]
    assert all(message["label"] == "rtvi-ai" and message["id"] for message in messages)
    return [message["type"] for message in messages]


def sent(kind: str, data: object = None, name: str = "seven") -> str:
    return json.dumps({"label": "rtvi-ai", "type": kind, "id": name, "data": data})


def test_a_reply_is_told_from_its_first_word_to_its_last() -> None:
    client, _, _ = rtvi()
    told = [
        protocol.ReplyDelta(3, "One."),
        protocol.ReplyDelta(3, " Two."),
        protocol.SpeakStarted(3, 0),
        protocol.SubtitleDelta(3, "One.", 0),
        protocol.SpeakEnded(3, 640, interrupted=False),
        protocol.ReplyDelta(4, "Next."),
    ]
    assert [kinds(client.tell(event)) for event in told] == [
        ["bot-llm-started", "bot-llm-text"],
        ["bot-llm-text"],
        ["bot-started-speaking", "bot-tts-started"],
        ["bot-output", "bot-transcription", "bot-tts-text"],
        ["bot-llm-stopped", "bot-tts-stopped", "bot-stopped-speaking"],
        ["bot-llm-started", "bot-llm-text"],
    ]


def test_what_rtvi_has_no_word_for_goes_through_whole() -> None:
    client, _, _ = rtvi()
    (text,) = client.tell(protocol.RateUpdated(12.5, 640))
    data = json.loads(text)["data"]
    assert data == {"type": "session.rate_updated", "fps": 12.5, "media_time": 640}
    assert client.tell(protocol.StateUpdated("idle", 0)) == []
    (gone,) = client.tell(protocol.SessionClosed("client"))
    assert json.loads(gone) == {"type": "signalling", "message": {"type": "peerLeft"}}


async def test_what_the_client_says_is_obeyed_or_refused_under_its_number() -> None:
    client, desk, left = rtvi()
    (ready,) = await client.take(sent("client-ready", {"version": "2.1.0", "about": {}}))
    assert json.loads(ready)["type"] == "bot-ready"
    assert json.loads(ready)["id"] == "seven"
    assert await client.take("ping: 1764000000000") == []
    assert await client.take('{"type":"signalling","message":{"type":"trackStatus"}}') == []
    assert await client.take(sent("send-text", {"content": "Hi"})) == []
    result = {"function_name": "f", "tool_call_id": "c1", "arguments": {}, "result": {"t": 3}}
    assert await client.take(sent("llm-function-call-result", result)) == []
    answered = await client.take(sent("client-message", {"t": "gesture", "d": {"name": "nod"}}))
    assert kinds(answered) == ["server-response"]
    refused = await client.take(sent("client-message", {"t": "refuse"}))
    assert kinds(refused) == ["error-response"]
    assert json.loads(refused[0])["id"] == "seven"
    assert kinds(await client.take(sent("dtmf", {"buttons": ["1"]}))) == ["error-response"]
    assert kinds(await client.take("{")) == ["error"]
    assert await client.take(sent("disconnect-bot")) == []
    assert left == ["left"]
    assert desk.asked == [
        {"type": "user.text", "text": "Hi"},
        {"type": "brain.tool_result", "call_id": "c1", "content": '{"t": 3}'},
        {"name": "nod", "type": "gesture"},
        {"type": "refuse"},
    ]


@pytest.fixture(scope="module")
def bundle(node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Returns the client as one script, and tells the packages' versions."""
    for name in PACKAGES:
        version = json.loads((node_modules / name / "package.json").read_text())["version"]
        sys.stdout.write(f"{name} {version}\n")
    out = tmp_path_factory.mktemp("pipecat") / "client.js"
    entry = ROOT / "tests" / "pipecat" / "client.js"
    command = node("--input-type=module", "--eval", BUNDLE, "--", str(entry), str(out))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(SOUND_ALLOWED)


def has_heard(page: Page, name: str, seconds: int = 20) -> list[Any]:
    """Waits until a callback was called; returns what it was called with, each time."""
    page.wait_for_function(
        "name => heard.some(([called]) => called === name)", arg=name, timeout=1000 * seconds
    )
    found: list[Any] = page.evaluate(
        "name => heard.filter(([called]) => called === name).map(([, data]) => data)", name
    )
    return found


@pytest.mark.browser
@pytest.mark.timeout(180)
def test_an_application_starts_its_bot_before_it_connects(
    browser: Browser, visit: Callable[..., Page], fake_server: ServerProcess, bundle: str
) -> None:
    page = visit(browser, f"{fake_server.address}/docs", permissions=["microphone"])
    page.add_script_tag(content=bundle)
    page.evaluate("start({ seed: 4, voice: 'buzz' })")
    has_heard(page, "BotReady")
    page.wait_for_function("document.querySelector('video')?.videoWidth === 512")
    started = page.evaluate("started")
    assert "iceConfig" not in started  # no server of strangers is asked, whatever it says
    session = fake_server.get(f"v1/sessions/{started['sessionId']}")
    assert (session["voice"], session["viewers"], session["brain"]) == ("buzz", 1, "demo")
    page.evaluate("client.disconnectBot()")  # which leaves its place to the next test
    has_heard(page, "Disconnected")


@pytest.mark.browser
@pytest.mark.timeout(180)
def test_an_application_of_theirs_gets_a_face_that_answers(
    browser: Browser, visit: Callable[..., Page], fake_server: ServerProcess, bundle: str
) -> None:
    page = visit(browser, f"{fake_server.address}/docs", permissions=["microphone"])
    page.add_script_tag(content=bundle)
    page.evaluate("connect({ seed: 4 })")
    (ready,) = has_heard(page, "BotReady")
    assert ready["about"]["library"] == "vivant"
    page.wait_for_function("document.querySelector('video')?.videoWidth === 512")
    page.evaluate("client.enableMic(false)")  # its beeps would now and then cut the answer off
    page.evaluate("client.sendText('Who are you?')")
    assert has_heard(page, "UserTranscript")[0]["text"] == "Who are you?"
    assert has_heard(page, "BotLlmText")[0]["text"]
    has_heard(page, "BotStartedSpeaking")
    assert has_heard(page, "BotOutput")[0]["spoken_status"] == "in-progress"
    answer = page.evaluate("client.sendClientRequest('gesture', { name: 'nod' })")
    assert answer in ({}, None)
    has_heard(page, "BotStoppedSpeaking", 60)
    page.evaluate(
        "client.sendClientRequest('gesture', { name: 'moonwalk' })"
        ".catch((error) => { window.refused = error.data.error; })"
    )
    page.wait_for_function("window.refused !== undefined")
    refused = page.evaluate("window.refused")
    assert "moonwalk" in refused
    page.evaluate("client.disconnect()")
    has_heard(page, "Disconnected")


def test_the_offer_s_shape_is_theirs_and_its_refusals_are_ours(fake_server: ServerProcess) -> None:
    with httpx.Client(base_url=fake_server.address, timeout=30) as client:
        offer = {"sdp": "nonsense", "type": "offer", "pc_id": None, "restart_pc": False}
        for _ in range(60):  # the sessions of other tests' pages end ten seconds later
            answer = client.post("/api/offer", json=offer)
            if answer.status_code != 503:
                break
            time.sleep(0.5)
        assert answer.status_code == 400
        wanted = {**offer, "requestData": {"portrait": "nobody"}}
        assert client.post("/api/offer", json=wanted).status_code == 404
        unknown = {"pc_id": "no.body", "candidates": []}
        assert client.patch("/api/offer", json=unknown).status_code == 404
        assert client.post("/api/offer", json={"sdp": 3}).status_code == 400
