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

from streaming_model.portrait.fit import CONTOURS

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
SCLERA_SHARE: Final = 1.0  # teeth are about as bright as the white of the eyes
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
    # Dark skin says little of the light: the white of the eyes then says more.
    white = max(level, SCLERA_SHARE * _sclera_brightness(picture, landmarks))
    tooth = TOOTH / float(TOOTH @ LUMA) * white * 1.08
    tooth = tooth * light_hue ** (0.8 * level / white)
    pink = FLESH / float(FLESH @ LUMA) * max(level, 0.75 * white) * light_hue**0.7
    flesh = 0.5 * lip + 0.33 * pink

    def painted(colour: Floats) -> Floats:
        grey = np.full(3, float(colour @ LUMA))
        mixed = grey + colourfulness * (colour - grey)
        return np.asarray(mixed * min(1.0, 245.0 / float(mixed.max())), np.float32)

    return Palette(
        skin=np.asarray(skin, np.float32),
        tooth=painted(tooth),
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
    if not mask.any():  # the picture ends before this part of the face
        return picture.reshape(-1, 3).astype(np.float32)
    return picture[mask > 0].astype(np.float32)


def _sclera_brightness(picture: NDArray[np.uint8], landmarks: Floats) -> float:
    """Returns the brightness of the white of the eyes, 0 if none is seen."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    for name in ("left_eye", "right_eye"):
        upper, lower = CONTOURS[name]
        outline = landmarks[[*upper, *lower[::-1]], :2]
        cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 1)
    for iris in (landmarks[468:473, :2], landmarks[473:478, :2]):
        radius = 1.15 * float(np.linalg.norm(iris[1:] - iris[0], axis=1).mean())
        cv2.circle(mask, np.round(iris[0]).astype(int).tolist(), round(radius), 0, -1)
    seen = picture[mask > 0].astype(np.float32) @ LUMA
    return float(np.percentile(seen, 75)) if len(seen) >= 12 else 0.0


def _at_percentile(pixels: Floats, percentile: float) -> Floats:
    brightness = pixels @ LUMA
    near = np.abs(brightness - np.percentile(brightness, percentile)) <= 6
    mean: Floats = pixels[near].mean(axis=0)
    return mean
