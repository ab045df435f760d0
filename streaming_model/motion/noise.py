"""Random numbers as a function of (seed, stream, index): no order of calls can matter.

Every draw is keyed by what it is for and its own index, so that cuts of the input, batching
and restarts all see the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

_WORD: Final = 0xFFFF_FFFF_FFFF_FFFF
_UNUSED: Final = np.zeros(4, np.uint64)  # a buffer of four words, all of them used up


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


def normals(purpose: Purpose, places: Iterable[tuple[int, int]], size: int) -> NDArray[np.float32]:
    """Returns [places, size] standard normal numbers, a row for each (seed, index)."""
    generator = np.random.Generator(np.random.Philox(0))
    rows = []
    for seed, index in places:
        _move(generator, seed, purpose, index)
        rows.append(generator.standard_normal(size, np.float32))
    return np.stack(rows)


@lru_cache(maxsize=4096)
def uniforms(seed: int, purpose: Purpose, index: int, size: int) -> tuple[float, ...]:
    """Returns `size` numbers in 0..1."""
    generator = np.random.Generator(np.random.Philox(0))
    _move(generator, seed, purpose, index)
    return tuple(generator.random(size).tolist())


def _move(generator: np.random.Generator, seed: int, purpose: Purpose, index: int) -> None:
    """Takes a Philox generator to the beginning of a sequence; a new one costs seven times that."""
    # The key is 64 bits of seed; purpose and index are the counter's upper words.
    generator.bit_generator.state = {
        "bit_generator": "Philox",
        "state": {
            "counter": np.array([0, 0, index & _WORD, purpose], np.uint64),
            "key": np.array([seed & _WORD, 0], np.uint64),
        },
        "buffer": _UNUSED,
        "buffer_pos": len(_UNUSED),
        "has_uint32": 0,
        "uinteger": 0,
    }


def smooth_noise(seed: int, purpose: Purpose, *, time: float, channel: int) -> float:
    """Returns band-limited noise in about -1..1 at `time`, in units of its own period."""
    return smooth_noises(seed, purpose, time=time, channels=(channel,))[0]


def smooth_noises(
    seed: int, purpose: Purpose, *, time: float, channels: Iterable[int]
) -> list[float]:
    """Returns the band-limited noise of some of 16 channels.

    Random values at whole numbers, joined by a cubic spline (Catmull-Rom): smooth in value
    and velocity, and it always comes back to zero mean.
    """
    whole = math.floor(time)
    part = time - whole
    square, cube = part * part, part * part * part
    before, left, right, after = (
        uniforms(seed, purpose, whole + offset, 16) for offset in (-1, 0, 1, 2)
    )
    shares = (  # twice the spline's weights: they take 0..1 to -1..1
        2 * square - part - cube,
        2 - 5 * square + 3 * cube,
        part + 4 * square - 3 * cube,
        cube - square,
    )
    return [
        shares[0] * before[channel]
        + shares[1] * left[channel]
        + shares[2] * right[channel]
        + shares[3] * after[channel]
        - 1.0
        for channel in channels
    ]
