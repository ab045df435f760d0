"""Pictures to look at: contact sheets, close-ups of mouth and eyes, and strips of sweeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.renderer.commands import POSES, RANGE, SWEPT, Motion, motion
from streaming_model.portrait import Portrait
from streaming_model.renderer import Renderer

Picture = NDArray[np.uint8]

COLUMNS: Final = 7
TILE: Final = 384  # pixels
CLOSE: Final = 320
MOUTH_POSES: Final = {
    name: POSES[name]
    for name in (
        "rest", "jaw 0.3", "jaw 0.6", "jaw 1", "smile", "pucker", "funnel",
        "ah", "oo", "ee", "f v", "p b m", "tongue",
    )
} | {"frown": motion(mouthFrown=1)}  # fmt: skip
EYE_POSES: Final = {
    name: POSES[name]
    for name in (
        "rest", "blink half", "blink full", "gaze left", "gaze right", "gaze up", "gaze down",
        "brows up", "brows down", "smile",
    )
} | {
    "wink": motion(eyeBlinkLeft=1),
    "wide": motion(eyeWide=1),
    "squint": motion(eyeSquint=1),
    "looking up, half closed": motion(eyeBlink=0.5, eyeLookUp=0.7),
}  # fmt: skip
LIPS: Final = (61, 291, 0, 17)
EYES: Final = (33, 133, 362, 263)
FOREHEAD: Final = 10
CHIN: Final = 152
STRIPS: Final[dict[str, tuple[float, ...]]] = {
    **dict.fromkeys((*SWEPT, "eyeBlink"), (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)),
    **{name: (-most, -0.6 * most, 0.0, 0.6 * most, most) for name, most in RANGE.items()},
}


@dataclass(frozen=True, slots=True)
class Strip:
    """Frames of one sweep: [h, w, 3] RGB each, with what was commanded."""

    name: str
    commands: tuple[float, ...]
    frames: tuple[Picture, ...]


def contact_sheet(renderer: Renderer) -> Picture:
    """Returns all poses on one sheet, each with its name."""
    return tiled({name: renderer.render(moved) for name, moved in POSES.items()}, TILE)


def mouth_sheet(portrait: Portrait, renderer: Renderer) -> Picture:
    """Returns the mouth close up in the poses that move it."""
    points = _pixels(portrait, renderer)
    height = float(np.linalg.norm(points[CHIN] - points[FOREHEAD]))
    middle = points[list(LIPS)].mean(axis=0)
    middle[1] += 0.06 * height
    return tiled(_cut(renderer, MOUTH_POSES, middle, 0.30 * height), CLOSE)


def eye_sheet(portrait: Portrait, renderer: Renderer) -> Picture:
    """Returns the eyes close up in the poses that move them."""
    points = _pixels(portrait, renderer)
    height = float(np.linalg.norm(points[CHIN] - points[FOREHEAD]))
    middle = points[list(EYES)].mean(axis=0)
    return tiled(_cut(renderer, EYE_POSES, middle, 0.42 * height), CLOSE)


def strips(portrait: Portrait, renderer: Renderer, *, side: int = 192) -> list[Strip]:
    """Returns the sweeps: the face for expressions, the whole picture for the head's turns."""
    points = _pixels(portrait, renderer)
    height = float(np.linalg.norm(points[CHIN] - points[FOREHEAD]))
    middle = (points[CHIN] + points[FOREHEAD]) / 2
    made = []
    for name, values in STRIPS.items():
        frames = [renderer.render(motion(**{name: value})) for value in values]
        if name not in RANGE:
            frames = [square(frame, middle, 0.68 * height) for frame in frames]
        small = tuple(_resized(frame, side) for frame in frames)
        made.append(Strip(name, values, small))
    return made


def tiled(pictures: dict[str, Picture], side: int, *, columns: int = COLUMNS) -> Picture:
    """Returns the pictures in rows, `side` pixels each, with their names."""
    tiles = []
    for name, picture in pictures.items():
        tile = np.ascontiguousarray(_resized(picture, side))
        for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(tile, name, (7, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, colour, width)
        tiles.append(tile)
    while len(tiles) % columns:
        tiles.append(np.zeros_like(tiles[0]))
    rows = [np.hstack(tiles[at : at + columns]) for at in range(0, len(tiles), columns)]
    return np.asarray(np.vstack(rows), np.uint8)


def square(picture: Picture, middle: NDArray[np.float64], half: float) -> Picture:
    """Returns the square of `2 half` pixels round `middle`, moved to lie inside the picture."""
    size = len(picture)
    half = min(half, size / 2)
    left, top = np.round(np.clip(middle - half, 0, size - 2 * half)).astype(int)
    side = int(2 * half)
    return picture[top : top + side, left : left + side]


def _cut(
    renderer: Renderer, poses: dict[str, Motion], middle: NDArray[np.float64], half: float
) -> dict[str, Picture]:
    return {name: square(renderer.render(pose), middle, half) for name, pose in poses.items()}


def _pixels(portrait: Portrait, renderer: Renderer) -> NDArray[np.float64]:
    """Returns the portrait's landmarks [478, 2] in pixels of the renderer's frames."""
    ratio = renderer.size / len(portrait.picture)
    return np.asarray(portrait.landmarks[:, :2] * ratio, np.float64)


def _resized(picture: Picture, side: int) -> Picture:
    how = cv2.INTER_AREA if len(picture) > side else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (side, side), interpolation=how), np.uint8)
