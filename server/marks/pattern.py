"""The watermark's pattern: which waves it is made of, which of them carry what. Pure.

Spread spectrum (Cox, Kilian, Leighton and Shamoon, "Secure spread spectrum watermarking for
multimedia", IEEE Trans. Image Processing 6, 1997): thousands of faint waves that go 20 to 80 times
across the picture, each with a phase that the key tells. A part of them, the pilot, is always the
same; a reader finds scale and place by it, as by the repeated pattern of Kutter, "Watermarking
resistant to translation, rotation and scaling", SPIE 3528, 1998. The others carry the coded bits.
The waves belong to the picture and not to its pixels: a picture of any size carries the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from server.marks.convolutional import RATE, encode
from server.marks.payload import PAYLOAD_BITS, Payload

GRID: Final = 256  # side of the grid that patterns are made and read on
LOWEST, HIGHEST = 20, 80  # waves across the picture
CODED_BITS: Final = RATE * PAYLOAD_BITS
PILOT_SHARE: Final = 0.35  # of the waves
PUBLIC_KEY: Final = "vivant watermark 1"  # anybody may read whether a picture is marked


@dataclass(frozen=True, slots=True, eq=False)
class Carriers:
    """The waves, as places of the grid's `rfft2`; n of them.

    Attributes:
        rows, columns: [n] places; rows of negative frequency are at the end.
        radii: [n] waves across the picture.
        phases: [n] complex, of magnitude 1.
        pilot: indices of those that are always the same.
        data: indices of those that carry bits.
        groups: the coded bit that each of `data` carries.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    radii: NDArray[np.float64]
    phases: NDArray[np.complex128]
    pilot: NDArray[np.int64]
    data: NDArray[np.int64]
    groups: NDArray[np.int64]

    @property
    def heights(self) -> NDArray[np.int64]:
        """Returns [n] vertical frequencies, negative ones as such."""
        return np.where(self.rows > GRID // 2, self.rows - GRID, self.rows)


@cache
def carriers(key: str = PUBLIC_KEY) -> Carriers:
    """Returns the waves of a key, the same with every version of every library."""
    vertical = np.fft.fftfreq(GRID, 1 / GRID)[:, None]
    horizontal = np.fft.rfftfreq(GRID, 1 / GRID)[None]
    radius = np.hypot(vertical, horizontal)
    is_once = (horizontal > 0) | (vertical > 0)  # the others mirror one of these
    rows, columns = np.nonzero((radius >= LOWEST) & (radius < HIGHEST) & is_once)
    count = len(rows)
    turns = _numbers(f"{key}: phases", count)
    order = np.argsort(_numbers(f"{key}: order", count), kind="stable")
    pilot, data = np.split(order, [int(PILOT_SHARE * count)])
    return Carriers(
        rows=rows,
        columns=columns,
        radii=radius[rows, columns],
        phases=np.exp(2j * np.pi * turns),
        pilot=pilot,
        data=data,
        groups=np.arange(len(data)) % CODED_BITS,
    )


def pattern(payload: Payload, key: str = PUBLIC_KEY) -> NDArray[np.float32]:
    """Returns [GRID, GRID] of mean 0 and standard deviation 1."""
    waves = carriers(key)
    values = waves.phases.copy()
    values[waves.data] *= encode(payload.to_bits())[waves.groups]
    spectrum = np.zeros((GRID, GRID // 2 + 1), np.complex128)
    spectrum[waves.rows, waves.columns] = values
    made = np.fft.irfft2(spectrum)
    return np.asarray(made / made.std(), np.float32)


def _numbers(label: str, count: int) -> NDArray[np.float64]:
    """Returns [count] numbers from 0 to 1, not 1 itself, that look random."""
    data = hashlib.shake_256(label.encode()).digest(4 * count)
    return np.frombuffer(data, ">u4") / 2**32
