"""Sounds of rooms, streets, animals, music and throats that must not move the mouth.

Synthetic, at 16 kHz. Every function draws from the generator it is given, and returns [length]
samples of any level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from streaming_model.media import SAMPLE_RATE

Sound = NDArray[np.float64]
Maker = Callable[[int, np.random.Generator], Sound]


def breathing(length: int, rng: np.random.Generator) -> Sound:
    """Breaths in and out: swells of filtered noise, in through a narrower mouth."""
    out = np.zeros(length)
    seconds, is_inward = float(rng.uniform(0.0, 1.0)), True
    while seconds * SAMPLE_RATE < length:
        lasting = float(rng.uniform(0.4, 1.4))
        centre = rng.uniform(1200, 2400) if is_inward else rng.uniform(500, 1200)
        swell = np.sin(np.pi * np.linspace(0, 1, int(lasting * SAMPLE_RATE))) ** 1.5
        breath = _band(rng.normal(0, 1, len(swell)), centre * 0.5, centre * 1.8) * swell
        _add(out, breath * rng.uniform(0.4, 1.0), seconds)
        seconds += lasting + float(rng.uniform(0.05, 0.3) if is_inward else rng.uniform(0.4, 2.0))
        is_inward = not is_inward
    return out + 1e-3 * rng.normal(0, 1, length)


def barks(length: int, rng: np.random.Generator) -> Sound:
    """A dog: short harmonic bursts whose pitch rises and falls, with noise."""
    out = 1e-3 * rng.normal(0, 1, length)
    pitch = float(rng.uniform(180, 700))
    for seconds in _moments(length, (0.3, 1.6), rng):
        times = np.arange(int(rng.uniform(0.08, 0.25) * SAMPLE_RATE)) / SAMPLE_RATE
        glide = pitch * rng.uniform(0.85, 1.2) * (1 + 0.5 * np.sin(np.pi * times / times[-1]))
        phase = 2 * np.pi * np.cumsum(glide) / SAMPLE_RATE
        orders = np.arange(1, max(2, int(6000 / glide.max())))
        voiced = (orders[:, None] ** -0.8 * np.sin(orders[:, None] * phase)).sum(axis=0)
        burst = voiced + rng.uniform(0.2, 0.8) * rng.normal(0, 1, len(times))
        _add(out, burst * np.abs(np.sin(np.pi * times / times[-1])) ** 0.6, seconds)
    return out


def coughs(length: int, rng: np.random.Generator) -> Sound:
    """Coughs and throats cleared: an explosive burst of noise with a rough tail."""
    out = 1e-3 * rng.normal(0, 1, length)
    for seconds in _moments(length, (0.25, 3.0), rng):
        times = np.arange(int(rng.uniform(0.15, 0.4) * SAMPLE_RATE)) / SAMPLE_RATE
        rough = 1 + 0.7 * np.sign(np.sin(2 * np.pi * rng.uniform(60, 130) * times))
        noise = _band(rng.normal(0, 1, len(times)), rng.uniform(250, 600), rng.uniform(2000, 5000))
        shape = np.minimum(1, times / 0.008) * np.exp(-times * rng.uniform(8, 20))
        _add(out, noise * rough * shape, seconds)
    return out


def music(length: int, rng: np.random.Generator) -> Sound:
    """A band: chords, bass, drums and a plucked tune over four chords in a steady metre."""
    beat = 60.0 / rng.uniform(70, 150)
    root = 110.0 * 2 ** (rng.integers(0, 12) / 12)
    progression = rng.choice([0, 5, 7, 9, 2, 4], 4)
    plays = rng.random(4) < (0.7, 0.7, 0.7, 0.6)
    plays[int(rng.integers(4))] = True
    out = np.zeros(length)
    for number in range(int(length / SAMPLE_RATE / beat) + 1):
        at, chord = number * beat, root * 2 ** (progression[number // 4 % 4] / 12)
        if plays[0] and number % 4 == 0:
            for step in (0, 4, 7):
                _add(out, 0.3 * _note(chord * 2 ** (1 + step / 12), 4 * beat, 0.6, rng), at)
        if plays[1]:
            _add(out, 0.6 * _note(chord / 2, beat, 3.0, rng), at)
        if plays[2]:
            _add(out, _drum(number % 2 == 0, rng), at)
        if plays[3]:
            scale = rng.choice([0, 2, 4, 7, 9, 12], 2)
            for half, step in enumerate(scale):
                plucked = _pluck(chord * 2 ** (1 + step / 12), beat, rng)
                _add(out, 0.5 * plucked, at + half * beat / 2)
    return out + 1e-4 * rng.normal(0, 1, length)


def traffic(length: int, rng: np.random.Generator) -> Sound:
    """A street: a low rumble, cars that pass by, now and then a horn."""
    out = 0.3 * _band(rng.normal(0, 1, length), 30, 250)
    for seconds in _moments(length, (1.0, 6.0), rng):
        times = np.linspace(-1, 1, int(rng.uniform(2.0, 6.0) * SAMPLE_RATE))
        swell = 1 / (1 + (times * rng.uniform(3, 8)) ** 2)
        _add(out, swell * _band(rng.normal(0, 1, len(times)), 80, rng.uniform(800, 3000)), seconds)
        if rng.random() < 0.2:
            horn = _note(float(rng.uniform(300, 500)), float(rng.uniform(0.2, 0.9)), 0.1, rng)
            _add(out, horn, seconds)
    return out


def rain(length: int, rng: np.random.Generator) -> Sound:
    """Rain on a roof: steady hiss and drops."""
    out = _band(rng.normal(0, 1, length), 800, 7000) * 0.3
    for position in rng.integers(0, length, int(length / SAMPLE_RATE * rng.uniform(20, 120))):
        size = min(length - position, int(SAMPLE_RATE * 0.01))
        decay = np.exp(-np.arange(size) / (SAMPLE_RATE * 0.0015))
        out[position : position + size] += rng.normal(0, 1, size) * decay * rng.uniform(0.3, 2.0)
    return out


def keyboard(length: int, rng: np.random.Generator) -> Sound:
    """Typing: a click as each key goes down, a softer one as it comes up."""
    out = 3e-3 * rng.normal(0, 1, length)
    for seconds in _moments(length, (0.06, 0.35), rng):
        for delay, level in ((0.0, 1.0), (float(rng.uniform(0.05, 0.12)), 0.4)):
            burst = rng.normal(0, 1, 160) * np.exp(-np.arange(160) / 30)
            _add(out, level * rng.uniform(0.5, 1.0) * burst, seconds + delay)
    return out


def doors(length: int, rng: np.random.Generator) -> Sound:
    """Doors that fall shut and things that drop: a thud with a rattle."""
    out = 1e-3 * rng.normal(0, 1, length)
    for seconds in _moments(length, (0.8, 5.0), rng):
        times = np.arange(int(0.5 * SAMPLE_RATE)) / SAMPLE_RATE
        thud = np.sin(2 * np.pi * rng.uniform(50, 140) * times) * np.exp(-times * 14)
        rattle = _band(rng.normal(0, 1, len(times)), 200, 3500) * np.exp(-times * 35)
        _add(out, thud + rng.uniform(0.3, 1.0) * rattle, seconds)
    return out


SOUNDS: Final[dict[str, Maker]] = {
    "breathing": breathing,
    "barks": barks,
    "coughs": coughs,
    "music": music,
    "traffic": traffic,
    "rain": rain,
    "keyboard": keyboard,
    "doors": doors,
}


def _moments(length: int, apart: tuple[float, float], rng: np.random.Generator) -> Iterator[float]:
    """Yields seconds, `apart` from each other, of which the first lies in the sound."""
    seconds = float(rng.uniform(0.0, min(apart[0], 0.5 * length / SAMPLE_RATE)))
    while seconds * SAMPLE_RATE < length:
        yield seconds
        seconds += float(rng.uniform(*apart))


def _add(out: Sound, part: Sound, seconds: float) -> None:
    start = int(seconds * SAMPLE_RATE)
    fits = max(0, min(len(part), len(out) - start))
    out[start : start + fits] += part[:fits]


def _band(noise: Sound, low: float, high: float) -> Sound:
    return np.asarray(sosfilt(butter(2, [low, high], "band", fs=SAMPLE_RATE, output="sos"), noise))


def _note(pitch: float, seconds: float, decay: float, rng: np.random.Generator) -> Sound:
    times = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    orders = np.arange(1, max(2, min(9, int(7000 / pitch))))
    phases = rng.uniform(0, 2 * np.pi, (len(orders), 1))
    waves = np.sin(2 * np.pi * pitch * orders[:, None] * times + phases)
    rise = np.minimum(1, times / 0.01) * np.minimum(1, (times[-1] - times) / 0.02)
    return np.asarray((orders**-1.3 @ waves) * rise * np.exp(-decay * times))


def _pluck(pitch: float, seconds: float, rng: np.random.Generator) -> Sound:
    """A string by Karplus and Strong (1983): a burst in a loop that averages neighbours."""
    period = max(2, int(SAMPLE_RATE / pitch))
    length = int(seconds * SAMPLE_RATE)
    loop = rng.uniform(-1, 1, period)
    turns = []
    for _ in range(length // period + 1):
        turns.append(loop)
        loop = 0.498 * (loop + np.roll(loop, 1))
    return np.asarray(np.concatenate(turns)[:length])


def _drum(is_bass: bool, rng: np.random.Generator) -> Sound:
    times = np.arange(int(0.2 * SAMPLE_RATE)) / SAMPLE_RATE
    if is_bass:
        return np.asarray(
            np.sin(2 * np.pi * (50 * times + 4 * np.exp(-30 * times))) * np.exp(-15 * times)
        )
    return np.asarray(0.6 * rng.normal(0, 1, len(times)) * np.exp(-25 * times))
