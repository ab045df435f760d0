"""The shipped rig: its numbers are whole and its parts fit together."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import streaming_model.rig as rig_module
from streaming_model.errors import ModelFileError
from streaming_model.motion_space import ARKIT_NAMES, INDEX
from streaming_model.rig import LOWER_TEETH, TONGUE, UPPER_TEETH, load_rig


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
    tongue = rig.interior_part == TONGUE
    assert np.abs(rig.interior_expressions[INDEX["tongueOut"], tongue]).max() > 1.0


def test_the_jaw_moves_the_lower_teeth_and_not_the_upper() -> None:
    rig = load_rig()
    jaw = rig.interior_expressions[INDEX["jawOpen"]]
    assert np.abs(jaw[rig.interior_part == UPPER_TEETH]).max() == 0
    assert jaw[rig.interior_part == LOWER_TEETH, 1].max() < -1.0


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
