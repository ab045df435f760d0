"""A tail-biting convolutional code of rate 1/3 and constraint length 9, read by Viterbi. Pure.

Generators 557, 663 and 711 (octal) of Larsen, "Short convolutional codes with maximal free
distance", IEEE Trans. IT 19, 1973; the same as 3GPP TS 25.212 uses. Tail-biting (Ma and Wolf,
1986) costs no bits for the encoder's end: it begins in the state in which it ends.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

RATE: Final = 3  # coded bits for one
_MEMORY: Final = 8
_STATES: Final = 1 << _MEMORY
_GENERATORS: Final = (0o557, 0o663, 0o711)
_WRAPS: Final = 3  # times that the circle is gone round to forget where it was begun


def _outputs() -> NDArray[np.float32]:
    """Returns [bit, state, 3]: +1 for a coded 0, -1 for a 1; a state's top bit is the latest."""
    registers = np.arange(2)[:, None] << _MEMORY | np.arange(_STATES)[None]
    parities = [np.bitwise_count(registers & generator) & 1 for generator in _GENERATORS]
    return 1 - 2 * np.stack(parities, axis=-1).astype(np.float32)


_OUTPUTS: Final = _outputs()
# The two states before each state: its lowest bit fell out of the register and may be either.
_NEXT: Final = np.arange(_STATES)
_BEFORE: Final = np.stack([(_NEXT << 1 & _STATES - 1) | low for low in (0, 1)])
_BIT: Final = _NEXT >> _MEMORY - 1
_EXPECTED: Final = _OUTPUTS[_BIT[None], _BEFORE]  # [2, state, 3]


def encode(bits: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Returns [3 n] of +1 and -1 for [n] bits, n at least 8."""
    state = 0
    for bit in bits[-_MEMORY:].tolist():
        state = state >> 1 | bit << _MEMORY - 1
    coded = []
    for bit in bits.tolist():
        coded.append(_OUTPUTS[bit, state])
        state = state >> 1 | bit << _MEMORY - 1
    return np.concatenate(coded)


def decode(soft: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Returns the [n] bits whose code is likest to [3 n] soft values, positive for a coded 0."""
    received = np.tile(soft.reshape(-1, RATE), (_WRAPS, 1))
    scores = np.zeros(_STATES, np.float32)
    choices = np.empty((len(received), _STATES), np.uint8)
    for step, values in enumerate(received):
        candidates = scores[_BEFORE] + _EXPECTED @ values
        choices[step] = candidates.argmax(axis=0)
        scores = candidates.max(axis=0)
    state = int(scores.argmax())
    path = np.empty(len(received), np.uint8)
    for step in range(len(received) - 1, -1, -1):
        path[step] = _BIT[state]
        state = int(_BEFORE[choices[step, state], state])
    count = len(soft) // RATE
    middle = count * (_WRAPS // 2)
    return path[middle : middle + count]
