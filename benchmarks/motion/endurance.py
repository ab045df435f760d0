"""An hour without a pause: whether the last minute moves as the first did.

One minute of speech is said sixty times, by several seeds at once: a single minute has some
fifteen blinks and a few sways of the head, far too few to find 15 % in: a line through all sixty
is judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.motion.clips import Clip, Motion, Samples
from benchmarks.motion.curves import MOUTH
from benchmarks.motion.generation import Setting
from benchmarks.motion.life import ANGLES, blinks_per_minute, degrees
from benchmarks.motion.plots import minutes_plot
from benchmarks.motion.results import Figures, Results, Table
from streaming_model.media import MOTION_FPS, SAMPLE_RATE, AudioChunk
from streaming_model.motion_space import INDEX

MINUTE = 60 * SAMPLE_RATE
_SETTLED = 10 * MOTION_FPS
MEASURES = ("pose spread", "mouth amplitude", "blinks")
NOTE = (
    "last over first: the ratio of these two minutes over all seeds, and its standard error; "
    "by the line: the same of a straight line through all minutes of all seeds, which chance "
    "moves less and the limit judges"
)


def measure_endurance(
    results: Results, setting: Setting, clips: Sequence[Clip], *, minutes: int = 60, seeds: int = 4
) -> Iterator[str]:
    """Measures every minute of every seed; yields what it is doing."""
    speech = one_minute(clips)
    generator = setting.generator()
    states = [generator.start(seed=seed) for seed in range(seeds)]
    table = np.zeros((minutes, seeds, len(MEASURES)))
    for minute in range(minutes):
        yield f"minute {minute + 1} of {minutes}"
        chunk = AudioChunk(minute * MINUTE, speech)
        states, given = generator.step(states, [chunk] * seeds)
        for seed, chunks in enumerate(given):
            motion = np.concatenate([each.motion for each in chunks])
            table[minute, seed] = minute_figures(motion)
    rows = {name: drift(table[:, :, index]) for index, name in enumerate(MEASURES)}
    results.tables.append(Table(f"{minutes} minutes, {seeds} seeds", rows, NOTE))
    results.pictures["The hour"] = minutes_plot(table, MEASURES)
    results.figures["drift %"] = max(100 * abs(row["by the line"] - 1) for row in rows.values())


def measure_lean(
    results: Results, setting: Setting, clips: Sequence[Clip], *, seeds: int = 6
) -> None:
    """Measures where heads and brows are, on average, after they spoke for some seconds.

    A head can move as much as it should about a place where it should not be.
    """
    speech = one_minute(clips)
    generator = setting.generator()
    states = [generator.start(seed=seed) for seed in range(seeds)]
    _, given = generator.step(states, [AudioChunk(0, speech)] * seeds)
    settled = [np.concatenate([each.motion for each in chunks])[_SETTLED:] for chunks in given]
    angles = np.abs([degrees(motion).mean(axis=0) for motion in settled])
    brows = [motion[:, INDEX["browInnerUp"]].mean() for motion in settled]
    rows: dict[str, Figures] = {
        "degrees from rest, by seed": {
            name: float(angles[:, at].mean()) for at, name in enumerate(ANGLES)
        },
        "the worst seed": {name: float(angles[:, at].max()) for at, name in enumerate(ANGLES)},
    }
    rows["degrees from rest, by seed"]["inner brows"] = float(np.mean(brows))
    rows["the worst seed"]["inner brows"] = float(np.max(brows))
    results.tables.append(Table(f"Where a head stays: the mean of 50 s, {seeds} seeds", rows))
    results.figures["lean"] = float(angles.max())


def one_minute(clips: Sequence[Clip]) -> Samples:
    """Returns a minute of speech, the clips in a row and over again."""
    return np.resize(np.concatenate([clip.samples for clip in clips]), MINUTE)


def minute_figures(motion: Motion) -> NDArray[np.float64]:
    """Returns the spread of the head in degrees, that of the mouth, and blinks a minute."""
    pose = np.sqrt(degrees(motion).var(axis=0).sum())
    mouth = np.sqrt(motion[:, MOUTH].var(axis=0).sum())
    return np.array([pose, mouth, blinks_per_minute(motion)])


def drift(values: NDArray[np.float64]) -> Figures:
    """Returns how [minutes, seeds] of a measure change over the time."""
    first, last = values[0], values[-1]
    ratio = last.mean() / first.mean()
    error = (
        ratio
        * np.hypot(first.std(ddof=1) / first.mean(), last.std(ddof=1) / last.mean())
        / np.sqrt(values.shape[1])
    )
    times = np.arange(len(values)) / max(len(values) - 1, 1)
    slope, start = np.polyfit(times, values.mean(axis=1), 1)
    return {
        "first minute": float(first.mean()),
        "last minute": float(last.mean()),
        "last over first": float(ratio),
        "standard error": float(error),
        "by the line": float((start + slope) / start),
    }
