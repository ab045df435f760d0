"""The arithmetic of the benchmark: percentiles, flashes against clicks, slopes.

Pure: it measures nothing itself and knows no server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PAIR = 255.0  # ms; just less than half the least time between clicks, 13 frames


@dataclass(frozen=True, slots=True)
class Spread:
    """Percentiles of some values, with their number and the greatest."""

    p50: float
    p95: float
    p99: float
    most: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float] | NDArray[np.float64]) -> Spread:
        """Returns the spread of `values`.

        Raises:
            ValueError: there are none.
        """
        if len(values) == 0:
            raise ValueError("there is nothing to take percentiles of")
        p50, p95, p99 = (float(number) for number in np.percentile(values, [50, 95, 99]))
        return cls(p50, p95, p99, float(np.max(values)), len(values))


def pair_offsets(
    flashes: Sequence[float], clicks: Sequence[float], *, path: float = 0.0
) -> NDArray[np.float64]:
    """Returns from each flash to the click nearest to it, where one is within `PAIR`; ms.

    What the measuring path adds to every click is taken out first: beside a large offset it
    would bring the click nearer to the next flash.
    """
    if not flashes or not clicks:
        return np.zeros(0)
    distances = np.asarray(clicks)[None, :] - path - np.asarray(flashes)[:, None]
    nearest = distances[np.arange(len(flashes)), np.abs(distances).argmin(axis=1)]
    return np.asarray(nearest[np.abs(nearest) < PAIR], np.float64)


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Returns the least-squares change of `values` per unit of `times`; 0 of fewer than two."""
    if len(times) < 2:
        return 0.0
    return float(np.polyfit(times, values, 1)[0])


def median_step(values: Sequence[float]) -> float:
    """Returns the median difference between neighbours: a steady rise, and no single step."""
    return float(np.median(np.diff(values))) if len(values) > 1 else 0.0


def lags(causes: Sequence[float], effects: Sequence[float], *, most: float) -> NDArray[np.float64]:
    """Returns from each cause to the first effect after it, where that comes within `most`."""
    ordered = np.sort(np.asarray(effects, np.float64))
    found = []
    for cause in causes:
        index = int(np.searchsorted(ordered, cause))
        if index < len(ordered) and ordered[index] - cause <= most:
            found.append(float(ordered[index] - cause))
    return np.asarray(found, np.float64)


def onsets(times: Sequence[float], loud: Sequence[bool], *, quiet: float) -> list[float]:
    """Returns when loudness begins: loud instants that follow no other within `quiet`."""
    begun: list[float] = []
    last = -np.inf
    for time, is_loud in zip(times, loud, strict=True):
        if not is_loud:
            continue
        if time - last > quiet:
            begun.append(time)
        last = time
    return begun
