"""Sounds like voices that are none: a band with a lead that sings no words, cries, sirens.

Beside the everyday sounds of `training.sounds`: these are loud, voiced and rhythmic, as speech
is, and differ from take to take as much as random numbers can make them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt

from streaming_model.media import SAMPLE_RATE

Sound = NDArray[np.float64]

_SCALES: Final = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10))
_PROGRESSION: Final = 4  # chords before they come again


def band(length: int, rng: np.random.Generator) -> Sound:
    """Returns [length] of a small band: some of drums, bass, plucked chords, pads and a lead."""
    beat = int(SAMPLE_RATE * 60 / rng.uniform(70, 160))
    scale, root = _SCALES[int(rng.integers(len(_SCALES)))], float(rng.uniform(45, 57))
    roots = [scale[int(rng.integers(len(scale)))] for _ in range(_PROGRESSION)]
    parts: list[Callable[[int, float, float], Sound]] = [
        lambda size, note, _: _pluck(size, note - 12, rng=rng),
        lambda size, note, _: _chord(_pluck, size, note, (0, 4, 7), rng=rng),
        lambda size, note, _: _chord(_pad, size, note, (0, 3, 7, 12), rng=rng),
        lambda size, note, step: _lead(size, note + step, rng=rng),
    ]
    chosen = [part for part in parts if rng.random() < 0.6] or parts[:1]
    gains = rng.uniform(0.3, 1.0, len(chosen))
    drums = rng.random() < 0.6
    out = np.zeros(length + 2 * SAMPLE_RATE)
    for index, start in enumerate(range(0, length, beat)):
        note = root + roots[index // 4 % _PROGRESSION]
        step = float(12 + scale[int(rng.integers(len(scale)))])
        for part, gain in zip(chosen, gains, strict=True):
            if rng.random() < 0.75:
                size = min(int(beat * rng.choice([1, 2, 4])), 2 * SAMPLE_RATE)
                out[start : start + size] += gain * part(size, note, step)
        if drums:
            _add(out, start, _drum(index % 4, rng=rng))
            _add(out, start + beat // 2, 0.3 * _burst(0.05, (4000, 7500), rng=rng))
    return out[:length]


def cries(length: int, rng: np.random.Generator) -> Sound:
    """Returns [length] of barks, growls and howls, or other short cries."""
    out = 0.003 * rng.normal(0, 1, length)
    start = int(rng.uniform(0, 1) * SAMPLE_RATE)
    low, high = np.sort(rng.uniform(180, 1100, 2))
    while start < length:
        long = rng.random() < 0.15
        seconds = rng.uniform(0.5, 1.6) if long else rng.uniform(0.07, 0.3)
        _add(out, start, _cry(seconds, float(low), float(high), rng=rng))
        start += int((seconds + rng.choice([0.1, 0.3, 1.5]) * rng.uniform(0.4, 1.6)) * SAMPLE_RATE)
    return out


def birds(length: int, rng: np.random.Generator) -> Sound:
    """Returns [length] of chirps and whistles."""
    out, start = 0.002 * rng.normal(0, 1, length), 0
    while start < length:
        seconds = rng.uniform(0.04, 0.4)
        first, last = rng.uniform(1500, 6000, 2)
        pitch = np.linspace(first, last, int(seconds * SAMPLE_RATE))
        pitch *= 1 + 0.05 * np.sin(np.arange(len(pitch)) / SAMPLE_RATE * rng.uniform(30, 250))
        _add(out, start, np.sin(_phase(pitch)) * np.hanning(len(pitch)))
        start += int(rng.uniform(0.05, 0.8) * SAMPLE_RATE)
    return out


def sirens(length: int, rng: np.random.Generator) -> Sound:
    """Returns [length] of sirens, telephones or machines that beep."""
    times = np.arange(length) / SAMPLE_RATE
    rate, depth = rng.uniform(0.2, 20), rng.uniform(0.02, 0.5)
    wave = np.sin(2 * np.pi * rate * times)
    if rng.random() < 0.5:
        wave = np.sign(wave)
    pitch = rng.uniform(300, 1800) * (1 + depth * wave)
    tone = _saw(_phase(pitch)) if rng.random() < 0.4 else np.sin(_phase(pitch))
    gate = np.sin(2 * np.pi * rng.uniform(0.3, 3) * times) > rng.uniform(-1.2, 0.5)
    return np.asarray(tone * np.convolve(gate, np.ones(160) / 160, "same"))


def syllables(length: int, rng: np.random.Generator) -> Sound:
    """Returns [length] of noise or buzz that comes and goes like syllables, without phones."""
    hop = int(SAMPLE_RATE / rng.uniform(3, 8))
    knots = rng.gamma(0.7, 1.0, length // hop + 2)
    envelope = np.interp(np.arange(length), np.arange(len(knots)) * hop, knots)
    if rng.random() < 0.5:
        return np.asarray(rng.normal(0, 1, length) * envelope)
    drift = np.interp(np.arange(length), np.arange(len(knots)) * hop, rng.normal(0, 1, len(knots)))
    return np.asarray(_saw(_phase(rng.uniform(90, 300) * 2 ** (0.15 * drift))) * envelope)


LOUD_SOUNDS: Final[dict[str, Callable[[int, np.random.Generator], Sound]]] = {
    "band": band,
    "cries": cries,
    "birds": birds,
    "sirens": sirens,
    "syllables": syllables,
}


def _add(out: Sound, start: int, sound: Sound) -> None:
    end = min(len(out), start + len(sound))
    if end > start:
        out[start:end] += sound[: end - start]


def _phase(pitch: Sound) -> Sound:
    return np.asarray(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE)


def _saw(phase: Sound) -> Sound:
    return np.asarray(2 * ((phase / (2 * np.pi)) % 1.0) - 1)


def _hertz(note: float) -> float:
    return float(440 * 2 ** ((note - 69) / 12))


def _pluck(size: int, note: float, *, rng: np.random.Generator) -> Sound:
    """Returns a plucked string (Karplus and Strong 1983)."""
    period = max(2, round(SAMPLE_RATE / _hertz(note)))
    keep = rng.uniform(0.97, 0.998)
    loop = np.zeros(period + 2)
    loop[0], loop[period], loop[period + 1] = 1.0, -0.5 * keep, -0.5 * keep
    pick = np.zeros(size)
    pick[:period] = rng.uniform(-1, 1, period)[:size]
    return np.asarray(lfilter([1.0], loop, pick))


def _chord(
    play: Callable[..., Sound],
    size: int,
    note: float,
    steps: tuple[int, ...],
    *,
    rng: np.random.Generator,
) -> Sound:
    return np.asarray(np.sum([play(size, note + step, rng=rng) for step in steps], axis=0))


def _pad(size: int, note: float, *, rng: np.random.Generator) -> Sound:
    times = np.arange(size) / SAMPLE_RATE
    vibrato = 1 + 0.006 * np.sin(2 * np.pi * rng.uniform(3, 7) * times)
    wave = (
        _saw(_phase(_hertz(note) * vibrato))
        if rng.random() < 0.5
        else np.sign(np.sin(_phase(_hertz(note) * vibrato)))
    )
    low = butter(2, rng.uniform(600, 4000), fs=SAMPLE_RATE, output="sos")
    return np.asarray(0.3 * sosfilt(low, wave) * _swell(size, 0.05))


def _lead(size: int, note: float, *, rng: np.random.Generator) -> Sound:
    """Returns a sung-like or wind-like note that slides in, with vibrato and one resonance."""
    times = np.arange(size) / SAMPLE_RATE
    slide = 2 ** (-rng.uniform(0, 0.3) * np.exp(-times / 0.05))
    pitch = _hertz(note) * slide * (1 + 0.012 * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * times))
    harmonics = np.arange(1, 9)
    weights = harmonics ** -rng.uniform(0.6, 2.0)
    weights *= 1 + 2 * np.exp(
        -0.5 * ((harmonics * _hertz(note) - rng.uniform(500, 2500)) / 300) ** 2
    )
    return np.asarray(weights @ np.sin(harmonics[:, None] * _phase(pitch)) * _swell(size, 0.03))


def _swell(size: int, seconds: float) -> Sound:
    edge = seconds * SAMPLE_RATE
    ramp = np.minimum(np.arange(size), np.arange(size)[::-1]) / edge
    return np.asarray(np.clip(ramp, 0, 1))


def _drum(kind: int, *, rng: np.random.Generator) -> Sound:
    if kind in (1, 3):
        return 0.8 * _burst(0.18, (180, 6000), rng=rng)
    times = np.arange(int(0.25 * SAMPLE_RATE)) / SAMPLE_RATE
    return np.asarray(np.sin(_phase(50 + 120 * np.exp(-times / 0.03))) * np.exp(-times / 0.09))


def _burst(
    seconds: float, band: tuple[float, float], *, rng: np.random.Generator, decays: bool = True
) -> Sound:
    size = max(32, int(seconds * SAMPLE_RATE))
    limits = [max(30.0, band[0]), min(7900.0, band[1])]
    noise = sosfilt(butter(2, limits, "band", fs=SAMPLE_RATE, output="sos"), rng.normal(0, 1, size))
    shape = np.exp(-np.arange(size) / (0.25 * size)) if decays else np.hanning(size)
    return np.asarray(noise * shape)


def _cry(seconds: float, low: float, high: float, *, rng: np.random.Generator) -> Sound:
    """Returns one bark: a pitch that rises and falls, rough, through one or two resonances."""
    size = int(seconds * SAMPLE_RATE)
    share = np.linspace(0, 1, size)
    arch = np.sin(np.pi * np.clip(share * rng.uniform(0.8, 1.3), 0, 1))
    pitch = (low + (high - low) * arch) * (1 + 0.03 * rng.normal(0, 1))
    voice = _saw(_phase(np.full(size, pitch))) + rng.uniform(0.1, 0.8) * rng.normal(0, 1, size)
    for _ in range(int(rng.integers(1, 3))):
        centre = rng.uniform(500, 2600)
        band = [centre * 0.75, min(7800.0, centre * 1.35)]
        voice = voice * 0.3 + sosfilt(butter(2, band, "band", fs=SAMPLE_RATE, output="sos"), voice)
    edge = np.minimum(1.0, share / 0.06) * np.minimum(1.0, (1 - share) / 0.35)
    return np.asarray(voice * edge * rng.uniform(0.5, 1.0))
