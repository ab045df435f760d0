"""What each ARKit coefficient does to each vertex of one portrait.

Everything linear is computed once per portrait; `Expression.shape` costs a frame one matrix
product and keeps lips and lids from passing through each other. Knows nothing of pixels and
of the head's turn.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import INDEX
from streaming_model.portrait import Portrait
from streaming_model.portrait.fit import Fit
from streaming_model.renderer.openings import Pair
from streaming_model.renderer.relief import relief_of
from streaming_model.renderer.surface import rotation_matrix
from streaming_model.rig import Rig

Floats = NDArray[np.float32]

UNTILT: Final = math.radians(-5.0)  # frontal faces come out about this much tilted
MEETING_LINE: Final = 0.12  # where closed lids meet, as a share of the opening from below
LID_SLIDE: Final = 0.30  # how far lid skin slides in from above, as a share of the opening
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


class Expression:
    """The fitted face's response to the 52 coefficients.

    Attributes:
        rest: [V, 3] camera space, centimetres.
        deltas: [52, V, 3] camera-space displacement at coefficient 1.
        lid_slide: [2, V] camera-space rise of the texture at a full blink, left then right.
        mouth, left_eye, right_eye: the openings' sides.
    """

    def __init__(self, portrait: Portrait, rig: Rig) -> None:
        fit = portrait.fit
        self.rest = fit.rest.copy()
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
        self._relief = relief_of(rig, self.rest, self.deltas)
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


def upright_rotation(fit: Fit) -> Floats:
    """Returns the fit's rotation without the downward tilt that landmark nets add, [3, 3]."""
    return np.asarray(rotation_matrix(UNTILT, 0.0, 0.0) @ fit.rotation, np.float32)


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
