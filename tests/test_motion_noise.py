"""Seeded noise: a function of seed, purpose and index, whatever else was drawn."""

from __future__ import annotations

import numpy as np
import pytest

from streaming_model.motion.noise import Purpose, normals, smooth_noise, smooth_noises, uniforms


def test_a_row_does_not_depend_on_the_rows_drawn_with_it() -> None:
    places = [(7, 3), (2**63 + 5, -4), (7, 4), (-1, 0)]
    together = normals(Purpose.SAMPLER, places, 60)
    for place, row in zip(places, together, strict=True):
        np.testing.assert_array_equal(normals(Purpose.SAMPLER, [place], 60)[0], row)
    assert len(np.unique(together)) == together.size


def test_it_is_numpys_philox_keyed_by_seed_purpose_and_index() -> None:
    bits = np.random.Philox(key=9, counter=np.array([0, 0, 21, int(Purpose.GAZE)], np.uint64))
    expected = np.random.Generator(bits).standard_normal(5, np.float32)
    np.testing.assert_array_equal(normals(Purpose.GAZE, [(9, 21)], 5)[0], expected)


def test_purposes_and_indices_are_apart() -> None:
    draws = {uniforms(1, purpose, index, 2) for purpose in Purpose for index in range(-2, 3)}
    assert len(draws) == len(Purpose) * 5


@pytest.mark.parametrize("time", [-3.25, 0.0, 0.5, 17.999])
def test_channels_at_once_equal_channels_alone(time: float) -> None:
    together = smooth_noises(4, Purpose.HEAD, time=time, channels=range(16))
    alone = [smooth_noise(4, Purpose.HEAD, time=time, channel=channel) for channel in range(16)]
    assert together == alone


def test_smooth_noise_passes_through_its_draws_without_a_jump() -> None:
    draws = [2 * uniforms(4, Purpose.HEAD, index, 16)[0] - 1 for index in range(4)]
    read = [smooth_noise(4, Purpose.HEAD, time=float(index), channel=0) for index in range(4)]
    assert read == pytest.approx(draws)
    times = np.linspace(0, 20, 4001)
    values = [smooth_noise(4, Purpose.HEAD, time=time, channel=0) for time in times.tolist()]
    assert np.abs(np.diff(values, n=2)).max() < 3e-4
    assert abs(np.mean(values)) < 0.25
