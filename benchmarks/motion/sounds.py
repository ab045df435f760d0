"""Sounds that are no speech, to which the mouth must stay shut."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from scipy.signal import butter, sosfilt

from benchmarks.motion.clips import Samples
from streaming_model.media import SAMPLE_RATE
from training.corpus.forced import decode

MUSIC: Final = {
    "music: pop": (Path("/usr/share/asterisk/moh/reno_project-system.g722"), 40),
    "music: electronic": (Path("/usr/share/asterisk/moh/macroform-the_simplicity.g722"), 60),
    "music: guitar": (Path("/usr/share/asterisk/moh/manolo_camp-morning_coffee.g722"), 5),
}  # Debian's asterisk-moh-opsound-g722, CC BY-SA; and the second at which a minute begins
BARK: Final = Path("/usr/share/sounds/mate/default/alerts/bark.ogg")  # of mate-media-common
_MUSIC_LEVEL: Final = 0.06  # root mean square, as loud as a voice


def wordless(seconds: int, *, seed: int = 5) -> dict[str, Samples]:
    """Returns sounds of `seconds` each by name; recordings that are not installed are left out."""
    length, rng = seconds * SAMPLE_RATE, np.random.default_rng(seed)
    sounds = {"silence": np.zeros(length, np.float32), "room noise": room_noise(length, rng=rng)}
    for name, (path, start) in MUSIC.items():
        if path.exists():
            piece = decode(path)[start * SAMPLE_RATE :][:length]
            sounds[name] = np.float32(_MUSIC_LEVEL / (piece.std() + 1e-9)) * piece
    if BARK.exists():
        sounds["dog"] = barking(decode(BARK), length, rng=rng)
    return sounds


def room_noise(length: int, *, rng: np.random.Generator) -> Samples:
    """Returns an office: air (falling 6 dB an octave from 200 Hz), mains hum, and taps on keys.

    At -45 dBFS, the taps up to -20.
    """
    times = np.arange(length) / SAMPLE_RATE
    air = sosfilt(butter(1, 200, fs=SAMPLE_RATE, output="sos"), rng.normal(0, 1, length))
    hum = np.sin(2 * np.pi * 50 * times) + 0.5 * np.sin(2 * np.pi * 150 * times + 1)
    noise = 10 ** (-45 / 20) * (air / air.std() + 0.3 * hum)
    for start in rng.integers(0, length - 800, length // SAMPLE_RATE * 2):
        fade = np.exp(-np.arange(800) / 120)
        noise[start : start + 800] += rng.uniform(0.02, 0.1) * fade * rng.normal(0, 1, 800)
    return np.asarray(noise, np.float32)


def barking(bark: Samples, length: int, *, rng: np.random.Generator) -> Samples:
    """Returns a dog that barks once to three times every few seconds, now near and now far."""
    sound = np.zeros(length, np.float32)
    at = SAMPLE_RATE // 2
    while at + len(bark) < length:
        sound[at : at + len(bark)] += bark * np.float32(rng.uniform(0.2, 1.0))
        pause = rng.uniform(0.1, 0.3) if rng.random() < 0.5 else rng.uniform(1.0, 4.0)
        at += len(bark) + int(pause * SAMPLE_RATE)
    return sound
