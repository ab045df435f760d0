"""A browser decodes every codec that the server sends, packed by us where aiortc cannot."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from websockets.sync.client import connect

from benchmarks.chromium import SOUND_ALLOWED
from server.config import VIDEO_CODECS
from tests.conftest import FAKE, ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

Visit = Callable[..., "Page"]

SIZE = 256
ENOUGH = 50  # pictures
# Offers one codec and the retransmission of it.
OFFER_ONLY = """
window.peers = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...options) { super(...options); peers.push(this); }
  addTransceiver(kind, options) {
    const transceiver = super.addTransceiver(kind, options);
    if (kind === "video") {
      const { codecs } = RTCRtpReceiver.getCapabilities("video");
      transceiver.setCodecPreferences(
        codecs.filter(({ mimeType }) => ["video/CODEC", "video/rtx"].includes(mimeType)));
    }
    return transceiver;
  }
};
"""
VIDEO = """async () => {
  const report = await peers.at(-1).getStats();
  const video = [...report.values()].find(
    (entry) => entry.type === "inbound-rtp" && entry.kind === "video");
  return {
    decoded: video.framesDecoded, dropped: video.framesDropped, width: video.frameWidth,
    height: video.frameHeight, freezes: video.freezeCount, complete: video.keyFramesDecoded,
    asked: video.pliCount, codec: report.get(video.codecId).mimeType,
  };
}"""
HEIGHT_OF_BAR = """() => {
  const video = document.querySelector("video");
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  const middle = context.getImageData(canvas.width / 2, 0, 1, canvas.height).data;
  let white = 0;
  for (let row = 0; row < canvas.height; row += 1) white += middle[4 * row] > 200;
  return white / canvas.height;
}"""


@pytest.fixture(scope="module")
def server(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    del chromium  # without a browser it would start for nothing
    arguments = ("--video-codecs", ",".join(VIDEO_CODECS), "--size", str(SIZE))
    server = ServerProcess(FAKE, *arguments, folder=tmp_path_factory.mktemp("codecs"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser]) -> Browser:
    return launch(SOUND_ALLOWED)


@pytest.mark.parametrize("name", VIDEO_CODECS)
def test_a_browser_decodes_what_it_offers(
    name: str, browser: Browser, visit: Visit, server: ServerProcess
) -> None:
    page = visit(browser, "about:blank")
    page.add_init_script(OFFER_ONLY.replace("CODEC", name.upper()))
    with page.expect_response("**/v1/sessions") as opened:
        page.goto(server.address)
    page.wait_for_selector("body[data-picture=live]")
    while page.evaluate(VIDEO)["decoded"] < ENOUGH:
        page.wait_for_timeout(200)
    speak(server, opened.value.json()["session_id"])
    page.wait_for_function(f"() => ({HEIGHT_OF_BAR})() > 0.5")  # the right place and colour
    seen = page.evaluate(VIDEO)
    print(name, seen)  # noqa: T201 - shown by -s; freezes are also the machine's
    assert seen["codec"] == f"video/{name.upper()}"
    assert (seen["width"], seen["height"]) == (SIZE, SIZE)
    # A picture that the decoder could not use would have made it ask for a complete one.
    assert seen["asked"] == 0


def speak(server: ServerProcess, session: str) -> None:
    socket = f"{server.address}/v1/sessions/{session}/events".replace("http", "ws")
    with connect(socket, ping_interval=None) as events:
        events.send(json.dumps({"type": "speak", "text": "A whole sentence, and another."}))
        while True:
            event: dict[str, Any] = json.loads(events.recv(timeout=20))
            if event["type"] == "agent.speak_started":
                return
