"""Pictures made from pictures: glasses, a beard, a hat, a child's face, night, ink, cracked oil.

Each takes an RGB picture and the landmarks [478, 2] of its face, and returns another picture.
All are drawn at random but the same each time.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

Picture = NDArray[np.uint8]
Points = NDArray[np.float64]

FINE: Final = 4  # everything is drawn this much larger and then reduced, for smooth edges
FOREHEAD, CHIN, NOSE_TIP, NOSE_BASE = 10, 152, 1, 2
EYE_CORNERS: Final = ((33, 133), (362, 263))
TEMPLES: Final = (127, 356)
LOWER_FACE: Final = (
    127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288,
    361, 323, 454, 356, 345, 280, 425, 391, 164, 165, 205, 50, 116,
)  # fmt: skip
LIPS: Final = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181,
               91, 146)  # fmt: skip
BROWS: Final = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)


def head_and_shoulders(picture: Picture, face: Points, *, side: int = 900) -> Picture:
    """Cuts the head out with some room around it and brings it to `side` pixels."""
    low, high = face.min(axis=0), face.max(axis=0)
    half = 1.3 * float((high - low).max())
    half = min(half, min(picture.shape[:2]) / 2)
    limits = np.array(picture.shape[1::-1]) - half
    x, y = np.clip((low + high) / 2 + (0, 0.15 * half), half, limits)
    cut = picture[round(y - half) : round(y + half), round(x - half) : round(x + half)]
    how = cv2.INTER_AREA if len(cut) > side else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(cut, (side, side), interpolation=how), np.uint8)


def with_glasses(picture: Picture, face: Points) -> Picture:
    """Puts on dark round glasses with tinted, shining lenses."""
    size = picture.shape[:2]
    eyes = [face[list(pair)].mean(axis=0) for pair in EYE_CORNERS]
    span = float(np.linalg.norm(eyes[1] - eyes[0]))
    tilt = float(np.degrees(np.arctan2(*(eyes[1] - eyes[0])[::-1])))
    axes = (0.41 * span, 0.36 * span)
    frame, lens, shine = (_sheet(size) for _ in range(3))
    for eye in eyes:
        centre = eye + _to(0, 0.05 * span)
        _ellipse(lens, centre, axes, tilt, -1)
        _ellipse(frame, centre, axes, tilt, 0.04 * span)
        low, high = centre + _to(-0.2 * span, 0.1 * span), centre + _to(0, -0.18 * span)
        _line(shine, low, high, 0.05 * span)
    middle, bridge = (eyes[0] + eyes[1]) / 2, _to(0.10 * span, 0)
    _line(frame, middle - bridge, middle + bridge, 0.04 * span)
    for eye, temple, side in zip(eyes, TEMPLES, (-1, 1), strict=True):
        hinge = eye + _to(side * 0.41 * span, 0)
        _line(frame, hinge, face[temple] - _to(0, 0.02 * span), 0.04 * span)
    below = np.roll(cv2.GaussianBlur(_reduced(frame), (0, 0), 0.02 * span), round(0.05 * span), 0)
    result = _blend(picture, (20, 15, 15), 0.35 * below)
    result = _blend(result, (60, 70, 80), 0.10 * _reduced(lens))
    result = _blend(result, (245, 250, 255), 0.30 * _reduced(shine) * _reduced(lens))
    return _blend(result, (28, 22, 22), _reduced(frame))


def with_beard(picture: Picture, face: Points) -> Picture:
    """Grows a full beard of single hairs, in the colour of the brows."""
    rng = np.random.default_rng(3)
    height = float(np.linalg.norm(face[CHIN] - face[FOREHEAD]))
    middle = face[list(LOWER_FACE)].mean(axis=0)
    outline = middle + 1.06 * (face[list(LOWER_FACE)] - middle)
    skin = _filled(picture.shape[:2], outline) - _filled(picture.shape[:2], face[list(LIPS)])
    soft = cv2.GaussianBlur(np.clip(skin, 0, 1), (0, 0), 0.02 * height)
    brow = np.array([picture[int(y), int(x)] for x, y in face[list(BROWS)]])
    colour = np.percentile(brow, 25, axis=0)
    result = _blend(picture, tuple(0.9 * colour), 0.7 * soft)
    rows, columns = np.nonzero(skin > 0.5)
    for index in rng.integers(0, len(rows), 9000):
        start = np.array([columns[index], rows[index]], float)
        away = start - face[NOSE_BASE]
        turn = np.arctan2(away[1], away[0]) * 0.4 + 0.6 * np.pi / 2 + rng.normal(0, 0.25)
        end = start + height * rng.uniform(0.02, 0.05) * np.array([np.cos(turn), np.sin(turn)])
        shade = np.clip(colour * rng.uniform(0.5, 1.9), 0, 255)
        ends = _whole(16 * start), _whole(16 * end)
        cv2.line(result, *ends, [float(value) for value in shade], 1, cv2.LINE_AA, 4)
    lips = _filled(picture.shape[:2], face[list(LIPS)])
    edge = np.asarray(cv2.GaussianBlur(lips, (0, 0), 0.006 * height), np.float32)
    return _mix(result, picture, edge)


def with_hat(picture: Picture, face: Points) -> Picture:
    """Puts on a brimmed hat that shades the forehead."""
    size = picture.shape[:2]
    across = face[454] - face[234]
    width = float(np.linalg.norm(across))
    tilt = float(np.degrees(np.arctan2(across[1], across[0])))
    up = (face[FOREHEAD] - face[CHIN]) / np.linalg.norm(face[FOREHEAD] - face[CHIN])
    brim = face[FOREHEAD] - 0.02 * width * up
    crown = brim + 0.34 * width * up
    sheet = _sheet(size)
    _ellipse(sheet, crown, (0.62 * width, 0.46 * width), tilt, -1)
    _ellipse(sheet, brim, (1.05 * width, 0.17 * width), tilt, -1)
    hat = _reduced(sheet)
    band = _sheet(size)
    _ellipse(band, brim + 0.10 * width * up, (0.60 * width, 0.12 * width), tilt, 0.09 * width, 180)
    shadow = cv2.GaussianBlur(np.roll(hat, round(0.10 * width), 0), (0, 0), 0.03 * width)
    result = _blend(picture, (10, 8, 12), 0.5 * shadow)
    across_hat = (np.arange(size[1]) - brim[0]) / width
    light = 0.75 + 0.45 * np.clip(1 - np.abs(across_hat + 0.3), 0, 1)
    straw = np.random.default_rng(4).normal(1, 0.05, size)
    felt = np.array([112, 84, 58]) * (light * straw)[..., None]
    result = _mix(result, _levels(felt), hat)
    return _blend(result, (40, 22, 24), 0.9 * _reduced(band) * hat)


def as_child(picture: Picture, face: Points) -> Picture:
    """Gives the face a child's proportions and smooth skin."""
    height = float(np.linalg.norm(face[CHIN] - face[FOREHEAD]))
    anchors = face[::3].copy()
    moved = anchors.copy()
    eyes = [face[list(pair)].mean(axis=0) for pair in EYE_CORNERS]
    line = (eyes[0] + eyes[1]) / 2
    low = moved[:, 1] > line[1]
    moved[low, 1] = line[1] + 0.84 * (moved[low, 1] - line[1])
    for centre, gain, reach in (
        *((eye, 1.28, 0.17) for eye in eyes),
        (face[NOSE_TIP], 0.82, 0.16),
        (face[list(LIPS)].mean(axis=0), 0.88, 0.16),
    ):
        near = np.exp(-np.square((anchors - centre) / (reach * height)).sum(axis=1))[:, None]
        moved += near * (gain - 1) * (anchors - centre)
    edge = _border_points(picture.shape[:2], 12)
    source = RBFInterpolator(
        np.concatenate([moved, edge]), np.concatenate([anchors, edge]), smoothing=2.0
    )
    rows, columns = picture.shape[:2]
    grid = np.stack(np.meshgrid(np.linspace(0, columns - 1, 60), np.linspace(0, rows - 1, 60)), -1)
    places = source(grid.reshape(-1, 2)).reshape(60, 60, 2).astype(np.float32)
    x, y = (cv2.resize(places[..., k], (columns, rows)) for k in range(2))
    warped = cv2.remap(picture, x, y, cv2.INTER_CUBIC)
    smooth = cv2.bilateralFilter(warped, 0, 22, 0.02 * height)
    return np.asarray(cv2.addWeighted(warped, 0.35, smooth, 0.65, 0), np.uint8)


def by_night(picture: Picture, face: Points) -> Picture:
    """Darkens, tints and adds a sensor's noise."""
    rng = np.random.default_rng(5)
    light = (picture / 255.0) ** 1.3 * np.array([0.30, 0.22, 0.15])
    electrons = rng.poisson(light * 900) + rng.normal(0, 5, picture.shape)
    seen = np.clip(electrons / 900, 0, 1) ** 0.85 * 255
    return np.asarray(cv2.GaussianBlur(seen.astype(np.uint8), (0, 0), 0.7), np.uint8)


def in_pencil(picture: Picture, face: Points) -> Picture:
    """Draws the picture with a soft pencil on paper."""
    rng = np.random.default_rng(6)
    side = max(picture.shape[:2])
    grey = cv2.cvtColor(cv2.bilateralFilter(picture, 0, 25, 0.006 * side), cv2.COLOR_RGB2GRAY)
    halo = cv2.GaussianBlur(grey, (0, 0), 0.012 * side).astype(float)
    line = np.clip(grey / np.maximum(halo, 1), 0, 1) ** 3
    tone = 0.55 + 0.45 * np.clip(grey / 170, 0, 1)
    strokes = cv2.GaussianBlur(rng.normal(0, 1, picture.shape[:2]), (0, 0), 0.7)
    kernel = np.eye(9) / 9
    hatch = cv2.filter2D(strokes, -1, kernel) * 0.35
    ink = np.clip(line * (tone + hatch * (1 - tone) * 2), 0, 1)
    paper = np.array([246, 240, 226]) * (1 + 0.02 * strokes)[..., None]
    return _levels(40 + (paper - 40) * ink[..., None])


def in_ink(picture: Picture, face: Points) -> Picture:
    """Draws the picture with pen and wash: black lines, parallel hatching, thinned ink."""
    side = max(picture.shape[:2])
    grey = cv2.cvtColor(cv2.bilateralFilter(picture, 0, 30, 0.008 * side), cv2.COLOR_RGB2GRAY)
    grey = cv2.GaussianBlur(grey, (0, 0), 0.0015 * side).astype(float)
    wide = cv2.GaussianBlur(grey, (0, 0), 0.006 * side)
    contour = np.clip((wide - grey - 3) / 8, 0, 1)
    rows, columns = np.indices(grey.shape)
    pitch = max(4.0, 0.006 * side)
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * (rows + 0.8 * columns) / pitch)
    shade = np.clip((110 - grey) / 110, 0, 1)
    hatch = np.clip((shade - wave * 0.9) * 4, 0, 1)
    wash = 0.35 * np.clip((190 - wide) / 190, 0, 1)
    white = 1 - np.maximum(np.maximum(contour, 0.6 * hatch), wash)
    return np.repeat(np.round(20 + 230 * white)[..., None], 3, axis=2).astype(np.uint8)


def cracked(picture: Picture, face: Points) -> Picture:
    """Covers the picture with the cracks and the yellow varnish of old oil paint."""
    rng = np.random.default_rng(7)
    rows, columns = picture.shape[:2]
    cell = 0.022 * max(rows, columns)
    seeds = np.full((rows, columns), 255, np.uint8)
    count = int(rows * columns / cell**2)
    seeds[rng.integers(0, rows, count), rng.integers(0, columns, count)] = 0
    _, labels = cv2.distanceTransformWithLabels(
        seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    crack = np.zeros((rows, columns), np.float32)
    crack[:, 1:] += labels[:, 1:] != labels[:, :-1]
    crack[1:] += labels[1:] != labels[:-1]
    crack = cv2.GaussianBlur(np.clip(crack, 0, 1), (0, 0), 0.7) * 1.6
    depth = cv2.GaussianBlur(rng.normal(0, 1, (rows, columns)), (0, 0), 2.5 * cell)
    crack *= np.clip(0.55 + 1.2 * depth / depth.std() * 0.4, 0.1, 1)
    varnish = picture * np.array([1.0, 0.93, 0.74])
    relief = np.roll(crack, (1, 1), (0, 1))
    shown = varnish * (1 - 0.55 * np.clip(crack, 0, 1))[..., None] + 26 * relief[..., None]
    return _levels(shown)


def _to(x: float, y: float) -> Points:
    return np.array([x, y])


def _whole(point: Points) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _sheet(size: tuple[int, int]) -> Picture:
    return np.zeros((FINE * size[0], FINE * size[1]), np.uint8)


def _reduced(sheet: Picture) -> NDArray[np.float32]:
    rows, columns = (side // FINE for side in sheet.shape[:2])
    small = cv2.resize(sheet, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(small / 255, np.float32)


def _ellipse(
    sheet: Picture,
    centre: Points,
    axes: tuple[float, float],
    tilt: float,
    width: float,
    span: float = 360.0,
) -> None:
    radii = round(FINE * axes[0]), round(FINE * axes[1])
    thick = round(FINE * width) if width > 0 else -1
    cv2.ellipse(sheet, _whole(FINE * centre), radii, tilt, 0, span, 255, thick)


def _line(sheet: Picture, start: Points, end: Points, width: float) -> None:
    cv2.line(sheet, _whole(FINE * start), _whole(FINE * end), 255, max(1, round(FINE * width)))


def _filled(size: tuple[int, int], outline: Points) -> NDArray[np.float32]:
    sheet = _sheet(size)
    cv2.fillPoly(sheet, [np.round(FINE * outline).astype(np.int32)], 255)
    return _reduced(sheet)


def _border_points(size: tuple[int, int], count: int) -> Points:
    """Returns points round the picture's border, [4 count, 2], no two the same."""
    rows, columns = size
    along = (np.arange(count) + 0.5) / count
    zero, one = np.zeros(count), np.ones(count)
    sides = [(along, zero), (along, one), (zero, along), (one, along)]
    return np.concatenate([np.stack(side, axis=1) for side in sides]) * _to(columns - 1, rows - 1)


def _blend(picture: Picture, colour: tuple[float, ...], share: NDArray[np.floating]) -> Picture:
    mixed = picture + share[..., None] * (np.array(colour[:3]) - picture)
    return _levels(mixed)


def _mix(below: Picture, above: Picture, share: NDArray[np.floating]) -> Picture:
    mixed = below + share[..., None] * (above.astype(np.float64) - below)
    return _levels(mixed)


def _levels(values: NDArray[np.floating]) -> Picture:
    return np.ascontiguousarray(np.clip(np.round(values), 0, 255), np.uint8)
