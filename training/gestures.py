"""Head, brow and cheek motion that goes with speech: plausible, not learned from people.

Nods and brow raises fall on prominent vowels, each phrase has a posture, and all of it dies
away in silence. Which vowels are answered, and how, is drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import SAMPLE_RATE, SAMPLES_PER_MOTION_FRAME
from streaming_model.motion_space import INDEX, MOTION_SIZE
from training.coarticulation import _DIPHTHONGS, _VOWELS
from training.phones import PHONES, SILENCE

_PHRASE_GAP: Final = 0.25  # s of silence that ends a phrase
_ACCENT_SPACING: Final = 0.45  # s between two gestures
_DEGREE: Final = np.pi / 180


@dataclass(frozen=True, slots=True)
class Accent:
    """A prominent vowel: when (seconds) and how much (about 0..2)."""

    time: float
    strength: float


def find_accents(
    phones: NDArray[np.int64], bounds: NDArray[np.int64], effort: NDArray[np.float64]
) -> list[Accent]:
    """Returns the vowels that are longer and louder than their neighbours, in order."""
    seconds = bounds / SAMPLE_RATE
    vowels = [
        (0.5 * (start + end), float((end - start) / 0.11 * weight))
        for phone, start, end, weight in zip(phones, seconds[:-1], seconds[1:], effort, strict=True)
        if PHONES[phone] in _VOWELS or PHONES[phone] in _DIPHTHONGS
    ]
    chosen: list[Accent] = []
    for time, strength in sorted(vowels, key=lambda vowel: -vowel[1]):
        if strength > 0.9 and all(abs(time - other.time) > _ACCENT_SPACING for other in chosen):
            chosen.append(Accent(time, min(strength, 2.0)))
    return sorted(chosen, key=lambda accent: accent.time)


def gesture_motion(
    phones: NDArray[np.int64],
    bounds: NDArray[np.int64],
    *,
    frames: int,
    effort: NDArray[np.float64],
    energies: tuple[float, float],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Returns [frames, 58] head and upper-face motion; `energies` scale head and brows."""
    head, brows = energies
    times = (np.arange(frames) + 0.5) * SAMPLES_PER_MOTION_FRAME / SAMPLE_RATE
    motion = np.zeros((frames, MOTION_SIZE))
    _add_postures(motion, phones, bounds / SAMPLE_RATE, times=times, head=head, rng=rng)
    for accent in find_accents(phones, bounds, effort):
        if rng.random() < 0.6:
            _add_nod(motion, accent, times=times, head=head, rng=rng)
        if rng.random() < 0.4:
            _add_brow(motion, accent, times=times, brows=brows, rng=rng)
    pitch, yaw = motion[:, INDEX["headPitch"]], motion[:, INDEX["headYaw"]]
    # The head turns about the neck: the face also moves a little along.
    motion[:, INDEX["headX"]] += 2.0 * yaw
    motion[:, INDEX["headY"]] -= 2.0 * pitch
    return motion.astype(np.float32)


def _add_postures(
    motion: NDArray[np.float64],
    phones: NDArray[np.int64],
    edges: NDArray[np.float64],
    *,
    times: NDArray[np.float64],
    head: float,
    rng: np.random.Generator,
) -> None:
    for start, end in _phrases(phones, edges):
        ramp = np.minimum((times - start + 0.1) / 0.6, (end + 0.7 - times) / 0.8)
        smooth = np.clip(ramp, 0.0, 1.0)
        smooth = smooth * smooth * (3 - 2 * smooth)
        for name, spread in (("headYaw", 1.9), ("headPitch", 1.2), ("headRoll", 1.2)):
            motion[:, INDEX[name]] += smooth * rng.normal(0, spread) * head * _DEGREE
        motion[:, INDEX["headZ"]] += smooth * rng.normal(0.1, 0.15) * head


def _phrases(phones: NDArray[np.int64], edges: NDArray[np.float64]) -> list[tuple[float, float]]:
    phrases: list[tuple[float, float]] = []
    for phone, start, end in zip(phones, edges[:-1], edges[1:], strict=True):
        if PHONES[phone] == SILENCE:
            continue
        if phrases and start - phrases[-1][1] < _PHRASE_GAP:
            phrases[-1] = (phrases[-1][0], float(end))
        else:
            phrases.append((float(start), float(end)))
    return phrases


def _bump(
    times: NDArray[np.float64], centre: float, rise: float, fall: float
) -> NDArray[np.float64]:
    offset = times - centre
    return np.asarray(np.exp(-0.5 * np.square(offset / np.where(offset < 0, rise, fall))))


def _add_nod(
    motion: NDArray[np.float64],
    accent: Accent,
    *,
    times: NDArray[np.float64],
    head: float,
    rng: np.random.Generator,
) -> None:
    centre = accent.time + rng.normal(0.04, 0.03)
    direction = -0.6 if rng.random() < 0.2 else 1.0
    size = direction * accent.strength * abs(rng.normal(1.7, 0.6)) * head * _DEGREE
    motion[:, INDEX["headPitch"]] += size * _bump(times, centre, 0.11, 0.17)
    # A small opposite wind-up before the nod makes it read as intended.
    motion[:, INDEX["headPitch"]] -= 0.25 * size * _bump(times, centre - 0.28, 0.12, 0.10)
    for name, spread in (("headYaw", 1.0), ("headRoll", 0.8)):
        turn = rng.normal(0, spread) * accent.strength * head * _DEGREE
        motion[:, INDEX[name]] += turn * _bump(times, centre, 0.2, 0.32)


def _add_brow(
    motion: NDArray[np.float64],
    accent: Accent,
    *,
    times: NDArray[np.float64],
    brows: float,
    rng: np.random.Generator,
) -> None:
    shape = _bump(times, accent.time + rng.normal(-0.02, 0.04), 0.12, 0.24)
    size = abs(rng.normal(0.22, 0.08)) * accent.strength * brows
    if rng.random() < 0.25:
        for side in ("Left", "Right"):
            motion[:, INDEX[f"browDown{side}"]] += 0.7 * size * shape
            motion[:, INDEX[f"eyeSquint{side}"]] += 0.5 * size * shape
        return
    motion[:, INDEX["browInnerUp"]] += size * shape
    for side in ("Left", "Right"):
        motion[:, INDEX[f"browOuterUp{side}"]] += 0.7 * size * shape
        motion[:, INDEX[f"eyeWide{side}"]] += 0.3 * size * shape
