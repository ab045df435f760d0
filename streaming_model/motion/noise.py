"""Random numbers as a function of (seed, stream, index): no order of calls can matter.

Every draw is keyed by what it is for and its own index, so that cuts of the input, batching
and restarts all see the same numbers.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
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

    __hash__ = int.__hash__  # an enumeration's own is in Python, and every draw is looked up by it


def normals(purpose: Purpose, places: Iterable[tuple[int, int]], size: int) -> NDArray[np.float32]:
    """Returns [places, size] standard normal numbers, a row for each (seed, index)."""
    draws = [
        _sequences.at(seed, purpose, index).standard_normal(size, np.float32)
        for seed, index in places
    ]
    return np.array(draws)


@lru_cache(maxsize=4096)
def uniforms(seed: int, purpose: Purpose, index: int, size: int) -> tuple[float, ...]:
    """Returns `size` numbers in 0..1."""
    return tuple(_sequences.at(seed, purpose, index).random(size).tolist())


@lru_cache(maxsize=1024)
def knots_around(seed: int, purpose: Purpose, index: int) -> NDArray[np.float64]:
    """Returns [4, 16] the numbers of 16 channels before an index, at it, and at two after it."""
    knots = np.array([uniforms(seed, purpose, index + offset, 16) for offset in (-1, 0, 1, 2)])
    knots.flags.writeable = False
    return knots


class _Sequences(threading.local):
    """Each thread's Philox generator, taken to where it draws next: a new one costs ten times that.

    The key is 64 bits of seed; purpose and index are the counter's upper words.
    """

    def __init__(self) -> None:
        self._bits = np.random.Philox(0)
        self._generator = np.random.Generator(self._bits)
        self._beginning = self._bits.state  # a copy, in which nothing is drawn yet
        self._counter = self._beginning["state"]["counter"]
        self._key = self._beginning["state"]["key"]
        self._counter[:] = self._key[:] = 0

    def at(self, seed: int, purpose: Purpose, index: int) -> np.random.Generator:
        """Returns the generator at the beginning of a sequence."""
        self._counter[2], self._counter[3] = index & _WORD, int(purpose)
        self._key[0] = seed & _WORD
        self._bits.state = self._beginning
        return self._generator


_sequences: Final = _Sequences()


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
    from streaming_model.motion.splines import spline

    whole = math.floor(time)
    knots = knots_around(seed, purpose, whole)
    return [spline(knots, time - whole, channel) for channel in channels]
