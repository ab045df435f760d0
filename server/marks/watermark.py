"""Puts the watermark into pictures: one pattern for all of a portrait's, added and subtracted.

As it stands still, codecs keep it for nothing, and nothing flickers. How strong it is where is
decided once, by the first picture: stronger where there is texture to hide it (Podilchuk and Zeng,
"Image-adaptive watermarking using visual models", IEEE JSAC 16, 1998).
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from server.marks.pattern import GRID, pattern
from server.marks.payload import Payload

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

FAINTEST: Final = 0.5  # levels of 255, standard deviation where the picture is quite flat
FAINT: Final = 0.7  # where there is a camera's noise or more
STRONGEST: Final = 1.4
HIDDEN: Final = (0.3, 0.06)  # levels more for each level of texture, up to `FAINT` and beyond
MOST_LEVELS: Final = 4  # that any pixel is changed by
_FULL_SIDE: Final = 512  # pixels; smaller pictures have shorter waves, which codecs blur sooner
_DETAIL: Final = 1 / 128  # of the side: standard deviation of what is taken from texture
_AROUND: Final = 1 / 85  # of the side: over which texture is looked at


class Watermark:
    """One payload in the pictures of one portrait at one size."""

    def __init__(self, payload: Payload) -> None:
        self._pattern = pattern(payload)
        from server.marks.kernels import add  # compiled code, which a start does not wait for

        self._add = add
        self._levels = np.zeros((0, 0, 3), np.int8)
        nothing = np.zeros(0, np.uint8)
        add(nothing, self._levels.reshape(-1), nothing)  # compiles what is not compiled yet

    def apply(self, image: Pixels) -> Pixels:
        """Returns a marked copy of [s, s, 3] RGB or [s, s, 4] straight RGBA."""
        if self._levels.shape != image.shape:
            self._fit(image)
        marked = np.empty(image.shape, np.uint8)
        flat = np.ascontiguousarray(image).reshape(-1)
        self._add(flat, self._levels.reshape(-1), marked.reshape(-1))
        return marked

    def _fit(self, image: Pixels) -> None:
        """Decides how strong it is where, for pictures like this one."""
        side = image.shape[:2][::-1]
        smooth = cv2.INTER_AREA if min(side) < GRID else cv2.INTER_CUBIC
        spread = np.asarray(cv2.resize(self._pattern, side, interpolation=smooth), np.float32)
        luma = np.asarray(cv2.cvtColor(image[..., :3], cv2.COLOR_RGB2GRAY), np.uint8)
        levels = np.clip(np.rint(spread * strength(luma)), -MOST_LEVELS, MOST_LEVELS)
        self._levels = np.zeros(image.shape, np.int8)
        self._levels[..., :3] = levels[..., None]  # a matte gets none


def strength(luma: Pixels) -> Floats:
    """Returns [h, w], how strong the watermark may be: its standard deviation in levels."""
    side = max(luma.shape)
    fine = luma - _blurred(luma.astype(np.float32), _DETAIL * side)
    texture = np.sqrt(_blurred(fine * fine, _AROUND * side))
    faintest = FAINTEST * max(1.0, _FULL_SIDE / side) ** 0.5
    wanted = np.minimum(faintest + HIDDEN[0] * texture, FAINT + HIDDEN[1] * texture)
    wanted = np.minimum(wanted, STRONGEST)
    return _blurred(wanted, _DETAIL * side)


def _blurred(values: Floats, deviation: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), deviation), np.float32)
