"""The mouth's inside, drawn behind the lips.

Drawn finer than the frame with a depth buffer, brought to the picture's sharpness, grain and
light, and laid over the frame with the coverage of the opening between the lips. A tongue that
comes out is laid over the lower lip too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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
from streaming_model.renderer.own_teeth import OwnMouth, read_own_mouth
from streaming_model.renderer.palette import Palette
from streaming_model.renderer.raster_mouth import (
    add_grain,
    blur_cover,
    cover_between,
    cover_triangles,
    draw_solid,
    fine_limits,
    lay_over,
    lay_picture,
    part_lips,
    place,
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
FULLY_LIT: Final = 0.3  # tongueOut from which the light falls on the tongue as on a lip
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


@dataclass(frozen=True)
class _Opening:
    """The frame's part around the opening: its corner, the lips' edges and their rows [2, w]."""

    left: int
    top: int
    width: int
    height: int
    upper: Floats
    rows: Floats


class MouthLayer:
    """The interior of one portrait's mouth on one stage."""

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
        self._seam_reach = max(SEAM_CM * stage.scale, 1.2 * blur)
        self._behind = 0.5 * palette.cavity
        self._grain = skin_grain(stage)
        self._grain_at = stage.project(self._interior.rest[:1])[0]

    def draw(self, out: NDArray[np.uint8], face: Floats, motion: Floats, head: HeadMotion) -> None:
        """Lays the interior over `out` where `face` [V, 3] (head turned) opens its lips."""
        jaw = (self.geometry.effective(motion) @ self._interior.jaw).reshape(4, 3)
        tongue_out = float(motion[INDEX["tongueOut"]])
        tongue = self._put_out(face, jaw, head, tongue_out) if tongue_out > OUT else None
        opening, cover = self._opening(face, motion, tongue)
        if opening is None:
            return
        gaps = (opening.rows[1] - opening.rows[0]) / self.width
        if self._own is not None:
            self._draw_meeting(out, opening, gaps, motion)
        if float(cover.max()) < 0.02:
            return
        points, colours = self._placed(opening, jaw, head, tongue, tongue_out)
        inside = self._drawn(opening, opening.rows, points, colours, self._behind)
        travel = self._grain_at - points[0, :2] / self._fine
        add_grain(inside, self._grain, float(travel[0]), float(travel[1]))
        light = light_let_in(
            gaps, motion, flatness=self.palette.flatness, is_own=self._own is not None
        )
        to_rest = None if self._own is None else self._to_rest(opening, head)
        if to_rest is not None:
            free = 1.0 - min(4.0 * tongue_out, 1.0)
            self._lay_own_teeth(inside, points, to_rest, free)
        shade(
            inside,
            opening.rows,
            light,
            self._darkness,
            UPPER_SHADOW[0] * self.width,
            LOWER_SHADOW * self.width * max(1.0 - 4.0 * tongue_out, 0.01),
            self._upper_shadow,
        )
        sharp = cover.copy()
        blur_cover(cover, self._edge_taps)
        if self._own is not None and to_rest is not None:
            held = self._held(face, head)
            if held > 0:
                lay_picture(inside, self._own.still, _into(to_rest, self._own), held)
                cover += held * (sharp - cover)  # the picture's own edge is soft already
        if self._own is None:
            strength = (np.minimum(gaps / ROLL_GAP, 1.0) * self._roll).astype(np.float32)
            reach = ROLL_CM * self.stage.scale
            roll_lips(out, opening.rows, opening.left, opening.top, reach, strength, BLACK)
        lay_over(out, inside, cover, opening.left, opening.top)
        if tongue is not None and tongue.is_beyond.any():
            self._lay_on_lip(out, opening, points, colours, tongue)

    def _opening(
        self, face: Floats, motion: Floats, tongue: Tongue | None
    ) -> tuple[_Opening | None, Floats]:
        """Returns the part of the frame to draw in and the opening's coverage of it [h, w]."""
        pair, stage = self.geometry.mouth, self.stage
        upper, lower = stage.project(face[pair.upper]), stage.project(face[pair.lower])
        touch = TOUCH_CM * stage.scale
        if self._own is not None:
            touch *= closing_share(motion)  # a smile's lips do not touch until they mean to
        part_lips(upper, lower, *self._facing, touch)
        outline = [upper, lower]
        if tongue is not None:
            outline.append(stage.project(tongue.grid[tongue.is_beyond]))
        points = np.concatenate(outline)
        margin = len(self._edge_taps)
        low = np.maximum(np.floor(points.min(axis=0)).astype(int) - margin, 0)
        high = np.minimum(np.ceil(points.max(axis=0)).astype(int) + margin + 1, stage.size)
        if (high <= low).any():
            return None, np.zeros((0, 0), np.float32)
        (left, top), (width, height) = low.tolist(), (high - low).tolist()
        cover, rows = np.empty((height, width), np.float32), np.empty((2, width), np.float32)
        cover_between(cover, rows, upper, lower, left, top)
        # The lips' half of a pixel on their edge is not in the frame: the inside takes it.
        np.minimum(2.0 * cover, 1.0, out=cover)
        return _Opening(left, top, width, height, upper, rows), cover

    def _draw_meeting(
        self, out: NDArray[np.uint8], opening: _Opening, gaps: Floats, motion: Floats
    ) -> None:
        """Draws the line where lips meet that the picture shows apart."""
        columns = np.arange(opening.width, dtype=np.float32) + opening.left
        left, right = opening.upper[0, 0], opening.upper[-1, 0]
        beside = np.minimum(columns - left, right - columns) / self.width
        line = meeting_line(gaps, beside, motion)
        if line is not None:
            reach = self._seam_reach
            roll_lips(out, opening.rows, opening.left, opening.top, reach, line, self._seam)

    def _placed(
        self,
        opening: _Opening,
        jaw: Floats,
        head: HeadMotion,
        tongue: Tongue | None,
        tongue_out: float,
    ) -> tuple[Floats, Floats]:
        """Returns the interior's vertices in the opening's fine pixels, and their colours."""
        interior, scale = self._interior, self.stage.scale
        fine = np.array([*self._fine, 1.0])
        to_pixels = fine * (scale, -scale, 1.0)
        corner = self.stage.origin - (opening.left, opening.top) + 0.5
        start = fine * np.append(corner, 0.0) - (0.5, 0.5, 0.0)
        turn = head.zoom_at(self._middle) * head.rotation
        offset = head.pivot + head.shift - turn @ head.pivot
        points = np.empty((len(interior.rest), 3), np.float32)
        place(
            points,
            interior.rest,
            interior.follow,
            jaw.astype(np.float32),
            (to_pixels[:, None] * turn).astype(np.float32),
            (to_pixels * offset + start).astype(np.float32),
        )
        if tongue is None:
            return points, self._colours
        points[interior.tongue] = tongue.grid.reshape(-1, 3) * to_pixels + start
        colours = self._colours.copy()
        out = min(tongue_out / FULLY_LIT, 1.0)
        lit = self.palette.tongue * tongue.light.reshape(-1, 1)
        colours[interior.tongue] += out * (lit - colours[interior.tongue])
        return points, colours

    def _drawn(
        self,
        opening: _Opening,
        rows: Floats,
        points: Floats,
        colours: Floats,
        behind: Floats,
        triangles: NDArray[np.int32] | None = None,
    ) -> Floats:
        """Draws triangles between `rows` over one colour, at the picture's sharpness, [h, w, 3]."""
        shape = (self._fine[0] * opening.width, self._fine[1] * opening.height)
        image, depth = np.empty((*shape, 3), np.float32), np.empty(shape, np.float32)
        limits = np.empty((2, shape[0]), np.int32)
        fine_limits(limits, rows, self._reach, self._fine[1], shape[1])
        triangles = self._interior.triangles if triangles is None else triangles
        draw_solid(image, depth, points, colours, triangles, behind, limits)
        small = np.empty((opening.height, opening.width, 3), np.float32)
        reduce_and_blur(small, image, self._taps)
        return small

    def _to_rest(self, opening: _Opening, head: HeadMotion) -> Floats:
        """Returns the map [2, 3] from the opening's pixels to the picture's, for the skull."""
        anchors = self.geometry.rest[self.geometry.mouth.upper[[0, 19, -1]]].copy()
        anchors[:, 2] -= 0.3
        anchors[1, 1] += 2.0
        now = self.stage.project(head.apply(anchors))
        now -= np.array([opening.left, opening.top], np.float32)
        return np.asarray(cv2.getAffineTransform(now, self.stage.project(anchors)), np.float32)

    def _lay_own_teeth(self, inside: Floats, points: Floats, to_rest: Floats, free: float) -> None:
        """Lays the picture's own teeth over the rig's: one row in the skull, one in the jaw.

        `free` is how little of the lower row the tongue covers, 0..1.
        """
        own, plane = self._own, self._interior.jaw_plane
        assert own is not None
        if own.lower is not None:
            now = ((points[plane, :2] + 0.5) / self._fine - 0.5).astype(np.float32)
            at_rest = self.stage.project(self._interior.rest[plane])
            to_jaw = np.asarray(cv2.getAffineTransform(now, at_rest), np.float32)
            lay_picture(inside, own.lower.layer, _into(to_jaw, own), free)
        if own.upper is not None:
            lay_picture(inside, own.upper.layer, _into(to_rest, own), 1.0)

    def _held(self, face: Floats, head: HeadMotion) -> float:
        """Returns how far the inside is still the picture's: 1 while the lips do not move."""
        pair = self.geometry.mouth
        some = np.concatenate([pair.upper[::4], pair.lower[::4]])
        moved = np.abs(face[some] - head.apply(self.geometry.rest[some]))[:, :2].max()
        share = min(max(1.2 - float(moved) / OWN_HELD_CM, 0.0), 1.0)
        return share * share * (3.0 - 2.0 * share)

    def _put_out(self, face: Floats, jaw: Floats, head: HeadMotion, out: float) -> Tongue:
        """Returns the tongue as far out as it is."""
        pair, interior = self.geometry.mouth, self._interior
        index = np.append(interior.tongue, interior.lower_edge)
        moved = interior.rest[index] + interior.follow[index] @ jaw
        points = head.apply(moved.astype(np.float32))
        resting = points[:-2].reshape(TONGUE_ROWS, -1, 3)
        axes = head.rotation @ interior.upright
        middle = len(pair.lower) // 2
        free = face[pair.upper][:, 1] - pair.facing(face)[0][:, 1]
        parted = face[pair.upper][free > 0.45 * max(float(free.max()), 1e-3)]
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
        opening: _Opening,
        points: Floats,
        colours: Floats,
        tongue: Tongue,
    ) -> None:
        """Lays the tongue over the lower lip, with its shadow there."""
        left, top, rows = opening.left, opening.top, opening.rows
        beyond = np.zeros(len(points), np.bool_)
        beyond[self._interior.tongue] = tongue.is_beyond.ravel()
        triangles = self._interior.tongue_triangles
        triangles = triangles[beyond[triangles].all(axis=1)]
        seen = np.zeros((opening.height, opening.width), np.float32)
        cover_triangles(seen, points, triangles, *self._fine)
        below = np.empty_like(seen)
        floor = opening.upper + np.array([0, 4 * self.stage.size], np.float32)
        cover_between(below, np.empty_like(rows), opening.upper, floor, left, top)
        down = np.arange(opening.height, dtype=np.float32)[:, None]
        on_lip = np.clip(down - rows[1] + 3.0, 0, 1)
        seen *= below * on_lip
        soft = max(3, int(TONGUE_SHADOW[0] * self.stage.scale) | 1)
        shadow = cv2.blur(seen, (soft, soft))
        shadow[soft // 2 :] = shadow[: -(soft // 2)].copy()
        region = out[top : top + opening.height, left : left + opening.width]
        factor = 1.0 - TONGUE_SHADOW[1] * shadow * shadow * on_lip
        region[:] = (region * factor[..., None] + 0.5).astype(np.uint8)
        to_bottom = np.stack([rows[0], np.full_like(rows[0], opening.height)])
        behind = 0.8 * self.palette.tongue
        drawn = self._drawn(opening, to_bottom, points, colours, behind, triangles)
        add_grain(drawn, self._grain, float(left), float(top))
        blur_cover(seen, self._edge_taps)
        lay_over(out, drawn, seen, left, top)


def _into(to_rest: Floats, own: OwnMouth) -> Floats:
    source = to_rest.copy()
    source[:, 2] -= (own.left, own.top)
    return source


def _steps(shares: Floats, others: Floats) -> Floats:
    """Returns where along another chain each point of a chain lies, in steps of the other."""
    return np.interp(shares, others, np.arange(len(others))).astype(np.float32)
