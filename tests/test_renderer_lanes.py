"""Lanes: eight numbers at once do what the numbers would do one by one."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from streaming_model.renderer.lanes import (
    COUNT,
    PARTS,
    PIXELS,
    load,
    ramp,
    show_along,
    show_at,
    spread,
    store,
    where_less,
)
from streaming_model.renderer.raster import packed, unpacked

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Packed = NDArray[np.uint32]


@njit()
def _mix(values: Floats, start: int, share: np.float32) -> None:
    lanes = load(values, start)
    store(values, start, lanes + spread(share) * (ramp() - lanes))


@njit()
def _cut(values: Floats, most: np.float32) -> None:
    lanes, limit = load(values, 0), spread(most)
    store(values, 0, where_less(lanes, limit, lanes, limit))


@njit()
def _show_at(line: Packed, texture: Packed, x: Floats, y: Floats) -> None:
    for index in range(0, len(x), PIXELS):
        show_at(line, index, texture, x, y, index, (np.float32(0), np.float32(0)))


@njit()
def _show_along(
    line: Packed, texture: Packed, start: tuple[int, int], step: tuple[int, int]
) -> None:
    show_along(line, 0, texture, start, step)


def test_arithmetic_reaches_eight_numbers_and_no_other() -> None:
    values = np.full(COUNT + 4, 10, np.float32)
    _mix(values, 2, np.float32(0.5))
    wanted = [10, 10, *(10 + 0.5 * (lane - 10) for lane in range(COUNT)), 10, 10]
    np.testing.assert_array_equal(values, wanted)


def test_a_choice_is_made_lane_by_lane() -> None:
    values = np.arange(COUNT, dtype=np.float32)
    _cut(values, np.float32(2.5))
    np.testing.assert_array_equal(values, [0, 1, 2, *[2.5] * (COUNT - 3)])


def _exact(texture: NDArray[np.uint8], x: Doubles, y: Doubles) -> Doubles:
    """Returns what is between the pixels of `texture` [h, w, 4], [n, 4]."""
    left, top = x.astype(int), y.astype(int)
    right, low = (x - left)[:, None], (y - top)[:, None]
    above = texture[top, left] * (1 - right) + texture[top, left + 1] * right
    below = texture[top + 1, left] * (1 - right) + texture[top + 1, left + 1] * right
    return np.asarray(above * (1 - low) + below * low)


@pytest.mark.parametrize("most", [1, 255])
def test_looking_up_is_bilinear_to_half_a_level(most: int) -> None:
    rng = np.random.default_rng(most)
    texture = rng.integers(0, most + 1, (40, 60, 4), dtype=np.uint8)
    x, y = (rng.integers(0, (side - 1) * PARTS, 4000) / PARTS for side in (60, 40))
    line = np.empty(len(x), np.uint32)
    _show_at(line, packed(texture), x.astype(np.float32), y.astype(np.float32))
    # Five products are cut to 256ths.
    assert np.abs(unpacked(line) - _exact(texture, x, y)).max() < 0.5 + 5 / 256


def test_places_on_a_line_are_looked_up_like_any_others() -> None:
    texture = np.random.default_rng(1).integers(0, 256, (40, 60, 4), dtype=np.uint8)
    line = np.empty(PIXELS, np.uint32)
    _show_along(line, packed(texture), (7 * PARTS + 123, 9 * PARTS), (PARTS // 3, PARTS // 7))
    numbers = np.arange(PIXELS)
    x = (7 * PARTS + 123 + numbers * (PARTS // 3)) / PARTS
    y = (9 * PARTS + numbers * (PARTS // 7)) / PARTS
    assert np.abs(unpacked(line) - _exact(texture, x, y)).max() < 0.5 + 5 / 256


def test_the_pixels_themselves_come_back_and_go_on_beyond_the_border() -> None:
    texture = np.random.default_rng(3).integers(0, 256, (9, 9, 4), dtype=np.uint8)
    x = np.array([-1000, -0.1, 0, 3, 7, 8, 8.9, 1000], np.float32)
    line = np.empty(len(x), np.uint32)
    for y, row in ((-5, 0), (4, 4), (8, 8), (1e4, 8)):
        _show_at(line, packed(texture), x, np.full_like(x, y))
        np.testing.assert_array_equal(unpacked(line), texture[row, [0, 0, 0, 3, 7, 8, 8, 8]])
