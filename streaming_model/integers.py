"""Layers of networks in whole numbers: half or a quarter of what their weights weigh, exact sums.

At the few rows of a chunk a layer costs what its weights weigh. Rounded to 8 or 16 bits, with a
scale for each output, and multiplied with rows of 14 bits, they are read as they are and their sums
are of 32 bits, which are the same in any order (`integer_loops`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Whole = NDArray[np.int8] | NDArray[np.int16]
Kind = type[np.int8] | type[np.int16]
Layer = tuple[Whole, Floats, Floats]  # weights [outputs, inputs], the scale of each output, bias

MOST: Final = 8191  # steps of a row's scale each way
_LARGEST_SUM: Final = 2**31 - 1
_LEAST: Final = 1e-12  # scale of an output whose weights are all 0


def whole_layer(weights: Floats, bias: Floats, kind: Kind) -> Layer:
    """Returns a layer with its weights as multiples of a scale.

    The scale of an output is the smallest with which its weights are of their kind and its sums
    of 32 bits, whatever the row.

    Args:
        weights: [outputs, inputs].
        bias: [outputs].
        kind: of the whole weights.
    """
    sizes = np.abs(weights.astype(np.float64))
    room = _LARGEST_SUM / MOST - weights.shape[1] / 2  # half a step each is left to rounding
    scales = np.maximum(sizes.max(axis=1) / np.iinfo(kind).max, sizes.sum(axis=1) / room)
    scales = np.maximum(scales, _LEAST)
    whole = np.ascontiguousarray(np.round(weights / scales[:, None]).astype(kind))
    return whole, scales.astype(np.float32), np.ascontiguousarray(bias, np.float32)
