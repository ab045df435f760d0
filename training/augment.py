"""What happens to a voice between the mouth and the model: speed, rooms, noise, other sounds.

Works on 16 kHz samples, before features. Every function draws from the generator it is given.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfilt

from streaming_model.media import SAMPLE_RATE
from training.band import LOUD_SOUNDS
from training.corpus.utterances import Utterance
from training.machines import MACHINES
from training.sounds import SOUNDS

Samples = NDArray[np.float32]
_MADE: Final = {**SOUNDS, **LOUD_SOUNDS, **MACHINES}
NOISES: Final = ("white", "pink", "brown", "hum", "tones", "clicks", *_MADE)


def change_speed(utterance: Utterance, factor: float) -> Utterance:
    """Returns the utterance played `factor` times as fast: pitch, formants and tempo move."""
    samples = soxr.resample(utterance.samples, SAMPLE_RATE * factor, SAMPLE_RATE)
    bounds = np.round(utterance.bounds * (len(samples) / len(utterance.samples)))
    return replace(utterance, samples=samples, bounds=bounds.astype(np.int64))


def add_room(samples: Samples, *, rng: np.random.Generator) -> Samples:
    """Returns the samples in a small random room; the direct sound keeps its time."""
    decay = rng.uniform(0.08, 0.45)
    length = int(decay * SAMPLE_RATE)
    tail = rng.normal(0, 1, length) * 10 ** (-3 * np.arange(length) / length)
    tail[: int(0.004 * SAMPLE_RATE)] = 0.0
    tail *= rng.uniform(0.1, 0.7) / (np.sqrt(np.square(tail).sum()) + 1e-9)
    tail[0] = 1.0
    echoing: Samples = fftconvolve(samples, tail)[: len(samples)].astype(np.float32)
    return echoing


def equalise(samples: Samples, *, rng: np.random.Generator) -> Samples:
    """Returns the samples through a random microphone: tilt, and sometimes a telephone band."""
    tilt = rng.uniform(-0.6, 0.6)
    tilted = samples + tilt * np.concatenate([[0.0], samples[:-1]])
    if rng.random() < 0.15:
        band = butter(
            4, [rng.uniform(80, 300), rng.uniform(3200, 4000)], "band", fs=SAMPLE_RATE, output="sos"
        )
        tilted = sosfilt(band, tilted)
    return tilted.astype(np.float32)


def make_noise(kind: str, length: int, *, rng: np.random.Generator) -> Samples:
    """Returns [length] of one of `NOISES` with a root mean square of one."""
    makers = {"hum": _hum, "tones": _tones, "clicks": _clicks}
    exponents = {"white": 0.0, "pink": 0.5, "brown": 1.0}
    if kind in exponents:
        noise = _coloured(length, exponents[kind], rng=rng)
    elif kind in _MADE:
        noise = _MADE[kind](length, rng)
    else:
        noise = makers[kind](length, rng=rng)
    return np.asarray(noise / (np.sqrt(np.mean(np.square(noise))) + 1e-9), dtype=np.float32)


def make_babble(voices: list[Samples], length: int, *, rng: np.random.Generator) -> Samples:
    """Returns many voices at once, of root mean square one."""
    babble = np.zeros(length, np.float32)
    for voice in voices:
        repeated = np.resize(np.roll(voice, int(rng.integers(len(voice)))), length)
        babble += repeated * rng.uniform(0.6, 1.4)
    return babble / np.float32(np.sqrt(np.mean(np.square(babble))) + 1e-9)


def warp_mel(mel: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Returns [time, 80] features of a vocal tract `factor` times as short."""
    (whole,), (part,) = warped_places(np.array([factor]), mel.shape[1])
    warped: NDArray[np.float32] = mel[:, whole] * (1 - part) + mel[:, whole + 1] * part
    return warped


def warped_places(
    factors: NDArray[np.floating], bins: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Returns where other vocal tracts' bins are among this one's: whole [n, bins], and the rest.

    Args:
        factors: [n] how many times as short the other vocal tracts are.
        bins: of the features.
    """
    top = 2595.0 * np.log10(1 + 7600.0 / 700.0)
    low = 2595.0 * np.log10(1 + 60.0 / 700.0)
    step = (top - low) / (bins + 1)
    hertz = 700.0 * (10 ** ((low + (np.arange(bins) + 1) * step) / 2595.0) - 1)
    source = (2595.0 * np.log10(1 + hertz / factors[:, None] / 700.0) - low) / step - 1
    source = np.clip(source, 0, bins - 1.001)
    whole = source.astype(np.int64)
    return whole, (source - whole).astype(np.float32)


def _coloured(length: int, exponent: float, *, rng: np.random.Generator) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(rng.normal(0, 1, length))
    frequency = np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE), 20.0)
    return np.asarray(np.fft.irfft(spectrum / frequency**exponent, length))


def _hum(length: int, *, rng: np.random.Generator) -> NDArray[np.float64]:
    times, mains = np.arange(length) / SAMPLE_RATE, float(rng.choice([50.0, 60.0]))
    parts = [
        rng.uniform(0.1, 1.0) / k * np.sin(2 * np.pi * (mains * k * times + rng.random()))
        for k in range(1, 9)
    ]
    return np.asarray(np.sum(parts, axis=0) + 0.02 * rng.normal(0, 1, length))


def _tones(length: int, *, rng: np.random.Generator) -> NDArray[np.float64]:
    """Plucked and held notes with overtones, like simple music."""
    out, age = np.zeros(length), np.arange(SAMPLE_RATE) / SAMPLE_RATE
    rise = np.minimum(1.0, age / 0.01) * np.minimum(1.0, (1.0 - age) / 0.05)
    overtones = np.arange(1, 5)
    for start in range(0, length, int(rng.uniform(0.2, 0.6) * SAMPLE_RATE)):
        for _ in range(rng.integers(1, 4)):
            pitch = 110 * 2 ** (rng.integers(0, 36) / 12)
            waves = np.sin(2 * np.pi * pitch * overtones[:, None] * age)
            note = rise * np.exp(-age * rng.uniform(0.5, 6)) * (overtones**-1.5 @ waves)
            end = min(length, start + SAMPLE_RATE)
            out[start:end] += note[: end - start]
    return out


def _clicks(length: int, *, rng: np.random.Generator) -> NDArray[np.float64]:
    """Keys, knocks and taps: short bursts with a quick decay."""
    out = 0.01 * rng.normal(0, 1, length)
    for start in rng.integers(0, length, max(1, int(length / SAMPLE_RATE * rng.uniform(1, 6)))):
        size = min(int(SAMPLE_RATE * rng.uniform(0.01, 0.08)), length - start)
        burst = rng.normal(0, 1, size) * np.exp(-np.arange(size) / (0.25 * size))
        out[start : start + size] += burst * rng.uniform(0.3, 1.0)
    return out
