"""Lanes: eight numbers at once do what the numbers would do one by one."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from streaming_model.renderer.lanes import (
    COUNT,
    between_pixels,
    load,
    ramp,
    spread,
    store,
    where_less,
)
from streaming_model.renderer.raster import packed, unpacked

Floats = NDArray[np.float32]


@njit()
def _mix(values: Floats, start: int, share: np.float32) -> None:
    lanes = load(values, start)
    store(values, start, lanes + spread(share) * (ramp() - lanes))


@njit()
def _cut(values: Floats, most: np.float32) -> None:
    lanes, limit = load(values, 0), spread(most)
    store(values, 0, where_less(lanes, limit, lanes, limit))


@njit()
def _look_up(
    seen: NDArray[np.uint32],
    texture: NDArray[np.uint32],
    x: NDArray[np.int64],
    y: NDArray[np.int64],
) -> None:
    for index in range(len(x)):
        at = (y[index] >> 16) * texture.shape[1] + (x[index] >> 16)
        seen[index] = between_pixels(texture, at, np.uint16(x[index]), np.uint16(y[index]))


def _looked_up(
    texture: NDArray[np.uint8], x: NDArray[np.int64], y: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Returns what `texture` [h, w, 4] holds at places in 65536ths of a pixel, [n, 4]."""
    seen = np.empty(len(x), np.uint32)
    _look_up(seen, packed(texture), x, y)
    return unpacked(seen)


def test_arithmetic_reaches_eight_numbers_and_no_other() -> None:
    values = np.full(COUNT + 4, 10, np.float32)
    _mix(values, 2, np.float32(0.5))
    wanted = [10, 10, *(10 + 0.5 * (lane - 10) for lane in range(COUNT)), 10, 10]
    np.testing.assert_array_equal(values, wanted)


def test_a_choice_is_made_lane_by_lane() -> None:
    values = np.arange(COUNT, dtype=np.float32)
    _cut(values, np.float32(2.5))
    np.testing.assert_array_equal(values, [0, 1, 2, *[2.5] * (COUNT - 3)])


@pytest.mark.parametrize("most", [1, 255])
def test_looking_up_is_bilinear_to_half_a_level(most: int) -> None:
    rng = np.random.default_rng(most)
    texture = rng.integers(0, most + 1, (40, 60, 4), dtype=np.uint8)
    x, y = (rng.integers(0, (side - 1) << 16, 5000) for side in (60, 40))
    seen = _looked_up(texture, x, y)
    right, low = (np.array(axis % 65536 / 65536)[:, None] for axis in (x, y))
    left, top = x >> 16, y >> 16
    above = texture[top, left] * (1 - right) + texture[top, left + 1] * right
    below = texture[top + 1, left] * (1 - right) + texture[top + 1, left + 1] * right
    exact = above * (1 - low) + below * low
    assert np.abs(seen - exact).max() < 0.5 + 5 / 256  # five products are cut to 256ths


def test_the_pixels_themselves_come_back_unchanged() -> None:
    texture = np.random.default_rng(3).integers(0, 256, (9, 9, 4), dtype=np.uint8)
    rows, columns = np.indices((8, 8)).reshape(2, -1) << 16
    seen = _looked_up(texture, columns, rows)
    np.testing.assert_array_equal(seen.reshape(8, 8, 4), texture[:8, :8])
