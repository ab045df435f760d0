"""The portrait's own voice in a viewer's microphone is nobody's speech; the viewer's still is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from server.echo import FRAME, EchoJudge, PlayedSound
from server.turns import Heard
from server.vad import SpeechDetector

RATE = 16_000


def chatter(seconds: float, *, seed: int, pitch: float) -> NDArray[np.float32]:
    """Syllables of ever other vowels and lengths, with pauses: as lively as speech."""
    random = np.random.default_rng(seed)
    pieces: list[NDArray[np.float64]] = []
    while sum(len(piece) for piece in pieces) < seconds * RATE:
        time = np.arange(int(random.uniform(0.08, 0.25) * RATE)) / RATE
        harmonics = np.arange(1, 40) * pitch * random.uniform(0.85, 1.2)
        first, second = random.uniform(300, 900), random.uniform(900, 2600)
        gains = np.exp(-(((harmonics - first) / 200) ** 2))
        gains += 0.7 * np.exp(-(((harmonics - second) / 250) ** 2))
        tone = (gains[:, None] * np.sin(2 * np.pi * harmonics[:, None] * time)).sum(axis=0)
        swell = np.sin(np.pi * np.arange(len(time)) / len(time)) ** 0.5
        pieces.append(random.uniform(0.1, 0.3) * tone * swell / np.abs(tone).max())
        pieces.append(np.zeros(int(random.choice([0.02, 0.05, 0.25], p=[0.5, 0.35, 0.15]) * RATE)))
    return np.concatenate(pieces)[: int(seconds * RATE)].astype(np.float32)


def in_a_room(sound: NDArray[np.float32], *, delay_ms: int, gain: float) -> NDArray[np.float32]:
    """Delays and weakens it, and lets it ring for 150 ms."""
    random = np.random.default_rng(0)
    ring = 0.2 * random.standard_normal(2400) * np.exp(-np.arange(2400) / 600)
    ring[0] = 1.0
    rung = gain * np.convolve(sound, ring)[: len(sound)]
    delayed = np.concatenate([np.zeros(delay_ms * RATE // 1000), rung])[: len(sound)]
    return (delayed + 3e-4 * random.standard_normal(len(sound))).astype(np.float32)


def beginnings(
    microphone: NDArray[np.float32], played: NDArray[np.float32], *, is_judged: bool = True
) -> list[float]:
    """Returns the seconds at which somebody is noticed to begin to speak."""
    judge = EchoJudge()
    frames = iter(played[: len(played) // FRAME * FRAME].reshape(-1, FRAME))
    detector = SpeechDetector(
        lambda frame: judge.judge(frame, next(frames)) if is_judged else False
    )
    edges = detector.push(microphone[: len(played) // FRAME * FRAME])
    return [edge.at / RATE for edge in edges if edge.heard is Heard.STARTED]


PORTRAIT = np.concatenate([np.zeros(RATE, np.float32), chatter(8, seed=1, pitch=120)])


@pytest.mark.parametrize("delay_ms", [60, 130, 250, 400, 700])
@pytest.mark.parametrize("gain", [0.1, 0.5])
def test_its_own_voice_does_not_interrupt_the_portrait(delay_ms: int, gain: float) -> None:
    echo = in_a_room(PORTRAIT, delay_ms=delay_ms, gain=gain)
    assert beginnings(echo, PORTRAIT, is_judged=False)  # the detector alone falls for it
    assert beginnings(echo, PORTRAIT) == []


@pytest.mark.parametrize("begins", [3.0, 5.0])
@pytest.mark.parametrize("delay_ms", [130, 400])
def test_a_viewer_is_heard_through_the_echo(begins: float, delay_ms: int) -> None:
    microphone = in_a_room(PORTRAIT, delay_ms=delay_ms, gain=0.1)
    viewer = chatter(2.5, seed=7, pitch=210)
    start = int(begins * RATE)
    microphone[start : start + len(viewer)] += viewer
    noticed = beginnings(microphone, PORTRAIT)
    assert noticed
    assert begins < noticed[0] < begins + 1.5


def test_a_viewer_with_headphones_is_heard_while_the_portrait_speaks() -> None:
    viewer = chatter(2.5, seed=7, pitch=210)
    microphone = np.zeros_like(PORTRAIT)
    start = 4 * RATE
    microphone[start : start + len(viewer)] += viewer
    assert 4 < beginnings(microphone, PORTRAIT)[0] < 4.6


def test_a_viewer_who_speaks_to_a_silent_portrait_is_heard_at_once() -> None:
    viewer = np.concatenate([np.zeros(RATE, np.float32), chatter(2.5, seed=7, pitch=210)])
    silence = np.zeros_like(viewer)
    assert beginnings(viewer, silence) == beginnings(viewer, silence, is_judged=False)


def test_what_was_played_is_read_in_step_and_never_far_behind() -> None:
    played = PlayedSound()
    assert not played.take().any()  # ahead of it: silence
    for index in range(100):
        played.add(np.full(960, index, np.float32))
    first = played.take()
    assert first.shape == (FRAME,)
    assert first[0] == 98
    for index in range(100, 150):
        played.add(np.full(960, index, np.float32))
        assert played.take()[0] == index - 1
