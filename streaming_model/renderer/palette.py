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
FACE: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)
# fmt: on
TOOTH: Final = np.array([240, 229, 211], np.float32)  # under white light
WARMTH: Final = 0.95  # a tooth has at most this much blue for its red, unless all is cool
SCLERA: Final = np.array([1.03, 0.99, 0.97], np.float32)  # over its own brightness
TYPICAL_SKIN: Final = np.array([1.10, 0.98, 0.92], np.float32)  # over its own brightness
FLESH: Final = np.array([190, 86, 86], np.float32)  # gums and tongue under white light
MONOCHROME: Final = (0.9, 3.5)  # spread of hues beside the ramp: a tinted print, a coloured face
FLAT: Final = (0.15, 0.45)  # share of a face without any texture: a photograph, a flat drawing
FLAT_SIDE: Final = 256  # pixels of the picture for which that holds


@dataclass(frozen=True)
class Palette:
    """Colours as [3] float32 RGB, 0..255.

    Attributes:
        skin: a well-lit part of the skin near the mouth.
        lip: the mean of both lips.
        tooth, gum, tongue, cavity: what the mouth shows when it opens.
        ink: the dark of the face's own lines.
        colourfulness: 0 in a grey or tinted picture, 1 in a coloured one.
        flatness: 1 in a drawing of flat areas, 0 in a photograph or painting.
        light: [2] brightness at the picture's left and right cheek over the brighter one.
    """

    skin: Floats
    lip: Floats
    tooth: Floats
    gum: Floats
    tongue: Floats
    cavity: Floats
    ink: Floats
    colourfulness: float
    flatness: float
    light: Floats


def read_palette(picture: NDArray[np.uint8], landmarks: Floats) -> Palette:
    """Reads the palette of `picture` [s, s, 3] at `landmarks` [478, 3]."""
    left = _patch(picture, landmarks, RIGHT_CHEEK)
    right = _patch(picture, landmarks, LEFT_CHEEK)
    lips = np.concatenate([_patch(picture, landmarks, part) for part in (LOWER_LIP, UPPER_LIP)])
    face = _patch(picture, landmarks, FACE)
    brightness = np.array([np.percentile(patch @ LUMA, 70) for patch in (left, right)], np.float32)
    skin = _at_percentile(left if brightness[0] > brightness[1] else right, 75)
    lip = lips.mean(axis=0)
    ramp = _Ramp(face)
    level = float(skin @ LUMA)
    # The skin's colour is the light's (and the varnish's) times that of a typical skin.
    light_hue = skin / level / TYPICAL_SKIN
    # Dark skin says little of the light: the white of the eyes then says more.
    sclera = _sclera(picture, landmarks)
    white = max(level, float(sclera @ LUMA))
    brightest = 1.03 * float(np.percentile(face @ LUMA, 97))
    tooth = TOOTH * light_hue ** (0.4 * level / white)
    if sclera.any():
        tooth = tooth * (sclera / float(sclera @ LUMA) / SCLERA) ** 0.4
    tooth[2] = min(tooth[2], max(WARMTH, _blueness(sclera), _blueness(lip)) * tooth[0])
    tooth *= min(1.04 * white, brightest) / float(tooth @ LUMA)
    pink = FLESH / float(FLESH @ LUMA) * max(level, 0.75 * white) * light_hue**0.7
    flesh = 0.48 * lip + 0.36 * pink

    def painted(colour: Floats) -> Floats:
        return np.asarray(ramp.paint(colour) * min(1.0, 248.0 / float(colour.max())), np.float32)

    return Palette(
        skin=np.asarray(skin, np.float32),
        lip=np.asarray(lip, np.float32),
        tooth=painted(tooth),
        gum=painted(flesh * 0.95),
        tongue=painted(flesh * np.array([1.0, 0.92, 0.92])),
        cavity=painted(flesh * np.array([0.40, 0.17, 0.17])),
        ink=_at_percentile(face, 3),
        colourfulness=ramp.colourfulness,
        flatness=_flatness(picture, landmarks),
        light=np.asarray(np.clip(brightness / brightness.max(), 0.55, 1.0), np.float32),
    )


class _Ramp:
    """The line of tints that a picture's greys have become: by toning, chalk or varnish."""

    def __init__(self, face: Floats) -> None:
        level = face @ LUMA
        tint = face - level[:, None]
        self.span = np.percentile(level, (1, 99))
        self.curve = np.linalg.lstsq(self._powers(level), tint)[0]
        # In the dark all hues lie close together.
        beside = (tint - self._powers(level) @ self.curve).std(axis=0)[[0, 2]].mean()
        spread = float(beside) * 150.0 / max(float(np.median(level)), 30.0)
        self.colourfulness = _rise(spread, MONOCHROME)

    def paint(self, colour: Floats) -> Floats:
        """Returns `colour` [3] as this picture would show it."""
        level = np.array([float(colour @ LUMA)])
        on_ramp = level + (self._powers(level) @ self.curve)[0]
        return np.asarray(on_ramp + self.colourfulness * (colour - on_ramp), np.float32)

    def _powers(self, level: Floats) -> Floats:
        share = np.clip(level, *self.span) / 255.0
        return np.asarray(np.stack([np.ones_like(share), share, share * share], axis=-1))


def _flatness(picture: NDArray[np.uint8], landmarks: Floats) -> float:
    """Returns how much of the face is one even colour from pixel to pixel, as a rise 0..1."""
    small = cv2.resize(picture, (FLAT_SIDE, FLAT_SIDE), interpolation=cv2.INTER_AREA)
    grey = (small @ LUMA).astype(np.float32)
    square = np.ones((3, 3), np.uint8)
    range_here = cv2.dilate(grey, square) - cv2.erode(grey, square)
    scaled = landmarks * (FLAT_SIDE / len(picture))
    mask = np.zeros(grey.shape, np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(scaled[:, :2]).astype(np.int32)), 1)
    return _rise(float((range_here[mask > 0] < 1.5).mean()), FLAT) if mask.any() else 0.0


def _rise(value: float, span: tuple[float, float]) -> float:
    return min(max((value - span[0]) / (span[1] - span[0]), 0.0), 1.0)


def _blueness(colour: Floats) -> float:
    return float(colour[2]) / max(float(colour[0]), 1.0)


def _patch(picture: NDArray[np.uint8], landmarks: Floats, outline: tuple[int, ...]) -> Floats:
    """Returns the pixels [n, 3] inside the convex hull or outline of some landmarks."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    points = np.round(landmarks[list(outline), :2]).astype(np.int32)
    shape = points if len(outline) > 10 else cv2.convexHull(points)
    cv2.fillPoly(mask, [np.asarray(shape, np.int32)], 1)
    if not mask.any():  # the picture ends before this part of the face
        return picture.reshape(-1, 3).astype(np.float32)
    return picture[mask > 0].astype(np.float32)


def _sclera(picture: NDArray[np.uint8], landmarks: Floats) -> Floats:
    """Returns the white of the eyes [3], black if none is seen."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    for name in ("left_eye", "right_eye"):
        upper, lower = CONTOURS[name]
        outline = landmarks[[*upper, *lower[::-1]], :2]
        cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 1)
    for iris in (landmarks[468:473, :2], landmarks[473:478, :2]):
        radius = 1.15 * float(np.linalg.norm(iris[1:] - iris[0], axis=1).mean())
        cv2.circle(mask, np.round(iris[0]).astype(int).tolist(), round(radius), 0, -1)
    seen = picture[mask > 0].astype(np.float32)
    return _at_percentile(seen, 75) if len(seen) >= 12 else np.zeros(3, np.float32)


def _at_percentile(pixels: Floats, percentile: float) -> Floats:
    brightness = pixels @ LUMA
    near = np.abs(brightness - np.percentile(brightness, percentile)) <= 6
    mean: Floats = pixels[near].mean(axis=0)
    return mean
