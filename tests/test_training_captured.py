"""Captured speech: what is saved comes back, and can be played as motion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streaming_model.motion_files import read_motion
from streaming_model.motion_space import MOTION_SIZE
from training.captured import Captured, load_captured, save_captured


def item(frames: int = 10, *, seed: int = 0) -> Captured:
    rng = np.random.default_rng(seed)
    return Captured(
        samples=rng.uniform(-1, 1, 640 * frames).astype(np.float32),
        motion=rng.uniform(0, 1, (frames, MOTION_SIZE)).astype(np.float32),
        mask=rng.random(MOTION_SIZE) > 0.3,
    )


def test_items_come_back_in_the_order_of_their_names(tmp_path: Path) -> None:
    items = {name: item(seed=seed) for seed, name in enumerate(("b", "a"))}
    for name, each in items.items():
        save_captured(tmp_path / f"{name}.npz", each, source="film.mp4", extra={})
    for loaded, name in zip(load_captured(tmp_path), ("a", "b"), strict=True):
        samples, motion, mask = loaded
        np.testing.assert_allclose(samples, items[name].samples, atol=1 / 32767)
        np.testing.assert_array_equal(motion, items[name].motion)
        np.testing.assert_array_equal(mask, items[name].mask)


def test_an_item_is_a_motion_file(tmp_path: Path) -> None:
    save_captured(tmp_path / "a.npz", item(), source="film.mp4", extra={"lag": np.array(1.0)})
    np.testing.assert_array_equal(read_motion(tmp_path / "a.npz"), item().motion)


def test_sound_and_motion_must_be_equally_long(tmp_path: Path) -> None:
    wrong = item()._replace(samples=np.zeros(6399, np.float32))
    with pytest.raises(ValueError, match="6399 samples do not fit 10 frames"):
        save_captured(tmp_path / "a.npz", wrong, source="film.mp4", extra={})
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no captured speech"):
        load_captured(tmp_path)
