"""Compiled layers and bands against plain products, and the head's wander against its noise."""

from __future__ import annotations

import numpy as np
import pytest

from streaming_model.audio.bands import log_bands, means
from streaming_model.integer_loops import multiply, round_row
from streaming_model.integers import MOST, Kind, whole_layer
from streaming_model.motion.noise import Purpose, smooth_noise
from streaming_model.motion.small_networks import likelihoods, looked
from streaming_model.motion.style import MotionStyle
from streaming_model.motion.wander import wander
from streaming_model.motion_space import INDEX, MOTION_SIZE


@pytest.mark.parametrize("streams", [1, 3])
def test_a_layer_is_a_product_over_what_is_around_each_frame(streams: int) -> None:
    rng = np.random.default_rng(streams)
    first, second = (rng.normal(0, 1, (streams, 6, size)).astype(np.float32) for size in (5, 2))
    places = np.array([[0, 1, 4], [1, 2, -1]])
    weights = [rng.normal(0, 1, (3 * size, 9)).astype(np.float32) for size in (5, 2)]
    bias, out = (rng.normal(0, 1, shape).astype(np.float32) for shape in (9, (9, 2)))
    layer = whole_layer(np.concatenate(weights).T, bias, np.int16)
    sums = looked(first, second, places, layer)
    wanted = np.tile(bias.astype(np.float64), (streams, 2, 1))
    for values, weight in zip((first, second), weights, strict=True):
        seen = np.where((places < 0)[..., None], 0, values[:, places])
        wanted += seen.reshape(streams, 2, -1) @ weight
    np.testing.assert_allclose(sums, wanted, atol=2e-3)
    likely = likelihoods(sums, out, bias[:2])
    odds = np.maximum(sums, 0) @ out + bias[:2]
    np.testing.assert_allclose(likely, 1 / (1 + np.exp(-odds)), atol=1e-5)


def test_a_stream_gives_the_same_bits_in_a_batch_and_a_frame_beside_others() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (4, 8, 16)).astype(np.float32)
    weights = rng.normal(0, 1, (32, 3 * 16)).astype(np.float32)
    layer = whole_layer(weights, np.zeros(32, np.float32), np.int16)
    places = np.arange(6)[:, None] + np.arange(3)
    together = looked(values, values[..., :0], places, layer)
    for stream in range(4):
        one = values[stream : stream + 1]
        for frame in range(6):
            alone = looked(one, one[..., :0], places[frame : frame + 1], layer)
            np.testing.assert_array_equal(alone[0, 0], together[stream, frame])


@pytest.mark.parametrize("kind", [np.int8, np.int16])
@pytest.mark.parametrize("size", [1, 3, 16, 768, 5000])
def test_a_layer_in_whole_numbers_is_nearly_the_layer(kind: Kind, size: int) -> None:
    rng = np.random.default_rng(size)
    weights = rng.normal(0, 1, (7, size)).astype(np.float32)
    weights[3], weights[4] = 0, 1  # one that says nothing, and the largest sum there is
    rows = np.stack([*rng.normal(0, 3, (2, size)), np.zeros(size), np.full(size, -1e6)])
    rows, bias = rows.astype(np.float32), np.arange(7, dtype=np.float32)
    layer = whole_layer(weights, bias, kind)
    rounded, out = np.empty((4, size), np.int16), np.empty((4, 7), np.float32)
    steps = np.array([round_row(*each) for each in zip(rows, rounded, strict=True)])
    multiply(rounded, steps, layer, out)
    exact = rows.astype(np.float64) @ weights.T.astype(np.float64) + bias
    away = np.linalg.norm(out - exact, axis=1) / np.maximum(np.linalg.norm(exact, axis=1), 1)
    assert away.max() < (0.02 if kind is np.int8 else 0.005)
    np.testing.assert_array_equal(out[2], bias)
    assert np.abs(layer[0].astype(np.int64)).sum(axis=1).max() * MOST < 2**31


def test_bands_are_the_logarithm_of_a_product() -> None:
    rng = np.random.default_rng(0)
    spectrum = (rng.normal(0, 1, (8, 257)) + 1j * rng.normal(0, 1, (8, 257))).astype(np.complex64)
    weights = np.zeros((257, 3), np.float32)
    weights[3:9, 0], weights[200:, 1], weights[50, 2] = 0.2, 0.01, 1
    spans = np.array([[3, 9], [200, 257], [50, 51]])
    gains = rng.uniform(0.1, 10, 8).astype(np.float32)
    bands = log_bands(spectrum, weights, spans, gains, 1e-6)
    power = np.square(np.abs(spectrum)) @ weights * gains[:, None]
    np.testing.assert_allclose(bands, np.log10(power + 1e-6) / 2 + 1, atol=1e-5)


def test_means_are_of_each_few_rows() -> None:
    values = np.arange(2 * 9 * 3, dtype=np.float32).reshape(2, 9, 3)
    np.testing.assert_allclose(means(values, 4)[1, 1], values[1, 4:8].mean(axis=0))
    assert means(values, 4).shape == (2, 2, 3)


def test_what_wanders_is_the_seeds_noise() -> None:
    row, seconds = np.zeros(MOTION_SIZE, np.float32), 7.3
    wander(row, seconds=seconds, ahead=0.0, seed=5, style=MotionStyle())
    brow = 0.05 * smooth_noise(5, Purpose.BROW, time=seconds / 4, channel=0)
    assert row[INDEX["browInnerUp"]] == pytest.approx(max(0.0, brow), abs=1e-6)
    sizes = ((9.0, 2.2), (3.7, 1.3), (1.6, 0.35))
    yaw = sum(
        size * smooth_noise(5, Purpose.HEAD, time=seconds / period, channel=3 * octave)
        for octave, (period, size) in enumerate(sizes)
    )
    assert row[INDEX["headYaw"]] == pytest.approx(np.radians(yaw), abs=1e-6)
    moved = np.flatnonzero(row)
    assert {INDEX["headPitch"], INDEX["headRoll"], INDEX["headX"], INDEX["headY"]} <= set(moved)
