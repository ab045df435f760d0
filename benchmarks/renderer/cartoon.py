"""A cartoon with big eyes, drawn from curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE: Final = 768  # pixels
FINE: Final = 3  # drawn this much larger and reduced, for smooth edges
Colour = tuple[int, int, int]

GROUND: Final = (143, 201, 196)
SKIN: Final = (250, 211, 178)
BLUSH: Final = (245, 165, 140)
SHADE: Final = (233, 182, 147)
HAIR: Final = (92, 52, 38)
LINE: Final = (58, 30, 26)
IRIS: Final = (66, 122, 84)
LIP: Final = (205, 88, 84)
SHIRT: Final = (222, 92, 70)


class Sheet:
    """A drawing in units of its side, the origin in the middle, y down."""

    def __init__(self) -> None:
        self.pixels = np.empty((SIDE * FINE, SIDE * FINE, 3), np.uint8)
        self.pixels[:] = GROUND

    def oval(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """Fills an ellipse."""
        cv2.ellipse(self.pixels, self._at(x, y), self._size(rx, ry), 0, 0, 360, colour, -1)

    def arc(
        self,
        centre: tuple[float, float],
        radii: tuple[float, float],
        span: tuple[float, float],
        width: float,
        colour: Colour = LINE,
    ) -> None:
        """Draws part of an ellipse, from and to degrees clockwise from the right."""
        thick = max(1, round(width * SIDE * FINE))
        at, size = self._at(*centre), self._size(*radii)
        cv2.ellipse(self.pixels, at, size, 0, *span, colour, thick)

    def shape(self, corners: Sequence[tuple[float, float]], colour: Colour) -> None:
        """Fills the smooth closed curve through the corners."""
        points = np.array([self._at(*corner) for corner in corners], float)
        cv2.fillPoly(self.pixels, [_smooth(points).astype(np.int32)], colour)

    def picture(self) -> NDArray[np.uint8]:
        """Returns the drawing at its final size, [SIDE, SIDE, 3] RGB."""
        reduced = cv2.resize(self.pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        return np.asarray(reduced, np.uint8)

    def _at(self, x: float, y: float) -> tuple[int, int]:
        return round((x + 0.5) * SIDE * FINE), round((y + 0.5) * SIDE * FINE)

    def _size(self, x: float, y: float) -> tuple[int, int]:
        return round(x * SIDE * FINE), round(y * SIDE * FINE)


def draw_cartoon() -> NDArray[np.uint8]:
    """Returns a young person with large green eyes, [768, 768, 3] RGB."""
    sheet = Sheet()
    sheet.oval(0, -0.06, 0.29, 0.33, HAIR)
    sheet.shape([(-0.42, 0.5), (-0.3, 0.36), (0, 0.3), (0.3, 0.36), (0.42, 0.5), (0, 0.6)], SHIRT)
    sheet.shape([(-0.07, 0.2), (0.07, 0.2), (0.085, 0.36), (0, 0.4), (-0.085, 0.36)], SHADE)
    for side in (-1, 1):
        sheet.oval(side * 0.232, 0.02, 0.032, 0.055, SHADE)
    face = [(-0.225, -0.1), (-0.215, 0.08), (-0.15, 0.2), (0, 0.265), (0.15, 0.2), (0.215, 0.08),
            (0.225, -0.1), (0.15, -0.25), (0, -0.28), (-0.15, -0.25)]  # fmt: skip
    sheet.shape([(1.012 * x, 1.012 * y) for x, y in face], LINE)
    sheet.shape(face, SKIN)
    for side in (-1, 1):
        sheet.oval(side * 0.14, 0.11, 0.04, 0.025, BLUSH)
        _draw_eye(sheet, side)
    sheet.arc((0, 0.045), (0.016, 0.05), (-60, 60), 0.003, SHADE)
    sheet.oval(0, 0.098, 0.026, 0.013, SHADE)
    for side in (-1, 1):
        sheet.oval(side * 0.011, 0.103, 0.006, 0.003, LINE)
    _draw_mouth(sheet)
    _draw_fringe(sheet)
    return sheet.picture()


def _draw_eye(sheet: Sheet, side: int) -> None:
    x, y = side * 0.098, -0.012
    sheet.oval(x, y, 0.058, 0.047, LINE)
    sheet.oval(x, y + 0.004, 0.055, 0.041, (252, 252, 250))
    sheet.oval(x, y + 0.003, 0.031, 0.035, IRIS)
    sheet.oval(x, y + 0.003, 0.016, 0.018, (16, 14, 16))
    sheet.oval(x - 0.011, y - 0.011, 0.008, 0.008, (255, 255, 255))
    sheet.arc((x, y + 0.002), (0.058, 0.048), (190, 350), 0.008)
    sheet.arc((x, y - 0.012), (0.062, 0.052), (215, 325), 0.002, SHADE)
    sheet.arc((x, -0.055), (0.065, 0.045), (205 + 10 * side, 325 + 10 * side), 0.012, HAIR)


def _draw_mouth(sheet: Sheet) -> None:
    upper = [(-0.062, 0.166), (-0.02, 0.152), (0, 0.157), (0.02, 0.152), (0.062, 0.166),
             (0, 0.172)]  # fmt: skip
    sheet.shape(upper, LIP)
    sheet.shape([(-0.062, 0.166), (0, 0.171), (0.062, 0.166), (0, 0.198)], (222, 112, 104))
    sheet.arc((0, 0.12), (0.064, 0.05), (40, 140), 0.004)


def _draw_fringe(sheet: Sheet) -> None:
    locks = [(-0.27, -0.02), (-0.25, -0.2), (-0.14, -0.34), (0.05, -0.36), (0.2, -0.3),
             (0.27, -0.15), (0.265, 0.0), (0.235, -0.1), (0.17, -0.19), (0.02, -0.2),
             (-0.1, -0.16), (-0.2, -0.12)]  # fmt: skip
    sheet.shape(locks, HAIR)
    sheet.arc((-0.02, -0.12), (0.21, 0.19), (235, 285), 0.006, (128, 80, 58))


def _smooth(points: NDArray[np.float64], steps: int = 16) -> NDArray[np.float64]:
    """Returns a closed Catmull-Rom curve through the points."""
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    before, after, later = (np.roll(points, shift, 0) for shift in (1, -1, -2))
    pieces = [
        0.5 * (2 * p + (q - o) * t + (2 * o - 5 * p + 4 * q - r) * t**2
               + (3 * p - o - 3 * q + r) * t**3)
        for o, p, q, r in zip(before, points, after, later, strict=True)
    ]  # fmt: skip
    return np.round(np.concatenate(pieces))
