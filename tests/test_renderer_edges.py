"""The person's edge: no holes, fringes or dark lines, seen on a magenta plate."""

from __future__ import annotations

from functools import cache
from math import radians
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import astronaut

import streaming_model
from benchmarks.renderer.cartoon import draw_cartoon
from streaming_model.backdrop import Backdrop
from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.portrait import Portrait, make_portrait
from streaming_model.renderer import Renderer

Frame = NDArray[np.uint8]

MONA_LISA = Path(streaming_model.__file__).parent / "assets" / "mona_lisa.jpg"
SIZE = 256
MAGENTA = np.array([255.0, 0.0, 255.0])
NAMES = ("painting", "cartoon", "photograph")
POSES = {
    "left": {"headYaw": radians(-15)},
    "right": {"headYaw": radians(15)},
    "down": {"headPitch": radians(10), "headY": -1.5},
    "up": {"headPitch": radians(-10), "headY": 1.5},
    "tilted": {"headRoll": radians(12), "headX": -1.5},
    "all": {"headYaw": -0.2, "headPitch": -0.1, "headRoll": 0.14, "headX": 1.0, "jawOpen": 0.7},
}
pytestmark = pytest.mark.model


@cache
def portrait(name: str) -> Portrait:
    if name == "photograph":
        return make_portrait(np.asarray(astronaut(), np.uint8))  # type: ignore[no-untyped-call]
    return make_portrait(draw_cartoon() if name == "cartoon" else MONA_LISA)


@cache
def renderer(name: str, backdrop: str) -> Renderer:
    if backdrop == "keep":
        return Renderer(portrait(name), size=SIZE)
    return renderer(name, "keep").with_backdrop(Backdrop.parse(backdrop))


def frame(name: str, pose: str, backdrop: str) -> Frame:
    motion = np.zeros(MOTION_SIZE, np.float32)
    for channel, value in POSES[pose].items():
        motion[INDEX[channel]] = value
    return renderer(name, backdrop).render(motion)


on_each = pytest.mark.parametrize(
    ("name", "pose"), [(name, pose) for name in NAMES for pose in POSES]
)


@on_each
def test_magenta_shows_exactly_where_the_person_does_not(name: str, pose: str) -> None:
    rgba = frame(name, pose, "transparent").astype(np.float64)
    share = rgba[..., 3:] / 255
    expected = share * rgba[..., :3] + (1 - share) * MAGENTA
    assert np.abs(frame(name, pose, "#ff00ff") - expected).max() <= 2


@on_each
def test_no_hole_in_head_and_shoulders(name: str, pose: str) -> None:
    free = (frame(name, pose, "transparent")[..., 3] < 200).astype(np.uint8)
    _, labels = cv2.connectedComponents(free, connectivity=4)
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    outside = np.isin(labels, border[border > 0])
    enclosed = (free > 0) & ~outside
    depth = cv2.distanceTransform((~outside).astype(np.uint8), cv2.DIST_L2, 5)
    assert not (enclosed & (depth > 0.04 * SIZE)).any()  # nearer lie the gaps between strands


@on_each
def test_the_edge_has_the_persons_colours(name: str, pose: str) -> None:
    """Hardly a pixel of the edge is the old background's colour or darker than all around."""
    rgba = frame(name, pose, "transparent").astype(np.float64)
    old = cv2.resize(portrait(name).background, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    alpha, colours = rgba[..., 3], rgba[..., :3]
    solid = (alpha >= 250).astype(np.uint8)
    rows, columns = np.nonzero((alpha > 60) & (alpha < 245))
    is_fringe, is_dark = [], []
    for row, column in zip(rows, columns, strict=True):
        near = np.s_[max(row - 5, 0) : row + 6, max(column - 5, 0) : column + 6]
        own = colours[near][solid[near] > 0]
        if not len(own):
            continue
        here, wall = colours[row, column], old[row, column].astype(np.float64)
        apart = np.linalg.norm(own - here, axis=1).min()
        is_fringe.append(apart > 45 and np.linalg.norm(wall - here) < 0.5 * apart)
        darkest = min(own.mean(axis=1).min(), wall.mean())
        is_dark.append(here.mean() < darkest - 30)
    assert len(is_fringe) > 50
    assert np.mean(is_fringe) < 0.02
    assert np.mean(is_dark) < 0.02


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pose", ["left", "right", "tilted", "all"])
def test_before_its_own_background_no_outline_stays_behind(name: str, pose: str) -> None:
    """Where the head was, the wall's colours are seen and not the head's."""
    stage = renderer(name, "keep")._stage
    border = stage.border
    matte = stage.foreground[border:-border, border:-border, 3]
    rgba = frame(name, pose, "keep")
    bare = (matte > 230) & (frame(name, pose, "transparent")[..., 3] < 5)
    bare[round(0.75 * SIZE) :] = False
    assert bare.sum() > 60
    wall = rgba[matte == 0].astype(np.float64)
    seen = rgba[bare].astype(np.float64)
    own = stage.picture[bare].astype(np.float64)
    to_wall = np.linalg.norm(seen[:, None] - wall[None, :: len(wall) // 400], axis=2).min(axis=1)
    assert np.percentile(to_wall, 90) < 40
    assert (np.linalg.norm(seen - own, axis=1) > 8).mean() > 0.8
