"""Whether a closed mouth shows teeth: bright, pale pixels between the outlines of the lips."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.renderer.measuring import Face

OUTER: Final = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181,
                91, 146)  # fmt: skip
INNER: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178,
                88, 95)  # fmt: skip
BRIGHTER: Final = 18.0  # levels above the brightest part of the lips themselves
PALER: Final = 0.75  # of the lips' own saturation
LUMA: Final = np.array([0.299, 0.587, 0.114])


def teeth_share(frame: NDArray[np.uint8], face: Face, lips: tuple[float, float]) -> float:
    """Returns how many percent of the area inside the lips' outline look like teeth.

    Args:
        frame: [h, w, 3] RGB with the mouth closed.
        face: measured in `frame`.
        lips: what `lip_colour` says of the portrait at rest.
    """
    inside = cv2.erode(outline(face, OUTER, frame.shape[0]), np.ones((3, 3), np.uint8))
    pixels = frame[inside > 0].astype(np.float64)
    if not len(pixels):
        return 0.0
    bright, colourful = lips
    is_tooth = (pixels @ LUMA > bright + BRIGHTER) & (saturation(pixels) < PALER * colourful)
    return 100 * float(is_tooth.mean())


def lip_colour(frame: NDArray[np.uint8], face: Face) -> tuple[float, float]:
    """Returns the brightness of the lips' brightest part and their median saturation, at rest."""
    size = frame.shape[0]
    ring = (outline(face, OUTER, size) > 0) & ~(outline(face, INNER, size) > 0)
    pixels = frame[ring].astype(np.float64)
    return float(np.percentile(pixels @ LUMA, 98)), float(np.median(saturation(pixels)))


def outline(face: Face, ring: tuple[int, ...], size: int) -> NDArray[np.uint8]:
    """Returns [size, size], 1 inside a ring of landmarks."""
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.round(face.landmarks[list(ring), :2]).astype(np.int32)], 1)
    return mask


def saturation(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns (max - min) / max of pixels [n, 3]."""
    highest = pixels.max(axis=1)
    return np.asarray((highest - pixels.min(axis=1)) / np.maximum(highest, 1))
