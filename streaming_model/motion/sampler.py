"""The few-step sampler: Euler steps along the straight path from noise to motion.

The reference that the diffusers scheduler is tested against, and what serving runs. Knows
arrays only (numpy's or torch's); the network is a function it is given.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

ArrayT = TypeVar("ArrayT", NDArray[np.float32], "Tensor")


SHORTEST_STEP: Final = 0.25  # that a student learns to take; a shorter one is flow matching's


def told_length(length: float) -> float:
    """Returns which length of a step a network is told: 0, an infinitesimal one, if it is short.

    Teachers know no other. What a network makes of a length that it never met is anything.
    """
    return length if length >= SHORTEST_STEP else 0.0


def flow_times(steps: int) -> list[float]:
    """Returns the flow times 1 = t_0 > ... > t_steps = 0, evenly spaced.

    Raises ValueError for fewer than one step.
    """
    if steps < 1:
        raise ValueError(f"a sampler needs at least 1 step, got {steps}")
    return [1.0 - index / steps for index in range(steps)] + [0.0]


def sample(
    noise: ArrayT, predict: Callable[[ArrayT, float, float], ArrayT], *, steps: int
) -> ArrayT:
    """Returns the clean frames that `predict(x_t, t, step_size)`, an x0 prediction, leads to.

    x_s = x_t + (s - t) (x_t - x0) / t. The step's size is what `told_length` says.
    """
    times = flow_times(steps)
    x = noise
    for t, s in itertools.pairwise(times):
        x0 = predict(x, t, told_length(t - s))
        x = x + (s - t) / t * (x - x0) if s > 0 else x0
    return x
