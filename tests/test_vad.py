"""The speech detector: hysteresis on votes, and edges on sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from server.turns import Heard
from server.vad import FRAME, Hysteresis, SpeechDetector


def vowel(seconds: float, pitch: float = 120.0) -> NDArray[np.float32]:
    """A buzz with two formants, which webrtcvad takes for a voice."""
    time = np.arange(int(16_000 * seconds)) / 16_000
    harmonics = np.arange(1, 30) * pitch
    gains = np.exp(-(((harmonics - 700) / 300) ** 2)) + 0.7 * np.exp(
        -(((harmonics - 1200) / 300) ** 2)
    )
    sound = (gains[:, None] * np.sin(2 * np.pi * harmonics[:, None] * time)).sum(axis=0)
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * time)
    return np.asarray(0.2 * sound * swell / np.abs(sound).max(), np.float32)


def never_echo(frame: NDArray[np.float32]) -> bool:
    del frame
    return False


def silence(seconds: float) -> NDArray[np.float32]:
    return np.zeros(int(16_000 * seconds), np.float32)


def test_speech_begins_and_ends() -> None:
    detector = SpeechDetector(never_echo)
    edges = detector.push(np.concatenate([silence(1), vowel(2), silence(2)]))
    assert [edge.heard for edge in edges] == [Heard.STARTED, Heard.STOPPED]
    assert 16_000 < edges[0].at <= 16_000 + 4_000  # within 250 ms of the first sound
    assert 48_000 < edges[1].at <= 48_000 + 16_000
    assert not detector.is_speech


@pytest.mark.parametrize("level", [0.0, 0.001])
def test_silence_and_hiss_are_not_speech(level: float) -> None:
    noise = np.random.default_rng(0).normal(0, level, 48_000).astype(np.float32)
    assert SpeechDetector(never_echo).push(noise) == []


def test_the_cuts_do_not_matter() -> None:
    sound = np.concatenate([silence(0.5), vowel(1), silence(1)])
    whole = SpeechDetector(never_echo).push(sound)
    detector = SpeechDetector(never_echo)
    pieces = [edge for piece in np.array_split(sound, 37) for edge in detector.push(piece)]
    assert pieces == whole


def test_a_cough_does_not_start_speech() -> None:
    hysteresis = Hysteresis()
    votes = [True, True, True] + [False] * 50
    assert [hysteresis.vote(vote) for vote in votes] == [None] * len(votes)


def test_a_breath_does_not_end_speech() -> None:
    hysteresis = Hysteresis()
    votes = [True] * 30 + [False] * 20 + [True] * 30
    edges = [edge for vote in votes if (edge := hysteresis.vote(vote))]
    assert edges == [Heard.STARTED]


@given(st.lists(st.booleans(), max_size=400))
def test_edges_alternate(votes: list[bool]) -> None:
    hysteresis = Hysteresis()
    edges = [edge for vote in votes if (edge := hysteresis.vote(vote))]
    expected = [Heard.STARTED, Heard.STOPPED] * len(edges)
    assert edges == expected[: len(edges)]


def test_a_frame_is_twenty_milliseconds() -> None:
    assert FRAME == 320
