"""The eyes: they close, look about, and stay the picture where nothing of them moves."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import streaming_model
from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.portrait import make_portrait
from streaming_model.portrait.eye_contours import mend_eyes
from streaming_model.portrait.landmarks import DetectedFace, shared_landmarker
from streaming_model.portrait.observation import eye_openness
from streaming_model.renderer import Renderer

MONA_LISA = Path(streaming_model.__file__).parent / "assets" / "mona_lisa.jpg"
SIZE = 256
SIDES = {"Left": slice(473, 478), "Right": slice(468, 473)}
pytestmark = pytest.mark.model
Frame = NDArray[np.uint8]


@cache
def renderer() -> Renderer:
    return Renderer(make_portrait(MONA_LISA), size=SIZE)


def frame(**values: float) -> Frame:
    """Names without a side set both sides; a hardly turned head keeps the motion from being 0."""
    motion = np.zeros(MOTION_SIZE, np.float32)
    motion[INDEX["headYaw"]] = 1e-6
    for name, value in values.items():
        for full in [name] if name in INDEX else [f"{name}Left", f"{name}Right"]:
            motion[INDEX[full]] = value
    return renderer().render(motion)


@cache
def seen_at_rest() -> DetectedFace:
    return shared_landmarker().detect(frame())[0]


def seen(picture: Frame) -> DetectedFace:
    return shared_landmarker().detect(picture, hint=seen_at_rest())[0]


def eye_box(side: str, share: float = 0.9) -> tuple[slice, slice]:
    """Returns rows and columns around an eye, `share` of its width to each side."""
    centre = renderer()._stage.landmarks[SIDES[side]][0]
    reach = share * renderer()._eyes[0].frame.width
    left, top = np.floor(centre - reach).astype(int)
    right, bottom = np.ceil(centre + reach).astype(int)
    return slice(top, bottom), slice(left, right)


def test_the_net_sees_a_blink_close_both_eyes() -> None:
    openness = np.array([eye_openness(seen(frame(eyeBlink=c)).landmarks) for c in (0, 0.5, 1)])
    assert (openness[2] < 0.35 * openness[0]).all()
    assert (openness[1] < 0.9 * openness[0]).all()
    closed = seen(frame(eyeBlink=1)).blendshapes
    assert min(closed["eyeBlinkLeft"], closed["eyeBlinkRight"]) > 0.45


@pytest.mark.parametrize(("side", "other"), [("Left", "Right"), ("Right", "Left")])
def test_a_wink_leaves_the_other_eye_alone(side: str, other: str) -> None:
    wink = frame(**{f"eyeBlink{side}": 1.0}).astype(int)
    change = np.abs(wink - frame().astype(int))
    assert change[eye_box(side, 0.4)].max() > 40
    assert change[eye_box(other, 0.5)].max() <= 2


def test_a_blink_runs_without_a_jump() -> None:
    box = eye_box("Left")
    frames = [frame(eyeBlink=c)[box].astype(int) for c in np.linspace(0, 1, 26)]
    steps = [np.abs(after - before).mean() for before, after in pairwise(frames)]
    assert max(steps) < 3.0 * np.median(steps)
    assert steps[0] < 1.5 * np.median(steps)


def test_the_first_frame_of_an_eye_that_moves_is_the_picture() -> None:
    rest = frame().astype(int)
    for name in ("eyeBlink", "eyeLookUp", "eyeLookDown", "eyeLookOut", "eyeWide", "eyeSquint"):
        moved = frame(**{name: 1e-4}).astype(int)
        assert np.abs(moved - rest).max() <= 3, name


def test_a_closed_lid_is_skin() -> None:
    closed, picture = frame(eyeBlink=1), frame()
    lid = cv2.GaussianBlur(closed, (0, 0), 1.5).astype(float)
    for side, iris in SIDES.items():
        x, y = np.round(renderer()._stage.landmarks[iris][0]).astype(int)
        cheek = cv2.GaussianBlur(picture, (0, 0), 3).astype(float)[y + 22, x]
        there = lid[y - 2, x]
        assert np.abs(there / there.sum() - cheek / cheek.sum()).max() < 0.08, side
        assert 0.5 < there.sum() / cheek.sum() < 1.15, side


def test_gaze_moves_the_iris_where_it_looks() -> None:
    def dark(picture: Frame, side: str) -> NDArray[np.float64]:
        box = eye_box(side, 0.45)
        inverse = 255 - picture[box].mean(axis=2)
        weight = np.clip(inverse - np.percentile(inverse, 70), 0, None)
        rows, columns = np.indices(weight.shape)
        at = [(weight * columns).sum(), (weight * rows).sum()]
        return np.array(at, np.float64) / float(weight.sum())

    right = frame(eyeLookOutLeft=0.8, eyeLookInRight=0.8)
    left = frame(eyeLookInLeft=0.8, eyeLookOutRight=0.8)
    for side in SIDES:
        assert dark(right, side)[0] > dark(left, side)[0] + 1.5


def test_lids_follow_the_gaze() -> None:
    def opening(**values: float) -> NDArray[np.float32]:
        motion = np.zeros(MOTION_SIZE, np.float32)
        for name, value in values.items():
            motion[INDEX[name]] = value
        edges = renderer()._eyes[0].edges(motion)
        return edges[2:4]

    rest = opening()
    assert opening(eyeLookUpLeft=1)[0].max() > rest[0].max() + 0.5
    assert opening(eyeLookDownLeft=1)[0].max() < rest[0].max() - 0.5
    assert opening(eyeWideLeft=1)[0].max() > rest[0].max() + 0.5
    assert np.ptp(opening(eyeSquintLeft=1), axis=0).max() < np.ptp(rest, axis=0).max()


def test_lids_never_pass_through_each_other() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        motion = (rng.random(MOTION_SIZE) * 1.5).astype(np.float32)
        for eye in renderer()._eyes:
            edges = eye.edges(motion)
            assert (edges[2] >= edges[3] - 1e-4).all()


def drawn_face(skin: tuple[int, int, int]) -> tuple[Frame, NDArray[np.float32]]:
    """Returns a flat face with two big round eyes, and landmarks that mark a part of them."""
    picture = np.full((400, 400, 3), skin, np.uint8)
    landmarks = np.zeros((478, 3), np.float32)
    for corners, irises, x in (((33, 133), 468, 130), ((362, 263), 473, 270)):
        cv2.ellipse(picture, (x, 200), (38, 44), 0, 0, 360, (30, 20, 20), -1, cv2.LINE_AA)
        cv2.ellipse(picture, (x, 200), (33, 38), 0, 0, 360, (250, 250, 250), -1, cv2.LINE_AA)
        cv2.circle(picture, (x, 204), 16, (40, 90, 160), -1, cv2.LINE_AA)
        ring = {
            33: ((33, 246, 161, 160, 159, 158, 157, 173, 133), (7, 163, 144, 145, 153, 154, 155)),
            362: (
                (362, 398, 384, 385, 386, 387, 388, 466, 263),
                (382, 381, 380, 374, 373, 390, 249),
            ),
        }[corners[0]]
        for indices, sign in zip(ring, (-1, 1), strict=True):
            count = len(indices)
            places = np.linspace(-1, 1, count if sign < 0 else count + 2)
            places = places if sign < 0 else places[1:-1]
            for index, place in zip(indices, places, strict=True):
                landmarks[index, :2] = x + 30 * place, 204 + sign * 12 * (1 - place**2)
        landmarks[irises : irises + 5, :2] = x, 204
    return picture, landmarks


def test_drawn_eyes_are_found_to_their_outlines() -> None:
    picture, landmarks = drawn_face((245, 205, 170))
    mended = mend_eyes(picture, landmarks)
    height = np.ptp(mended[[159, 145], 1])
    assert 70 < height < 84
    assert abs(mended[468, 0] - 130) < 2
    assert abs(np.linalg.norm(mended[469, :2] - mended[468, :2]) - 16) < 2.5


def test_eyes_on_shaded_skin_are_left_to_the_net() -> None:
    picture, landmarks = drawn_face((245, 205, 170))
    shade = np.linspace(0.4, 1.0, 400)[None, :, None] * np.linspace(1.0, 0.7, 400)[:, None, None]
    shaded = (picture * shade).astype(np.uint8)
    np.testing.assert_array_equal(mend_eyes(shaded, landmarks), landmarks)


def test_a_closed_lid_has_the_grain_of_the_medium() -> None:
    def grain(picture: Frame, x: int, y: int) -> float:
        part = picture[y - 3 : y + 3, x - 6 : x + 7].astype(np.float32).mean(axis=2)
        return float((part - cv2.GaussianBlur(part, (0, 0), 1.5)).std() / part.mean())

    closed = frame(eyeBlink=1)
    for iris in SIDES.values():
        x, y = np.round(renderer()._stage.landmarks[iris][0]).astype(int)
        assert grain(closed, x, y - 3) > 0.4 * grain(closed, x, y + 20)
