"""WHEP and WHIP from Chromium: the lines of docs/whip.md as a page, and a microphone beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

from benchmarks.chromium import SOUND_ALLOWED
from tests.conftest import ROOT, ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

Visit = Callable[..., "Page"]

(PLAYER,) = re.findall(
    r"```html\n(.*?)```", (ROOT / "docs" / "whip.md").read_text(encoding="utf-8"), re.DOTALL
)
# As the player, the other way round: Chromium's microphone of tests beeps once a second.
SPEAK = """async (path) => {
  const speaker = new RTCPeerConnection();
  const voice = await navigator.mediaDevices.getUserMedia({ audio: true });
  speaker.addTransceiver(voice.getAudioTracks()[0], { direction: "sendonly" });
  await speaker.setLocalDescription();
  while (speaker.iceGatheringState !== "complete")
    await new Promise((done) => (speaker.onicegatheringstatechange = done));
  const headers = { "Content-Type": "application/sdp" };
  const body = speaker.localDescription.sdp;
  const answer = await fetch(path, { method: "POST", headers, body });
  await speaker.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  window.speaker = speaker;
  return answer.status;
}"""
IS_HEARD = """() => {
  if (!window.analyser) {
    const context = new AudioContext();
    window.analyser = context.createAnalyser();
    context.createMediaStreamSource(document.querySelector("video").srcObject).connect(analyser);
  }
  const wave = new Float32Array(analyser.fftSize);
  analyser.getFloatTimeDomainData(wave);
  return wave.some((sample) => Math.abs(sample) > 0.02);
}"""


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Iterator[Browser]:
    yield launch(SOUND_ALLOWED)


def test_the_page_s_player_shows_what_a_microphone_says(
    browser: Browser, visit: Visit, fake_server: ServerProcess
) -> None:
    sessions = f"{fake_server.address}/v1/sessions"
    session = httpx.post(sessions, json={}, timeout=30).json()["session_id"]
    page = visit(browser, f"{fake_server.address}/docs", permissions=["microphone"])
    page.set_content(PLAYER.replace("ID", session))
    page.wait_for_function("document.querySelector('video').videoWidth > 0")
    size = page.evaluate("document.querySelector('video').videoWidth")
    assert size == fake_server.get("v1/info")["size"]
    assert page.evaluate(SPEAK, f"/whip/{session}?use=puppet") == 201
    page.wait_for_function("speaker.connectionState === 'connected'")
    page.wait_for_function(IS_HEARD)
    httpx.delete(f"{sessions}/{session}", timeout=30)
