"""How strongly a portrait must be moved to be seen to move: one curve for each coefficient.

Faces differ: thin lips hardly show a pucker, a painting without brows hardly shows that it
raises them. The project's own nets judge the fitted face; knows nothing of pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import ARKIT_NAMES, INDEX, MOTION_SIZE
from streaming_model.portrait import Portrait
from streaming_model.portrait.fit import CONTOURS
from streaming_model.portrait.landmarks import shared_landmarker
from streaming_model.renderer.openings import Pair
from streaming_model.rig import Rig

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Leeway:
    """How one coefficient is judged, and how much its curve may change.

    Attributes:
        followed: shares of a displacement that the landmark net may follow in a picture.
        bends, gains: least and most that still look right.
    """

    followed: tuple[float, ...]
    bends: tuple[float, float]
    gains: tuple[float, float]


CALIBRATED: Final[dict[tuple[str, ...], Leeway]] = {
    ("jawOpen",): Leeway((1.0,), (-0.4, 0.8), (1.0, 1.0)),
    ("mouthSmileLeft", "mouthSmileRight"): Leeway((0.8,), (-0.4, 1.0), (1.0, 1.0)),
    ("mouthPucker",): Leeway((0.4, 0.5, 0.6, 0.7), (-0.5, 1.6), (0.75, 1.25)),
    ("mouthFunnel",): Leeway((0.5, 0.6, 0.7, 0.8), (-0.4, 2.0), (0.875, 1.25)),
    ("browInnerUp",): Leeway((0.6,), (-0.5, 1.6), (0.75, 1.25)),
}
GAIN_STEP: Final = 0.125
LEVELS: Final = 14  # of a coefficient, at which the face is judged
COMMANDS: Final = 21
BEND_COST: Final = 0.002  # of correlation that a bend of 1 must gain
GAIN_COST: Final = 0.02  # and a gain of 2
BLIND: Final = 1e-4  # of a score: a net that sees less of the motion is no judge


class Curves:
    """Curves f(c) = g c (1 + b) / (1 + b |c|) with a gain g and a bend b per coefficient.

    Attributes:
        gains, bends: [52].
    """

    def __init__(self, gains: Floats | None = None, bends: Floats | None = None) -> None:
        size = len(ARKIT_NAMES)
        self.gains = np.ones(size, np.float32) if gains is None else gains
        self.bends = np.zeros(size, np.float32) if bends is None else bends

    def apply(self, coefficients: Floats) -> Floats:
        """Returns the curves' values [52] at `coefficients` [52]."""
        bent = coefficients * self.gains * (1.0 + self.bends)
        return np.asarray(
            bent / (1.0 + self.bends * np.minimum(np.abs(coefficients), 1.0)), np.float32
        )


def calibrate(
    portrait: Portrait, rig: Rig, openings: dict[str, Pair], shape: Callable[[Floats], Floats]
) -> Curves:
    """Returns the curves after which scores of the face rise evenly with the command.

    Moves the portrait's landmarks as `shape` (motion [58] to face [V, 3], unturned) moves the
    rig, and takes the curve whose scores correlate best with the command.
    """
    curves = Curves()
    rest = shape(np.zeros(MOTION_SIZE, np.float32))
    for names, leeway in CALIBRATED.items():
        levels = np.linspace(0.0, leeway.gains[1], LEVELS, dtype=np.float32)
        scores = np.zeros((len(leeway.followed), LEVELS))
        for at, level in enumerate(levels):
            motion = np.zeros(MOTION_SIZE, np.float32)
            motion[[INDEX[name] for name in names]] = level
            moved = shape(motion) - rest
            for row, followed in enumerate(leeway.followed):
                landmarks = _moved_landmarks(portrait, rig, openings, np.float32(followed) * moved)
                seen = shared_landmarker().scores(landmarks)
                scores[row, at] = np.mean([seen[name] for name in names])
        bend, gain = _straightest(levels, scores, leeway)
        for name in names:
            curves.bends[INDEX[name]], curves.gains[INDEX[name]] = bend, gain
    return curves


def _moved_landmarks(
    portrait: Portrait, rig: Rig, openings: dict[str, Pair], moved: Floats
) -> Floats:
    """Returns the portrait's landmarks [478, 3] where the face moves by `moved` [V, 3] cm."""
    pixels = moved[:, :2] * np.array([1, -1], np.float32) * portrait.fit.scale
    landmarks = portrait.landmarks.copy()
    landmarks[: len(rig.landmarks), :2] += pixels[rig.landmarks]
    for name, contours in CONTOURS.items():
        pair = openings[name]
        for contour, side, shares in zip(
            contours, (pair.upper, pair.lower), (pair.upper_share, pair.lower_share), strict=True
        ):
            still = portrait.landmarks[list(contour), :2]
            steps = np.linalg.norm(np.diff(still, axis=0), axis=1)
            at = np.concatenate([[0.0], np.cumsum(steps)]) / max(float(steps.sum()), 1e-6)
            for axis in range(2):
                travel = np.interp(at, shares, pixels[side, axis])
                landmarks[list(contour), axis] = still[:, axis] + travel
    return landmarks


def _straightest(
    levels: Floats, scores: NDArray[np.float64], leeway: Leeway
) -> tuple[float, float]:
    """Returns bend and gain whose scores [n, LEVELS] are most nearly linear in the command."""
    command = np.linspace(0.0, 1.0, COMMANDS)
    best, chosen = -np.inf, (0.0, 1.0)
    for gain in np.arange(leeway.gains[0], leeway.gains[1] + GAIN_STEP / 2, GAIN_STEP):
        for bend in np.linspace(*leeway.bends, 17):
            bent = gain * command * (1.0 + bend) / (1.0 + bend * command)
            merit = _linearity(command, np.stack([np.interp(bent, levels, row) for row in scores]))
            merit -= BEND_COST * abs(bend) + GAIN_COST * abs(gain - 1.0)
            if merit > best:
                best, chosen = merit, (float(bend), float(gain))
    return chosen


def _linearity(command: NDArray[np.float64], seen: NDArray[np.float64]) -> float:
    """Returns the mean correlation of rows [n, COMMANDS] with the command, 0 if nothing is seen."""
    wanted = command - command.mean()
    found = seen - seen.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(found, axis=1)
    rows = found @ wanted / np.maximum(lengths * np.linalg.norm(wanted), 1e-12)
    return float(np.where(lengths < BLIND, 0.0, rows).mean())
