"""Fits the rig to the landmarks of one picture.

First a ridge fit of pose, identity and the portrait's own expression; then a smooth residual
warp that puts every bound landmark, the lids and the lips exactly on their pixels. Knows
nothing of pixels' colours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import ARKIT_NAMES
from streaming_model.rig import Rig
from streaming_model.rig.unfold import FACING, Unfolder, facing

Floats = NDArray[np.float64]

ROUNDS: Final = 8
UNFOLD_ROUNDS: Final = 40
ROOM: Final = 0.3  # least share of its area that the residual warp leaves a triangle
DEPTH_WEIGHT: Final = 0.35  # trust in the landmark net's z beside its x and y
IDENTITY_RIDGE: Final = 0.04
EXPRESSION_RIDGE: Final = 0.35
# How far the blendshape net's scores are believed: without them, a smile passes for a wide mouth.
BELIEVED: Final = {
    "jawOpen": 0.8,
    "mouthSmileLeft": 0.95,
    "mouthSmileRight": 0.95,
    "mouthUpperUpLeft": 0.6,
    "mouthUpperUpRight": 0.6,
    "mouthLowerDownLeft": 0.6,
    "mouthLowerDownRight": 0.6,
}
OWN_EXPRESSIONS: Final = (
    "jawOpen",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthPucker",
    "mouthFunnel",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthLeft",
    "mouthRight",
    "browInnerUp",
    "browDownLeft",
    "browDownRight",
    "browOuterUpLeft",
    "browOuterUpRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeWideLeft",
    "eyeWideRight",
)

# MediaPipe contours, each from the picture's left to its right, corners included.
# fmt: off
CONTOURS: Final[dict[str, tuple[tuple[int, ...], tuple[int, ...]]]] = {
    "mouth": (
        (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
        (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
    ),
    "left_eye": (
        (362, 398, 384, 385, 386, 387, 388, 466, 263),
        (362, 382, 381, 380, 374, 373, 390, 249, 263),
    ),
    "right_eye": (
        (33, 246, 161, 160, 159, 158, 157, 173, 133),
        (33, 7, 163, 144, 145, 153, 154, 155, 133),
    ),
}
# fmt: on
CLOSED_MOUTH: Final = 0.035  # inner-lip gap over mouth width below which lips count as closed


@dataclass(frozen=True)
class Fit:
    """A rig fitted to a picture: camera space is centimetres, x right, y up, z to the viewer.

    A point c projects to the pixel origin + scale * (c_x, -c_y).

    Attributes:
        scale: pixels per centimetre.
        origin: [2] pixel of camera (0, 0).
        rotation: [3, 3] from the rig's space to the camera's.
        rest: [V, 3] face vertices in camera space.
        posed: [V, 3] the same before the residual warp.
        translation: [3] camera position of the rig's own origin.
        own_expression: [52] the portrait's own expression.
        mouth_is_closed: whether the lips meet in the picture.
    """

    scale: float
    origin: NDArray[np.float32]
    rotation: NDArray[np.float32]
    rest: NDArray[np.float32]
    posed: NDArray[np.float32]
    translation: NDArray[np.float32]
    own_expression: NDArray[np.float32]
    mouth_is_closed: bool


def fit_rig(rig: Rig, landmarks: NDArray[np.float32], scores: Mapping[str, float]) -> Fit:
    """Fits `rig` to one face.

    Args:
        rig: the rig.
        landmarks: [478, 3] in pixels (x right, y down, z away from the viewer).
        scores: blendshape scores 0..1 by ARKit name, the prior of the face's own expression.
    """
    seen = landmarks[:468].astype(np.float64) * (1.0, -1.0, -1.0)
    identity, expression = _Basis(rig, scores), np.zeros(len(ARKIT_NAMES))
    shape = rig.neutral.astype(np.float64)
    for _ in range(ROUNDS):
        scale, rotation, translation = _similarity(shape[rig.landmarks], seen, identity.weights)
        local = ((seen - translation) / scale) @ rotation
        shape, expression = identity.solve(local, rotation)
    posed = shape @ rotation.T
    moved = scale * posed + translation
    origin = np.array([translation[0], -translation[1]])
    targets, is_closed = contour_targets(rig, landmarks, moved)
    residual = _residuals(rig, seen, moved, targets)
    rest = posed.astype(np.float32)
    rest[:, :2] += ((rig.spread_residual.astype(np.float64) @ residual) / scale).astype(np.float32)
    _unfold(rig, rest, posed.astype(np.float32))
    return Fit(
        scale=float(scale),
        origin=origin.astype(np.float32),
        rotation=rotation.astype(np.float32),
        rest=rest,
        posed=posed.astype(np.float32),
        translation=np.zeros(3, np.float32),
        own_expression=expression.astype(np.float32),
        mouth_is_closed=is_closed,
    )


def _unfold(rig: Rig, rest: NDArray[np.float32], posed: NDArray[np.float32]) -> None:
    """Draws the residual warp back, in place, where it folds what faces the viewer."""
    rings = np.concatenate([getattr(rig, name).ring for name in CONTOURS])
    watched = facing(posed, rig.triangles) > FACING
    unfolder = Unfolder(posed, rig.triangles, watched=watched, held=rings)
    unfolder.smooth(rest, rounds=UNFOLD_ROUNDS, least=ROOM)


class _Basis:
    """The linear shape model at the landmarks, with ridge priors."""

    def __init__(self, rig: Rig, scores: Mapping[str, float]) -> None:
        self.own = [ARKIT_NAMES.index(name) for name in OWN_EXPRESSIONS]
        self.prior = np.zeros(len(rig.identity) + len(self.own))
        self.prior[len(rig.identity) :] = [
            BELIEVED.get(name, 0.0) * scores.get(name, 0.0) for name in OWN_EXPRESSIONS
        ]
        self.full = np.concatenate([rig.identity, rig.expressions[self.own]]).astype(np.float64)
        self.at_landmarks = self.full[:, rig.landmarks]
        self.neutral = rig.neutral.astype(np.float64)
        self.neutral_landmarks = self.neutral[rig.landmarks]
        self.identity_count = len(rig.identity)
        self.weights = np.full(len(rig.landmarks), 0.3)
        self.weights[rig.bound_landmarks] = 1.0
        for upper, lower in CONTOURS.values():
            self.weights[[*upper, *lower]] = 1.5

    def solve(self, local: Floats, rotation: Floats) -> tuple[Floats, Floats]:
        """Returns the shape [V, 3] and own expression [52] nearest to `local` [468, 3] (cm)."""
        axes = np.sqrt(self.weights)[:, None] * (1.0, 1.0, DEPTH_WEIGHT)
        design = ((self.at_landmarks @ rotation.T) * axes).reshape(len(self.full), -1)
        wanted = (((local - self.neutral_landmarks) @ rotation.T) * axes).ravel()
        ridge = np.full(len(self.full), EXPRESSION_RIDGE)
        ridge[: self.identity_count] = IDENTITY_RIDGE
        ridge *= self.weights.sum()
        system = design @ design.T / 1.0 + np.diag(ridge)
        coefficients = np.linalg.solve(system, design @ wanted + ridge * self.prior)
        own = np.clip(coefficients[self.identity_count :], -0.1, 1.0)
        coefficients[self.identity_count :] = own
        expression = np.zeros(len(ARKIT_NAMES))
        expression[self.own] = own
        return self.neutral + np.tensordot(coefficients, self.full, axes=1), expression


def _similarity(source: Floats, target: Floats, weights: Floats) -> tuple[float, Floats, Floats]:
    """Returns scale, rotation and translation that carry source to target (Umeyama 1991).

    The depth of the target only steers the rotation; scale comes from x and y.
    """
    share = (weights / weights.sum())[:, None]
    source_mean, target_mean = (share * source).sum(axis=0), (share * target).sum(axis=0)
    a, b = source - source_mean, target - target_mean
    left, _, right = np.linalg.svd((share * b).T @ a)
    rotation = left @ np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))]) @ right
    turned = a @ rotation.T
    flat = share * (1.0, 1.0, DEPTH_WEIGHT**2)
    scale = float((flat * turned * b).sum() / (flat * turned * turned).sum())
    return scale, rotation, target_mean - scale * rotation @ source_mean


def contour_targets(
    rig: Rig, landmarks: NDArray[np.float32], moved: Floats
) -> tuple[dict[str, Floats], bool]:
    """Places every ring vertex on MediaPipe's contour by arc length.

    Returns ring name to targets [n, 2] (pixels, y up), and whether the lips meet.
    """
    seen = landmarks[:468, :2].astype(np.float64) * (1.0, -1.0)
    targets = {}
    is_closed = False
    for name, (upper, lower) in CONTOURS.items():
        opening = getattr(rig, name)
        above, below = seen[list(upper)], seen[list(lower)]
        if name == "mouth":
            width = float(np.linalg.norm(above[-1] - above[0]))
            gap = (above - below)[2:-2, 1]
            is_closed = float(gap.mean()) < CLOSED_MOUTH * width
            if is_closed:
                above = below = (above + below) / 2
        sides = [
            _along(contour, moved[vertices, :2])
            for contour, vertices in ((above, opening.upper), (below, opening.lower))
        ]
        targets[name] = np.concatenate([sides[0], sides[1][1:-1]])
    return targets, is_closed


def _along(contour: Floats, vertices: Floats) -> Floats:
    """Puts a chain of vertices on a smooth curve through `contour` at equal shares of length."""
    curve = _catmull_rom(contour, 8)
    return _at_shares(curve, _shares(vertices))


def _shares(chain: Floats) -> Floats:
    """Returns the share of the chain's length at which each of its points lies, 0 to 1."""
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(chain, axis=0), axis=1))])
    return np.asarray(length / max(length[-1], 1e-9))


def _at_shares(curve: Floats, shares: Floats) -> Floats:
    own = _shares(curve)
    return np.stack([np.interp(shares, own, curve[:, axis]) for axis in range(2)], axis=1)


def _catmull_rom(points: Floats, steps: int) -> Floats:
    """Returns a smooth curve through `points`, `steps` samples per segment."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = np.linspace(0.0, 1.0, steps, endpoint=False)[:, None]
    pieces = []
    for index in range(len(points) - 1):
        a, b, c, d = padded[index : index + 4]
        pieces.append(
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2)
            + 0.5 * (3 * b - a - 3 * c + d) * t**3
        )
    return np.concatenate([*pieces, points[-1:]])


def _residuals(rig: Rig, seen: Floats, moved: Floats, targets: dict[str, Floats]) -> Floats:
    """Stacks what is left at landmarks and rings [n, 2] in the order of `spread_residual`."""
    bound = rig.bound_landmarks
    pieces = [seen[bound, :2] - moved[rig.landmarks[bound], :2]]
    for name, target in targets.items():
        pieces.append(target - moved[getattr(rig, name).ring, :2])
    return np.concatenate(pieces)
