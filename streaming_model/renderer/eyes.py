"""The eyes: lids that unroll over an eyeball, in the pixels of the portrait at rest.

A small box around each eye is composed anew for every frame (the lids' edges, the lash line
that travels with the upper one, the iris over its completed white) and the face's surface
carries it as its texture. So the head turns a blink as it turns the picture.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.renderer.eye_parts import MARGIN, EyeFrame, read_lids
from streaming_model.renderer.eyeball import SHADOW_REACH, EyeView, read_eyeball
from streaming_model.renderer.geometry import FaceGeometry
from streaming_model.renderer.palette import LUMA
from streaming_model.renderer.raster import packed
from streaming_model.renderer.raster_eyes import compose_eye, lay_eye, place_eye, place_lids
from streaming_model.renderer.stage import Stage
from streaming_model.rig import Rig

Floats = NDArray[np.float32]

GAZE_TRAVEL_CM: Final = (0.42, 0.26)  # of the iris at coefficient 1, across and up
GLINT_SHARE: Final = 0.45  # of the iris's travel that the light on the cornea takes
MEETING_LINE: Final = 0.12  # where closed lids meet, as a share of the opening from below
SQUEEZE: Final = 0.5  # height of the lashes on a closed lid, they then point away from it
LASH_LINE: Final = (0.025, 0.085)  # its width above and below the edge, of the eye's width
LASH_STRENGTH: Final = 0.85
MOST_RISE: Final = 0.33  # of the upper lid, of the room below the brow
LOWER_REACH: Final = 0.6  # how far skin follows the lower lid, of the eye's width
BOX_ABOVE: Final = 0.5  # the box goes on beyond the opening, of the eye's width
BOX_BESIDE: Final = 0.2
SETTLE: Final = 1.5  # pixels of travel over which the picture hands over to what is composed
IRIS: Final = {"Left": slice(473, 478), "Right": slice(468, 473)}
BROW: Final = {"Left": (276, 283, 282, 295, 285), "Right": (46, 53, 52, 65, 55)}
# What looks towards the picture's right, and what to its left.
RIGHTWARD: Final = {"Left": ("Out", "In"), "Right": ("In", "Out")}


class EyePlace(NamedTuple):
    """Everything of one eye in one frame but its pixels.

    Attributes:
        box: left, top, right and bottom of the part of the frame that may show it.
        edges, numbers, gaze: `edges`, `place` and `gaze` of `compose_eye`.
    """

    box: tuple[int, int, int, int]
    edges: Floats
    numbers: Floats
    gaze: Floats


class EyeLayer:
    """One eye of one portrait on one stage; `side` is the subject's, "Left" or "Right"."""

    def __init__(self, rig: Rig, *, geometry: FaceGeometry, stage: Stage, side: str) -> None:
        self.side = side
        self._stage = stage
        self._effective = geometry.effective
        pair = geometry.left_eye if side == "Left" else geometry.right_eye
        pixels = stage.project(geometry.rest)
        upper, lower = pixels[pair.upper], pixels[pair.lower]
        self.frame = frame = EyeFrame.between(upper[0], upper[-1])
        self._margin = round(MARGIN * frame.width)
        columns = np.arange(round(frame.width) + 1 + 2 * self._margin) - self._margin
        self._rest = self._heights(frame.of(upper), frame.of(lower), columns)
        across = (columns / frame.width).astype(np.float32)
        lids = geometry.lids[side]
        self._used = np.flatnonzero(np.abs(lids).max(axis=(1, 2)) > 1e-3)
        rise = stage.scale * (lids[self._used, :, :2] * np.array([1, -1], np.float32)) @ frame.up
        at = frame.of(pixels[pair.ring])[:, 0] / np.float32(frame.width)
        count = len(pair.upper)
        lower_side = [0, *range(count, len(at)), count - 1]
        self._rises = np.stack(
            [
                _bowed(at[:count], rise[:, :count], across),
                _bowed(at[lower_side], rise[:, lower_side], across),
            ],
            axis=1,
        )
        brow = self._brow(columns)
        taper = LASH_STRENGTH * np.clip(2.5 * np.sin(np.pi * np.clip(across, 0, 1)), 0, 1) ** 0.7
        highest = self._rest[0] + np.maximum(MOST_RISE * (brow - self._rest[0]), 0)
        self._lines = np.stack(
            [*self._rest, highest, _meeting(self._rest, across), taper], dtype=np.float32
        )
        self._tall = max(float((self._rest[0] - self._rest[1]).max()), 1.0)
        self._box = self._bounds(upper, lower)
        self._read(columns, brow)
        self._numbers = self._fixed_numbers()
        looks = ("Blink", *(f"Look{way}" for way in (*RIGHTWARD[side], "Up", "Down")))
        self._looks = np.array([INDEX[f"eye{name}{side}"] for name in looks])
        self._ways = np.stack([frame.along, frame.up]).astype(np.float32)
        up, squeeze = GAZE_TRAVEL_CM[1] * stage.scale, 1.0 - (1.0 - SQUEEZE) * self._lids.shading
        self._limits = np.array(
            [*self._room, up, self._tall, stage.size, squeeze, SETTLE, GLINT_SHARE], np.float32
        )
        left, top, right, bottom = self._box
        x, y = pixels.T
        inside = (x >= left - 1) & (x <= right) & (y >= top - 1) & (y <= bottom)
        self._vertices = np.union1d(np.flatnonzero(inside), pair.ring).astype(np.int64)

    def draw(
        self,
        out: NDArray[np.uint8],
        motion: Floats,
        acting: Floats,
        maps: Floats,
        pixels: Floats,
    ) -> None:
        """Lays the eye over `out` [s, s, 3] under `motion` [58], of which `acting` is effective.

        `maps` [3, >= s, >= s] are the place of the foreground that each pixel shows, x and y,
        and its light; `pixels` [V, 2] is where the face's vertices are drawn.
        """
        placed = self.place(motion, acting, pixels)
        if placed is None:
            return
        patch = self._base.copy()
        self._paint(patch, placed.edges, placed.numbers, placed.gaze)
        lay_eye(out, packed(patch), maps, placed.box, self.corner)

    def place(self, motion: Floats, acting: Floats, pixels: Floats) -> EyePlace | None:
        """Returns all of the eye but its pixels, None if nothing of it has moved or is seen.

        `acting` [52] is what is effective of `motion` [58]; `pixels` [V, 2] is where the face's
        vertices are drawn.
        """
        is_seen, box, edges, numbers, gaze = place_eye(
            motion,
            acting,
            pixels,
            self._vertices,
            self._lines,
            self._rises,
            self._used,
            self._numbers,
            self._looks,
            self._ways,
            self._limits,
        )
        return EyePlace(box, edges, numbers, gaze) if is_seen else None

    def _fixed_numbers(self) -> Floats:
        """Returns `place` of `compose_eye` with what is the same in every frame."""
        width = self.frame.width
        thick = min(width, 3.5 * self._tall)
        return np.array(
            [
                self._margin,
                1.0,
                self._lids.reach,
                LOWER_REACH * width,
                max(LASH_LINE[0] * thick, 0.8),
                max(LASH_LINE[1] * thick, 1.0),
                self._ball.shadow,
                SHADOW_REACH * width,
                0.0,
                0.0,
                0.6 * width,
            ],
            np.float32,
        )

    @property
    def columns(self) -> int:
        """How many columns the `edges` of an `EyePlace` have."""
        return len(self._lines[0])

    @property
    def corner(self) -> tuple[int, int]:
        """Where the eye's pictures begin in the stage's foreground, x and y."""
        return self._box[0] + self._stage.border, self._box[1] + self._stage.border

    def look(self) -> dict[str, NDArray[np.float32] | NDArray[np.uint8]]:
        """Returns the arrays of `compose_eye` that are the same in every frame, by name.

        `base` is what it writes into.
        """
        lids, ball = self._lids, self._ball
        return {
            "base": self._base,
            "skin": self._skin,
            "plate": lids.plate,
            "unfold": lids.unfold,
            "ratio": lids.ratio,
            "still": ball.still,
            "white": ball.white,
            "iris": ball.iris,
            "glint": ball.glint,
            "leftover": self._leftover,
            "axes": self._axes,
            "lash": lids.lash,
        }

    def _paint(self, patch: NDArray[np.uint8], edges: Floats, place: Floats, gaze: Floats) -> None:
        lids, ball = self._lids, self._ball
        compose_eye(
            patch,
            self._skin,
            lids.plate,
            lids.unfold,
            lids.ratio,
            ball.still,
            ball.white,
            ball.iris,
            ball.glint,
            self._leftover,
            self._axes,
            edges,
            lids.lash,
            place,
            gaze,
        )

    def edges(self, motion: Floats) -> Floats:
        """Returns the lids' edges and the lash line [5, k] as `compose_eye` wants them."""
        blink = min(max(float(motion[INDEX[f"eyeBlink{self.side}"]]), 0.0), 1.0)
        return place_lids(
            self._lines, self._rises, self._effective(motion)[self._used], blink, self._tall
        )

    def _heights(self, upper: Floats, lower: Floats, columns: NDArray[np.int64]) -> Floats:
        sides = [
            np.interp(columns, side[:, 0], side[:, 1], left=0, right=0) for side in (upper, lower)
        ]
        return np.stack([np.maximum(*sides), np.minimum(*sides)]).astype(np.float32)

    def _brow(self, columns: NDArray[np.int64]) -> Floats:
        """Returns the height of the brow's lower edge [k]."""
        brow = self.frame.of(self._stage.landmarks[list(BROW[self.side])])
        brow = brow[brow[:, 0].argsort()]
        return np.interp(columns, brow[:, 0], brow[:, 1]).astype(np.float32)

    def _bounds(self, upper: Floats, lower: Floats) -> tuple[int, int, int, int]:
        """Returns left, top, right and bottom of the box in the picture's pixels."""
        ring, width, size = np.concatenate([upper, lower]), self.frame.width, self._stage.size
        low = ring.min(axis=0) - np.array([BOX_BESIDE, BOX_ABOVE]) * width - 2
        high = ring.max(axis=0) + np.array([BOX_BESIDE, LOWER_REACH]) * width + 3
        left, top = (int(min(max(value, 0), size - 4)) for value in low)
        right, bottom = (
            int(max(min(value, size), at + 4)) for value, at in zip(high, (left, top), strict=True)
        )
        return left, top, right, bottom

    def _read(self, columns: NDArray[np.int64], brow: Floats) -> None:
        stage, frame, width = self._stage, self.frame, self.frame.width
        left, top, right, bottom = self._box
        inner = slice(top + stage.border, bottom + stage.border)
        self._base = stage.foreground[inner, left + stage.border : right + stage.border].copy()
        self._base[[0, -1], :, 3] = 0
        self._base[:, [0, -1], 3] = 0
        self._skin = self._base[..., :3].astype(np.float32)
        self._axes = frame.axes(left, top)
        self._lids = read_lids(stage.picture, frame, self._rest, brow=brow, box=self._box)
        rows, cols = np.indices(self._skin.shape[:2], dtype=np.float32)
        u = self._axes[0] * cols + self._axes[1] * rows + self._axes[2]
        v = self._axes[3] * cols + self._axes[4] * rows + self._axes[5]
        upper, lower = (np.interp(u, columns, side) for side in self._rest)
        opening = np.clip(np.minimum(upper, v + 0.5) - np.maximum(lower, v - 0.5), 0, 1)
        mark = stage.landmarks[IRIS[self.side]] - np.array([left, top], np.float32)
        radius = float(np.linalg.norm(mark[1:] - mark[0], axis=1).mean())
        view = EyeView(
            patch=self._skin,
            opening=opening.astype(np.float32),
            depth=(upper - v).astype(np.float32),
            height=(v - lower).astype(np.float32),
            light=np.asarray(
                cv2.GaussianBlur(self._lids.plate @ LUMA, (0, 0), 0.1 * width), np.float32
            ),
            beside=np.minimum(u, width - u) / width,
            width=width,
            shading=self._lids.shading,
        )
        self._ball = read_eyeball(view, mark[0], radius)
        centre = float(frame.of(self._ball.centre + np.array([left, top], np.float32))[0])
        travel = GAZE_TRAVEL_CM[0] * stage.scale
        spare = 0.8 * self._ball.radius
        self._room = [
            min(travel, max(centre - spare, 0.3 * travel)),
            min(travel, max(width - centre - spare, 0.3 * travel)),
        ]
        self._leftover = np.zeros_like(self._skin)
        rest = self._base.copy()
        edges = self.edges(np.zeros(MOTION_SIZE, np.float32))
        place = np.array(
            [self._margin, 1, self._lids.reach, LOWER_REACH * width, 1, 1, 0, 1, 0, 0, 0],
            np.float32,
        )
        self._paint(rest, edges, place, np.zeros(4, np.float32))
        self._leftover = self._skin - rest[..., :3].astype(np.float32)


def _bows(across: Floats) -> Floats:
    """Returns two smooth shapes [k, 2] between the corners at `across` 0 and 1, 0 beside them."""
    bow = np.clip(across * (1 - across), 0, None)
    return np.stack([bow, bow * (across - 0.5)], axis=1)


def _bowed(across: Floats, rises: NDArray[np.floating], columns: Floats) -> Floats:
    """Returns rises [n, m] of a lid's vertices at `across` [m] as smooth bows [n, k]."""
    weights, *_ = np.linalg.lstsq(_bows(across), rises.T)
    return np.asarray((_bows(columns) @ weights).T, np.float32)


def _meeting(rest: Floats, across: Floats) -> Floats:
    """Returns where closed lids meet [k], as a share of the opening from below.

    A smooth bow from corner to corner that lies as near to `MEETING_LINE` as it can.
    """
    upper, lower = rest
    wanted = lower + MEETING_LINE * (upper - lower)
    inner = (across > 0) & (across < 1)
    line = _bowed(across[inner], wanted[None, inner], across)[0]
    share = (line - lower) / np.maximum(upper - lower, 0.5)
    return np.where(inner, np.clip(share, 0, 0.9), MEETING_LINE).astype(np.float32)
