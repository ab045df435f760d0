"""The page with the shipped model behind it, as a visitor uses it, in headless Chromium."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import av
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut

from benchmarks.chromium import REMEMBER_PEERS, SOUND_ALLOWED
from server.voice.catalog import open_voice
from streaming_model.portrait.landmarks import shared_landmarker
from tests.conftest import ServerProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FilePayload, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

Visit = Callable[..., "Page"]
Photograph = Callable[..., None]

STATED = "#proof-rights input[value=public-domain]"
LINE = "To be, or not to be, that is the question"
PROBE = Path(__file__).parent / "browser" / "probe.js"
RECORDING = Path("/usr/share/asterisk/sounds/en_US_f_Allison/demo-congrats.g722")
MICROPHONE_RATE = 48_000  # Hz
AUDIBLE = 0.01  # root mean square, full scale is 1
SETTLED = 600  # ms after which a mouth must rest, or has not yet begun to open
STORED = 800  # ms of sound that a browser is made to hold back
LATE = 700  # ms that a busy server or network takes to hear of an interruption
SEND_LATE = """late => {
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (text) {
    if (late > 0) setTimeout(() => send.call(this, text), late);
    else send.call(this, text);
  };
}"""
# Milliseconds that the sound now leaving the browser's store was in it.
HELD = """async () => {
  const look = async () => [...(await peers[0].getReceivers()[0].getStats()).values()]
    .find(({ type }) => type === "inbound-rtp");
  const before = await look();
  await new Promise((resolve) => setTimeout(resolve, 200));
  const after = await look();
  return 1000 * (after.jitterBufferDelay - before.jitterBufferDelay)
    / (after.jitterBufferEmittedCount - before.jitterBufferEmittedCount);
}"""
EYE_CORNERS = (33, 263)  # outer
CHIN = (152, 152)
# The middle between two landmarks as they are drawn, in pixels of the picture that is shown.
ON_THE_PROOF = """pairs => {
  const drawn = document.querySelector(".proof-points");
  const points = [...drawn.getAttribute("d").matchAll(/M(\\S+) (\\S+)h0/g)];
  const image = document.getElementById("proof-image");
  const shown = image.getBoundingClientRect();
  const scale = image.naturalWidth / shown.width;
  const matrix = drawn.getScreenCTM();
  return pairs.map((pair) => {
    const places = pair.map((index) => {
      const [, x, y] = points[index].map(Number);
      const place = new DOMPoint(x, y).matrixTransform(matrix);
      return [(place.x - shown.x) * scale, (place.y - shown.y) * scale];
    });
    return [0, 1].map((axis) => (places[0][axis] + places[1][axis]) / 2);
  });
}"""
LIPS = (61, 291, 0, 17)  # corners, top and bottom, of the 478 landmarks


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser], tmp_path_factory: pytest.TempPathFactory) -> Browser:
    speech = tmp_path_factory.mktemp("microphone") / "speech.wav"
    write_microphone(speech)
    return launch(SOUND_ALLOWED, f"--use-file-for-fake-audio-capture={speech}%noloop")


@pytest.fixture
def page(browser: Browser, visit: Visit, real_server: ServerProcess) -> Page:
    page = visit(browser, "about:blank")
    page.add_init_script(REMEMBER_PEERS)
    page.goto(real_server.address)
    page.wait_for_selector("body[data-phase=live][data-picture=live]")
    page.evaluate(PROBE.read_text())
    page.evaluate("box => probe.watch(box)", mouth_box(real_server.address))
    return page


def test_the_portrait_lives_as_soon_as_the_page_opens(
    page: Page, photograph: Photograph, real_server: ServerProcess
) -> None:
    frames = page.evaluate("document.getElementById('video').getVideoPlaybackQuality()")
    assert page.locator("#gallery input").count() == len(real_server.get("v1/portraits"))
    assert page.locator("#gallery input:checked").input_value() == "mona_lisa"
    assert page.locator("#portrait-name").inner_text() == "Mona Lisa"
    assert page.locator("#voice option").count() == len(real_server.get("v1/voices"))
    page.wait_for_function("probe.frames.length > 20")
    page.wait_for_function("document.getElementById('brief').textContent.includes('fps')")
    photograph(page, "portrait-idle")
    page.emulate_media(color_scheme="light")
    photograph(page, "portrait-light")
    page.set_viewport_size({"width": 360, "height": 740})
    photograph(page, "portrait-phone")
    assert frames is not None
    changes = [frame["change"] for frame in page.evaluate("probe.frames")]
    assert max(changes) > 0, "an idle portrait breathes"
    assert not page.locator("#unlock").is_visible()


def test_typed_words_are_spoken_in_step_and_the_mouth_rests_after(
    page: Page, photograph: Photograph
) -> None:
    page.wait_for_timeout(2_000)
    page.fill("#text", LINE)
    page.press("#text", "Enter")
    assert page.input_value("#text") == ""
    page.wait_for_selector("#captions:has-text('To be')")
    page.wait_for_timeout(900)
    photograph(page, "portrait-speaking")
    page.wait_for_selector("body[data-speech=idle]")
    page.wait_for_timeout(2_500)
    frames, levels = watched(page)
    heard = levels[levels[:, 1] > AUDIBLE, 0]
    assert heard[-1] - heard[0] > 1_500, "the line takes about two and a half seconds"
    speaking = frames[(frames[:, 0] > heard[0]) & (frames[:, 0] < heard[-1]), 1]
    resting = frames[(frames[:, 0] < heard[0] - SETTLED) | (frames[:, 0] > heard[-1] + SETTLED), 1]
    assert len(speaking) > 15
    assert len(resting) > 15
    ratio = np.median(speaking) / np.median(resting)
    print(f"the mouth changes {ratio:.1f} times as much in speech")  # noqa: T201 - shown by -s
    assert ratio > 2
    page.wait_for_selector("#captions", state="hidden")


@pytest.mark.parametrize(("stored", "late"), [(0, 0), (STORED, 0), (0, LATE)])
def test_an_interruption_is_heard_within_three_tenths_of_a_second(
    page: Page, stored: int, late: int
) -> None:
    if stored:  # as a browser does that has seen a bad moment of the network, for ten seconds after
        page.evaluate(f"peers[0].getReceivers()[0].jitterBufferTarget = {stored}")
    page.fill("#text", "All the world's a stage, and all the men and women merely players. " * 3)
    page.press("#text", "Enter")
    page.wait_for_function(f"probe.levels.some(({{level}}) => level > {AUDIBLE})")
    page.wait_for_timeout(1_200)
    if stored:
        page.wait_for_function(f"async () => await ({HELD})() > {STORED} / 2")
    page.evaluate("addEventListener('keydown', () => (probe.pressed = performance.now()), true)")
    page.evaluate(SEND_LATE, late)
    page.wait_for_function(f"probe.levels.slice(-8).every(({{level}}) => level > {AUDIBLE})")
    page.keyboard.press("Escape")
    page.wait_for_selector("body[data-speech=idle]")
    page.wait_for_timeout(1_500)
    _, levels = watched(page)
    pressed = page.evaluate("probe.pressed")
    before = levels[(levels[:, 0] > pressed - 1_000) & (levels[:, 0] < pressed), 1]
    assert before.max() > AUDIBLE, "it was speaking"
    last = levels[levels[:, 1] > AUDIBLE, 0].max()
    print(f"heard for {last - pressed:.0f} ms after Escape")  # noqa: T201 - shown by -s
    assert last - pressed < 300
    assert page.locator("#interrupt").is_disabled()
    page.evaluate("probe.forget()")
    page.fill("#text", LINE)
    page.press("#text", "Enter")
    page.wait_for_function(f"probe.levels.filter(({{level}}) => level > {AUDIBLE}).length > 60")


def test_a_picture_becomes_a_portrait_that_speaks(
    page: Page, photograph: Photograph, real_server: ServerProcess
) -> None:
    page.click("#add")
    page.set_input_files("#file", picture(astronaut(), "Eileen.png"))  # type: ignore[no-untyped-call]
    page.set_default_timeout(90_000)  # pictures are read when nothing else is to be done
    page.wait_for_selector("#keep:enabled")
    assert page.input_value("#proof-name") == "Eileen"
    (face, *_) = shared_landmarker().detect(astronaut())  # type: ignore[no-untyped-call]
    for pair, drawn in zip(
        (EYE_CORNERS, CHIN), page.evaluate(ON_THE_PROOF, [EYE_CORNERS, CHIN]), strict=True
    ):
        seen = face.landmarks[list(pair), :2].mean(axis=0)
        assert np.abs(seen - drawn).max() < 4, "landmarks lie on the face"
    photograph(page, "proof-found")
    page.check(STATED)
    page.click("#keep")
    page.wait_for_selector("#dialog", state="hidden")
    assert page.locator("#portrait-name").inner_text() == "Eileen"
    chosen = page.locator("#gallery input:checked").input_value()
    assert chosen in {portrait["id"] for portrait in real_server.get("v1/portraits")}
    page.evaluate("probe.forget()")
    page.fill("#text", "Good morning.")
    page.press("#text", "Enter")
    page.wait_for_function(f"probe.levels.some(({{level}}) => level > {AUDIBLE})")
    photograph(page, "portrait-uploaded")
    page.reload()
    page.wait_for_selector("body[data-picture=live]")
    assert page.locator("#gallery input:checked").input_value() == chosen, "it is remembered"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("wall.png", None, "face"),
        ("notes.txt", b"not a picture at all", "not a picture"),
        ("broken.png", b"\x89PNG\r\n\x1a\nnothing follows", "JPEG, PNG and WebP"),
        ("empty.png", b"", "empty"),
    ],
)
def test_a_useless_picture_is_refused_in_words(
    browser: Browser,
    visit: Visit,
    photograph: Photograph,
    real_server: ServerProcess,
    name: str,
    content: bytes | None,
    words: str,
) -> None:
    page = visit(browser, real_server.address, expected=("Failed to load resource",))
    page.wait_for_selector("body[data-phase=live]")
    page.click("#add")
    wall = np.tile(np.linspace(90, 160, 640, dtype=np.uint8)[None, :, None], (480, 1, 3))
    kind = "text/plain" if name.endswith("txt") else "image/png"
    file: FilePayload = (
        picture(wall, name)
        if content is None
        else {"name": name, "mimeType": kind, "buffer": content}
    )
    page.set_input_files("#file", file)
    page.wait_for_selector("#dialog-fault:not(:empty)", timeout=90_000)
    assert words in page.inner_text("#dialog-fault")
    photograph(page, f"refusal-{name.split('.')[0]}")
    page.keyboard.press("Escape")
    assert not page.locator("#dialog").is_visible()
    assert page.locator("#gallery input:checked").input_value() == "mona_lisa"


def test_what_the_microphone_hears_the_portrait_says(page: Page, photograph: Photograph) -> None:
    page.click("#microphone")
    page.wait_for_selector("#microphone[aria-pressed=true]")
    page.wait_for_selector("body[data-speech=speaking]")
    page.wait_for_function(f"probe.levels.filter(({{level}}) => level > {AUDIBLE}).length > 30")
    page.wait_for_function(
        "getComputedStyle(document.getElementById('meter-level')).getPropertyValue('--level') > 0.2"
    )
    photograph(page, "portrait-microphone")
    page.wait_for_timeout(4_000)
    frames, levels = watched(page)
    heard = levels[levels[:, 1] > AUDIBLE, 0]
    speaking = frames[(frames[:, 0] > heard[0]) & (frames[:, 0] < heard[-1]), 1]
    resting = frames[frames[:, 0] < heard[0] - SETTLED, 1]
    assert np.median(speaking) > 1.5 * np.median(resting)
    page.click("#microphone")
    page.wait_for_selector("#microphone[aria-pressed=false]")
    assert page.inner_text("#microphone-fault") == ""


def watched(page: Page) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns [n, 2] time and change of frames, and [m, 2] time and level of sound."""
    frames = page.evaluate("probe.frames.map(({time, change}) => [time, change])")
    levels = page.evaluate("probe.levels.map(({time, level}) => [time, level])")
    return np.array(frames), np.array(levels)


def mouth_box(address: str) -> list[float]:
    """Returns left, top, right and bottom of the mouth as shares of the picture."""
    data = httpx.get(f"{address}/v1/portraits/mona_lisa/image", timeout=60).content
    image = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    (face, *_) = shared_landmarker().detect(image)
    lips = face.landmarks[list(LIPS), :2] / image.shape[0]
    (left, top), (right, bottom) = lips.min(0), lips.max(0)
    return [float(left), float(top), float(right), float(bottom + 0.03)]


def picture(pixels: NDArray[np.uint8], name: str) -> FilePayload:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": data.getvalue()}


def write_microphone(path: Path) -> None:
    """Writes two seconds of silence and five of speech: a recording, or else a voice of ours."""
    speech = recorded_speech() if RECORDING.is_file() else spoken_speech()
    quiet = np.zeros(2 * MICROPHONE_RATE, np.float32)
    samples = np.concatenate([quiet, speech[: 5 * MICROPHONE_RATE], quiet, quiet])
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, MICROPHONE_RATE, len(samples), "NONE", ""))
        file.writeframes((samples * 32_000).astype("<i2").tobytes())


def recorded_speech() -> NDArray[np.float32]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=MICROPHONE_RATE)
    with av.open(str(RECORDING), format="g722") as container:
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return np.asarray(np.concatenate([frame.to_ndarray()[0] for frame in frames]), np.float32)


def spoken_speech() -> NDArray[np.float32]:
    clauses = list(open_voice("joe").speak(f"{LINE}. {LINE}."))
    samples = np.concatenate([clause.samples for clause in clauses])
    wanted = np.arange(0, len(samples), clauses[0].sample_rate / MICROPHONE_RATE)
    return np.asarray(np.interp(wanted, np.arange(len(samples)), samples), np.float32)
