from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import streaming_model
from streaming_model.errors import (
    FaceTooSmallError,
    FaceTurnedError,
    MouthCoveredError,
    NoFaceError,
)
from streaming_model.portrait.bundle import canonical_geometry
from streaming_model.portrait.image import load_image
from streaming_model.portrait.landmarks import LANDMARKS, DetectedFace, shared_landmarker
from streaming_model.portrait.mouth_cover import cover_likelihood
from streaming_model.portrait.observation import (
    examine,
    eye_openness,
    mouth_openness,
    observe_face,
)

MONA_LISA = Path(streaming_model.__file__).parent / "assets" / "mona_lisa.jpg"

Image = NDArray[np.uint8]


@pytest.fixture(scope="module")
def picture() -> Image:
    return load_image(MONA_LISA)


@pytest.fixture(scope="module")
def landmarks(picture: Image) -> NDArray[np.float32]:
    return shared_landmarker().detect(picture)[0].landmarks


@pytest.fixture(scope="module")
def astronaut() -> Image:
    data = pytest.importorskip("skimage.data", reason="needs scikit-image's astronaut")
    return np.asarray(data.astronaut(), np.uint8)


def scaled(image: Image, scale: float) -> Image:
    return np.asarray(
        cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
    )


def filled(image: Image, outline: NDArray[Any], colour: tuple[int, int, int]) -> Image:
    covered = image.copy()
    cv2.fillPoly(covered, [np.round(outline).astype(np.int32)], colour)
    return covered


def box_on_mouth(
    image: Image, landmarks: NDArray[np.float32], colour: tuple[int, int, int]
) -> Image:
    x, y = landmarks[[61, 291], :2].mean(axis=0)
    width = float(np.ptp(landmarks[:, 0]))
    corners = [(-0.32, -0.18), (0.32, -0.18), (0.32, 0.18), (-0.32, 0.18)]
    outline = np.array([(x + across * width, y + down * width) for across, down in corners])
    return filled(image, outline, colour)


def mask(image: Image, landmarks: NDArray[np.float32], colour: tuple[int, int, int]) -> Image:
    points = landmarks[[127, 117, 50, 195, 280, 346, 356, 361, 397, 400, 152, 176, 172, 132], :2]
    return filled(image, cv2.convexHull(points.astype(np.float32))[:, 0], colour)


def fingers(image: Image, landmarks: NDArray[np.float32]) -> Image:
    width = float(np.ptp(landmarks[:, 0]))
    x, y = landmarks[[61, 291], :2].mean(axis=0)
    skin = image[int(landmarks[50, 1]), int(landmarks[50, 0])].astype(int)
    covered, thick = image.copy(), round(0.12 * width)
    for finger in (-1, 0, 1):
        row = round(y + finger * thick)
        start, end = (round(x - 0.4 * width), row + 6), (round(x + width), row - 20)
        cv2.line(covered, start, end, [int(value) for value in skin * 0.6], thick)
        cv2.line(covered, start, end, [int(value) for value in skin], round(thick * 0.8))
    return np.asarray(cv2.GaussianBlur(covered, (0, 0), 0.8), np.uint8)


def test_the_mona_lisa_is_accepted(picture: Image) -> None:
    face = observe_face(picture)
    assert face.image is picture
    assert face.landmarks.shape == (LANDMARKS, 3)
    assert face.warnings == ()
    assert face.face_width == pytest.approx(np.ptp(face.landmarks[:, 0]))
    assert np.degrees(face.pose[1]) == pytest.approx(-19, abs=6)
    assert mouth_openness(face.landmarks) < 0.05
    assert min(eye_openness(face.landmarks)) > 0.2


@pytest.mark.parametrize(
    "image", [np.full((400, 300, 3), 128, np.uint8), np.zeros((1, 1, 3), np.uint8)]
)
def test_no_face(image: Image) -> None:
    with pytest.raises(NoFaceError, match="No face"):
        observe_face(image)


@pytest.mark.parametrize("name", ["chelsea", "colorwheel", "clock", "coffee", "rocket", "page"])
def test_cats_clocks_and_colour_wheels_are_no_faces(name: str) -> None:
    data = pytest.importorskip("skimage.data", reason="needs scikit-image's pictures")
    with pytest.raises(NoFaceError):
        observe_face(load_image(getattr(data, name)()))


def test_small_face_is_refused_with_its_width(picture: Image) -> None:
    with pytest.raises(FaceTooSmallError, match=r"is [5-7]\d pixels wide; at least 80"):
        observe_face(scaled(picture, 0.38))


def test_face_just_large_enough_is_accepted_with_a_remark(picture: Image) -> None:
    face = observe_face(scaled(picture, 0.55))
    assert any("pixels wide" in warning for warning in face.warnings)


def test_largest_of_several_wins(picture: Image, astronaut: Image) -> None:
    both = np.full((660, 1200, 3), 128, np.uint8)
    both[:, :660] = picture
    both[:512, 680:1192] = astronaut
    face = observe_face(both)
    assert face.face_box[2] < 660
    assert "2 faces were found; the largest is used." in face.warnings


@pytest.mark.parametrize("turns", [1, 3])
def test_face_on_its_side_is_refused(astronaut: Image, turns: int) -> None:
    with pytest.raises(FaceTurnedError, match="on its side"):
        observe_face(np.ascontiguousarray(np.rot90(astronaut, turns)))


def test_upside_down_face_is_refused(picture: Image) -> None:
    with pytest.raises(FaceTurnedError, match="upside down"):
        observe_face(np.ascontiguousarray(picture[::-1, ::-1]))


@pytest.mark.parametrize(("yaw", "is_refused"), [(30.0, False), (52.0, True), (-52.0, True)])
def test_turned_face(
    picture: Image, monkeypatch: pytest.MonkeyPatch, yaw: float, is_refused: bool
) -> None:
    real = shared_landmarker().detect(picture)[0]
    angle = np.radians(yaw)
    about_y = np.array(
        [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
    )
    turned = real.landmarks.copy()
    turned[:468] = (canonical_geometry() @ about_y.T) * (11, -11, -11) + (330, 230, 0)
    face = DetectedFace((240, 120, 420, 340), 0.95, turned, 1.0, real.blendshapes)
    monkeypatch.setattr(type(shared_landmarker()), "detect", lambda *_, **__: [face])
    monkeypatch.setattr(type(shared_landmarker()), "steadied", lambda *_: (face, 0.0))
    refusal = examine(picture).refusal
    assert isinstance(refusal, FaceTurnedError) == is_refused
    if is_refused:
        assert "turned 52 degrees" in str(refusal)


@pytest.mark.parametrize("colour", [(0, 0, 0), (128, 128, 128), (255, 255, 255), (200, 40, 40)])
def test_box_on_the_mouth_is_refused(
    picture: Image, landmarks: NDArray[np.float32], colour: tuple[int, int, int]
) -> None:
    with pytest.raises(MouthCoveredError, match="hidden"):
        observe_face(box_on_mouth(picture, landmarks, colour))


@pytest.mark.parametrize("colour", [(120, 170, 220), (245, 245, 245), (20, 20, 25)])
@pytest.mark.parametrize("who", ["mona_lisa", "astronaut"])
def test_mask_is_refused(
    picture: Image, astronaut: Image, who: str, colour: tuple[int, int, int]
) -> None:
    image = picture if who == "mona_lisa" else astronaut
    points = shared_landmarker().detect(image)[0].landmarks
    with pytest.raises(MouthCoveredError):
        observe_face(mask(image, points, colour))


def test_hand_is_refused_or_remarked_on(picture: Image, astronaut: Image) -> None:
    for image in (picture, astronaut):
        points = shared_landmarker().detect(image)[0].landmarks
        findings = examine(fingers(image, points))
        assert findings.refusal is not None or "The mouth may be partly hidden." in (
            findings.warnings
        )


@pytest.mark.parametrize("who", ["mona_lisa", "astronaut"])
@pytest.mark.parametrize(
    "change",
    ["none", "mirrored", "dark", "bright", "grey", "blurred", "noisy", "lipstick", "moustache"],
)
def test_free_mouths_are_accepted(picture: Image, astronaut: Image, who: str, change: str) -> None:
    image = picture if who == "mona_lisa" else astronaut
    points = shared_landmarker().detect(image)[0].landmarks
    lips = points[[61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17], :2]
    changes: dict[str, Callable[[], NDArray[Any]]] = {
        "none": lambda: image,
        "mirrored": lambda: np.ascontiguousarray(image[:, ::-1]),
        "dark": lambda: (image * 0.2).astype(np.uint8),
        "bright": lambda: np.clip(image * 1.7 + 20.0, 0, 255).astype(np.uint8),
        "grey": lambda: cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB),
        "blurred": lambda: cv2.GaussianBlur(image, (0, 0), 2),
        "noisy": lambda: np.clip(
            image + np.random.default_rng(0).normal(0, 15, image.shape), 0, 255
        ).astype(np.uint8),
        "lipstick": lambda: cv2.addWeighted(
            image, 0.6, filled(image, cv2.convexHull(lips)[:, 0], (190, 20, 40)), 0.4, 0
        ),
        "moustache": lambda: filled(
            image, points[[57, 206, 2, 426, 287, 267, 0, 37], :2], (40, 28, 20)
        ),
    }
    assert examine(np.asarray(changes[change](), np.uint8)).refusal is None


def test_drawing_is_a_face() -> None:
    drawing = np.full((512, 512, 3), (180, 210, 230), np.uint8)
    cv2.ellipse(drawing, (256, 240), (136, 180), 0, 0, 360, (90, 50, 30), -1)
    cv2.ellipse(drawing, (256, 265), (116, 165), 0, 0, 360, (245, 205, 175), -1)
    for x in (205, 307):
        cv2.ellipse(drawing, (x, 243), (28, 18), 0, 0, 360, (255, 255, 255), -1)
        cv2.ellipse(drawing, (x, 243), (28, 18), 0, 0, 360, (20, 20, 20), 3)
        cv2.circle(drawing, (x, 243), 13, (60, 90, 50), -1)
        cv2.circle(drawing, (x, 243), 6, (0, 0, 0), -1)
        cv2.ellipse(drawing, (x, 218), (36, 12), 0, 200, 340, (40, 25, 20), 7)
    cv2.line(drawing, (256, 250), (246, 308), (170, 110, 90), 3)
    cv2.line(drawing, (246, 308), (264, 312), (170, 110, 90), 3)
    cv2.ellipse(drawing, (256, 355), (51, 22), 0, 0, 360, (190, 80, 80), -1)
    cv2.line(drawing, (205, 354), (307, 354), (90, 30, 30), 4)
    drawing = np.asarray(cv2.GaussianBlur(drawing, (0, 0), 1), np.uint8)
    assert observe_face(drawing).face_width > 150


def test_remarks(picture: Image, landmarks: NDArray[np.float32]) -> None:
    def remarks(image: Image) -> str:
        return " ".join(observe_face(image).warnings)

    assert "dark" in remarks((picture * 0.15).astype(np.uint8))
    assert "blurred" in remarks(np.asarray(cv2.GaussianBlur(picture, (0, 0), 5), np.uint8))
    left, top = int(landmarks[:, 0].min()) + 15, int(landmarks[:, 1].min()) - 60
    assert "cut off" in remarks(np.ascontiguousarray(picture[top:, left:]))
    matrix = cv2.getRotationMatrix2D((330, 230), 35, 1)
    tilted = cv2.warpAffine(picture, matrix, (660, 660), borderMode=cv2.BORDER_REPLICATE)
    assert "tilted 3" in remarks(np.asarray(tilted, np.uint8))


def test_cover_is_measured_alike_at_any_size(
    picture: Image, landmarks: NDArray[np.float32]
) -> None:
    covered = box_on_mouth(picture, landmarks, (90, 90, 90))
    for scale in (0.6, 2.0):
        larger = scaled(covered, scale) if scale < 1 else cv2.resize(covered, None, fx=2, fy=2)
        likelihood = cover_likelihood(np.asarray(larger, np.uint8), landmarks * np.float32(scale))
        assert likelihood == pytest.approx(cover_likelihood(covered, landmarks), abs=0.1)
