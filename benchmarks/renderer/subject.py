"""A portrait under measurement, and the arithmetic on what the ruler says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.renderer import commands
from benchmarks.renderer.commands import motion
from benchmarks.renderer.measuring import Face, Ruler
from benchmarks.renderer.responses import RESPONSES
from streaming_model.portrait import Portrait
from streaming_model.portrait.matte import FACE_OVAL
from streaming_model.portrait.pose import angles_of
from streaming_model.renderer import Renderer

Figures = dict[str, float]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Commanded values [n] and what was measured [n], by name of the measurement."""

    command: Floats
    measured: dict[str, Floats]
    unit: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What one group of measures found."""

    figures: Figures
    curves: dict[str, Curve] = field(default_factory=dict)


class NoFaceError(RuntimeError):
    """The ruler finds no face in the portrait itself."""


class Subject:
    """A portrait under measurement.

    Attributes:
        name: for people.
        portrait: as made by `make_portrait`.
        renderer: drawing it at `size`.
        size: side of the frames in pixels.
    """

    def __init__(self, name: str, portrait: Portrait, ruler: Ruler | None, *, size: int) -> None:
        self.name, self.portrait, self.size = name, portrait, size
        self.renderer = Renderer(portrait, size=size)
        self._ruler = ruler
        self._rest = None if ruler is None else self.measure(motion(), embed=True)
        if ruler is not None and self._rest is None:
            raise NoFaceError(f"The ruler finds no face in {name}.")

    @property
    def rest(self) -> Face:
        """The face measured in the frame at rest, with its embedding."""
        assert self._rest is not None, "needs the ruler"
        return self._rest

    def measure(self, command: commands.Motion, *, embed: bool = False) -> Face | None:
        """Returns the face in the frame that `command` [58] gives, None if none is found."""
        return self.look(command, embed=embed)[1]

    def look(
        self, command: commands.Motion, *, embed: bool = False
    ) -> tuple[NDArray[np.uint8], Face | None]:
        """Returns the frame that `command` [58] gives, and the face in it."""
        assert self._ruler is not None
        frame = self.renderer.render(command)
        return frame, self._ruler.measure(frame, embed=embed)


def series(faces: list[Face | None], value: Callable[[Face], float]) -> Floats:
    """Returns a number per face [n], not-a-number where there is no face."""
    return np.array([np.nan if face is None else value(face) for face in faces])


def score(face: Face, name: str) -> float:
    """Returns the score of a coefficient, the mean of both sides where it has two."""
    return float(np.mean([face.scores.get(full, 0.0) for full in commands.channels(name)]))


def roundness(face: Face) -> float:
    """Returns the height of the lips over their width."""
    return face.sizes["mouth_height"] / face.sizes["mouth_width"]


def scored(name: str) -> Callable[[Face], float]:
    """Returns what reads the score of a coefficient."""
    return lambda face: score(face, name)


def sized(name: str) -> Callable[[Face], float]:
    """Returns what reads a size."""
    return lambda face: face.sizes[name]


def angle_of(axis: int) -> Callable[[Face], float]:
    """Returns what reads pitch (0), yaw (1) or roll (2), in degrees."""
    return lambda face: float(face.angles[axis])


def turned_about(before: Face, axis: int) -> Callable[[Face], float]:
    """Returns what reads one angle in degrees of the camera's rotation since `before`."""
    return lambda face: float(turn(before, face)[axis])


def response(before: Face, name: str) -> Callable[[Face], float]:
    """Returns what reads a coefficient's own response since `before`."""
    return lambda face: RESPONSES[name](before, face)


def shifted(before: Face, name: str) -> Callable[[Face], float]:
    """Returns what reads headX, headY or headZ since `before`, in heights of the face."""
    return lambda face: shift(before, face, name)


def turn(before: Face, after: Face) -> Floats:
    """Returns pitch, yaw, roll in degrees of the rotation, in the camera, between two faces."""
    return np.degrees(angles_of(after.rotation @ before.rotation.T))


def landmark_motion(before: Face, after: Face) -> float:
    """Returns how far the landmark that moves most moves, in percent of the face's height."""
    apart = np.linalg.norm((after.landmarks - before.landmarks)[:, :2], axis=1)
    return float(100 * apart.max() / before.sizes["face_height"])


def shift(before: Face, after: Face, name: str) -> float:
    """Returns the face's motion to the right or up, or its growth, over its height."""
    if name == "headZ":
        return after.sizes["face_height"] / before.sizes["face_height"] - 1
    x, y = (after.landmarks - before.landmarks)[:, :2].mean(axis=0) / before.sizes["face_height"]
    return float(x if name == "headX" else -y)


def embedding_distance(before: Face, after: Face) -> float:
    """Returns the Euclidean distance of two faces' embeddings."""
    assert before.embedding is not None and after.embedding is not None
    return float(np.linalg.norm(before.embedding - after.embedding))


def correlation(command: Floats, measured: Floats) -> float:
    """Returns Pearson's r; 0 where nothing moves, not-a-number where a face is missing."""
    if np.isnan(measured).any():
        return float("nan")
    if measured.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(command, measured)[0, 1])


def worst(errors: Floats) -> float:
    """Returns the largest magnitude; not-a-number where a face is missing."""
    return float(np.abs(errors).max())


def psnr(seen: NDArray[np.uint8], wanted: NDArray[np.uint8]) -> float:
    """Returns the peak signal to noise ratio in decibels; 99 for equal pictures."""
    error = float(np.mean((seen.astype(np.float64) - wanted) ** 2))
    return 99.0 if error == 0 else min(99.0, 10 * np.log10(255**2 / error))


def face_mask(face: Face, size: int) -> NDArray[np.bool_]:
    """Returns [size, size]: inside the outline of the landmarks."""
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.round(face.landmarks[list(FACE_OVAL), :2]).astype(np.int32)], 1)
    return mask > 0
