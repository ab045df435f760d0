"""The smooth step between two values, which the layers of a face share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def smooth_ramp(values: Floats, low: float, high: float) -> Floats:
    """Returns 0 up to `low`, 1 from `high` on, and a cubic without a kink between them."""
    share = np.clip((values - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    ramp: Floats = share * share * (np.float32(3.0) - np.float32(2.0) * share)
    return ramp
