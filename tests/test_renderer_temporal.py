"""Slow motion is smooth: what moves follows the command, what is still is still to the bit."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from math import radians, tau
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import astronaut

import streaming_model
from benchmarks.renderer.cartoon import draw_cartoon
from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.portrait import Portrait, make_portrait
from streaming_model.renderer import Renderer

Film = NDArray[np.uint8]

MONA_LISA = Path(streaming_model.__file__).parent / "assets" / "mona_lisa.jpg"
SIZE = 256
STEPS = 50
pytestmark = pytest.mark.model


@cache
def renderer(name: str) -> Renderer:
    return Renderer(_portrait(name), size=SIZE)


def _portrait(name: str) -> Portrait:
    if name == "photograph":
        return make_portrait(np.asarray(astronaut(), np.uint8))  # type: ignore[no-untyped-call]
    return make_portrait(draw_cartoon() if name == "cartoon" else MONA_LISA)


@cache
def film(name: str, channel: str, last: float) -> Film:
    """The frames while one channel goes evenly from 0 to `last`."""
    return _frames(name, channel, np.linspace(0, last, STEPS + 1))


def _frames(name: str, channel: str, values: NDArray[np.float64]) -> Film:
    motion = np.zeros((len(values), MOTION_SIZE), np.float32)
    motion[:, INDEX[channel]] = values
    return np.stack([renderer(name).render(frame) for frame in motion])


def steps(frames: Film, box: tuple[int, int, int, int]) -> NDArray[np.float64]:
    """How far the picture in a box (left, top, right, bottom) moves from frame to frame [n, 2].

    Least squares on brightness (Lucas and Kanade 1981), for steps well below a pixel.
    """
    left, top, right, bottom = box
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) for frame in frames]
    planes = [cv2.GaussianBlur(plane, (0, 0), 2)[top:bottom, left:right] for plane in grey]
    found = []
    for before, after in pairwise(planes):
        down, across = np.gradient((before + after) / 2)
        slopes = np.stack([across.ravel(), down.ravel()], axis=1)
        found.append(np.linalg.lstsq(slopes, (before - after).ravel(), rcond=None)[0])
    return np.array(found)


def face_box(name: str) -> tuple[int, int, int, int]:
    places = renderer(name)._stage.landmarks
    left, top = np.floor(places.min(axis=0)).astype(int)
    right, bottom = np.ceil(places.max(axis=0)).astype(int)
    return int(left), int(top), int(right), int(bottom)


NAMES = ("painting", "cartoon", "photograph")
SLOW = [("headX", 1.0, 0), ("headY", 1.0, 1), ("headYaw", radians(5), 0), ("headPitch", 0.07, 1)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("channel", "last", "axis"), SLOW)
def test_slow_motion_has_no_stairs(name: str, channel: str, last: float, axis: int) -> None:
    moved = steps(film(name, channel, last), face_box(name))
    along, across = moved[:, axis], moved[:, 1 - axis]
    assert abs(along.mean()) > 0.05
    assert np.abs(along / along.mean() - 1).max() < 0.25
    assert np.abs(across - across.mean()).max() < 0.02


@pytest.mark.parametrize("name", NAMES)
def test_a_shift_moves_the_face_as_far_as_it_was_told(name: str) -> None:
    moved = steps(film(name, "headX", 1.0), face_box(name))[:, 0].sum()
    assert moved == pytest.approx(renderer(name)._stage.scale, rel=0.1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("channel", "last", "_axis"), SLOW)
def test_no_frame_stands_out(name: str, channel: str, last: float, _axis: int) -> None:
    """Were the order of what is drawn to change at once, one step would change far more."""
    changed = np.abs(np.diff(film(name, channel, last).astype(np.int16), axis=0))
    amounts = changed.sum(axis=(1, 2, 3)).astype(float)
    assert amounts.max() < 1.4 * np.median(amounts)
    assert amounts.min() > 0.6 * np.median(amounts)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("channel", "last", "_axis"), SLOW)
def test_what_is_far_from_the_head_is_still_to_the_bit(
    name: str, channel: str, last: float, _axis: int
) -> None:
    frames = film(name, channel, last)
    border = renderer(name)._stage.border
    matte = renderer(name)._stage.foreground[border:-border, border:-border, 3]
    travel = round(0.1 * SIZE)
    near = cv2.dilate((matte > 0).astype(np.uint8), np.ones((2 * travel + 1,) * 2, np.uint8)) > 0
    assert (~near).sum() > 0.03 * SIZE**2
    assert (frames[:, ~near] == frames[0][~near]).all()


@pytest.mark.parametrize("name", NAMES)
def test_shoulders_breathe_with_the_head_and_less(name: str) -> None:
    breath = 0.15 * np.sin(tau * np.arange(41) / 40)  # centimetres, up first
    frames = _frames(name, "headY", breath)
    left, _, right, _ = face_box(name)
    head = -steps(frames, face_box(name))[:, 1]
    chest = -steps(frames, (left, round(0.88 * SIZE), right, SIZE - 8))[:, 1]
    assert np.corrcoef(head, np.diff(breath))[0, 1] > 0.98
    assert np.corrcoef(chest, np.diff(breath))[0, 1] > 0.98
    assert 0.25 < np.ptp(np.cumsum(chest)) / np.ptp(np.cumsum(head)) < 0.95
    assert abs(np.cumsum(chest)[-1]) < 0.02 + 0.03 * np.ptp(np.cumsum(chest))  # and come back
