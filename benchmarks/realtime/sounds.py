"""Sounds made to be found again: clicks, and a voice with bursts in it. No model, no network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import SAMPLE_RATE, SAMPLES_PER_MOTION_FRAME

GAPS = (13, 17, 21)  # frames between clicks: uneven, so that none pairs with another's flash
MICROPHONE_RATE = 48_000  # Hz
BURST_SECONDS = 0.08


def clicks(*, seconds: int) -> bytes:
    """Returns PCM16 at 16 kHz: a 40 ms tone of 1 kHz at the start of some motion frames."""
    frames = seconds * SAMPLE_RATE // SAMPLES_PER_MOTION_FRAME
    sound = np.zeros((frames, SAMPLES_PER_MOTION_FRAME), np.float32)
    time = np.arange(SAMPLES_PER_MOTION_FRAME) / SAMPLE_RATE
    frame, turn = 5, 0
    while frame < frames:
        sound[frame] = 0.8 * np.sin(2 * np.pi * 1000 * time)
        frame += GAPS[turn % len(GAPS)]
        turn += 1
    return (sound * 32_767).astype("<i2").tobytes()


def voice_with_bursts(starts: list[float], *, seconds: float) -> NDArray[np.float32]:
    """Returns [n] float32 at 48 kHz: a quiet vowel that a voice detector takes for speech.

    It is four times as loud for `BURST_SECONDS` from each of `starts`, in seconds, on.
    """
    instants = np.arange(int(MICROPHONE_RATE * seconds)) / MICROPHONE_RATE
    harmonics = np.arange(1, 30) * 120.0
    gains = np.exp(-(((harmonics - 700) / 300) ** 2))
    gains += 0.7 * np.exp(-(((harmonics - 1200) / 300) ** 2))
    vowel = np.zeros_like(instants)
    for gain, frequency in zip(gains, harmonics, strict=True):
        vowel += gain * np.sin(2 * np.pi * frequency * instants)
    vowel *= 0.2 * (0.8 + 0.2 * np.sin(2 * np.pi * 4 * instants)) / np.abs(vowel).max()
    for start in starts:
        begin = int(start * MICROPHONE_RATE)
        vowel[begin : begin + int(BURST_SECONDS * MICROPHONE_RATE)] *= 4.0
    return np.asarray(vowel, np.float32)
