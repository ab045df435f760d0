"""The one-euro filter over frames of motion: calm at rest, quick when it matters.

Casiez, Roussel, Vogel: "1 Euro Filter: a simple speed-based low-pass filter for noisy input in
interactive systems", CHI 2012. The cutoff rises with the speed of what is filtered:

    f_c = f_min + beta |dx/dt|,     alpha = 1 / (1 + 1 / (2 pi f_c dt))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import INDEX, MOTION_SIZE, POSE

Floats = NDArray[np.float32]

_SPEED_CUTOFF: Final = 5.0  # Hz; the paper's 1 Hz is too slow for a blink
_FREE_CUTOFF: Final = 12.0  # Hz at rest with a smoothing of 0+, which hardly filters
_CALM_CUTOFF: Final = 0.8  # Hz at rest with a smoothing of 1
_BETA: Final = np.full(MOTION_SIZE, 1.2, np.float32)  # coefficients move up to 10 a second
_BETA[POSE][:3] = 6.0  # radians; a head turns at 1 to 3 a second
_BETA[POSE][3:] = 0.3  # centimetres
_QUICK: Final = [INDEX[name] for name in ("eyeBlinkLeft", "eyeBlinkRight")]
_QUICK_CUTOFF: Final = 4.0  # Hz at least
_LEAST_STEP: Final = 1 / 240  # s


@dataclass(frozen=True, slots=True)
class OneEuro:
    """The state after some frames; a value.

    Attributes:
        row: [58] as filtered.
        speed: [58] a second, as filtered.
    """

    row: Floats
    speed: Floats


def one_euro(
    state: OneEuro | None, row: Floats, *, seconds: float, smoothing: float
) -> tuple[OneEuro, Floats]:
    """Returns the next state and [58] motion as filtered.

    Args:
        state: after the frame before; None at first.
        row: [58] motion.
        seconds: since the frame before.
        smoothing: 0..1; 0 filters nothing.
    """
    if state is None or smoothing <= 0:
        return OneEuro(row, np.zeros(MOTION_SIZE, np.float32)), row
    step = max(seconds, _LEAST_STEP)
    alpha = _alpha(np.full(MOTION_SIZE, _SPEED_CUTOFF, np.float32), step)
    speed = state.speed + alpha * ((row - state.row) / np.float32(step) - state.speed)
    least = np.full(MOTION_SIZE, _FREE_CUTOFF * (_CALM_CUTOFF / _FREE_CUTOFF) ** smoothing)
    least[_QUICK] = np.maximum(least[_QUICK], _QUICK_CUTOFF)
    alpha = _alpha((least + _BETA * np.abs(speed)).astype(np.float32), step)
    filtered = state.row + alpha * (row - state.row)
    return OneEuro(filtered, speed), filtered


def _alpha(cutoff: Floats, step: float) -> Floats:
    return np.asarray(1 / (1 + 1 / (2 * np.pi * cutoff * step)), np.float32)
