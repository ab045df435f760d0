"""Log-mel features: streaming equals offline, loudness is evened out, bad samples are harmless."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streaming_model.audio.features import (
    clean_samples,
    frame_features,
    start_features,
    stream_features,
)


def syllables(seconds: float, *, gain: float = 1.0) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    times = np.arange(int(seconds * 16_000)) / 16_000
    voice = sum(np.sin(2 * np.pi * 130 * k * times) / k for k in range(1, 30))
    beat = np.clip(np.sin(2 * np.pi * 3 * times), 0, 1)
    return (gain * (0.1 * voice * beat + rng.normal(0, 1e-4, len(times)))).astype(np.float32)


def test_frame_by_frame_equals_the_whole_recording() -> None:
    samples = syllables(2.0)
    state, rows = start_features(), []
    for frame in samples.reshape(-1, 640):
        state, features = frame_features(state, frame)
        rows.append(features)
    np.testing.assert_allclose(np.concatenate(rows), stream_features(samples), atol=1e-5)


def test_a_frame_hears_nothing_after_it() -> None:
    samples = syllables(1.0)
    changed = samples.copy()
    changed[6_400:] = 0.5
    np.testing.assert_array_equal(stream_features(samples)[:40], stream_features(changed)[:40])


def test_a_quiet_and_a_loud_speaker_look_alike_after_some_seconds() -> None:
    loud = stream_features(syllables(6.0, gain=1.0))[-200:]
    quiet = stream_features(syllables(6.0, gain=0.15))[-200:]
    voiced = loud > -0.5
    assert np.abs(loud - quiet)[voiced].mean() < 0.1


def test_digital_silence_stays_at_the_floor() -> None:
    np.testing.assert_allclose(stream_features(np.zeros(6_400, np.float32)), -2.0, atol=1e-5)


def test_nan_and_infinity_are_silenced_and_the_rest_is_clipped() -> None:
    samples = np.array([np.nan, np.inf, -np.inf, 3.0, -0.25], np.float32)
    np.testing.assert_array_equal(clean_samples(samples), [0.0, 0.0, 0.0, 1.0, -0.25])
