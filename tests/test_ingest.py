"""Ingest: any PCM becomes two aligned rates, whatever the cuts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from server.ingest import AlignedAudio, Ingest, convert
from streaming_model.errors import AudioError

RATES = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000]


def tone(frequency: float, rate: int, seconds: float = 1.0) -> NDArray[np.float32]:
    time = np.arange(int(rate * seconds)) / rate
    return np.asarray(0.5 * np.sin(2 * np.pi * frequency * time), np.float32)


@pytest.mark.parametrize("rate", RATES)
def test_every_rate_keeps_pitch_level_and_time(rate: int) -> None:
    audio = convert(tone(440, rate), sample_rate=rate)
    assert abs(len(audio) - 16_000) <= 1
    inner = slice(1600, 14_400)
    assert np.abs(audio.speech[inner] - tone(440, 16_000)[inner]).max() < 2e-3
    inner = slice(4800, 43_200)
    assert np.abs(audio.sound[inner] - tone(440, 48_000)[inner]).max() < 2e-3


def test_the_listener_keeps_what_the_model_cannot_hear() -> None:
    audio = convert(tone(12_000, 48_000), sample_rate=48_000)
    assert np.sqrt((audio.sound**2).mean()) == pytest.approx(0.3536, abs=1e-3)
    assert np.abs(audio.speech[100:-100]).max() < 1e-3  # 60 dB down, not folded to 4 kHz


@given(st.lists(st.integers(0, 2_000), min_size=1, max_size=12), st.sampled_from(RATES))
def test_cuts_change_nothing(cuts: list[int], rate: int) -> None:
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, sum(cuts)).astype(np.float32)
    whole = convert(samples, sample_rate=rate)
    ingest = Ingest(sample_rate=rate)
    pieces = [ingest.push(piece) for piece in np.split(samples, np.cumsum(cuts)[:-1])]
    joined = AlignedAudio.concatenate([*pieces, ingest.finish()])
    assert len(joined) == len(whole)
    np.testing.assert_allclose(joined.speech, whole.speech, atol=1e-5)
    np.testing.assert_allclose(joined.sound, whole.sound, atol=1e-5)


def test_a_live_microphone_is_held_back_by_about_a_millisecond() -> None:
    ingest = Ingest(sample_rate=48_000)
    assert len(ingest.push(np.zeros(960, np.float32))) >= 320 - 17


@pytest.mark.parametrize("channels", range(1, 9))
def test_speech_in_every_channel_stays_about_as_loud(channels: int) -> None:
    mono = tone(300, 16_000)
    audio = convert(np.repeat(mono[:, None] / 2, channels, axis=1), sample_rate=16_000)
    level = np.abs(audio.speech[500:-500]).max()
    assert 0.2 < level < 0.8


def test_a_dialogue_in_the_centre_of_surround_is_heard() -> None:
    frames = np.zeros((16_000, 6), np.float32)
    frames[:, 2] = tone(300, 16_000)
    level = np.abs(convert(frames, sample_rate=16_000).speech[500:-500]).max()
    assert level > 0.3


def test_what_is_not_a_number_becomes_silence_and_excess_is_clipped() -> None:
    samples = np.array([np.nan, np.inf, -np.inf, 7.0, -7.0] * 3000, np.float32)
    audio = convert(samples, sample_rate=48_000)
    assert np.isfinite(audio.speech).all()
    assert np.abs(audio.sound).max() <= 1.0


def test_pcm16_is_interleaved_little_endian() -> None:
    pcm = np.array([[16_384, 0]] * 480, "<i2").tobytes()
    ingest = Ingest(sample_rate=48_000, channels=2)
    audio = AlignedAudio.concatenate([ingest.push_pcm16(pcm), ingest.finish()])
    assert audio.sound[:480] == pytest.approx(0.25)


@pytest.mark.parametrize(("size", "channels"), [(3, 1), (6, 2), (10, 6)])
def test_broken_frames_are_refused(size: int, channels: int) -> None:
    with pytest.raises(AudioError, match=f"{size} bytes"):
        Ingest(sample_rate=16_000, channels=channels).push_pcm16(bytes(size))


@pytest.mark.parametrize("rate", [-1, 0, 7_999, 192_001, 10**9])
def test_absurd_rates_are_refused(rate: int) -> None:
    with pytest.raises(AudioError, match=str(rate)):
        Ingest(sample_rate=rate)


@pytest.mark.parametrize("channels", [-1, 0, 9])
def test_absurd_channel_counts_are_refused(channels: int) -> None:
    with pytest.raises(AudioError, match=str(channels)):
        Ingest(sample_rate=16_000, channels=channels)


def test_no_audio_gives_no_audio() -> None:
    assert len(convert(np.zeros(0, np.float32), sample_rate=44_100)) == 0


def test_misaligned_pairs_cannot_exist() -> None:
    with pytest.raises(ValueError, match="2 and 5"):
        AlignedAudio(np.zeros(2, np.float32), np.zeros(5, np.float32))
