"""Sounds that must not move the mouth, song and whisper: lengths, levels, times, seeds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from training import augment
from training.corpus import Utterance
from training.phones import PHONE_INDEX
from training.singing import sing, whisper
from training.sounds import SOUNDS


def spoken() -> Utterance:
    """A vowel of 120 Hz between a hiss and silence, as pulses through a resonance."""
    rng = np.random.default_rng(1)
    bounds = np.array([0, 1_600, 4_000, 8_000, 9_600])
    samples = np.zeros(9_600)
    samples[1_600:4_000] = 0.05 * rng.normal(0, 1, 2_400)
    times = np.arange(4_000) / 16_000
    for order in range(1, 30):
        level = 0.1 / (1 + ((120 * order - 700) / 150) ** 2)
        samples[4_000:8_000] += level * np.sin(2 * np.pi * 120 * order * times)
    phones = np.array([PHONE_INDEX[phone] for phone in ("sil", "S", "AA", "sil")])
    return Utterance(samples.astype(np.float32), phones, bounds, "v", "ah")


def pitch_of(samples: NDArray[np.float32]) -> float:
    """Returns the strongest period within 80..600 Hz, as Hz."""
    centred = samples - samples.mean()
    lags = np.correlate(centred, centred, "full")[len(centred) - 1 :]
    return float(16_000 / (26 + int(np.argmax(lags[26:200]))))


def power(samples: NDArray[np.float32]) -> float:
    return float(np.mean(np.square(samples)))


@pytest.mark.parametrize("kind", sorted(SOUNDS))
@pytest.mark.parametrize("length", [8_000, 384_000])
def test_sounds_are_as_long_as_asked_heard_and_seeded(kind: str, length: int) -> None:
    first, again, other = (
        augment.make_noise(kind, length, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first.shape == (length,)
    assert first.dtype == np.float32
    assert power(first) == pytest.approx(1.0, rel=1e-3)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_dogs_and_doors_leave_gaps_but_rain_does_not() -> None:
    def quiet(kind: str) -> float:
        noise = augment.make_noise(kind, 384_000, rng=np.random.default_rng(0))
        levels = np.sqrt(np.mean(np.square(noise.reshape(-1, 640)), axis=1))
        return float(np.mean(levels < 0.1))

    assert quiet("barks") > 0.3
    assert quiet("doors") > 0.2
    assert quiet("rain") == 0.0


def test_singing_stretches_the_vowel_alone_and_keeps_the_phones() -> None:
    before = spoken()
    after = sing(before, rng=np.random.default_rng(0))
    lengths = np.diff(after.bounds)
    assert lengths[[0, 1, 3]].tolist() == np.diff(before.bounds)[[0, 1, 3]].tolist()
    assert 2.0 <= lengths[2] / 4_000 <= 6.0
    assert len(after.samples) == after.bounds[-1]
    np.testing.assert_array_equal(after.phones, before.phones)


def test_a_sung_vowel_sounds_in_its_place_on_one_note() -> None:
    after = sing(spoken(), rng=np.random.default_rng(0))
    start, end = (int(bound) for bound in after.bounds[2:4])
    assert power(after.samples[start:end]) > 100 * power(after.samples[:1_400])
    middle, quarter = (start + end) // 2, (end - start) // 4
    notes = [pitch_of(after.samples[at : at + 1_600]) for at in (middle - quarter, middle)]
    assert notes[0] == pytest.approx(notes[1], rel=0.05)


def test_a_whisper_keeps_loudness_and_times_but_has_no_pitch() -> None:
    before = spoken()
    after = whisper(before, rng=np.random.default_rng(0))
    assert len(after.samples) == len(before.samples)
    np.testing.assert_array_equal(after.bounds, before.bounds)
    vowel = slice(4_400, 7_600)
    ratio = power(after.samples[vowel]) / power(before.samples[vowel])
    assert 0.2 < ratio < 5.0

    def periodicity(samples: NDArray[np.float32]) -> float:
        period = 16_000 // 120
        return float(np.corrcoef(samples[:-period], samples[period:])[0, 1])

    assert periodicity(before.samples[vowel]) > 0.9
    assert periodicity(after.samples[vowel]) < 0.5


def test_song_and_whisper_repeat_with_their_seed_and_bear_silence() -> None:
    for manner in (sing, whisper):
        first, again = (manner(spoken(), rng=np.random.default_rng(4)) for _ in range(2))
        np.testing.assert_array_equal(first.samples, again.samples)
        silent = Utterance(
            np.zeros(3_200, np.float32), np.array([0]), np.array([0, 3_200]), "v", ""
        )
        assert not manner(silent, rng=np.random.default_rng(0)).samples.any()
