"""The shipped rig: its numbers are whole and its parts fit together."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import streaming_model.rig as rig_module
from streaming_model.errors import ModelFileError
from streaming_model.motion_space import ARKIT_NAMES, INDEX
from streaming_model.rig import (
    BAG,
    LOWER_GUM,
    LOWER_TEETH,
    TONGUE,
    TONGUE_ROWS,
    UPPER_GUM,
    UPPER_TEETH,
    load_rig,
)


def test_every_array_is_finite_and_every_index_in_range() -> None:
    rig = load_rig()
    count = len(rig.neutral)
    assert count >= 1500
    for name, value in vars(rig).items():
        if isinstance(value, np.ndarray):
            assert np.isfinite(value).all(), name
    assert rig.triangles.max() < count
    assert rig.landmarks.max() < count
    assert rig.interior_triangles.max() < len(rig.interior_neutral)
    assert rig.expressions.shape == (len(ARKIT_NAMES), count, 3)
    assert len(np.unique(rig.landmarks)) == 468


def test_the_surface_has_exactly_four_borders() -> None:
    rig = load_rig()
    edges = np.sort(
        np.concatenate(
            [rig.triangles[:, [0, 1]], rig.triangles[:, [1, 2]], rig.triangles[:, [2, 0]]]
        ),
        axis=1,
    )
    unique, uses = np.unique(edges, axis=0, return_counts=True)
    assert uses.max() == 2
    border = {tuple(edge) for edge in unique[uses == 1].tolist()}
    for opening in (rig.mouth, rig.left_eye, rig.right_eye):
        for chain in (opening.upper, opening.lower):
            for first, second in pairwise(chain):
                assert tuple(sorted((int(first), int(second)))) in border


def test_every_expression_but_the_tongue_moves_the_face() -> None:
    rig = load_rig()
    reach = np.abs(rig.expressions).max(axis=(1, 2))
    still = {ARKIT_NAMES[index] for index in np.flatnonzero(reach < 0.02)}
    assert still == {"tongueOut"}


def test_the_jaw_moves_the_lower_teeth_and_not_the_upper() -> None:
    rig = load_rig()
    points = np.c_[rig.interior_neutral, np.ones(len(rig.interior_neutral))]
    jaw = points @ rig.interior_jaw[INDEX["jawOpen"]] * rig.interior_jaw_share[:, None]
    for part in (UPPER_TEETH, UPPER_GUM):
        assert np.abs(jaw[rig.interior_part == part]).max() == 0
    for part in (LOWER_TEETH, LOWER_GUM):
        assert jaw[rig.interior_part == part, 1].max() < -1.0
    tip = np.flatnonzero(rig.interior_part == TONGUE)[-1]
    assert jaw[tip, 1] < -1.0


@pytest.mark.parametrize("part", [UPPER_TEETH, LOWER_TEETH])
def test_every_tooth_is_a_piece_of_its_own_in_its_place(part: int) -> None:
    rig = load_rig()
    middles = {}
    for number in np.unique(rig.interior_tooth[rig.interior_part == part]):
        here = (rig.interior_part == part) & (rig.interior_tooth == number)
        middles[int(number)] = float(rig.interior_neutral[here, 0].mean())
        touching = here[rig.interior_triangles]
        assert (touching.all(axis=1) == touching.any(axis=1)).all()
    assert set(middles) == {*range(11, 17), *range(21, 27)}  # incisors to the first molar
    for side, sign in ((10, -1), (20, 1)):
        row = [sign * middles[side + place] for place in range(1, 7)]
        assert row == sorted(row)
        assert row[0] > 0


def test_teeth_have_the_proportions_of_teeth() -> None:
    rig = load_rig()

    def size(part: int, number: int) -> tuple[float, float]:
        here = (rig.interior_part == part) & (rig.interior_tooth == number)
        extent = np.ptp(rig.interior_neutral[here], axis=0)
        return float(extent[0]), float(extent[1])

    width, height = size(UPPER_TEETH, 11)
    assert 0.7 < width < 1.0
    assert 1.1 < height / width < 1.4
    assert size(UPPER_TEETH, 12)[0] < 0.9 * width  # the lateral incisor is narrower
    assert size(LOWER_TEETH, 11)[0] < 0.7 * width  # lower incisors are the narrowest


def test_the_tongue_is_a_grid_and_the_bag_lies_around_everything() -> None:
    rig = load_rig()
    tongue = rig.interior_neutral[rig.interior_part == TONGUE]
    rows = tongue.reshape(TONGUE_ROWS, -1, 3)
    assert (np.diff(rows[:, rows.shape[1] // 2, 2]) > 0).all()  # from root to tip
    bag = rig.interior_neutral[rig.interior_part == BAG]
    assert np.ptp(bag[:, 0]) > np.ptp(tongue[:, 0])
    assert bag[:, 2].min() < tongue[:, 2].min()


def test_left_and_right_are_the_subjects() -> None:
    rig = load_rig()
    assert rig.eye_centres[0, 0] > 0 > rig.eye_centres[1, 0]
    for side, sign in (("Left", 1), ("Right", -1)):
        for name in ("eyeBlink", "mouthSmile", "browDown"):
            moved = np.abs(rig.expressions[INDEX[f"{name}{side}"]]).sum(axis=1)
            assert sign * (moved * rig.neutral[:, 0]).sum() > 0, name


def test_spreading_reproduces_its_sources() -> None:
    rig = load_rig()
    for opening in (rig.mouth, rig.left_eye, rig.right_eye):
        np.testing.assert_allclose(
            opening.spread[opening.ring], np.eye(len(opening.ring)), atol=1e-3
        )
        assert opening.spread.min() > -0.05
        assert opening.spread.sum(axis=1).max() < 1.05


def test_a_missing_rig_file_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rig_module, "RIG_FILE", tmp_path / "none.safetensors")
    load_rig.cache_clear()
    with pytest.raises(ModelFileError, match=r"none\.safetensors"):
        load_rig()
    load_rig.cache_clear()
