"""The face's shape under motion: what each coefficient does to each vertex of this portrait.

Everything linear is computed once per portrait. Per frame: one matrix product, lips and lids
kept from passing through each other, and the head's turn. Knows nothing of pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import INDEX, POSE
from streaming_model.portrait import Portrait
from streaming_model.portrait.fit import Fit
from streaming_model.rig import Opening, Rig

Floats = NDArray[np.float32]

NECK_PIVOT_CM: Final = (0.0, -8.0, 0.5)  # in the rig's space
VIEWING_DISTANCE_CM: Final = 65.0
UNTILT: Final = math.radians(-5.0)  # frontal faces come out about this much tilted
MEETING_LINE: Final = 0.12  # where closed lids meet, as a share of the opening from below
LID_SLIDE: Final = 0.30  # how far lid skin slides in from above, as a share of the opening
RELIEF: Final = 0.55  # contrast of the light that moves with the skin
RELIEF_SMOOTHING: Final = 4
RELIEF_LIGHT: Final = np.array([0.0, 0.64, 0.77], np.float32)
LIGHT_RANGE: Final = (0.72, 1.2)
SATURATION: Final = 0.6  # share of an expression that a portrait already showing it lacks
# fmt: off
SATURATING: Final = (
    "mouthSmileLeft", "mouthSmileRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthPucker", "mouthDimpleLeft",
    "mouthDimpleRight", "cheekSquintLeft", "cheekSquintRight", "eyeSquintLeft",
    "eyeSquintRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
)
# fmt: on


@dataclass(frozen=True)
class HeadMotion:
    """A rigid motion of the head in camera space: c -> R (c - pivot) + pivot + shift, zoomed."""

    rotation: Floats
    shift: Floats
    pivot: Floats
    zoom: float

    def apply(self, points: Floats) -> Floats:
        """Moves points [n, 3]."""
        moved = np.asarray((points - self.pivot) @ self.rotation.T, np.float32)
        moved *= self.zoom
        moved += self.pivot + self.shift
        return moved


class Pair:
    """The two sides of an opening: which points face each other, and how skin follows them."""

    def __init__(self, opening: Opening, rest: Floats) -> None:
        self.opening = opening
        self.upper, self.lower, self.ring = opening.upper, opening.lower, opening.ring
        self.upper_share = _shares(rest[self.upper])
        self.lower_share = _shares(rest[self.lower])
        self.active = np.flatnonzero(np.abs(opening.spread).max(axis=1) > 1e-4)
        self.spread = np.ascontiguousarray(opening.spread[self.active])
        reach = np.abs(opening.spread)
        from_upper = reach[:, : len(self.upper)].sum(axis=1)
        from_lower = reach[:, len(self.upper) :].sum(axis=1)
        skin = (from_upper + from_lower > 0.1) & ~np.isin(np.arange(len(rest)), self.ring)
        self.above = np.flatnonzero(skin & (from_upper > from_lower))
        self.below = np.flatnonzero(skin & (from_upper <= from_lower))

    def facing(self, points: Floats) -> tuple[Floats, Floats]:
        """Returns the point of the other side opposite each upper and each lower vertex."""
        upper, lower = points[self.upper], points[self.lower]
        return (
            _interpolate(self.upper_share, self.lower_share, lower),
            _interpolate(self.lower_share, self.upper_share, upper),
        )

    def ring_deltas(self, upper: Floats, lower: Floats) -> Floats:
        """Joins displacements of the two sides to displacements of the ring."""
        return np.concatenate([upper, lower[1:-1]])

    def spread_over(self, ring_deltas: Floats) -> Floats:
        """Returns what displacements of the ring [n, 3] do to the face [V, 3]."""
        moved: Floats = self.opening.spread @ ring_deltas.astype(np.float32)
        return moved

    def keep_apart(self, points: Floats) -> None:
        """Stops the lower side from passing above the upper one: they meet half way."""
        below, above = self.facing(points)
        upper_over = np.minimum(points[self.upper, 1] - below[:, 1], 0.0)
        lower_over = np.minimum(above[:, 1] - points[self.lower, 1], 0.0)
        if min(upper_over.min(), lower_over.min()) < -1e-4:
            self._meet(points, upper_over, lower_over)
        # Skin next to an edge that rolls in does not hang over it.
        for skin, edge, sign in ((self.above, self.upper, 1), (self.below, self.lower, -1)):
            x, y = points[edge, 0], points[edge, 1]
            line = np.interp(points[skin, 0], x, y)
            beside = (points[skin, 0] < x[0]) | (points[skin, 0] > x[-1])
            over = np.maximum(sign * (line - points[skin, 1]), 0.0)
            points[skin, 1] += np.where(beside, 0.0, sign * over).astype(np.float32)

    def _meet(self, points: Floats, upper_over: Floats, lower_over: Floats) -> None:
        correction = np.concatenate([-upper_over / 2, lower_over[1:-1] / 2])
        points[self.active, 1] += self.spread @ correction.astype(np.float32)
        # The spread acts on neighbours too: settle the ring itself exactly.
        middle_upper = np.minimum(points[self.upper, 1] - self.facing(points)[0][:, 1], 0.0) / 2
        points[self.upper, 1] -= middle_upper
        over = np.minimum(self.facing(points)[1][:, 1] - points[self.lower, 1], 0.0)
        points[self.lower, 1] += over


class FaceGeometry:
    """The fitted face and its response to motion.

    Attributes:
        rest: [V, 3] camera space, centimetres.
        deltas: [52, V, 3] camera-space displacement at coefficient 1.
        lid_slide: [2, V] camera-space rise of the texture at a full blink, left then right.
        mouth, left_eye, right_eye: the openings' sides.
    """

    def __init__(self, portrait: Portrait, rig: Rig) -> None:
        fit = portrait.fit
        self.rest = fit.rest.copy()
        self.pivot = (fit.rotation @ np.array(NECK_PIVOT_CM, np.float32)).astype(np.float32)
        self.mouth = Pair(rig.mouth, self.rest)
        self.left_eye = Pair(rig.left_eye, self.rest)
        self.right_eye = Pair(rig.right_eye, self.rest)
        self.deltas = _camera_deltas(rig, fit)
        self._saturate(portrait.blendshapes)
        self._close_lips()
        self.lid_slide = np.stack(
            [self._blink(self.left_eye, "Left"), self._blink(self.right_eye, "Right")]
        )
        self._closing = self._rest_closing(fit)
        self._relief = _relief(rig, self.rest, self.deltas)
        self._flat = self.deltas.reshape(len(self.deltas), -1)

    def join(self, depth: Floats, deltas: Floats, opacity: Floats) -> None:
        """Takes over the head layer's depth [V] and deltas [52, V, 3] where the face fades out."""
        self.rest[:, 2] = depth + opacity * (self.rest[:, 2] - depth)
        self.deltas = deltas + opacity[:, None] * (self.deltas - deltas)
        self._flat = np.ascontiguousarray(self.deltas.reshape(len(self.deltas), -1), np.float32)
        self._relief *= opacity

    def shape(self, motion: Floats) -> Floats:
        """Returns the face [V, 3] under the expression of `motion` [58], head unturned."""
        points: Floats = (motion[: len(self.deltas)] @ self._flat).reshape(-1, 3)
        points += self.rest
        if self._closing is not None:
            points += closing_share(motion) * self._closing
        for pair in (self.mouth, self.left_eye, self.right_eye):
            pair.keep_apart(points)
        return points

    def light(self, motion: Floats) -> Floats:
        """Returns how much brighter each vertex [V] becomes by the skin's new slopes, 1 at rest."""
        change = motion[: len(self._relief)] @ self._relief
        return np.asarray(np.clip(1.0 + change, *LIGHT_RANGE), np.float32)

    def head(self, motion: Floats) -> HeadMotion:
        """Returns the head's motion, R = R_y(yaw) R_x(pitch) R_z(roll) about the neck."""
        pitch, yaw, roll, x, y, z = (float(value) for value in motion[POSE])
        return HeadMotion(
            rotation=rotation_matrix(pitch, yaw, roll),
            shift=np.array([x, y, 0.0], np.float32),
            pivot=self.pivot,
            zoom=VIEWING_DISTANCE_CM / max(VIEWING_DISTANCE_CM - z, 10.0),
        )

    def _saturate(self, own: dict[str, float]) -> None:
        for name in SATURATING:
            self.deltas[INDEX[name]] *= 1.0 - SATURATION * own.get(name, 0.0)

    def _close_lips(self) -> None:
        """Makes mouthClose cancel exactly the lip opening that jawOpen brings, as in ARKit."""
        together = self.deltas[INDEX["jawOpen"]] + self.deltas[INDEX["mouthClose"]]
        below, above = self.mouth.facing(together)
        upper = (below - together[self.mouth.upper]) / 2
        lower = (above - together[self.mouth.lower]) / 2
        self.deltas[INDEX["mouthClose"]] += self.mouth.spread_over(
            self.mouth.ring_deltas(upper, lower)
        )

    def _blink(self, eye: Pair, side: str) -> Floats:
        """Makes a blink close this eye exactly; returns the rise of the lid's texture."""
        below, above = eye.facing(self.rest)
        upper, lower = self.rest[eye.upper], self.rest[eye.lower]
        to_upper = (1.0 - MEETING_LINE) * (below - upper)
        to_lower = MEETING_LINE * (above - lower)
        blink = INDEX[f"eyeBlink{side}"]
        self.deltas[blink] = eye.spread_over(eye.ring_deltas(to_upper, to_lower))
        rise = LID_SLIDE * np.linalg.norm(upper - below, axis=1)
        ring = np.concatenate([rise, np.zeros(len(lower) - 2, np.float32)])
        slide: Floats = eye.opening.spread @ ring.astype(np.float32)
        return slide

    def _rest_closing(self, fit: Fit) -> Floats | None:
        """Returns the displacement that closes lips which the picture shows apart."""
        if fit.mouth_is_closed:
            return None
        below, above = self.mouth.facing(self.rest)
        upper = 0.4 * (below - self.rest[self.mouth.upper])
        lower = 0.6 * (above - self.rest[self.mouth.lower])
        return self.mouth.spread_over(self.mouth.ring_deltas(upper, lower))


def rotation_matrix(pitch: float, yaw: float, roll: float) -> Floats:
    """Returns R_y(yaw) R_x(pitch) R_z(roll) [3, 3]; the signs are those of `motion_space`."""
    cp, sp, cy, sy = np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw)
    cr, sr = np.cos(roll), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_y @ about_x @ about_z, np.float32)


def upright_rotation(fit: Fit) -> Floats:
    """Returns the fit's rotation without the downward tilt that landmark nets add, [3, 3]."""
    return np.asarray(rotation_matrix(UNTILT, 0.0, 0.0) @ fit.rotation, np.float32)


def _relief(rig: Rig, rest: Floats, deltas: Floats) -> Floats:
    """Returns [52, V]: how much light each vertex gains at coefficient 1, lit from above.

    The change of the surface's slope against the light, smoothed: the folds of a smile, the
    cheek's swelling, the chin's turn. Lips and lids are left to their own textures.
    """
    neighbours = np.concatenate([rig.triangles[:, [a, b]] for a in range(3) for b in range(3)])
    count = np.bincount(neighbours[:, 0], minlength=len(rest)).astype(np.float32)
    edge = sum(np.abs(o.spread).sum(axis=1) for o in (rig.mouth, rig.left_eye, rig.right_eye))
    skin = np.clip(1.0 - np.asarray(edge, np.float32), 0, 1) ** 2
    still = vertex_normals(rest, rig.triangles) @ RELIEF_LIGHT
    relief = np.zeros((len(deltas), len(rest)), np.float32)
    for index, delta in enumerate(deltas):
        if not np.abs(delta).max() > 0.05:
            continue
        gain = vertex_normals(rest + delta, rig.triangles) @ RELIEF_LIGHT - still
        for _ in range(RELIEF_SMOOTHING):
            total = np.bincount(neighbours[:, 0], gain[neighbours[:, 1]], minlength=len(rest))
            gain = total / np.maximum(count, 1)
        relief[index] = RELIEF * np.clip(gain, -0.5, 0.5) * skin
    return relief


def vertex_normals(points: Floats, triangles: NDArray[np.int64]) -> Floats:
    """Returns unit normals [V, 3] of a surface."""
    corners = points[triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], faces)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(normals / np.maximum(lengths, 1e-9), np.float32)


def closing_share(motion: Floats) -> float:
    """Returns how far a speaker means to bring the lips together, 0..1."""
    press = (motion[INDEX["mouthPressLeft"]] + motion[INDEX["mouthPressRight"]]) / 2
    roll = max(motion[INDEX["mouthRollLower"]], motion[INDEX["mouthRollUpper"]])
    closing = max(motion[INDEX["mouthClose"]] - motion[INDEX["jawOpen"]], 0.0)
    meant = float(1.8 * press + 1.5 * roll + 3.0 * closing)
    share = min(max(meant, 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)


def _camera_deltas(rig: Rig, fit: Fit) -> Floats:
    """Turns the rig's expressions into the picture's camera, scaled to the fitted mouth."""
    deltas = rig.expressions @ upright_rotation(fit).T
    left, right = rig.mouth.upper[0], rig.mouth.upper[-1]
    fitted = np.linalg.norm(fit.rest[right] - fit.rest[left])
    usual = np.linalg.norm(rig.neutral[right] - rig.neutral[left])
    ratio = float(np.clip(fitted / usual, 0.7, 1.25))
    centre = rig.neutral[rig.mouth.ring].mean(axis=0)
    near = np.exp(-(((rig.neutral - centre) / np.array([3.2, 2.6, 4.0])) ** 2).sum(axis=1))
    scaled: Floats = deltas * (1.0 + (ratio - 1.0) * near)[:, None]
    return np.ascontiguousarray(scaled, np.float32)


def _shares(chain: Floats) -> Floats:
    steps = np.linalg.norm(np.diff(chain[:, :2], axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(length / max(float(length[-1]), 1e-6), np.float32)


def _interpolate(at: Floats, shares: Floats, values: Floats) -> Floats:
    return np.stack(
        [np.interp(at, shares, values[:, axis]) for axis in range(values.shape[1])], axis=1
    ).astype(np.float32)
