from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import streaming_model
from streaming_model.portrait.background import complete_background
from streaming_model.portrait.image import load_image
from streaming_model.portrait.landmarks import shared_landmarker
from streaming_model.portrait.matte import FACE_OVAL, head_matte

MONA_LISA = Path(streaming_model.__file__).parent / "assets" / "mona_lisa.jpg"

Image = NDArray[np.uint8]


@pytest.fixture(scope="module")
def picture() -> Image:
    return load_image(MONA_LISA)


@pytest.fixture(scope="module")
def landmarks(picture: Image) -> NDArray[np.float32]:
    return shared_landmarker().detect(picture)[0].landmarks


@pytest.fixture(scope="module")
def matte(picture: Image, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    return head_matte(picture, landmarks)


def face_mask(shape: tuple[int, ...], landmarks: NDArray[np.float32]) -> NDArray[np.bool_]:
    mask = np.zeros(shape[:2], np.uint8)
    outline = np.round(landmarks[list(FACE_OVAL), :2]).astype(np.int32)
    cv2.fillPoly(mask, [outline], (1,))
    return np.asarray(cv2.erode(mask, np.ones((5, 5), np.uint8)) > 0)


def test_matte_covers_face_hair_and_shoulders(
    picture: Image, landmarks: NDArray[np.float32], matte: NDArray[np.float32]
) -> None:
    assert matte.shape == picture.shape[:2]
    assert matte.dtype == np.float32
    assert matte.min() >= 0
    assert matte.max() <= 1
    assert matte[face_mask(picture.shape, landmarks)].min() > 0.9
    width = float(np.ptp(landmarks[:, 0]))
    chin_x, chin_y = landmarks[152, :2]
    assert matte[int(chin_y + 0.3 * width), int(chin_x)] > 0.9  # the neck
    hair_y = int(landmarks[10, 1] - 0.1 * width)
    assert matte[hair_y, int(landmarks[10, 0])] > 0.9


def test_matte_leaves_the_landscape(
    picture: Image, landmarks: NDArray[np.float32], matte: NDArray[np.float32]
) -> None:
    assert matte[:20].max() < 0.1
    face_row = int(landmarks[4, 1])
    assert matte[: face_row + 20, :100].max() < 0.1
    assert matte[: face_row + 20, -100:].max() < 0.1
    # The outline is a line: few pixels are undecided.
    assert np.mean((matte > 0.1) & (matte < 0.9)) < 0.06


def test_matte_scales_with_the_picture(
    picture: Image, landmarks: NDArray[np.float32], matte: NDArray[np.float32]
) -> None:
    larger = np.asarray(cv2.resize(picture, (1320, 1320)), np.uint8)
    again = np.asarray(cv2.resize(head_matte(larger, landmarks * np.float32(2)), (660, 660)))
    assert np.abs(again - matte).mean() < 0.02


def test_small_face_in_a_large_picture(picture: Image, landmarks: NDArray[np.float32]) -> None:
    canvas = np.full((1200, 2000, 3), (90, 120, 160), np.uint8)
    canvas[500:830, 800:1130] = cv2.resize(picture, (330, 330), interpolation=cv2.INTER_AREA)
    moved = landmarks * np.float32(0.5) + np.array([800, 500, 0], np.float32)
    found = head_matte(canvas, moved)
    assert found[face_mask(canvas.shape, moved)].min() > 0.9
    assert found[:480].mean() < 0.01


def test_another_person_is_background(picture: Image) -> None:
    data = pytest.importorskip("skimage.data", reason="needs scikit-image's astronaut")
    canvas = np.full((660, 1300, 3), (200, 205, 210), np.uint8)
    canvas[:512, 760:1272] = data.astronaut()
    canvas[:, :660] = picture
    faces = shared_landmarker().detect(canvas)
    matte = head_matte(canvas, faces[0].landmarks)
    assert matte[face_mask(canvas.shape, faces[0].landmarks)].min() > 0.9
    assert matte[face_mask(canvas.shape, faces[1].landmarks)].max() < 0.1


def test_line_drawing_gets_the_outline_of_a_head(
    picture: Image, landmarks: NDArray[np.float32]
) -> None:
    edges = 255 - cv2.Canny(cv2.GaussianBlur(picture, (0, 0), 3), 20, 50)
    drawing = np.repeat(edges[:, :, None], 3, axis=2).astype(np.uint8)
    matte = head_matte(drawing, landmarks)
    assert matte[face_mask(picture.shape, landmarks)].min() > 0.9
    assert matte[:200, :100].max() < 0.2
    assert matte[:200, -100:].max() < 0.2
    assert 0.05 < matte.mean() < 0.8


def test_head_that_fills_the_picture(picture: Image, landmarks: NDArray[np.float32]) -> None:
    (x0, y0), (x1, y1) = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    close = np.ascontiguousarray(picture[int(y0) : int(y1), int(x0) : int(x1)])
    shifted = landmarks - np.array([int(x0), int(y0), 0], np.float32)
    matte = head_matte(close, shifted)
    assert matte.shape == close.shape[:2]
    assert matte[face_mask(close.shape, shifted)].min() > 0.9
    assert complete_background(close, matte).shape == close.shape


def test_background_is_kept_outside_and_filled_inside() -> None:
    y, x = np.mgrid[:300, :400]
    ground = np.stack([100 + x / 8, 90 + y / 6, np.full(x.shape, 130)], axis=2)
    noise = np.random.default_rng(0).normal(0, 6, (300, 400, 1))
    scene = np.clip(ground + noise, 0, 255).astype(np.uint8)
    matte = np.zeros((300, 400), np.float32)
    cv2.ellipse(matte, (200, 170), (70, 100), 0, 0, 360, (1.0,), -1)
    picture = np.where(matte[:, :, None] > 0, np.uint8(10), scene)
    plate = complete_background(picture, matte)
    distance = cv2.distanceTransform((matte > 0).astype(np.uint8), cv2.DIST_L2, 3)
    away = cv2.distanceTransform((matte == 0).astype(np.uint8), cv2.DIST_L2, 3)
    np.testing.assert_array_equal(plate[away > 8], picture[away > 8])
    band = (distance > 0) & (distance < 20)
    assert np.abs(plate[band] - ground[band]).mean() < 10  # nothing dark has bled in
    assert plate[band].min() > 60
    grain = plate.astype(np.float32) - cv2.GaussianBlur(plate.astype(np.float32), (0, 0), 3)
    assert 0.5 < grain[band].std() / grain[away > 12].std() < 1.3  # and it is as rough
    assert plate[170, 200].min() > 60


def test_soft_hair_beyond_the_matte_is_taken_out_of_the_plate() -> None:
    away = _distance_from_an_ellipse((400, 400))
    noise = np.random.default_rng(0).normal(0, 4, (400, 400, 1))
    scene = np.clip(np.array([150, 140, 120]) + noise, 0, 255)
    hair = np.clip(1 - away / 12, 0, 1)[:, :, None]  # seen to about 12 pixels from the head
    picture = np.round(scene + hair * (25 - scene)).astype(np.uint8)
    plate = complete_background(picture, (away <= 3).astype(np.float32))
    np.testing.assert_array_equal(plate[away > 30], picture[away > 30])
    for near, far in ((0, 4), (4, 8), (8, 12), (12, 16)):
        ring = (away > near) & (away <= far)
        assert np.abs(plate[ring].mean(axis=0) - (150, 140, 120)).max() < 10


def test_grain_goes_on_to_the_middle_of_the_hole() -> None:
    away = _distance_from_an_ellipse((400, 400))
    noise = np.random.default_rng(0).normal(0, 6, (400, 400, 1))
    scene = np.clip(np.array([110, 120, 130]) + noise, 0, 255).astype(np.uint8)
    plate = complete_background(scene, (away <= 0).astype(np.float32)).astype(np.float32)
    grain = plate - cv2.GaussianBlur(plate, (0, 0), 3)
    assert 0.7 < grain[160:240, 160:240].std() / grain[away > 40].std() < 1.3


def test_stripes_go_on_behind_the_head() -> None:
    away = _distance_from_an_ellipse((400, 400))
    stripes = np.where(np.arange(400) % 24 < 12, 60, 190)
    noise = np.random.default_rng(0).normal(0, 3, (400, 400, 1))
    scene = np.clip(np.tile(stripes[None, :, None], (400, 1, 3)) + noise, 0, 255)
    picture = np.where(away[:, :, None] <= 0, 20, scene).astype(np.uint8)
    plate = complete_background(picture, (away <= 0).astype(np.float32))
    inside = cv2.distanceTransform((away <= 0).astype(np.uint8), cv2.DIST_L2, 5)
    band = (inside > 2) & (inside < 35)
    band[:, 150:250] = False  # above and below the head they are its own columns' stripes
    error = np.abs(plate.astype(np.float32) - scene).mean(axis=2)[band]
    assert (error < 40).mean() > 0.8


def _distance_from_an_ellipse(shape: tuple[int, int]) -> NDArray[np.float32]:
    head = np.ones(shape, np.uint8)
    cv2.ellipse(head, (shape[1] // 2, shape[0] // 2), (90, 110), 0, 0, 360, (0,), -1)
    return np.asarray(cv2.distanceTransform(head, cv2.DIST_L2, 5), np.float32)


def test_mona_lisas_plate_shows_no_face(picture: Image, matte: NDArray[np.float32]) -> None:
    plate = complete_background(picture, matte)
    assert shared_landmarker().detect(plate) == []
    np.testing.assert_array_equal(plate[:10], picture[:10])


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_empty_and_full_matte(picture: Image, level: float) -> None:
    plate = complete_background(picture, np.full(picture.shape[:2], level, np.float32))
    assert plate.shape == picture.shape
    assert plate.dtype == np.uint8
    assert np.array_equal(plate, picture) == (level == 0)
