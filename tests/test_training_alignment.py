"""The phones of every engine begin where the sound says so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streaming_model.media import SAMPLE_RATE
from training.corpus.alignment import aligned, closing_falls
from training.corpus.utterances import Utterance
from training.phones import PHONE_INDEX

MS = SAMPLE_RATE // 1000
FALL = 10  # ms after its label that a closing stop falls silent


def spoken(*, late: int, voice: str, stops: int, seed: int = 0) -> Utterance:
    """Returns vowels with stops between them, whose sound comes `late` ms after the labels."""
    rng = np.random.default_rng(seed)
    names, bounds, sound = ["sil"], [0, 200 * MS], [np.zeros((200 + late) * MS)]
    for _ in range(stops):
        vowel = int(rng.integers(120, 180))
        names += ["AA", "T"]
        bounds += [bounds[-1] + vowel * MS, bounds[-1] + (vowel + 90) * MS]
        sound += [rng.normal(0, 0.1, vowel * MS), rng.normal(0, 0.0005, 90 * MS)]
    names.append("sil")
    bounds.append(bounds[-1] + 300 * MS)
    samples = np.concatenate(sound)
    padded = np.zeros(bounds[-1])
    padded[: min(len(samples), bounds[-1])] = samples[: bounds[-1]]
    phones = np.array([PHONE_INDEX[name] for name in names])
    return Utterance(padded.astype(np.float32), phones, np.array(bounds), voice, "")


@pytest.mark.parametrize("late", [-25, 0, 12, 40])
def test_labels_move_to_the_sound(late: int) -> None:
    (moved,) = aligned([spoken(late=late, voice="joe", stops=30)])
    assert np.median(closing_falls(moved)) / MS == pytest.approx(FALL, abs=3)


def test_an_utterance_goes_its_own_way_in_the_measure_of_what_it_shows() -> None:
    usual = [spoken(late=0, voice="flite-slt", stops=10, seed=seed) for seed in range(5)]
    odd = spoken(late=40, voice="flite-slt", stops=12, seed=9)
    before = np.median(closing_falls(odd))
    (*_, moved) = aligned([*usual, odd])
    after = np.median(closing_falls(moved))
    assert FALL * MS <= after < before
    assert after / MS == pytest.approx(FALL, abs=12)


def test_a_voice_with_few_stops_follows_its_engine() -> None:
    known = [spoken(late=25, voice="festival-one", stops=30)]
    unknown = spoken(late=25, voice="festival-two", stops=0)
    _, moved = aligned([*known, unknown])
    assert moved.bounds[1] - unknown.bounds[1] == pytest.approx(15 * MS, abs=3 * MS)


def test_speech_without_any_stop_stays() -> None:
    speech = spoken(late=25, voice="other", stops=0)
    (same,) = aligned([speech])
    np.testing.assert_array_equal(same.bounds, speech.bounds)


@settings(max_examples=25, deadline=None)
@given(late=st.integers(-60, 60), stops=st.integers(1, 40), seed=st.integers(0, 9))
def test_phones_stay_in_order_and_fill_the_sound(late: int, stops: int, seed: int) -> None:
    speech = spoken(late=late, voice="joe", stops=stops, seed=seed)
    (moved,) = aligned([speech])
    assert (np.diff(moved.bounds) > 0).all()
    assert moved.bounds[0] == 0
    assert moved.bounds[-1] == speech.bounds[-1]
