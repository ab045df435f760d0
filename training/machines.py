"""Harder sounds without a voice: electronic music and barking, as unlike each other as may be.

They close the mouth as those of `sounds` and `band` do; `presence_stage` hears more of them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfilt

from streaming_model.media import SAMPLE_RATE

Sound = NDArray[np.float64]

_SCALES: Final = ((0, 3, 5, 7, 10), (0, 2, 4, 7, 9), (0, 2, 3, 5, 7, 8, 10), (0, 4, 7, 11))
_RING: Final = 3 * SAMPLE_RATE  # samples that the last note may ring on
_BLOCK: Final = SAMPLE_RATE // 10  # samples between two steps of a moving filter
_WARM: Final = SAMPLE_RATE // 40


def electronic(length: int, rng: np.random.Generator) -> Sound:
    """Returns [length] of synthesisers: patterns of notes through moving filters, and drums."""
    tempo = rng.uniform(90, 150)
    step = int(SAMPLE_RATE * 60 / tempo / rng.choice([1, 2, 4]))
    scale, root = _SCALES[int(rng.integers(len(_SCALES)))], int(rng.integers(36, 58))
    out = np.zeros(length + _RING)
    for _ in range(int(rng.integers(1, 4))):
        layer = _sweep(_pattern(length, step, scale, root, rng), rng)
        out += rng.uniform(0.3, 1.0) * layer / (layer.std() + 1e-9)
    if rng.random() < 0.7:
        _add_drums(out, length, int(SAMPLE_RATE * 60 / tempo), rng)
    return out[:length]


def barking(length: int, rng: np.random.Generator) -> Sound:
    """Returns [length] of one animal's barks and howls, rough and resonant, often in a room."""
    out = 0.002 * rng.normal(0, 1, length)
    pitch, start = rng.uniform(250, 900), int(rng.uniform(0, 1) * SAMPLE_RATE)
    throat = ((rng.uniform(500, 1400), 0.35), (rng.uniform(1500, 3200), 0.3))
    while start < length:
        is_howl = rng.random() < 0.15
        seconds = rng.uniform(0.5, 1.8) if is_howl else rng.uniform(0.08, 0.4)
        cry = _cry(seconds, pitch * rng.uniform(0.85, 1.15), throat, rng)
        end = min(length, start + len(cry))
        out[start:end] += cry[: end - start] * rng.uniform(0.5, 1.0)
        start = end + int(rng.choice([0.08, 0.3, 1.2]) * rng.uniform(0.5, 1.5) * SAMPLE_RATE)
    if rng.random() < 0.6:
        size = int(rng.uniform(0.1, 0.8) * SAMPLE_RATE)
        tail = rng.normal(0, 1, size) * 10 ** (-3 * np.arange(size) / size)
        tail *= rng.uniform(0.2, 0.9) / np.sqrt(np.square(tail).sum())
        tail[0] = 1.0
        out = np.asarray(fftconvolve(out, tail)[:length])
    return out


def _pattern(
    length: int, step: int, scale: tuple[int, ...], root: int, rng: np.random.Generator
) -> Sound:
    """Returns [length + ring] of one instrument that repeats a pattern of notes."""
    kind, octave = int(rng.integers(4)), 12 * int(rng.integers(0, 3))
    notes = rng.choice(np.array(scale), int(rng.choice([4, 8, 16])))
    rests = rng.random(len(notes)) < 0.15
    attack, decay = rng.uniform(0.002, 0.08), rng.uniform(0.05, 1.2)
    spacing = step * int(rng.choice([1, 2, 4]))
    size = min(int(spacing * rng.uniform(0.5, 3)), 2 * SAMPLE_RATE)
    detune = 2 ** (rng.uniform(0, 0.2) / 12) if rng.random() < 0.6 else 0.0
    times = np.arange(size) / SAMPLE_RATE
    envelope = np.minimum(1, times / attack) * np.exp(-times / decay)
    envelope *= np.minimum(1, (times[-1] - times) / 0.01)
    vibrato = 1 + rng.uniform(0, 0.01) * np.sin(2 * np.pi * rng.uniform(3, 8) * times)
    index, ratio = rng.uniform(0.5, 6), float(rng.choice([0.5, 1, 1.41, 2, 3]))
    out = np.zeros(length + _RING)
    for number, start in enumerate(range(0, length, spacing)):
        if rests[number % len(notes)]:
            continue
        hertz = 440 * 2 ** ((root + octave + int(notes[number % len(notes)]) - 69) / 12)
        phase = 2 * np.pi * np.cumsum(hertz * vibrato) / SAMPLE_RATE
        wave = _wave(kind, phase, index, ratio)
        if detune:
            wave = wave + _wave(kind, phase * detune, index, ratio)
        out[start : start + size] += wave * envelope
    return out


def _wave(kind: int, phase: Sound, index: float, ratio: float) -> Sound:
    """Returns a saw, a square, a frequency-modulated (Chowning 1973) or a plain tone."""
    if kind == 0:
        return np.asarray(2 * ((phase / (2 * np.pi)) % 1.0) - 1)
    if kind == 1:
        return np.asarray(np.sign(np.sin(phase)))
    if kind == 2:
        return np.asarray(np.sin(phase + index * np.sin(ratio * phase)))
    return np.asarray(np.sin(phase))


def _sweep(sound: Sound, rng: np.random.Generator) -> Sound:
    """Returns the sound through a low-pass or a resonance that wanders."""
    low, high = rng.uniform(200, 800), rng.uniform(1200, 7000)
    rate, resonant = rng.uniform(0.05, 2.5), rng.random() < 0.5
    out = np.zeros_like(sound)
    for start in range(0, len(sound), _BLOCK):
        share = 0.5 + 0.5 * np.sin(2 * np.pi * rate * start / SAMPLE_RATE)
        centre = low * (high / low) ** share
        if resonant:
            limits = [centre * 0.7, min(7900.0, centre * 1.4)]
            bands = butter(2, limits, "band", fs=SAMPLE_RATE, output="sos")
        else:
            bands = butter(2, min(7900.0, centre), fs=SAMPLE_RATE, output="sos")
        end = min(len(sound), start + _BLOCK)
        heard = sosfilt(bands, sound[max(0, start - _WARM) : end])
        out[start:end] = heard[len(heard) - (end - start) :]
    return out


def _add_drums(out: Sound, length: int, beat: int, rng: np.random.Generator) -> None:
    times = np.arange(int(0.3 * SAMPLE_RATE)) / SAMPLE_RATE
    fall = 2 * np.pi * np.cumsum(45 + 150 * np.exp(-times / 0.03)) / SAMPLE_RATE
    kick = 2.5 * np.sin(fall) * np.exp(-times / 0.1)
    hat_band = butter(2, rng.uniform(3000, 6500), "high", fs=SAMPLE_RATE, output="sos")
    clap_band = butter(2, [800, 5000], "band", fs=SAMPLE_RATE, output="sos")
    for number, start in enumerate(range(0, length, beat)):
        out[start : start + len(kick)] += kick
        _add_burst(out, start + beat // 2, hat_band, rng.uniform(0.03, 0.15), rng)
        if number % 2:
            _add_burst(out, start, clap_band, 0.15, rng)


def _add_burst(
    out: Sound, start: int, bands: Sound, seconds: float, rng: np.random.Generator
) -> None:
    size = int(seconds * SAMPLE_RATE)
    noise = sosfilt(bands, rng.normal(0, 1, size)) * np.exp(-4 * np.arange(size) / size)
    out[start : start + size] += rng.uniform(0.3, 1.2) * noise


def _cry(
    seconds: float,
    pitch: float,
    throat: tuple[tuple[float, float], ...],
    rng: np.random.Generator,
) -> Sound:
    """Returns one bark: its pitch rises and falls, rough, through the throat's resonances."""
    size = int(seconds * SAMPLE_RATE)
    share = np.linspace(0, 1, size)
    arch = rng.uniform(0.1, 0.8) * np.sin(np.pi * share ** rng.uniform(0.5, 1.2))
    hertz = pitch * (1 + arch - rng.uniform(0, 0.4) * share)
    phase = 2 * np.pi * np.cumsum(hertz) / SAMPLE_RATE
    rough = 1 + rng.uniform(0, 0.9) * np.sin(2 * np.pi * rng.uniform(40, 120) * share * seconds)
    voice = _wave(0, phase, 0.0, 0.0) * rough + rng.uniform(0.1, 1.2) * rng.normal(0, 1, size)
    out = 0.25 * voice
    for centre, width in throat:
        limits = [centre * (1 - width), min(7800.0, centre * (1 + width))]
        bands = butter(2, limits, "band", fs=SAMPLE_RATE, output="sos")
        out = out + sosfilt(bands, voice)
    rise, fall = rng.uniform(0.02, 0.15), rng.uniform(0.2, 0.7)
    return np.asarray(out * np.minimum(1, share / rise) * np.minimum(1, (1 - share) / fall))


MACHINES: Final = {"electronic": electronic, "barking": barking}
