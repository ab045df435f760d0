"""The portrait's own colours: skin, lips, teeth, mouth and lashes, and where its light is.

Read from the picture at the landmarks, so that what the picture does not show is painted in
the picture's palette.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
# fmt: off
LEFT_CHEEK: Final = (425, 266, 411, 427, 436, 426, 322)  # the picture's right
RIGHT_CHEEK: Final = (205, 36, 187, 207, 216, 206, 92)
LOWER_LIP: Final = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 308, 324, 318, 402, 317, 14, 87, 178, 88,
    95, 78,
)
UPPER_LIP: Final = (
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
    78,
)
# fmt: on
TOOTH: Final = np.array([240, 228, 208], np.float32)  # under white light
TYPICAL_SKIN: Final = np.array([1.10, 0.98, 0.92], np.float32)  # over its own brightness
FLESH: Final = np.array([176, 84, 82], np.float32)  # gums and tongue under white light


@dataclass(frozen=True)
class Palette:
    """Colours as [3] float32 RGB, 0..255.

    Attributes:
        skin: a well-lit part of the skin near the mouth.
        tooth, gum, tongue, cavity: what the mouth shows when it opens.
        colourfulness: 0 in a grey picture, 1 in a coloured one.
        light: [2] brightness at the picture's left and right cheek over the brighter one.
    """

    skin: Floats
    tooth: Floats
    gum: Floats
    tongue: Floats
    cavity: Floats
    colourfulness: float
    light: Floats


def read_palette(picture: NDArray[np.uint8], landmarks: Floats) -> Palette:
    """Reads the palette of `picture` [s, s, 3] at `landmarks` [478, 3]."""
    left = _patch(picture, landmarks, RIGHT_CHEEK)
    right = _patch(picture, landmarks, LEFT_CHEEK)
    lips = np.concatenate([_patch(picture, landmarks, part) for part in (LOWER_LIP, UPPER_LIP)])
    brightness = np.array([np.percentile(patch @ LUMA, 70) for patch in (left, right)], np.float32)
    brighter = left if brightness[0] > brightness[1] else right
    skin = _at_percentile(brighter, 75)
    lip = lips.mean(axis=0)
    colourfulness = min(float(np.ptp(skin)) / max(float(skin.max()), 1.0) / 0.2, 1.0)
    light = np.clip(brightness / brightness.max(), 0.55, 1.0)
    # The skin's colour is the light's (and the varnish's) times that of a typical skin.
    light_hue = skin / float(skin @ LUMA) / TYPICAL_SKIN
    level = float(skin @ LUMA)
    tooth = TOOTH / float(TOOTH @ LUMA) * level * 1.08
    flesh = 0.5 * lip + 0.5 * FLESH / float(FLESH @ LUMA) * level * 0.66 * light_hue**0.7

    def painted(colour: Floats) -> Floats:
        grey = np.full(3, float(colour @ LUMA))
        return np.asarray(np.clip(grey + colourfulness * (colour - grey), 0, 250), np.float32)

    return Palette(
        skin=np.asarray(skin, np.float32),
        tooth=painted(tooth * light_hue**0.8),
        gum=painted(flesh * 0.95),
        tongue=painted(flesh * np.array([1.0, 0.92, 0.92])),
        cavity=painted(flesh * np.array([0.40, 0.24, 0.24])),
        colourfulness=colourfulness,
        light=np.asarray(light, np.float32),
    )


def _patch(picture: NDArray[np.uint8], landmarks: Floats, outline: tuple[int, ...]) -> Floats:
    """Returns the pixels [n, 3] inside the convex hull or outline of some landmarks."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    points = np.round(landmarks[list(outline), :2]).astype(np.int32)
    shape = points if len(outline) > 10 else cv2.convexHull(points)
    cv2.fillPoly(mask, [np.asarray(shape, np.int32)], 1)
    return picture[mask > 0].astype(np.float32)


def _at_percentile(pixels: Floats, percentile: float) -> Floats:
    brightness = pixels @ LUMA
    near = np.abs(brightness - np.percentile(brightness, percentile)) <= 6
    mean: Floats = pixels[near].mean(axis=0)
    return mean
