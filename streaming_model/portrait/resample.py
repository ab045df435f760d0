"""Scaling of float planes, the one way used throughout the intake."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def resize(plane: NDArray[Any], width: int, height: int) -> NDArray[np.float32]:
    """Returns `plane`, [h,w] or [h,w,c], at another size: averaged down, or linear up."""
    shrinks = width < plane.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (width, height), interpolation=interpolation), np.float32)
