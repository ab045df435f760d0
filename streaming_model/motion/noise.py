"""Random numbers as a function of (seed, stream, index): no order of calls can matter.

Every draw is keyed by what it is for and its own index, so that cuts of the input, batching
and restarts all see the same numbers.
"""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

_WORD: Final = 0xFFFF_FFFF_FFFF_FFFF


class Purpose(IntEnum):
    """What a random number is for; each purpose has its own sequence."""

    SAMPLER = 0
    BLINK = 1
    GAZE = 2
    HEAD = 3
    BROW = 4
    BEAT = 5
    EMOTION = 6
    GESTURE = 7


def _generator(seed: int, purpose: Purpose, index: int) -> np.random.Generator:
    # The key is 64 bits of seed; purpose and index are the counter's upper words.
    counter = np.array([0, 0, index & _WORD, int(purpose)], np.uint64)
    return np.random.Generator(np.random.Philox(key=seed & _WORD, counter=counter))


def normals(seed: int, purpose: Purpose, index: int, size: int) -> NDArray[np.float32]:
    """Returns [size] standard normal numbers."""
    return _generator(seed, purpose, index).standard_normal(size, np.float32)


@lru_cache(maxsize=4096)
def uniforms(seed: int, purpose: Purpose, index: int, size: int) -> tuple[float, ...]:
    """Returns `size` numbers in 0..1."""
    return tuple(float(value) for value in _generator(seed, purpose, index).random(size))


def smooth_noise(seed: int, purpose: Purpose, *, time: float, channel: int) -> float:
    """Returns band-limited noise in about -1..1 at `time`, in units of its own period.

    Random values at whole numbers, joined by a cubic spline (Catmull-Rom): smooth in value
    and velocity, and it always comes back to zero mean.
    """
    whole = int(np.floor(time))
    part = time - whole
    before, left, right, after = (
        2.0 * uniforms(seed, purpose, whole + offset, 16)[channel] - 1.0 for offset in (-1, 0, 1, 2)
    )
    slope_left, slope_right = 0.5 * (right - before), 0.5 * (after - left)
    square, cube = part * part, part * part * part
    return (
        (2 * cube - 3 * square + 1) * left
        + (cube - 2 * square + part) * slope_left
        + (3 * square - 2 * cube) * right
        + (cube - square) * slope_right
    )
