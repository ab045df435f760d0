"""Portraits: framing, the fit, and the cache."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import streaming_model
from streaming_model.errors import NoFaceError
from streaming_model.portrait import Portrait, make_portrait
from streaming_model.portrait.fit import CONTOURS, fit_rig
from streaming_model.portrait.framing import frame_face
from streaming_model.rig import load_rig

MONA_LISA = Path(streaming_model.__file__).parent / "assets" / "mona_lisa.jpg"
pytestmark = pytest.mark.model


@cache
def portrait() -> Portrait:
    return make_portrait(MONA_LISA)


def test_the_picture_is_a_square_with_the_face_in_the_middle() -> None:
    picture, landmarks = portrait().picture, portrait().landmarks
    side = len(picture)
    assert picture.shape == (side, side, 3)
    assert 0.3 < np.ptp(landmarks[:, 0]) / side < 0.55
    assert 0.25 * side < landmarks[:, 0].mean() < 0.75 * side


def test_a_face_at_the_border_is_padded_with_a_warning() -> None:
    image = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    landmarks = np.random.default_rng(1).uniform(0, 150, (478, 3)).astype(np.float32)
    picture, moved, warnings = frame_face(image, landmarks)
    assert picture.shape[0] == picture.shape[1] >= 200
    assert len(warnings) == 1
    inside = moved[:, :2].astype(int)
    original = landmarks[:, :2].astype(int)
    np.testing.assert_array_equal(
        picture[inside[:, 1], inside[:, 0]], image[original[:, 1], original[:, 0]]
    )


def test_a_large_picture_is_scaled_down_with_its_landmarks() -> None:
    image = np.zeros((3000, 3000, 3), np.uint8)
    landmarks = np.random.default_rng(1).uniform(900, 2100, (478, 3)).astype(np.float32)
    picture, moved, _ = frame_face(image, landmarks)
    assert len(picture) == 1024
    assert moved.min() >= 0
    assert moved[:, :2].max() <= 1024


def test_the_fit_puts_lids_and_lips_on_their_landmarks() -> None:
    rig, fit, landmarks = load_rig(), portrait().fit, portrait().landmarks
    pixels = fit.origin + fit.scale * fit.rest[:, :2] * (1, -1)
    face = np.ptp(landmarks[:, 0])
    for name, (upper, _) in CONTOURS.items():
        ring = pixels[getattr(rig, name).upper]
        for landmark in upper[1:-1]:
            gap = np.linalg.norm(ring - landmarks[landmark, :2], axis=1).min()
            assert gap < 0.02 * face, (name, landmark)
    bound = rig.bound_landmarks
    error = np.linalg.norm(pixels[rig.landmarks[bound]] - landmarks[bound, :2], axis=1)
    assert error.mean() < 0.01 * face


def test_the_fit_follows_scale_and_shift_of_the_landmarks() -> None:
    rig, landmarks = load_rig(), portrait().landmarks
    moved = landmarks * np.float32(2) + np.array([30, -10, 0], np.float32)
    one, two = fit_rig(rig, landmarks, {}), fit_rig(rig, moved, {})
    assert two.scale == pytest.approx(2 * one.scale, rel=1e-3)
    np.testing.assert_allclose(two.rest, one.rest, atol=0.02)


def test_a_cached_portrait_equals_the_one_first_made(tmp_path: Path) -> None:
    made = make_portrait(MONA_LISA, cache_dir=tmp_path)
    (stored,) = tmp_path.iterdir()
    first_written = stored.stat().st_mtime_ns
    again = make_portrait(MONA_LISA, cache_dir=tmp_path)
    assert stored.stat().st_mtime_ns == first_written
    assert again.content_hash == made.content_hash
    assert again.warnings == made.warnings
    assert again.blendshapes == made.blendshapes
    assert again.fit.mouth_is_closed == made.fit.mouth_is_closed
    for name in ("picture", "matte", "background", "landmarks"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))
    np.testing.assert_array_equal(again.fit.rest, made.fit.rest)


@pytest.mark.parametrize("damage", [b"", b"not a portrait", b"\xff" * 4096])
def test_a_damaged_cache_file_is_made_again(tmp_path: Path, damage: bytes) -> None:
    made = make_portrait(MONA_LISA, cache_dir=tmp_path)
    (stored,) = tmp_path.iterdir()
    stored.write_bytes(damage)
    again = make_portrait(MONA_LISA, cache_dir=tmp_path)
    np.testing.assert_array_equal(again.picture, made.picture)
    assert stored.stat().st_size > 10_000


def test_path_bytes_and_pixels_make_the_same_picture() -> None:
    from_bytes = make_portrait(MONA_LISA.read_bytes())
    np.testing.assert_array_equal(from_bytes.picture, portrait().picture)
    assert from_bytes.content_hash == portrait().content_hash


def test_a_picture_without_a_face_is_refused() -> None:
    with pytest.raises(NoFaceError):
        make_portrait(np.full((300, 300, 3), 128, np.uint8))


def test_a_portrait_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        portrait().content_hash = "other"  # type: ignore[misc]
