"""Band-limited noise between its knots, in compiled loops.

Imported where it is first used: numba takes longer to import than what only reads motion has to
wait.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Knots = NDArray[np.float64]


@njit(nogil=True, cache=True)
def spline(knots: Knots, part: float, channel: int) -> float:
    """Returns a channel's value, about -1..1, between the second and the third of its knots.

    A cubic (Catmull-Rom): smooth in value and velocity.

    Args:
        knots: [4, channels] at whole numbers, 0..1.
        part: 0..1, how far it is from the second to the third.
        channel: which.
    """
    square, cube = part * part, part * part * part
    value: float = (  # twice the spline's weights: they take 0..1 to -1..1
        (2 * square - part - cube) * knots[0, channel]
        + (2 - 5 * square + 3 * cube) * knots[1, channel]
        + (part + 4 * square - 3 * cube) * knots[2, channel]
        + (cube - square) * knots[3, channel]
        - 1.0
    )
    return value
