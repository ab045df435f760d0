"""Recordings without a voice, as the second look for voices hears them."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
import pytest

from streaming_model.media import SAMPLE_RATE
from training.recorded import load_recordings, scene, scenes


def write(path: Path, *, rate: int, seconds: float, pitch: float, gain: float = 0.3) -> None:
    times = np.arange(int(rate * seconds)) / rate
    samples = gain * np.sin(2 * np.pi * pitch * times)
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((samples * 32_000).astype("<i2").tobytes())


def pitch_of(samples: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * SAMPLE_RATE / len(samples))


def test_every_rate_becomes_ours_and_every_level_one(tmp_path: Path) -> None:
    write(tmp_path / "b.wav", rate=48_000, seconds=1.5, pitch=440)
    write(tmp_path / "deep" / "a.WAV", rate=22_050, seconds=0.5, pitch=880, gain=0.01)
    long, short = load_recordings(tmp_path)
    assert len(long) == pytest.approx(1.5 * SAMPLE_RATE, abs=200)
    assert len(short) == pytest.approx(0.5 * SAMPLE_RATE, abs=200)
    assert pitch_of(long) == pytest.approx(440, rel=0.01)
    assert pitch_of(short) == pytest.approx(880, rel=0.01)
    for samples in (long, short):
        assert np.sqrt(np.mean(np.square(samples))) == pytest.approx(1, rel=0.01)


def test_silence_is_left_out_and_a_long_file_cut(tmp_path: Path) -> None:
    write(tmp_path / "long.wav", rate=8_000, seconds=70, pitch=300)
    write(tmp_path / "silence.wav", rate=8_000, seconds=1, pitch=300, gain=0.0)
    (only,) = load_recordings(tmp_path)
    assert len(only) == 60 * SAMPLE_RATE


def test_an_empty_folder_and_a_broken_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=tmp_path.name):
        load_recordings(tmp_path)
    (tmp_path / "broken.ogg").write_bytes(b"not Ogg at all")
    with pytest.raises(av.FFmpegError, match=r"broken\.ogg"):
        load_recordings(tmp_path)


def test_a_scene_repeats_recordings_by_its_seed_alone(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", rate=16_000, seconds=0.3, pitch=500)
    write(tmp_path / "b.wav", rate=16_000, seconds=2, pitch=1_200)
    recordings = load_recordings(tmp_path)
    length = 6 * SAMPLE_RATE
    first, again = (scene(recordings, length, np.random.default_rng(4)) for _ in range(2))
    other = scenes(recordings)(length, np.random.default_rng(5))
    np.testing.assert_array_equal(first, again)
    assert first.shape == other.shape == (length,)
    assert not np.array_equal(first, other)
    assert np.abs(first[-2 * SAMPLE_RATE :]).max() > 0, "it goes on to the end"
