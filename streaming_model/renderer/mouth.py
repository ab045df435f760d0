"""The mouth's inside, drawn behind the lips.

Drawn finer than the frame with a depth buffer, brought to the picture's sharpness, grain and
light, and laid over the frame with the coverage of the opening between the lips. A tongue that
comes out is laid over the lower lip too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import INDEX
from streaming_model.portrait import Portrait
from streaming_model.renderer.expression import closing_share
from streaming_model.renderer.geometry import FaceGeometry, HeadMotion
from streaming_model.renderer.interior import fit_interior
from streaming_model.renderer.medium import filter_taps, skin_grain, softness
from streaming_model.renderer.mouth_light import darkness, light_let_in, meeting_line, shaded
from streaming_model.renderer.mouth_places import (
    cross_columns,
    cross_lips,
    fine_limits,
    place_inside,
    place_lips,
)
from streaming_model.renderer.own_teeth import OwnMouth, read_own_mouth
from streaming_model.renderer.palette import Palette
from streaming_model.renderer.raster import bounds
from streaming_model.renderer.raster_mouth import (
    add_grain,
    blur_cover,
    cover_crossed,
    cover_triangles,
    draw_solid,
    lay_over,
    lay_picture,
    reduce_and_blur,
    roll_lips,
    shade,
)
from streaming_model.renderer.stage import Stage
from streaming_model.renderer.tongue import Bed, Tongue, put_out
from streaming_model.rig import TONGUE_ROWS, Rig

Floats = NDArray[np.float32]

FINE: Final = ((2, 2), (1, 2))  # drawn pixels per pixel, across and down: sharp, soft pictures
SOFT: Final = 0.75  # pixels of blur from which a picture counts as soft
INCISOR_CM: Final = 0.85
TOUCH_CM: Final = 0.05  # lips nearer than this touch: they are soft
OUT: Final = 0.02  # least tongueOut that is drawn
LEAST_GAP: Final = 0.01  # pixels; lips that are less parted are closed
FULLY_LIT: Final = 0.3  # tongueOut from which the light falls on the tongue as on a lip
FLAT_TONGUE: Final = 0.95  # its one tone in a flat drawing
UPPER_SHADOW: Final = (0.04, 0.48)  # reach over the mouth's width, strength at the lip
OWN_SHADOW: Final = 0.4  # the share of it that the picture's teeth do not have already
LOWER_SHADOW: Final = 0.03
ROLL_CM: Final = 0.07  # how deep lips darken where they roll in
ROLL: Final = np.array([[0.45], [0.22]], np.float32)  # of the upper and the lower lip
OUTLINE: Final = 0.9  # the same in a flat drawing, which has lines there
ROLL_GAP: Final = 0.08  # gap over the mouth's width at which they do so fully
SEAM_CM: Final = 0.06  # half the width of the line where the lips of an open mouth meet
OWN_HELD_CM: Final = 0.09  # lips that have moved this far no longer hold the picture's inside
TONGUE_SHADOW: Final = (0.22, 0.40)  # reach in cm, strength
BLACK: Final = np.zeros(3, np.float32)


LOWER_ROW, UPPER_ROW, STILL = range(3)  # of the picture's own mouth, in the order they are laid


@dataclass(frozen=True)
class TonguePlace:
    """Where a tongue that is out lies beyond the teeth.

    Attributes:
        triangles: [T, 3] of what does.
        crossings, limits: as of the mouth, but of all that is below the upper lip.
    """

    triangles: NDArray[np.int32]
    crossings: NDArray[np.float64]
    limits: NDArray[np.int32]


@dataclass(frozen=True)
class InsidePlace:
    """What lies behind parted lips, but its pixels.

    Attributes:
        points, colours: [V, 3] vertices in fine pixels of the box, and what they show.
        limits: [2, fine columns] the fine rows wanted.
        light: [w] how much of it falls in.
        grain: [2] column and row of the grain's tile at the box's corner.
        sources: [3, 2, 3] from the box's pixels to those of the picture's own layers.
        shares: [3] of those layers.
        over: reach of the lower lip's shadow in pixels.
        rolled: [2, w] how much the lips darken where they roll in.
        tongue: where it is if it is beyond the teeth.
    """

    points: Floats
    colours: Floats
    limits: NDArray[np.int32]
    light: Floats
    grain: NDArray[np.float64]
    sources: Floats
    shares: Floats
    over: float
    rolled: Floats
    tongue: TonguePlace | None


@dataclass(frozen=True)
class MouthPlace:
    """Everything of one mouth in one frame but its pixels.

    Attributes:
        box: left, top, right and bottom of the pixels drawn.
        rows: [2, w] where the lips cross each column, in rows of the box; crossings:
            [2, w, SUBCOLUMNS] the same for parts of columns.
        meeting: [2, w] strength of the line where lips meet that the picture shows apart.
        inside: what is between the lips if they are parted.
    """

    box: tuple[int, int, int, int]
    rows: Floats
    crossings: NDArray[np.float64]
    meeting: Floats | None
    inside: InsidePlace | None


class MouthLayer:
    """The interior of one portrait's mouth on one stage.

    Attributes:
        seam_reach, roll_reach: pixels that the lips' lines reach from their edges.
        tongue_soft: side in pixels of the blur of the tongue's shadow.
    """

    def __init__(
        self,
        portrait: Portrait,
        rig: Rig,
        *,
        geometry: FaceGeometry,
        stage: Stage,
        palette: Palette,
    ) -> None:
        self.stage, self.geometry, self.palette = stage, geometry, palette
        self._own = None if portrait.fit.mouth_is_closed else read_own_mouth(stage, geometry)
        self._interior = fit_interior(portrait, rig, geometry, stage, self._own)
        self._middle = self._interior.rest.mean(axis=0)
        tooth_pixels = INCISOR_CM * self._interior.scale * stage.scale
        self._colours = shaded(rig, palette, self._own, tooth_pixels=tooth_pixels)
        pair = geometry.mouth
        self._facing = (
            _steps(pair.upper_share, pair.lower_share),
            _steps(pair.lower_share, pair.upper_share),
        )
        self.width = float(np.ptp(stage.project(geometry.rest[pair.upper])[:, 0]))
        blur = softness(stage)
        self._taps = filter_taps(blur)
        self._edge_taps = filter_taps(max(0.6 * blur, 0.25))
        self._reach = 1.0 + 1.6 * blur
        self._fine = FINE[1] if blur >= SOFT else FINE[0]
        self._darkness = darkness(palette)
        own_shadow = 1.0 if self._own is None else OWN_SHADOW
        self._upper_shadow = UPPER_SHADOW[1] * (1.0 - palette.flatness) * own_shadow
        self._roll = ROLL + palette.flatness * (OUTLINE - ROLL)
        self._seam = 0.45 * palette.lip
        self.seam_reach = max(SEAM_CM * stage.scale, 1.2 * blur)
        self.roll_reach = ROLL_CM * stage.scale
        self.tongue_soft = max(3, int(TONGUE_SHADOW[0] * stage.scale) | 1)
        fine = (*self._fine, 1.0)
        to_pixels = [fine[0] * stage.scale, -fine[1] * stage.scale, fine[2]]
        self._fine_pixels = np.array([to_pixels, [0.0, 0.0, 0.0]], np.float32)
        self._behind = 0.5 * palette.cavity
        self._tongue_behind = 0.8 * palette.tongue
        self._own_pictures = _own_pictures(self._own)
        self._grain = skin_grain(stage)
        self._grain_at = stage.project(self._interior.rest[:1])[0]

    def draw(
        self,
        out: NDArray[np.uint8],
        face: Floats,
        motion: Floats,
        acting: Floats,
        head: HeadMotion,
    ) -> None:
        """Lays the interior over `out` where `face` [V, 3] (head turned) opens its lips.

        `acting` [52] is what is effective of `motion` [58].
        """
        placed = self.place(face, motion, acting, head)
        if placed is None:
            return
        left, top, _, _ = placed.box
        if placed.meeting is not None:
            roll_lips(out, placed.rows, left, top, self.seam_reach, placed.meeting, self._seam)
        if placed.inside is not None:
            self._lay_inside(out, placed, placed.inside)
            if placed.inside.tongue is not None:
                self._lay_on_lip(out, placed, placed.inside, placed.inside.tongue)

    def place(
        self, face: Floats, motion: Floats, acting: Floats, head: HeadMotion
    ) -> MouthPlace | None:
        """Returns all of the mouth but its pixels, None if it is off the stage."""
        out_share = float(motion[INDEX["tongueOut"]])
        tongue = self._put_out(face, acting, head, out_share) if out_share > OUT else None
        upper, lower, box = self._lips(face, motion, tongue)
        if box is None:
            return None
        left, top, right, _ = box
        crossings, rows, gaps, widest = cross_lips(
            upper, lower, left, top, right - left, self.width
        )
        meeting = None
        if self._own is not None:
            columns = np.arange(left, right, dtype=np.float32)
            beside = np.minimum(columns - upper[0, 0], upper[-1, 0] - columns) / self.width
            meeting = meeting_line(gaps, beside, motion)
        placed = MouthPlace(box, rows, crossings, meeting, None)
        if widest < LEAST_GAP:
            return placed
        points, colours = self._placed(box, acting, head, tongue, out_share)
        light = light_let_in(
            gaps, motion, flatness=self.palette.flatness, is_own=self._own is not None
        )
        free = 1.0 - min(4.0 * out_share, 1.0)
        sources, shares = self._own_layers(box, points, head, free)
        shares[STILL] = 0.0 if self._own is None else self._held(face, head)
        if self._own is None:
            rolled = np.minimum(gaps / ROLL_GAP, 1.0) * self._roll
        else:  # the picture has that shade already
            rolled = np.zeros((2, len(gaps)), np.float32)
        inside = InsidePlace(
            points=points,
            colours=colours,
            limits=self._limits(rows, box),
            light=light,
            grain=np.asarray(self._grain_at - points[0, :2] / self._fine, np.float64),
            sources=sources,
            shares=shares,
            over=LOWER_SHADOW * self.width * max(1.0 - 4.0 * out_share, 0.01),
            rolled=rolled.astype(np.float32),
            tongue=None if tongue is None else self._place_tongue(placed, upper, tongue),
        )
        return replace(placed, inside=inside)

    def _lay_inside(self, out: NDArray[np.uint8], placed: MouthPlace, inside: InsidePlace) -> None:
        left, top, _, _ = placed.box
        image = self._drawn(placed.box, inside, inside.limits, self._behind)
        add_grain(image, self._grain, *map(float, inside.grain))
        for at in (LOWER_ROW, UPPER_ROW):
            self._lay_own(image, inside, at)
        shade(
            image,
            placed.rows,
            inside.light,
            self._darkness,
            UPPER_SHADOW[0] * self.width,
            inside.over,
            self._upper_shadow,
        )
        self._lay_own(image, inside, STILL)
        cover = np.empty(image.shape[:2], np.float32)
        cover_crossed(cover, placed.crossings)
        # The lips' half of a pixel on their edge is not in the frame: the inside takes it.
        np.minimum(2.0 * cover, 1.0, out=cover)
        sharp = cover.copy()
        blur_cover(cover, self._edge_taps)
        cover += inside.shares[STILL] * (sharp - cover)  # the picture's own edge is soft already
        roll_lips(out, placed.rows, left, top, self.roll_reach, inside.rolled, BLACK)
        lay_over(out, image, cover, left, top)

    def _lay_own(self, image: Floats, inside: InsidePlace, at: int) -> None:
        if inside.shares[at] > 0:
            share = float(inside.shares[at])
            lay_picture(image, self._own_pictures[at], inside.sources[at], share)

    def _lips(
        self, face: Floats, motion: Floats, tongue: Tongue | None
    ) -> tuple[Floats, Floats, tuple[int, int, int, int] | None]:
        """Returns the lips' edges in pixels, [n, 2] and [m, 2]: nearly closed ones touch.

        And left, top, right and bottom of the pixels to draw, None if there are none.
        """
        pair, stage = self.geometry.mouth, self.stage
        touch = TOUCH_CM * stage.scale
        if self._own is not None:
            touch *= closing_share(motion)  # a smile's lips do not touch until they mean to
        upper, lower, (west, north, east, south) = place_lips(
            face, pair.upper, pair.lower, stage.scale, stage.origin, *self._facing, touch
        )
        if tongue is not None:
            seen = bounds(stage.project(tongue.grid[tongue.is_beyond]))
            west, north = min(west, seen[0]), min(north, seen[1])
            east, south = max(east, seen[2]), max(south, seen[3])
        margin = len(self._edge_taps)
        left, top = max(math.floor(west) - margin, 0), max(math.floor(north) - margin, 0)
        right = min(math.ceil(east) + margin + 1, stage.size)
        bottom = min(math.ceil(south) + margin + 1, stage.size)
        is_seen = right > left and bottom > top
        return upper, lower, (left, top, right, bottom) if is_seen else None

    def _limits(self, rows: Floats, box: tuple[int, int, int, int]) -> NDArray[np.int32]:
        """Returns the first and last fine row wanted of each fine column, [2, columns]."""
        left, top, right, bottom = box
        limits = np.empty((2, self._fine[0] * (right - left)), np.int32)
        height = self._fine[1] * (bottom - top)
        fine_limits(limits, rows, self._reach, self._fine[1], height)
        return limits

    def _place_tongue(
        self, placed: MouthPlace, upper: Floats, tongue: Tongue
    ) -> TonguePlace | None:
        if not tongue.is_beyond.any():
            return None
        beyond = np.zeros(len(self._colours), np.bool_)
        beyond[self._interior.tongue] = tongue.is_beyond.ravel()
        triangles = self._interior.tongue_triangles
        left, top, _, bottom = placed.box
        floor = upper + np.array([0, 4 * self.stage.size], np.float32)
        crossings = np.empty_like(placed.crossings)
        cross_columns(crossings, upper, floor, left, top)
        to_bottom = np.stack([placed.rows[0], np.full_like(placed.rows[0], bottom - top)])
        return TonguePlace(
            triangles=triangles[beyond[triangles].all(axis=1)],
            crossings=crossings,
            limits=self._limits(to_bottom, placed.box),
        )

    def _placed(
        self,
        box: tuple[int, int, int, int],
        acting: Floats,
        head: HeadMotion,
        tongue: Tongue | None,
        tongue_out: float,
    ) -> tuple[Floats, Floats]:
        """Returns the interior's vertices in the box's fine pixels, and their colours."""
        interior, stage = self._interior, self.stage
        pixels = self._fine_pixels.copy()
        to_pixels, start = pixels
        for axis in range(2):
            start[axis] = self._fine[axis] * (stage.origin[axis] - box[axis] + 0.5) - 0.5
        turn = (head.rotation, head.pivot, head.shift, head.distance)
        points = place_inside(
            interior.rest, interior.follow, interior.jaw, acting, self._middle, turn, pixels
        )
        if tongue is None:
            return points, self._colours
        points[interior.tongue] = tongue.grid.reshape(-1, 3) * to_pixels + start
        colours = self._colours.copy()
        out = min(tongue_out / FULLY_LIT, 1.0)
        light = tongue.light.reshape(-1, 1)
        lit = self.palette.tongue * (light + self.palette.flatness * (FLAT_TONGUE - light))
        colours[interior.tongue] += out * (lit - colours[interior.tongue])
        return points, colours

    def _drawn(
        self,
        box: tuple[int, int, int, int],
        inside: InsidePlace,
        limits: NDArray[np.int32],
        behind: Floats,
        triangles: NDArray[np.int32] | None = None,
    ) -> Floats:
        """Draws triangles over one colour, at the picture's sharpness, [h, w, 3]."""
        left, top, right, bottom = box
        shape = (self._fine[0] * (right - left), self._fine[1] * (bottom - top))
        image, depth = np.empty((*shape, 3), np.float32), np.empty(shape, np.float32)
        triangles = self._interior.triangles if triangles is None else triangles
        draw_solid(image, depth, inside.points, inside.colours, triangles, behind, limits)
        small = np.empty((bottom - top, right - left, 3), np.float32)
        reduce_and_blur(small, image, self._taps)
        return small

    def _own_layers(
        self, box: tuple[int, int, int, int], points: Floats, head: HeadMotion, free: float
    ) -> tuple[Floats, Floats]:
        """Returns `sources` and `shares` of the picture's own teeth.

        One row is in the skull, one in the jaw. `free` is how little of the lower row the tongue
        covers, 0..1.
        """
        sources, shares = np.zeros((3, 2, 3), np.float32), np.zeros(3, np.float32)
        own, plane = self._own, self._interior.jaw_plane
        if own is None:
            return sources, shares
        anchors = self.geometry.rest[self.geometry.mouth.upper[[0, 19, -1]]].copy()
        anchors[:, 2] -= 0.3
        anchors[1, 1] += 2.0
        now = self.stage.project(head.apply(anchors)) - np.array(box[:2], np.float32)
        to_rest = cv2.getAffineTransform(now, self.stage.project(anchors))
        sources[[UPPER_ROW, STILL]] = to_rest
        if own.upper is not None:
            shares[UPPER_ROW] = 1.0
        if own.lower is not None:
            now = ((points[plane, :2] + 0.5) / self._fine - 0.5).astype(np.float32)
            at_rest = self.stage.project(self._interior.rest[plane])
            sources[LOWER_ROW] = cv2.getAffineTransform(now, at_rest)
            shares[LOWER_ROW] = free
        sources[:, :, 2] -= (own.left, own.top)
        return sources, shares

    def _held(self, face: Floats, head: HeadMotion) -> float:
        """Returns how far the inside is still the picture's: 1 while the lips do not move."""
        pair = self.geometry.mouth
        some = np.concatenate([pair.upper[::4], pair.lower[::4]])
        moved = np.abs(face[some] - head.apply(self.geometry.rest[some]))[:, :2].max()
        share = min(max(1.2 - float(moved) / OWN_HELD_CM, 0.0), 1.0)
        return share * share * (3.0 - 2.0 * share)

    def _put_out(self, face: Floats, acting: Floats, head: HeadMotion, out: float) -> Tongue:
        """Returns the tongue as far out as it is."""
        pair, interior = self.geometry.mouth, self._interior
        jaw = (acting @ interior.jaw).reshape(4, 3)
        index = np.append(interior.tongue, interior.lower_edge)
        moved = interior.rest[index] + interior.follow[index] @ jaw
        points = head.apply(moved.astype(np.float32))
        resting = points[:-2].reshape(TONGUE_ROWS, -1, 3)
        axes = head.rotation @ interior.upright
        middle = len(pair.lower) // 2
        free = face[pair.upper][:, 1] - pair.facing(face)[0][:, 1]
        is_parted = free > 0.45 * max(float(free.max()), 1e-3)
        if is_parted.sum() < 3:  # between closed lips it takes the room that it needs
            is_parted[:] = True
        parted = face[pair.upper][is_parted]
        lip = face[pair.lower[middle - 3 : middle + 4]].mean(axis=0)
        bed = Bed(
            right=axes[:, 0],
            up=axes[:, 1],
            front=axes[:, 2],
            root=resting[0].mean(axis=0),
            edge=points[-2:].mean(axis=0),
            lip=lip,
            lip_line=(face[pair.lower] - lip) @ axes,
            half_width=0.46 * float(np.linalg.norm(np.ptp(parted, axis=0)[[0, 2]])),
            scale=interior.scale,
        )
        return put_out(resting, out, bed)

    def _lay_on_lip(
        self,
        out: NDArray[np.uint8],
        placed: MouthPlace,
        inside: InsidePlace,
        tongue: TonguePlace,
    ) -> None:
        """Lays the tongue over the lower lip, with its shadow there."""
        left, top, right, bottom = placed.box
        triangles = tongue.triangles
        seen = np.zeros((bottom - top, right - left), np.float32)
        cover_triangles(seen, inside.points, triangles, *self._fine)
        below = np.empty_like(seen)
        cover_crossed(below, tongue.crossings)
        down = np.arange(bottom - top, dtype=np.float32)[:, None]
        on_lip = np.clip(down - placed.rows[1] + 3.0, 0, 1)
        seen *= below * on_lip
        soft = self.tongue_soft
        shadow = cv2.blur(seen, (soft, soft))
        shadow[soft // 2 :] = shadow[: -(soft // 2)].copy()
        region = out[top:bottom, left:right]
        factor = 1.0 - TONGUE_SHADOW[1] * shadow * shadow * on_lip
        region[:] = (region * factor[..., None] + 0.5).astype(np.uint8)
        image = self._drawn(placed.box, inside, tongue.limits, self._tongue_behind, triangles)
        add_grain(image, self._grain, float(left), float(top))
        blur_cover(seen, self._edge_taps)
        lay_over(out, image, seen, left, top)

    @property
    def vertices(self) -> int:
        """How many vertices the inside has."""
        return len(self._colours)

    @property
    def tongue_triangles(self) -> int:
        """How many triangles the tongue has."""
        return len(self._interior.tongue_triangles)

    def look(self) -> dict[str, NDArray[Any]]:
        """Returns what is the same in every frame, by name."""
        lower_row, upper_row, still = self._own_pictures
        return {
            "triangles": self._interior.triangles,
            "fine": np.array(self._fine),
            "taps": self._taps,
            "edge_taps": self._edge_taps,
            "behind": self._behind,
            "tongue_behind": self._tongue_behind,
            "darkness": self._darkness,
            "shadow": np.array([UPPER_SHADOW[0] * self.width, self._upper_shadow]),
            "seam": self._seam,
            "grain": self._grain,
            "lower_row": lower_row,
            "upper_row": upper_row,
            "still": still,
        }


def _own_pictures(own: OwnMouth | None) -> tuple[NDArray[np.uint8], ...]:
    """Returns the layers that the picture has itself, RGBA, empty where it has none."""
    nothing = np.zeros((2, 2, 4), np.uint8)
    if own is None:
        return nothing, nothing, nothing
    rows = [nothing if row is None else row.layer for row in (own.lower, own.upper)]
    return rows[0], rows[1], own.still


def _steps(shares: Floats, others: Floats) -> Floats:
    """Returns where along another chain each point of a chain lies, in steps of the other."""
    return np.interp(shares, others, np.arange(len(others))).astype(np.float32)
