"""The curves of a portrait: bounded, monotone, and straighter to the net than none."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import streaming_model
from streaming_model.motion_space import ARKIT_NAMES, INDEX, MOTION_SIZE
from streaming_model.portrait import make_portrait
from streaming_model.portrait.landmarks import shared_landmarker
from streaming_model.renderer import Renderer
from streaming_model.renderer.curves import CALIBRATED

MONA_LISA = Path(streaming_model.__file__).parent / "assets" / "mona_lisa.jpg"
pytestmark = pytest.mark.model


@cache
def renderer() -> Renderer:
    return Renderer(make_portrait(MONA_LISA), size=256)


def motion(**values: float) -> NDArray[np.float32]:
    result = np.zeros(MOTION_SIZE, np.float32)
    for name, value in values.items():
        result[INDEX[name]] = value
    return result


def test_zero_stays_zero_and_more_is_more() -> None:
    geometry = renderer()._geometry
    assert not geometry.effective(motion()).any()
    for name in ARKIT_NAMES:
        if name == "mouthClose":  # closes what jawOpen opened: alone it does nothing
            continue
        values = [
            float(geometry.effective(motion(**{name: level}))[INDEX[name]])
            for level in np.linspace(0, 1, 9)
        ]
        assert all(after > before for before, after in pairwise(values)), name
        assert 0.3 < values[-1] <= 1.4, name


def test_what_is_not_calibrated_is_left_alone() -> None:
    calibrated = {name for names in CALIBRATED for name in names}
    free = [INDEX[name] for name in ARKIT_NAMES if name not in calibrated]
    curves = renderer()._geometry.curves
    assert (curves.bends[free] == 0).all()
    assert (curves.gains[free] == 1).all()


def test_mouth_close_is_a_share_of_the_jaws_opening() -> None:
    geometry = renderer()._geometry
    effective = geometry.effective(motion(jawOpen=0.4, mouthClose=0.2))
    assert effective[INDEX["mouthClose"]] == pytest.approx(
        effective[INDEX["jawOpen"]] / 2, rel=0.02
    )
    beyond = geometry.effective(motion(jawOpen=0.2, mouthClose=0.9))
    assert beyond[INDEX["mouthClose"]] == pytest.approx(beyond[INDEX["jawOpen"]], rel=0.02)


def test_pucker_and_funnel_together_narrow_no_more_than_one_can() -> None:
    geometry = renderer()._geometry
    ends = geometry.mouth.upper[[0, -1]]

    def width(moved: NDArray[np.float32]) -> float:
        return float(np.ptp(geometry.shape(moved)[ends, 0]))

    rest, both = width(motion()), width(motion(mouthPucker=0.9, mouthFunnel=0.9))
    assert 0.4 * rest < both < 0.8 * rest
    assert width(motion(mouthPucker=1.0)) < 0.75 * rest


@pytest.mark.parametrize("name", ["jawOpen", "mouthSmile", "mouthPucker"])
def test_the_landmark_net_sees_what_is_commanded(name: str) -> None:
    names = [name] if name in INDEX else [f"{name}Left", f"{name}Right"]
    levels = np.linspace(0, 1, 9)
    landmarker = shared_landmarker()
    face = landmarker.detect(renderer().render(motion()))[0]
    seen = []
    for level in levels:
        frame = renderer().render(motion(**dict.fromkeys(names, float(level))))
        (found,) = landmarker.detect(frame, hint=face)
        seen.append(np.mean([found.blendshapes[each] for each in names]))
    assert np.corrcoef(levels, seen)[0, 1] > 0.92
