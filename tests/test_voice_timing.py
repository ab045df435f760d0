"""Phones tile the sound, and clauses are fit to be heard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.voice.base import SILENCE, Phone
from server.voice.levels import Leveller, frame_clause, limit_peaks, spoken_rms
from server.voice.timing import GAP, PAUSE, TimedToken, advanced, phones_of

RATE = 16_000
SYMBOLS = ["t", "s", "ɑ", "n", GAP, PAUSE]


@given(
    st.lists(st.tuples(st.sampled_from(SYMBOLS), st.integers(0, 3000)), min_size=1, max_size=20),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2000),
)
@settings(max_examples=200, deadline=None)
def test_phones_tile_any_sound(parts: list[tuple[str, int]], seed: int, shift: int) -> None:
    tokens = advanced([TimedToken(symbol, samples) for symbol, samples in parts], shift)
    total = sum(samples for _, samples in parts)
    random = np.random.default_rng(seed)
    envelope = np.repeat(random.integers(0, 2, total // 100 + 1), 100)[:total]
    samples = (random.normal(0, 0.1, total) * envelope).astype(np.float32)
    phones = phones_of(tokens, samples, RATE)
    position = 0
    for phone in phones:
        assert phone.start == position
        assert phone.end > phone.start
        position = phone.end
    assert position == total


def test_wrong_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="last 10 samples but the sound 9"):
        phones_of([TimedToken("t", 10)], np.zeros(9, np.float32), RATE)


def test_boundaries_move_earlier_and_the_sound_stays_tiled() -> None:
    tokens = [TimedToken(PAUSE, 500), TimedToken("s", 300), TimedToken(PAUSE, 200)]
    assert [token.samples for token in advanced(tokens, 400)] == [100, 300, 600]
    assert [token.samples for token in advanced(tokens, 600)] == [0, 200, 800]
    assert [token.samples for token in advanced(tokens, 700)] == [0, 150, 850]


def test_a_pause_takes_the_quiet_end_of_the_phone_before_it() -> None:
    samples = np.zeros(8000, np.float32)
    samples[:2400] = 0.3
    tokens = [TimedToken("n", 6000), TimedToken(PAUSE, 2000)]
    phones = phones_of(tokens, samples, RATE)
    assert [phone.symbol for phone in phones] == ["n", SILENCE]
    assert phones[0].end == pytest.approx(2400, abs=100)


def test_a_closure_between_words_belongs_to_the_stop() -> None:
    samples = np.full(6000, 0.3, np.float32)
    samples[2000:2800] = 0
    tokens = [TimedToken("n", 2000), TimedToken(GAP, 800), TimedToken("t", 3200)]
    assert phones_of(tokens, samples, RATE) == [Phone("n", 0, 2000), Phone("t", 2000, 6000)]


@given(st.floats(0.0001, 3.0))
def test_levels_meet_and_peaks_stay_below_the_limit(loudness: float) -> None:
    time = np.arange(RATE) / RATE
    tone = (loudness * np.sin(2 * np.pi * 200 * time)).astype(np.float32)
    levelled = Leveller()(tone)
    assert np.abs(levelled).max() < 0.95
    if loudness > 0.005:
        assert 20 * np.log10(spoken_rms(levelled)) == pytest.approx(-20, abs=0.5)


def test_the_limiter_leaves_quiet_sound_alone_and_never_folds() -> None:
    ramp = np.linspace(-4, 4, 2001, dtype=np.float32)
    limited = limit_peaks(ramp)
    assert (np.diff(limited) >= 0).all()
    quiet = np.abs(ramp) < 0.8
    np.testing.assert_array_equal(limited[quiet], ramp[quiet])


def test_framing_trims_the_head_and_sets_the_pause() -> None:
    samples = np.concatenate([np.zeros(5000), np.full(4000, 0.2), np.zeros(9000)])
    phones = [Phone(SILENCE, 0, 5000), Phone("ɑ", 5000, 9000), Phone(SILENCE, 9000, 18000)]
    cut, tiled = frame_clause(
        samples.astype(np.float32), phones, sample_rate=RATE, pause_seconds=0.25
    )
    assert tiled[0] == Phone(SILENCE, 0, 640)
    assert tiled[-1].end - tiled[-1].start == 4000
    assert tiled[-1].end == len(cut)
    assert cut[0] == 0
    assert cut[-1] == 0
