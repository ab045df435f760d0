"""Compiled layers and bands against plain products, and the head's wander against its noise."""

from __future__ import annotations

import numpy as np
import pytest

from streaming_model.audio.bands import log_bands, means
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
    sums = looked(first, weights[0], second, weights[1], places, bias)
    wanted = np.tile(bias.astype(np.float64), (streams, 2, 1))
    for values, weight in zip((first, second), weights, strict=True):
        seen = np.where((places < 0)[..., None], 0, values[:, places])
        wanted += seen.reshape(streams, 2, -1) @ weight
    np.testing.assert_allclose(sums, wanted, atol=1e-5)
    likely = likelihoods(sums, out, bias[:2])
    odds = np.maximum(wanted, 0) @ out + bias[:2]
    np.testing.assert_allclose(likely, 1 / (1 + np.exp(-odds)), atol=1e-5)


def test_a_stream_gives_the_same_bits_in_a_batch_and_a_frame_beside_others() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (4, 8, 16)).astype(np.float32)
    weights = rng.normal(0, 1, (3 * 16, 32)).astype(np.float32)
    nothing, bias = (values[..., :0], weights[:0]), np.zeros(32, np.float32)
    places = np.arange(6)[:, None] + np.arange(3)
    together = looked(values, weights, *nothing, places, bias)
    for stream in range(4):
        one = values[stream : stream + 1]
        for frame in range(6):
            alone = looked(
                one, weights, nothing[0][:1], nothing[1], places[frame : frame + 1], bias
            )
            np.testing.assert_array_equal(alone[0, 0], together[stream, frame])


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
