"""Feelings from the voice: synthetic voices that change move the weights their way."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming_model.motion.melody import VOICED, pitch_of
from streaming_model.motion.prosody import ProsodyState, hear, start_prosody
from streaming_model.motion.style import EMOTIONS

FRAME = 640


def voice(
    seconds: float,
    *,
    pitch: float = 120.0,
    semitones: float = 2.5,
    level: float = 0.1,
    syllables: float = 4.0,
    seed: int = 0,
) -> NDArray[np.float32]:
    """A buzz whose pitch wanders by `semitones` and whose loudness beats with the syllables."""
    time = np.arange(int(seconds * 16_000)) / 16_000
    knots = np.random.default_rng(seed).normal(0, 1, int(seconds * 3) + 3)
    bend = np.interp(time * 3, np.arange(len(knots)), knots)
    phase = 2 * np.pi * np.cumsum(pitch * 2 ** (semitones * bend / 10)) / 16_000
    buzz = sum(np.sin(number * phase) / number for number in range(1, 20))
    loudness = np.clip(0.55 + 0.6 * np.sin(2 * np.pi * syllables * time), 0.03, 1.2)
    return np.asarray(level * buzz * loudness, np.float32)


def listen(samples: NDArray[np.float32], state: ProsodyState | None = None) -> ProsodyState:
    state = state or start_prosody()
    for start in range(0, len(samples) - FRAME + 1, FRAME):
        state = hear(state, samples[start : start + FRAME])
    return state


def share(state: ProsodyState, *names: str) -> float:
    return float(sum(state.emotions[EMOTIONS.index(name)] for name in names))


@pytest.mark.parametrize("pitch", [70.0, 110.0, 180.0, 260.0, 400.0])
def test_the_pitch_of_a_buzz_is_found(pitch: float) -> None:
    buzz = voice(0.2, pitch=pitch, semitones=0, syllables=0)
    found = [pitch_of(frame) for frame in buzz.reshape(-1, FRAME)[1:4]]
    assert found == pytest.approx([pitch] * 3, rel=0.01)


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, FRAME).astype(np.float32)
    assert [pitch_of(frame) for frame in (noise, np.zeros_like(noise))] == [0, 0]


@pytest.mark.parametrize("pitch", [100.0, 210.0])
def test_a_voice_that_goes_on_as_it_began_stays_near_neutral(pitch: float) -> None:
    state, most = start_prosody(), 0.0
    samples = voice(25, pitch=pitch, seed=5)
    for start in range(0, len(samples) - FRAME + 1, FRAME):
        state = hear(state, samples[start : start + FRAME])
        most = max(most, float(state.emotions.sum()))
    assert most < 0.35 and state.emotions.sum() < 0.2


def test_a_higher_wider_louder_voice_is_glad_or_surprised_or_angry() -> None:
    usual = listen(voice(12))
    excited = listen(voice(5, pitch=165, semitones=4.5, level=0.2, syllables=5, seed=3), usual)
    assert share(excited, "happy", "surprised", "angry") > 0.5
    assert share(excited, "happy") > share(excited, "angry") and share(excited, "sad") == 0


def test_force_without_melody_is_anger() -> None:
    usual = listen(voice(12))
    shouting = listen(voice(5, pitch=125, level=0.4, seed=3), usual)
    assert share(shouting, "angry") > max(0.3, share(shouting, "happy"))


def test_a_slow_low_flat_voice_is_sad() -> None:
    usual = listen(voice(12))
    slow = listen(voice(5, pitch=102, semitones=0.8, level=0.05, syllables=2.5, seed=3), usual)
    assert share(slow, "sad") > 0.4 and share(slow, "happy", "surprised", "angry") == 0


def test_it_fades_in_a_pause_and_hears_nothing_in_noise() -> None:
    excited = listen(voice(5, pitch=165, semitones=4.5, level=0.2, seed=3), listen(voice(12)))
    quiet = listen(np.zeros(16_000 * 6, np.float32), excited)
    assert quiet.emotions.sum() < 0.15 * excited.emotions.sum()
    noise = np.random.default_rng(1).normal(0, 0.05, 16_000 * 5).astype(np.float32)
    assert listen(noise).emotions.sum() == 0


def test_some_frames_at_once_are_heard_as_one_by_one() -> None:
    samples = np.concatenate([voice(4), np.zeros(10 * FRAME, np.float32), voice(2, pitch=170)])
    one, many = start_prosody(), start_prosody()
    for start in range(0, len(samples) - 5 * FRAME + 1, 5 * FRAME):
        many = hear(many, samples[start : start + 5 * FRAME])
        one = listen(samples[start : start + 5 * FRAME], one)
        np.testing.assert_allclose(many.emotions, one.emotions, atol=1e-6)
    assert many.memory is not None and one.memory is not None
    np.testing.assert_array_equal(many.memory, one.memory)
    assert many.memory[VOICED] > 2


def test_it_changes_slowly() -> None:
    state = listen(voice(12))
    samples = voice(5, pitch=165, semitones=4.5, level=0.2, seed=3)
    for start in range(0, len(samples) - FRAME + 1, FRAME):
        before, state = state, hear(state, samples[start : start + FRAME])
        assert np.abs(state.emotions - before.emotions).max() < 0.06


def test_impossible_samples_do_no_harm() -> None:
    state = listen(voice(3))
    for bad in (np.nan, np.inf, 1e20):
        state = hear(state, np.full(FRAME, bad, np.float32))
    assert np.isfinite(listen(voice(3), state).emotions).all()
