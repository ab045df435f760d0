"""A webcam moves the portrait: a face of known motion in Chromium's camera, and what comes out.

The camera's film is drawn by our own renderer; the picture that viewers get is measured with the
portrait reader's landmarks, apart from MediaPipe's in the page.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.chromium import SOUND_ALLOWED
from server.face_tracker import FILES, TrackerError, fetch, tracker_file, tracker_folder
from server.live_motion import LiveMotion
from server.protocol import MotionConfigure
from streaming_model.avatar import BUILTIN_PORTRAIT, Avatar
from streaming_model.media import SAMPLE_RATE, MotionChunk
from streaming_model.motion.additive import Additions, blend
from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.portrait.landmarks import DetectedFace, shared_landmarker
from tests.conftest import ARTIFACTS, REAL, ServerProcess
from vivant_client import SessionEndedError, join

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.timeout(400)]

Visit = Callable[..., "Page"]
Floats = NDArray[np.float64]
CHATTER = ("XNNPACK",)  # of MediaPipe's
# Few, so that a browser without a graphics card has the time to draw the portrait beside MediaPipe.
RATE = 7.5  # pictures a second of Chromium's fake camera
WIDTH, HEIGHT = 480, 360
PICTURE = b"FRAME\n"  # before each in the film
# Slow, so that a machine that does four faces a second shows the same as one that does thirty.
AT_REST, SECONDS, SLOWNESS = 8.0, 60.0, 2.0
SMALL = {"width": 320, "height": 480}
RECORDED = 40.0  # seconds
# Faces and pictures a second below which the stream fades away between two faces, and what is
# measured is the machine.
LEAST_PACE = 4.0
# Media seconds a second below which an overloaded server falls behind the film.
LEAST_PROGRESS = 0.85


def commanded(at: Floats) -> dict[str, Floats]:
    """Returns the face's motion at times in seconds: at rest, then moving without repetition."""
    moves = np.clip(at - AT_REST, 0, 1)

    def wave(*cycles: float) -> Floats:
        waves = [np.sin(2 * np.pi * rate * at / SLOWNESS + 3 * rate) for rate in cycles]
        return np.asarray(moves * np.mean(waves, axis=0))

    return {
        "headYaw": 0.25 * wave(0.083, 0.131),
        "headPitch": 0.2 * wave(0.067, 0.149),
        "headRoll": 0.15 * wave(0.059, 0.113),
        "jawOpen": moves * (0.4 + 0.4 * wave(0.097, 0.161)),
    }


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a film for Chromium's fake camera: the built-in portrait, moved as commanded."""
    path = tmp_path_factory.mktemp("camera") / "face.y4m"
    avatar = Avatar.from_image(BUILTIN_PORTRAIT, size=HEIGHT, fps=25)
    state = avatar.start()
    instants = np.arange(int(SECONDS * RATE)) / RATE
    motion = np.zeros((len(instants), MOTION_SIZE), np.float32)
    for name, values in commanded(instants).items():
        motion[:, INDEX[name]] = values
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{int(2 * RATE)}:2 Ip A1:1 C420\n".encode())
        for index, row in enumerate(motion):
            # Each at its own 40 ms: the renderer draws, whatever the film's rate is.
            chunk = MotionChunk(640 * index, row[None], np.zeros(1, np.int64))
            state, frames = avatar.render(state, [chunk])
            wide = cv2.copyMakeBorder(frames[0].image, 0, 0, 60, 60, cv2.BORDER_REPLICATE)
            file.write(PICTURE + cv2.cvtColor(wide, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


@pytest.fixture(scope="module")
def server(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Yields a server of the shipped model that has the face tracker; skips where npm has none."""
    del chromium
    folder = tmp_path_factory.mktemp("puppet")
    place = tracker_folder(folder)
    place.mkdir(parents=True)
    try:
        if not all(tracker_file(name) for name in FILES):
            fetch(place)
    except TrackerError as error:
        pytest.skip(str(error))
    for name in FILES:
        if not (place / name).exists():
            os.link(str(tracker_file(name)), place / name)
    # Small and few pictures: a browser without a graphics card is to draw them beside MediaPipe.
    lean = ("--voice", "joe", "--size", "256", "--fps", "12")
    server = ServerProcess(REAL, *lean, folder=folder)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser(launch: Callable[..., Browser], film: Path) -> Browser:
    return launch(SOUND_ALLOWED, f"--use-file-for-fake-video-capture={film}")


class Recorder(threading.Thread):
    """Watches a session in a thread of its own: Playwright has this one.

    `pictures` are by media time in seconds: how late a picture is seen says nothing of its motion.
    """

    def __init__(self, address: str, session_id: str) -> None:
        super().__init__()
        self.pictures: list[tuple[float, NDArray[np.uint8]]] = []
        self._address, self._session_id = address, session_id

    def run(self) -> None:
        asyncio.run(self._watch())

    async def _watch(self) -> None:
        try:
            async with join(self._address, self._session_id) as session:
                async for frame in session.frames():
                    self.pictures.append((frame.media_time / SAMPLE_RATE, frame.image))
                    if self.pictures[-1][0] - self.pictures[0][0] > RECORDED:
                        return
        except SessionEndedError:
            return


def measured(pictures: list[tuple[float, NDArray[np.uint8]]]) -> tuple[Floats, dict[str, Floats]]:
    """Returns times in seconds and what the faces at them do, in no unit."""
    landmarker, face = shared_landmarker(), None
    times: list[float] = []
    found: list[dict[str, float]] = []
    for instant, image in pictures:
        faces = landmarker.detect(image, hint=face)
        face = faces[0] if faces else None
        if face is not None:
            times.append(instant)
            found.append(read(face))
    return np.array(times), {name: np.array([each[name] for each in found]) for name in found[0]}


def read(face: DetectedFace) -> dict[str, float]:
    points = face.landmarks.astype(np.float64)
    left, right, nose = (points[index, :2] for index in (263, 33, 1))  # eyes' outer corners
    across, middle = left - right, (left + right) / 2
    down = np.array([-across[1], across[0]])
    return {
        "headYaw": float((nose - middle) @ across / (across @ across)),
        "headPitch": float((nose - middle) @ down / (across @ across)),
        "headRoll": float(-np.arctan2(across[1], across[0])),
        "jawOpen": float(np.linalg.norm(points[13, :2] - points[14, :2]) / np.linalg.norm(across)),
    }


def read_film(path: Path) -> list[tuple[float, NDArray[np.uint8]]]:
    """Returns (instant, picture) of the camera's film."""
    size = WIDTH * HEIGHT * 3 // 2
    content = path.read_bytes()
    places = range(content.index(PICTURE) + len(PICTURE), len(content), size + len(PICTURE))
    planes = [np.frombuffer(content, np.uint8, size, place).reshape(-1, WIDTH) for place in places]
    return [
        (index / RATE, np.asarray(cv2.cvtColor(plane, cv2.COLOR_YUV2RGB_I420), np.uint8))
        for index, plane in enumerate(planes)
    ]


Course = tuple[Floats, dict[str, Floats]]


def correlations(
    put_in: Course, came_out: Course, shifts: Floats | None = None
) -> tuple[float, dict[str, float]]:
    """Returns the film's time at the first picture, and each movement's correlation there."""
    times, faces = came_out

    def found(shift: float) -> dict[str, float]:
        at = (times - times[0] + shift) % SECONDS
        wanted = {name: np.interp(at, put_in[0], values) for name, values in put_in[1].items()}
        return {name: float(np.corrcoef(wanted[name], faces[name])[0, 1]) for name in wanted}

    shifts = np.arange(0, SECONDS / 2, 0.1) if shifts is None else shifts + put_in[0][0]
    best = max(shifts, key=lambda shift: sum(found(float(shift)).values()))
    return float(best), found(float(best))


def test_the_portrait_moves_as_the_face_in_the_camera(
    browser: Browser,
    visit: Visit,
    server: ServerProcess,
    film: Path,
    photograph: Callable[..., None],
) -> None:
    page = visit(
        browser, f"{server.address}/#puppet", expected=CHATTER, viewport=SMALL, bypass_csp=False
    )
    page.wait_for_selector("body[data-phase=live]", timeout=60_000)
    page.click("#puppet-more-summary")
    page.check("input[name=lips][value=face]")
    page.click("#puppet-camera")
    page.wait_for_selector("body[data-face=seen]", timeout=120_000)
    session_id = page.get_attribute("#puppet-view", "href").rsplit("/", 1)[1]  # type: ignore[union-attr]
    page.wait_for_timeout(2_500)  # the neutral face is taken
    recorder = Recorder(server.address, session_id)
    recorder.start()
    rates = []
    begun = clocks(server, session_id)
    while recorder.is_alive():
        page.wait_for_timeout(500)
        rates.append(int(page.get_attribute("body", "data-faces") or 0))
    wall, media = clocks(server, session_id) - begun
    recorder.join()
    photograph(page, "puppet", whole=True)
    pace = min(float(np.median(rates)), len(recorder.pictures) / RECORDED)
    if pace < LEAST_PACE:
        pytest.skip(f"this machine does {pace:.1f} faces or pictures a second now")
    if media / wall < LEAST_PROGRESS:
        pytest.skip(f"this machine lets {media:.0f} s of the session take {wall:.0f} s now")
    _, found = correlations(measured(read_film(film)), measured(recorder.pictures))
    report = {"pace": pace, "progress": media / wall, **found}
    ARTIFACTS.mkdir(exist_ok=True)
    (ARTIFACTS / "puppet.json").write_text(json.dumps(report, indent=2))
    assert min(found.values()) >= 0.9, report


def clocks(server: ServerProcess, session_id: str) -> Floats:
    """Returns the wall's clock and the session's media time, in seconds."""
    told = server.get(f"v1/sessions/{session_id}")
    return np.array([time.monotonic(), told["media_time"] / SAMPLE_RATE])


READ = """async ({ jpegs, step }) => {
  const { FaceTracker } = await import(new URL("face_tracker.js", document.baseURI).href);
  window.tracker ??= await FaceTracker.load();
  const faces = [];
  for (const jpeg of jpegs) {
    const bytes = Uint8Array.from(atob(jpeg), (letter) => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
    const canvas = new OffscreenCanvas(image.width, image.height);
    canvas.getContext("2d").drawImage(image, 0, 0);
    window.instant = (window.instant ?? 0) + step;
    faces.push((await window.tracker.read(canvas, window.instant))?.coefficients ?? null);
  }
  return faces;
}"""


def test_what_the_page_reads_moves_the_portrait_likewise(
    browser: Browser, visit: Visit, server: ServerProcess, film: Path
) -> None:
    """The same way without haste: every picture is read, placed, mixed, drawn and measured."""
    page = visit(browser, f"{server.address}/#puppet", expected=CHATTER)
    pictures = [pair for pair in read_film(film) if AT_REST - 1 <= pair[0] <= AT_REST + RECORDED]
    pictures = [pair for index, pair in enumerate(pictures) if index % 3 == 0]
    step = round(1000 * (pictures[1][0] - pictures[0][0]))
    faces = []
    for first in range(0, len(pictures), 10):
        jpegs = [jpeg(image) for _, image in pictures[first : first + 10]]
        faces += page.evaluate(READ, {"jpegs": jpegs, "step": step})
    assert None not in faces
    drawn = moved_by(faces, step=step)
    _, found = correlations(measured(pictures), measured(drawn), shifts=np.zeros(1))
    ARTIFACTS.mkdir(exist_ok=True)
    (ARTIFACTS / "puppet_offline.json").write_text(json.dumps(found, indent=2))
    assert min(found.values()) >= 0.9, found


def jpeg(image: NDArray[np.uint8]) -> str:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert done
    return base64.b64encode(data.tobytes()).decode()


def moved_by(faces: list[dict[str, float]], *, step: int) -> list[tuple[float, NDArray[np.uint8]]]:
    """Returns (time, picture) of the portrait as live motion moves it."""
    live = LiveMotion()
    live.configure(MotionConfigure(smoothing=0.5))
    avatar = Avatar.from_image(BUILTIN_PORTRAIT, size=256, fps=25)
    state = avatar.start()
    pictures = []
    for index, face in enumerate(faces):
        time = 16 * step * index  # in 16 kHz samples
        if index == 1:
            live.calibrate(reset=False)
        frames = live.hear(face, at=time, t=float(step * index), weight=1.0, mode="replace")
        row = blend(
            Additions(live=frames),
            np.zeros((1, MOTION_SIZE), np.float32),
            times=[time],
            speaking=np.zeros(1, np.float32),
        )
        chunk = MotionChunk(640 * index, row, np.zeros(1, np.int64))
        state, drawn = avatar.render(state, [chunk])
        pictures += [(step * index / 1000, frame.image) for frame in drawn]
    return pictures


def test_the_microphone_moves_the_portrait_without_a_camera(
    browser: Browser, visit: Visit, fake_server: ServerProcess
) -> None:
    page = visit(browser, f"{fake_server.address}/#puppet")
    page.wait_for_selector("body[data-phase=live]", timeout=60_000)
    page.click("#microphone")
    page.wait_for_selector("#microphone[aria-pressed=true]")
    page.wait_for_function(BAR_IS_SEEN, timeout=60_000)  # Chromium's fake microphone beeps
    page.click("#microphone")
    page.wait_for_selector("#microphone[aria-pressed=false]")


BAR_IS_SEEN = """() => {
  const video = document.querySelector("#video");
  const canvas = new OffscreenCanvas(1, 1).getContext("2d");
  canvas.drawImage(video, video.videoWidth / 2, video.videoHeight * 0.8, 1, 1, 0, 0, 1, 1);
  return canvas.getImageData(0, 0, 1, 1).data[0] > 200;
}"""


def test_without_the_tracker_the_page_says_how_to_get_it(
    browser: Browser, visit: Visit, fake_server: ServerProcess
) -> None:
    page = visit(browser, f"{fake_server.address}/puppet.html", expected=("404",))
    page.click("#puppet-camera")  # the page's former address leads to the mode
    page.wait_for_function(
        "document.querySelector('#puppet-fault').textContent.includes('make camera')"
    )
    assert page.get_attribute("#puppet-camera", "aria-pressed") == "false"
