"""What each ARKit coefficient does to each vertex of one portrait.

Everything linear is computed once per portrait; `Expression.shape` costs a frame one matrix
product and keeps lips and lids from passing through each other. Knows nothing of pixels and
of the head's turn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streaming_model.motion_space import ARKIT_NAMES, INDEX
from streaming_model.portrait import Portrait
from streaming_model.portrait.fit import Fit
from streaming_model.renderer.curves import Curves, calibrate
from streaming_model.renderer.openings import Pair, shares
from streaming_model.renderer.relief import light_of, light_range, relief_of
from streaming_model.renderer.surface import displaced, rotation_matrix
from streaming_model.rig import Rig
from streaming_model.rig.unfold import FACING, Unfolder, facing

Floats = NDArray[np.float32]

UNTILT: Final = math.radians(-5.0)  # frontal faces come out about this much tilted
BROW_DIP_CM: Final = 0.08  # how far a blink takes the brow along
BROW_REACH_CM: Final = np.array([2.0, 0.9], np.float32)
BROWS: Final = {"Left": (282, 283, 295, 334), "Right": (52, 53, 65, 105)}
LID_ROOM: Final = 0.5  # share of its distance that skin may move towards a lid's edge
LIDS_ALONE: Final = (
    "eyeBlink", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeLookUp", "eyeWide",
)  # fmt: skip
SATURATION: Final = 0.6  # share of an expression that a portrait already showing it lacks
RELAXED: Final = 0.9  # share of its own expression that a speaking portrait lets go
OWN_LEAST: Final = 0.06  # of an own coefficient: less than this is the fit's noise
# Weighted sum of the mouth's coefficients up to which it is at rest, and from which it speaks.
SPEAKS: Final = (0.03, 0.25)
# Coefficients that say nothing of speech, or at small values much: the lips mean to meet.
SPEECH_WEIGHTS: Final = {
    "mouthSmile": 0.0,
    "mouthDimple": 0.5,
    "jawOpen": 0.5,
    "mouthClose": 6.0,
    "mouthPress": 1.5,
    "mouthRollLower": 2.0,
    "mouthRollUpper": 2.0,
}
# What keeps closed lips closed.
# fmt: off
TOUCHING: Final = (
    "jawForward", "jawLeft", "jawRight", "mouthPucker", "mouthLeft", "mouthRight",
    "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight", "mouthDimpleLeft",
    "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight", "mouthRollUpper",
    "mouthShrugLower", "mouthShrugUpper", "mouthPressLeft", "mouthPressRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight",
)
ROUNDING: Final = ("jawOpen", "mouthFunnel")
OWN_MOUTH: Final = (
    "jawOpen", "mouthFunnel", "mouthSmileLeft", "mouthSmileRight", "mouthUpperUpLeft",
    "mouthUpperUpRight", "mouthLowerDownLeft", "mouthLowerDownRight",
)
SATURATING: Final = (
    "mouthSmileLeft", "mouthSmileRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthPucker", "mouthDimpleLeft",
    "mouthDimpleRight", "cheekSquintLeft", "cheekSquintRight", "eyeSquintLeft",
    "eyeSquintRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
)
# fmt: on
ROUNDNESS: Final = 0.75  # share of a round opening in the mouth's
ROUND_POWER: Final = 0.65  # of 1 - x^2 from corner to corner; 0.5 is an ellipse
SMILE_DROP: Final = 2.0  # how far the jaw takes a smile's corners down, of how far they are up
SMILE_POWER: Final = 4  # of the way from the lips' middle to a corner, with which that grows
MOST_AT_ONCE: Final = 3.5  # sum of the mouth's coefficients that a face can show
MOST_RAISED: Final = 1.3  # sum of the brows' inner and outer rise: then the lids' skin is taut
UNFOLD_NEAR: Final = (0.25, 0.6, 0.6)  # of an edge: skin that takes more of its motion may fold
UNFOLD_ROUNDS: Final = 40
ROOM: Final = 0.1  # least share of its area that one coefficient leaves a triangle
JAW: Final = INDEX["jawOpen"]
CLOSE: Final = INDEX["mouthClose"]
PUCKER: Final = INDEX["mouthPucker"]
FUNNEL: Final = INDEX["mouthFunnel"]
LOWER: Final = (INDEX["mouthLowerDownLeft"], INDEX["mouthLowerDownRight"])
UPPER: Final = (INDEX["mouthUpperUpLeft"], INDEX["mouthUpperUpRight"])
PRESS: Final = (INDEX["mouthPressLeft"], INDEX["mouthPressRight"])
TONGUE_OUT: Final = INDEX["tongueOut"]
ROLL: Final = (INDEX["mouthRollLower"], INDEX["mouthRollUpper"])
GAP_SEALED: Final = (0.04, 0.08)  # commanded gap up to which lips touch, and from which they do not
# An upper lip that comes down further hides the teeth of a smile in every open vowel; mouths close
# from below.
UPPER_CLOSES: Final = 0.1
SURE_CLOSE: Final = 0.04  # of mouthClose from which lips surely mean to meet
FUNNEL_PUCKER: Final = 0.95  # how much of a pucker's narrowing the rig's funnel has
FRAME_REACH_CM: Final = 1.8  # over which the fitted face's own proportions are taken
SAMPLE: Final = slice(None, None, 3)  # of the vertices: enough for an average
FRAME_STIFFNESS: Final = 0.25  # share of the rig's proportions in them
FRAME_RANGE: Final = (0.7, 1.3)  # least and most stretch of an expression


class Expression:
    """The fitted face's response to the 52 coefficients.

    Attributes:
        rest: [V, 3] camera space, centimetres.
        deltas: [52, V, 3] camera-space displacement at coefficient 1.
        lids: by side, [52, ring, 3] how each coefficient moves the edge of that eye's lids; the
            surface around takes no part in it.
        mouth, left_eye, right_eye: the openings' sides.
        curves: how strongly each coefficient acts on this portrait.
    """

    def __init__(self, portrait: Portrait, rig: Rig, curves: Curves | None = None) -> None:
        """Moves a fitted face by these curves, or by those that are measured now."""
        fit = portrait.fit
        self.rest = fit.rest.copy()
        self.mouth = Pair(rig.mouth, self.rest)
        self.left_eye = Pair(rig.left_eye, self.rest)
        self.right_eye = Pair(rig.right_eye, self.rest)
        for pair in (self.mouth, self.left_eye, self.right_eye):
            pair.keep_apart(self.rest)  # as every frame does: rest is one of them
        self.deltas = _camera_deltas(rig, fit)
        self._own = _own_mouth(fit)
        self._round_lips(rig.neutral)
        self._drop_smile()
        self._close_lips()
        self._unfolder = _unfolder(rig, self.rest)
        self._unfold_each()
        self._lacking = _lacking(portrait.blendshapes)
        self.lids = {
            side: self._part_lids(
                eye, side, self.rest[rig.landmarks[list(BROWS[side])]].mean(axis=0)
            )
            for side, eye in (("Left", self.left_eye), ("Right", self.right_eye))
        }
        self._closing = self._rest_closing(fit)
        self._relief = relief_of(rig, self.rest, self.deltas, light_of(portrait, rig, self.rest))
        # The surface's light steps at a lid's edge, which has moved by itself.
        lids = sum(np.abs(o.spread).sum(axis=1) for o in (rig.left_eye, rig.right_eye))
        self._relief *= np.clip(1.0 - 2.5 * np.asarray(lids, np.float32), 0, 1)
        self.curves = curves or Curves()
        if curves is None:
            pairs = {"mouth": self.mouth, "left_eye": self.left_eye, "right_eye": self.right_eye}
            self.curves = calibrate(portrait, rig, pairs, self.shape)
        self._least_light, self._most_light = light_range(portrait, self.rest)
        self._daylight = np.ones(len(self.rest), np.float32)

    def join(self, depth: Floats, deltas: Floats, opacity: Floats) -> None:
        """Takes over the head layer's depth [V] and deltas [52, V, 3] where the face fades out."""
        self.rest[:, 2] = depth + opacity * (self.rest[:, 2] - depth)
        joined = deltas + opacity[:, None] * (self.deltas - deltas)
        self.deltas = np.ascontiguousarray(joined, np.float32)
        self._unfold_each()
        self._relief *= opacity

    def effective(self, motion: Floats) -> Floats:
        """Returns the coefficients [52] that act on the fitted face under `motion` [58].

        A portrait with an expression of its own cannot show it twice; when it speaks it lets it
        go, and the coefficients act on what is then nearly a neutral face.
        """
        return _effective(
            motion[: len(self.deltas)],
            self.curves.gains,
            self.curves.bends,
            self._lacking,
            self._own,
            closing_share(motion),
        )

    def shape(self, motion: Floats, acting: Floats | None = None) -> Floats:
        """Returns the face [V, 3] under the expression of `motion` [58], head unturned.

        `acting` is what is `effective` of it, if that is known.
        """
        acting = self.effective(motion) if acting is None else acting
        points = displaced(self.rest, self.deltas, acting)
        if self._closing is not None:
            points += closing_share(motion) * self._closing
        self.mouth.keep_apart(points, seal_of(motion))
        return points

    def light(self, acting: Floats) -> Floats:
        """Returns how much brighter each vertex [V] becomes by the skin's new slopes, 1 at rest.

        `acting` [52] is what is `effective` of a motion.
        """
        light = displaced(self._daylight, self._relief, acting)
        return np.clip(light, self._least_light, self._most_light, out=light)

    def _unfold_each(self) -> None:
        """Keeps brows, nose, cheeks and lids from folding the skin where they have little room.

        The jaw may: an open mouth's chin hides the neck.
        """
        for name, delta in zip(ARKIT_NAMES, self.deltas, strict=True):
            if name.startswith(("mouth", "jaw")):
                continue
            points = self.rest + delta
            self._unfolder.smooth(points, rounds=UNFOLD_ROUNDS, least=ROOM)
            delta[:] = points - self.rest

    def _round_lips(self, neutral: Floats) -> None:
        """Gives what opens the mouth a round opening between whatever lips the picture has."""
        for name in ROUNDING:
            delta = self.deltas[INDEX[name]]
            wanted: list[Floats] = []
            for side in (self.mouth.upper, self.mouth.lower):
                share = shares(neutral[side])
                height = delta[side, 1]
                level = height[0] + (height[-1] - height[0]) * share
                middle = float(np.interp(0.5, share, height - level))
                round_ = middle * np.maximum(1.0 - (2.0 * share - 1.0) ** 2, 0.0) ** ROUND_POWER
                change = np.zeros((len(side), 3), np.float32)
                change[:, 1] = ROUNDNESS * (level + round_ - height)
                wanted.append(change)
            delta += self.mouth.spread_over(self.mouth.ring_deltas(*wanted))

    def _drop_smile(self) -> None:
        """Lets the jaw take down the corners that a smile of the picture holds up.

        An open mouth's upper lip arches; under one that hangs between its corners a mouth opens
        as a puppet's does, straight above. Closed again it smiles as before.
        """
        relaxed = self._relaxed()
        sides = self.mouth.upper, self.mouth.lower
        middle = np.mean([_at_middle(relaxed[side]) for side in sides])
        smile = max(float(relaxed[self.mouth.upper[[0, -1]], 1].mean() - middle), 0.0)
        drops = []
        for side in sides:
            drop = np.zeros((len(side), 3), np.float32)
            drop[:, 1] = -SMILE_DROP * smile * (2.0 * shares(self.rest[side]) - 1.0) ** SMILE_POWER
            drops.append(drop)
        moved = self.mouth.spread_over(self.mouth.ring_deltas(*drops))
        self.deltas[JAW] += moved
        self.deltas[CLOSE] -= moved

    def _close_lips(self) -> None:
        """Makes mouthClose cancel exactly the opening that jawOpen brings, as in ARKit.

        What only shapes the lips opens none either.
        """
        jaw, close = INDEX["jawOpen"], INDEX["mouthClose"]
        self.deltas[close] += self._contact(self.deltas[jaw] + self.deltas[close])
        for name in TOUCHING:
            self.deltas[INDEX[name]] += self._contact(self.deltas[INDEX[name]])

    def _contact(self, moved: Floats) -> Floats:
        """Returns the displacement [V, 3] after which `moved` takes both lips the same way."""
        below, above = self.mouth.facing(moved)
        upper = np.float32(0.5) * (below - moved[self.mouth.upper])
        lower = np.float32(0.5) * (above - moved[self.mouth.lower])
        return self.mouth.spread_over(self.mouth.ring_deltas(upper, lower))

    def _part_lids(self, eye: Pair, side: str, brow: Floats) -> Floats:
        """Takes the lids' own motion [52, ring, 3] out of the surface and returns it.

        The eye layer moves the lids over the eyeball, and closes them; skin around it would only
        be stretched.
        """
        lids: Floats = self.deltas[:, eye.ring].copy()
        carried = np.tensordot(eye.opening.spread, lids, axes=(1, 1))  # [V, 52, 3]
        self.deltas -= carried.transpose(1, 0, 2)
        share = np.clip(1.0 - np.abs(eye.opening.spread).sum(axis=1), 0.0, 1.0)
        share[eye.ring] = 0.0
        self.deltas *= share[:, None]
        self._keep_clear(eye)
        for name in LIDS_ALONE:
            self.deltas[INDEX[f"{name}{side}"]] = 0.0
        away = (self.rest - brow)[:, :2] / BROW_REACH_CM
        dip = -BROW_DIP_CM * np.exp(-(away**2).sum(axis=1))
        self.deltas[INDEX[f"eyeBlink{side}"], :, 1] = share * dip
        lids[INDEX[f"eyeBlink{side}"]] = 0.0
        return lids

    def _keep_clear(self, eye: Pair) -> None:
        """Keeps skin that moves towards a still lid's edge from hanging over it."""
        x, y = self.rest[:, 0], self.rest[:, 1]
        upper, lower = (
            np.interp(x, self.rest[side, 0], self.rest[side, 1]) for side in (eye.upper, eye.lower)
        )
        beside = (x < self.rest[eye.upper[0], 0]) | (x > self.rest[eye.upper[-1], 0])
        room = LID_ROOM * np.abs(y - np.where(y > (upper + lower) / 2, upper, lower))
        room = np.where(beside, np.inf, room)
        # Around eyes much larger than the rig's, skin folds into the opening.
        self.deltas[:, ~beside & (y < upper) & (y > lower)] = 0.0
        rise = self.deltas[:, :, 1]
        above = y > (upper + lower) / 2
        rise[:, above] = np.maximum(rise[:, above], -room[above])
        rise[:, ~above] = np.minimum(rise[:, ~above], room[~above])

    def _rest_closing(self, fit: Fit) -> Floats | None:
        """Returns what still parts the lips of an open mouth that lets its expression go."""
        if fit.mouth_is_closed:
            return None
        relaxed = self._relaxed()
        below, above = self.mouth.facing(relaxed)
        upper = UPPER_CLOSES * (below - relaxed[self.mouth.upper])
        lower = (1.0 - UPPER_CLOSES) * (above - relaxed[self.mouth.lower])
        return self.mouth.spread_over(self.mouth.ring_deltas(upper, lower))

    def _relaxed(self) -> Floats:
        """Returns the face [V, 3] when it has let its own expression go to speak."""
        return self.rest - np.tensordot(self._own, self.deltas, axes=1).astype(np.float32)


def _at_middle(side: Floats) -> float:
    """Returns how high a side [n, 3] of an opening is half way from corner to corner."""
    return float(np.interp(0.5, shares(side), side[:, 1]))


def upright_rotation(fit: Fit) -> Floats:
    """Returns the fit's rotation without the downward tilt that landmark nets add, [3, 3]."""
    return np.asarray(rotation_matrix(UNTILT, 0.0, 0.0) @ fit.rotation, np.float32)


def closing_share(motion: Floats) -> float:
    """Returns how far a portrait lets its own expression go to speak, 0..1: its lips meet."""
    return float(_closing_share(motion, SPEECH))


def seal_of(motion: Floats) -> float:
    """Returns how firmly a speaker's lips are together, 0..1, whatever else shapes them.

    A command whose parts cancel (P, B and M with rounded lips, say) means lips that touch. Where
    nothing speaks nothing is sealed.
    """
    gap = float(_commanded_gap(motion))
    share = min(max((GAP_SEALED[1] - gap) / (GAP_SEALED[1] - GAP_SEALED[0]), 0.0), 1.0)
    return closing_share(motion) * share * share * (3.0 - 2.0 * share)


@njit(nogil=True, cache=True, error_model="numpy")
def _commanded_gap(motion: NDArray[np.float32]) -> float:
    """Returns how far a command parts the lips, in units of jawOpen; 0 is touching."""
    jaw = max(motion[JAW], 0.0) - max(motion[CLOSE], 0.0)
    lips = motion[LOWER[0]] + motion[LOWER[1]] + motion[UPPER[0]] + motion[UPPER[1]]
    pressed = motion[PRESS[0]] + motion[PRESS[1]] + motion[ROLL[0]] + motion[ROLL[1]]
    opened = jaw + 0.2 * lips + 0.5 * motion[FUNNEL] + motion[TONGUE_OUT]
    return float(opened - 0.2 * pressed)


@njit(nogil=True, cache=True, error_model="numpy")
def _closing_share(motion: NDArray[np.float32], weights: NDArray[np.float32]) -> float:
    activity = 0.0
    for index in range(len(weights)):
        activity += abs(motion[index]) * weights[index]
    share = min(max((activity - SPEAKS[0]) / (SPEAKS[1] - SPEAKS[0]), 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)


@njit(nogil=True, cache=True, error_model="numpy")
def _effective(
    commanded: NDArray[np.float32],
    gains: NDArray[np.float32],
    bends: NDArray[np.float32],
    lacking: NDArray[np.float32],
    own: NDArray[np.float32],
    share: float,
) -> NDArray[np.float32]:
    """Returns the coefficients [52] of `Expression.effective`; `share` is `closing_share`'s."""
    acting = np.empty(len(commanded), np.float32)
    for index in range(len(commanded)):
        value, bend = commanded[index], bends[index]
        bent = value * gains[index] * (1.0 + bend) / (1.0 + bend * min(abs(value), 1.0))
        acting[index] = bent * (1.0 - (1.0 - share) * lacking[index])
    if commanded[CLOSE] > 0:
        _close(acting, commanded[CLOSE], commanded[JAW])
    # Both narrow the mouth: together no more than one of them can.
    shared = FUNNEL_PUCKER * max(acting[FUNNEL], np.float32(0))
    narrowed = acting[PUCKER] + shared
    acting[PUCKER] -= min(max(narrowed - max(acting[PUCKER], np.float32(1)), 0.0), shared)
    raised = together = 0.0
    for index in range(len(acting)):
        raised += acting[index] * RAISED[index]
    for index in range(len(acting)):
        if raised > MOST_RAISED and RAISED[index] > 0:
            acting[index] *= MOST_RAISED / raised
        together += abs(acting[index]) * MOUTH[index]
    for index in range(len(acting)):
        if together > MOST_AT_ONCE and MOUTH[index] > 0:
            acting[index] *= MOST_AT_ONCE / together
        acting[index] -= share * own[index]
    return acting


@njit(nogil=True, cache=True, error_model="numpy")
def _close(acting: NDArray[np.float32], close: float, jaw: float) -> None:
    """Closes, in place, the share of the lips' opening that mouthClose is of jawOpen."""
    share = min(close / max(jaw, 1e-6), 1.0)
    acting[CLOSE] = acting[JAW] * share
    meant = share * min(close / SURE_CLOSE, 1.0)
    acting[PUCKER] += meant * max(acting[FUNNEL], np.float32(0))  # round, but not apart
    for index in range(len(acting)):
        acting[index] *= 1.0 - meant * OPENING[index]


def _speech_weights(special: Mapping[str, float]) -> Floats:
    """Returns the weight of each of the mouth's coefficients [52], 1 or that in `special`.

    Pairs share theirs.
    """
    weights = np.zeros(len(ARKIT_NAMES), np.float32)
    for index, name in enumerate(ARKIT_NAMES):
        if name.startswith(("mouth", "jaw")):
            one_side = name.removesuffix("Left").removesuffix("Right")
            is_pair = f"{one_side}Left" in INDEX and one_side != "mouth"
            weights[index] = special.get(one_side, 1.0) / (2.0 if is_pair else 1.0)
    return weights


SPEECH: Final = _speech_weights(SPEECH_WEIGHTS)
MOUTH: Final = _speech_weights({})
OPENING: Final = np.array(  # what parts the lips beside the jaw
    [name.startswith(("mouthFunnel", "mouthLowerDown", "mouthUpperUp")) for name in ARKIT_NAMES],
    np.float32,
)
RAISED: Final = np.zeros(len(ARKIT_NAMES), np.float32)
RAISED[[INDEX["browInnerUp"], INDEX["browOuterUpLeft"], INDEX["browOuterUpRight"]]] = 1.0, 0.5, 0.5


def _lacking(scores: Mapping[str, float]) -> Floats:
    """Returns the share of each expression [52] that a portrait showing it already lacks."""
    lacking = np.zeros(len(ARKIT_NAMES), np.float32)
    for name in SATURATING:
        lacking[INDEX[name]] = SATURATION * scores.get(name, 0.0)
    return lacking


def _own_mouth(fit: Fit) -> Floats:
    """Returns the part of the portrait's own expression [52] that it lets go to speak."""
    own = np.zeros(len(ARKIT_NAMES), np.float32)
    for name in OWN_MOUTH:
        own[INDEX[name]] = RELAXED * max(float(fit.own_expression[INDEX[name]]) - OWN_LEAST, 0.0)
    return own


def _unfolder(rig: Rig, rest: Floats) -> Unfolder:
    """Watches all skin that faces the viewer, up to lips and lids, which may meet."""
    openings = (rig.mouth, rig.left_eye, rig.right_eye)
    skin = np.ones(len(rig.triangles), bool)
    for opening, reach in zip(openings, UNFOLD_NEAR, strict=True):
        skin &= np.abs(opening.spread).sum(axis=1)[rig.triangles].max(axis=1) < reach
    watched = skin & (facing(rest, rig.triangles) > FACING)
    rings = np.concatenate([opening.ring for opening in openings])
    return Unfolder(rest, rig.triangles, watched=watched, held=rings)


def _camera_deltas(rig: Rig, fit: Fit) -> Floats:
    """Turns the rig's expressions into the picture's camera, in the fitted face's proportions."""
    frames = upright_rotation(fit) @ _proportions(rig, fit)
    deltas = rig.expressions.transpose(1, 0, 2) @ frames.transpose(0, 2, 1)  # [V, 52, 3]
    return np.ascontiguousarray(deltas.transpose(1, 0, 2), np.float32)


def _proportions(rig: Rig, fit: Fit) -> Floats:
    """Returns how the fitted face stretches the rig's around each vertex, [V, 3, 3].

    The affine map from the rig, wearing the portrait's own expression, to the fitted face,
    averaged over `FRAME_REACH_CM`: a small or crooked mouth moves in its own frame.
    """
    source = (rig.neutral + np.tensordot(fit.own_expression, rig.expressions, axes=1))[SAMPLE]
    target = (fit.rest @ fit.rotation)[SAMPLE]
    count, near = len(rig.neutral), rig.neutral[SAMPLE]
    distance = (rig.neutral**2).sum(axis=1)[:, None] + (near**2).sum(axis=1)
    distance -= 2 * rig.neutral @ near.T
    weight = np.exp(-distance / (2 * FRAME_REACH_CM**2))
    weight /= weight.sum(axis=1, keepdims=True)
    first = weight @ np.concatenate([source, target], axis=1)
    pairs = np.einsum("va,vb->vab", np.concatenate([source, target], axis=1), source)
    second = (weight @ pairs.reshape(len(near), -1)).reshape(count, 6, 3)
    second -= first[:, :, None] * first[:, None, :3]
    stiff = FRAME_STIFFNESS * np.trace(second[:, :3], axis1=1, axis2=2) / 3
    stiff = stiff[:, None, None] * np.eye(3)
    maps = np.linalg.solve(second[:, :3] + stiff, (second[:, 3:] + stiff).transpose(0, 2, 1))
    left, stretch, right = np.linalg.svd(maps.transpose(0, 2, 1))
    return np.asarray((left * np.clip(stretch, *FRAME_RANGE)[:, None]) @ right, np.float32)
