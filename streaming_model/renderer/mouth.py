"""The mouth's interior: bag, tongue, teeth and gums, drawn behind the lips.

Drawn at twice the size, shaded by the portrait's own light and palette, brought to the
picture's sharpness and grain, and laid over the frame with the coverage of the opening
between the lips. A tongue that comes out is laid over the lower lip too.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import INDEX
from streaming_model.portrait import Portrait
from streaming_model.renderer.expression import closing_share, upright_rotation
from streaming_model.renderer.geometry import FaceGeometry, HeadMotion
from streaming_model.renderer.medium import filter_taps, skin_grain, softness
from streaming_model.renderer.own_teeth import OwnMouth, read_own_mouth
from streaming_model.renderer.palette import Palette
from streaming_model.renderer.raster_mouth import (
    FAR,
    add_grain,
    blur_cover,
    cover_between,
    cover_triangles,
    draw_solid,
    lay_over,
    lay_picture,
    place,
    reduce_and_blur,
    roll_lips,
    shade,
)
from streaming_model.renderer.stage import Stage
from streaming_model.renderer.surface import vertex_normals
from streaming_model.renderer.tongue import Bed, put_out
from streaming_model.rig import (
    BAG,
    LOWER_GUM,
    LOWER_TEETH,
    TONGUE,
    TONGUE_ROWS,
    UPPER_GUM,
    UPPER_TEETH,
    Rig,
)

Floats = NDArray[np.float32]

SUPERSAMPLED_WIDTH: Final = 220  # pixels; larger mouths are fine enough without
UPPER_SHOW_CM: Final = 0.34  # the upper incisors end this far below where closed lips meet
LOWER_RISE_CM: Final = 0.16  # and the lower ones begin this far above it, behind the upper
TOUCH_CM: Final = 0.05  # lips nearer than this touch: they are soft
GAPE_CM: Final = 1.6  # a picture's lips farther apart than this mean an open jaw, not a smile
TEETH_APPEAR: Final = (0.035, 0.13)  # gap over the mouth's width at which light comes in
OWN_APPEAR: Final = (-0.02, 0.06)  # the same where the picture has let it in
ROUNDED_SHADE: Final = 0.85  # of lips that protrude over what lies behind them
DARKEST: Final = 0.09  # what lies in the dark, and how much less of a colour gets half in
DUSK: Final = np.array([0.0, 0.30, 0.40], np.float32)
CORNER_SHADE: Final = 0.45  # of the teeth towards the corners of the mouth
SHADOW_HUE: Final = np.array([0.85, 1.05, 1.12], np.float32)
FRONT_FALLOFF_CM: Final = 5.0  # how far behind the incisors the light still reaches
LIGHT: Final = np.array([-0.15, 0.45, 0.88], np.float32)
UPPER_SHADOW: Final = (0.04, 0.55)  # reach over the mouth's width, strength at the lip
LOWER_SHADOW: Final = 0.03
ROLL_CM: Final = 0.07  # how deep lips darken where they roll in
ROLL: Final = np.array([[0.45], [0.22]], np.float32)  # of the upper and the lower lip
OUTLINE: Final = 0.9  # the same in a flat drawing, which has lines there
ROLL_GAP: Final = 0.08  # gap over the mouth's width at which they do so fully
OWN_HELD_CM: Final = 0.14  # lips that have moved this far no longer hold the picture's inside


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
        self._upright = upright_rotation(portrait.fit)
        ring = rig.mouth.ring
        fitted, usual = geometry.rest[rig.mouth.upper], rig.neutral[rig.mouth.upper]
        ratio = np.linalg.norm(fitted[-1] - fitted[0]) / np.linalg.norm(usual[-1] - usual[0])
        self.ratio = float(np.clip(ratio, 0.75, 1.2))
        centre = rig.neutral[ring].mean(axis=0)
        middle = geometry.rest[ring].mean(axis=0)
        turn = self.ratio * self._upright.T
        rest = (rig.interior_neutral - centre) @ turn + middle
        self._part = rig.interior_part
        self._edges = {part: _middle_edge(rig, part) for part in (UPPER_TEETH, LOWER_TEETH)}
        self._rest = np.ascontiguousarray(self._at_heights(rest), np.float32)
        self._anchors = _jaw_anchors(rig)
        homogeneous = np.c_[rig.interior_neutral, np.ones(len(rest))]
        self._follow = np.ascontiguousarray(
            homogeneous * rig.interior_jaw_share[:, None], np.float32
        )
        self._jaw = np.ascontiguousarray((rig.interior_jaw @ turn).reshape(-1, 12), np.float32)
        self._triangles = self._unless_own(rig)
        self._tongue = np.flatnonzero(self._part == TONGUE)
        self._tongue_triangles = self._triangles[self._part[self._triangles[:, 0]] == TONGUE]
        self.width = float(np.ptp(stage.project(fitted)[:, 0]))
        self._supersampling = 2 if self.width <= SUPERSAMPLED_WIDTH else 1
        self._colours = self._shaded(rig)
        self._upper_shadow = UPPER_SHADOW[1] * (1.0 - palette.flatness)
        if self._own is not None:
            self._upper_shadow *= 0.4  # the picture's teeth have it already
        self._roll = ROLL + palette.flatness * (OUTLINE - ROLL)
        dusk = palette.colourfulness * DUSK
        self._darkness = np.stack([DARKEST * (1 - dusk), dusk]).astype(np.float32)
        blur = softness(stage)
        self._taps = filter_taps(blur)
        self._edge_taps = filter_taps(max(0.6 * blur, 0.25))
        self._margin = 2 + max(len(self._taps), len(self._edge_taps))
        self._grain = skin_grain(stage)

    def draw(self, out: NDArray[np.uint8], face: Floats, motion: Floats, head: HeadMotion) -> None:
        """Lays the interior over `out` where `face` [V, 3] (head turned) opens its lips."""
        pair = self.geometry.mouth
        upper, lower = self._parted(
            self.stage.project(face[pair.upper]), self.stage.project(face[pair.lower]), motion
        )
        jaw = (motion[: len(self._jaw)] @ self._jaw).reshape(4, 3)
        out_share = float(motion[INDEX["tongueOut"]])
        tongue = self._put_out(face, jaw, head, out_share) if out_share > 0.02 else None
        outline = [upper, lower]
        if tongue is not None:
            outline.append(self.stage.project(tongue[0].reshape(-1, 3)))
        box = _box(np.concatenate(outline), self.stage.size, margin=self._margin)
        if box is None:
            return
        left, top, right, bottom = box
        cover = np.empty((bottom - top, right - left), np.float32)
        rows = np.empty((2, right - left), np.float32)
        cover_between(cover, rows, upper, lower, left, top)
        if float(cover.max()) < 0.02:
            return
        points, colours = self._placed(left, top, jaw, head, tongue)
        inside = self._drawn(box, points, colours, self._triangles, 0.5 * self.palette.cavity)
        to_rest = self._to_rest(head, left, top)
        add_grain(inside, self._grain, float(to_rest[0, 2]), float(to_rest[1, 2]))
        if self._own is not None:
            self._lay_own_teeth(inside, points, to_rest, rows, 1.0 - min(4.0 * out_share, 1.0))
        reach = UPPER_SHADOW[0] * self.width
        light = self._light_let_in(rows, motion)
        shade(
            inside,
            rows,
            light,
            self._darkness,
            reach,
            LOWER_SHADOW * self.width * (1.0 if tongue is None else 0.01),
            self._upper_shadow,
        )
        if self._own is not None:
            held = self._held(face, head)
            if held > 0:
                lay_picture(inside, self._own.still, self._into(to_rest, self._own), held, 1.0)
        blur_cover(cover, self._edge_taps)
        if self._own is None:
            rolled = np.minimum((rows[1] - rows[0]) / (ROLL_GAP * self.width), 1.0)
            strength = (rolled * self._roll).astype(np.float32)
            roll_lips(out, rows, left, top, ROLL_CM * self.stage.scale, strength)
        lay_over(out, inside, cover, left, top)
        if tongue is not None:
            self._lay_on_lip(out, points, colours, upper, rows, box)

    def _parted(self, upper: Floats, lower: Floats, motion: Floats) -> tuple[Floats, Floats]:
        """Lets soft lips touch: gaps up to `TOUCH_CM` are closed, wider ones shrink by that."""
        pair, touch = self.geometry.mouth, TOUCH_CM * self.stage.scale
        if self._own is not None:
            touch *= closing_share(motion)  # a smile's lips do not touch until they mean to
        moved = []
        for side, share, other, other_share in (
            (upper, pair.upper_share, lower, pair.lower_share),
            (lower, pair.lower_share, upper, pair.upper_share),
        ):
            gap = np.interp(share, other_share, other[:, 1]) - side[:, 1]
            inward = np.sign(gap) * np.minimum(np.abs(gap) / 2, touch / 2)
            moved.append(np.stack([side[:, 0], side[:, 1] + inward], axis=1).astype(np.float32))
        return moved[0], moved[1]

    def _at_heights(self, rest: Floats) -> Floats:
        """Puts the biting edges where the picture's lips ask for them."""
        pair, face = self.geometry.mouth, self.geometry.rest
        above = float(face[pair.upper[len(pair.upper) // 2], 1])
        below = float(face[pair.lower[len(pair.lower) // 2], 1])
        gap = above - below
        if gap > GAPE_CM:
            upper_edge, lower_edge = above - UPPER_SHOW_CM, below + LOWER_RISE_CM
        else:
            share = min(gap / 0.3, 1.0)  # a smile's lower lip lies on the upper teeth's edge
            upper_edge = below - self.ratio * UPPER_SHOW_CM * (1.0 - share)
            lower_edge = below + self.ratio * LOWER_RISE_CM
        own = self._own
        if own is not None and own.upper is not None:
            upper_edge = float(self.stage.origin[1] - own.upper.edge[1]) / self.stage.scale
        if own is not None and own.lower is not None:
            lower_edge = float(self.stage.origin[1] - own.lower.edge[1]) / self.stage.scale
        is_upper = np.isin(self._part, (UPPER_TEETH, UPPER_GUM))
        moved = rest.copy()
        moved[is_upper, 1] += upper_edge - rest[self._edges[UPPER_TEETH], 1].mean()
        moved[~is_upper, 1] += lower_edge - rest[self._edges[LOWER_TEETH], 1].mean()
        return moved

    def _unless_own(self, rig: Rig) -> NDArray[np.int32]:
        """Returns the triangles without those teeth that the picture has itself: no double row."""
        dropped = np.zeros(len(self._part), np.bool_)
        own = self._own
        columns = self.stage.project(self._rest)[:, 0]
        rows = [] if own is None else [(own.upper, UPPER_TEETH), (own.lower, LOWER_TEETH)]
        for row, part in rows:
            if row is None:
                continue
            for number in np.unique(rig.interior_tooth[rig.interior_tooth > 0]):
                tooth = (self._part == part) & (rig.interior_tooth == number)
                dropped |= tooth & (row.span[0] < columns[tooth].mean() < row.span[1])
        kept = ~dropped[rig.interior_triangles[:, 0]]
        return rig.interior_triangles[kept].astype(np.int32)

    def _shaded(self, rig: Rig) -> Floats:
        """Shades every interior vertex once: part, facing, depth, side of the light."""
        palette, points = self.palette, rig.interior_neutral
        upper, lower = palette.tooth, palette.tooth * 0.94
        own = self._own
        if own is not None and (own.upper or own.lower):
            seen = [row.colour for row in (own.upper, own.lower) if row is not None]
            upper, lower = seen[0], seen[-1]
        base = np.empty_like(points)
        for part, colour in (
            (UPPER_TEETH, upper),
            (LOWER_TEETH, lower),
            (UPPER_GUM, palette.gum),
            (LOWER_GUM, palette.gum * 0.92),
            (TONGUE, palette.tongue),
            (BAG, palette.cavity),
        ):
            base[self._part == part] = colour
        normals = vertex_normals(points, rig.interior_triangles)
        facing = 0.74 + 0.34 * np.clip(normals @ (LIGHT / np.linalg.norm(LIGHT)), 0, 1)
        front = points[self._part == UPPER_TEETH, 2].max()
        depth = np.clip(1.0 - (front - points[:, 2]) / FRONT_FALLOFF_CM, 0.3, 1.0)
        tongue = self._part == TONGUE
        depth[tongue] = 0.12 + 0.96 * depth[tongue] ** 1.25
        across = np.clip((points[:, 0] + 2.5) / 5.0, 0, 1)
        side = palette.light[0] + (palette.light[1] - palette.light[0]) * across
        outer = np.clip((np.abs(points[:, 0]) - 0.9) / 1.6, 0, 1)
        shade = facing * depth * side * (1.0 - CORNER_SHADE * outer * outer)
        shade *= rig.interior_light
        bag = self._part == BAG
        shade[bag] = side[bag] * rig.interior_light[bag]
        # What little light gets there has been through flesh: shadows turn red.
        hue = 1.0 + palette.colourfulness * (SHADOW_HUE - 1.0)
        shaded = base * np.clip(shade, 0, 1.1)[:, None] ** hue
        # A flat drawing has one tone for each thing.
        tones = {UPPER_TEETH: 0.95, LOWER_TEETH: 0.86, BAG: 0.6}
        flat = base * np.array([tones.get(int(part), 0.75) for part in self._part])[:, None]
        return np.ascontiguousarray(shaded + palette.flatness * (flat - shaded), np.float32)

    def _placed(
        self,
        left: int,
        top: int,
        jaw: Floats,
        head: HeadMotion,
        tongue: tuple[Floats, Floats] | None,
    ) -> tuple[Floats, Floats]:
        """Returns the interior's vertices in fine pixels from (left, top), and their colours."""
        fine, scale = self._supersampling, self.stage.scale
        to_pixels = np.array([scale, -scale, 1.0], np.float32) * np.array([fine, fine, 1])
        corner = np.append(fine * (self.stage.origin - (left, top) + 0.5) - 0.5, 0.0)
        turn = head.zoom_at(self._rest.mean(axis=0)) * head.rotation
        offset = head.pivot + head.shift - turn @ head.pivot
        points = np.empty((len(self._rest), 3), np.float32)
        place(
            points,
            self._rest,
            self._follow,
            jaw.astype(np.float32),
            (to_pixels[:, None] * turn).astype(np.float32),
            (to_pixels * offset + corner).astype(np.float32),
        )
        if tongue is None:
            return points, self._colours
        grid, light = tongue
        points[self._tongue] = grid.reshape(-1, 3) * to_pixels + corner
        colours = self._colours.copy()
        colours[self._tongue] = self.palette.tongue * light.reshape(-1, 1)
        return points, colours

    def _drawn(
        self,
        box: tuple[int, int, int, int],
        points: Floats,
        colours: Floats,
        triangles: NDArray[np.int32],
        behind: Floats,
    ) -> Floats:
        """Draws triangles over one colour, at the picture's sharpness, [h, w, 3]."""
        left, top, right, bottom = box
        fine = self._supersampling
        shape = (fine * (bottom - top), fine * (right - left))
        image = np.empty((*shape, 3), np.float32)
        image[:] = behind
        draw_solid(image, np.full(shape, FAR, np.float32), points, colours, triangles)
        small = np.empty((bottom - top, right - left, 3), np.float32)
        reduce_and_blur(small, image, fine, self._taps)
        return small

    def _light_let_in(self, rows: Floats, motion: Floats) -> Floats:
        """Returns how much light falls in at each column: barely parted lips show a dark line."""
        bared = motion[INDEX["mouthUpperUpLeft"]] + motion[INDEX["mouthUpperUpRight"]]
        rounded = motion[INDEX["mouthFunnel"]] + motion[INDEX["mouthPucker"]]
        start, full = TEETH_APPEAR if self._own is None else OWN_APPEAR
        full -= 0.05 * min(float(bared), 1.0)
        light = ((rows[1] - rows[0]) / self.width - start) / (full - start)
        light = np.clip(light * (1.0 + 5.0 * self.palette.flatness), 0, 1)
        light *= 1.0 - ROUNDED_SHADE * min(max(float(rounded), 0.0), 1.0)
        return np.asarray(light, np.float32)

    def _to_rest(self, head: HeadMotion, left: int, top: int) -> Floats:
        """Returns the map [2, 3] from pixels of the box to the picture, for the skull."""
        anchors = self.geometry.rest[self.geometry.mouth.upper[[0, 19, -1]]].copy()
        anchors[:, 2] -= 0.3
        anchors[1, 1] += 2.0
        now = self.stage.project(head.apply(anchors)) - np.array([left, top], np.float32)
        to_rest = cv2.getAffineTransform(now, self.stage.project(anchors))
        return np.asarray(to_rest, np.float32)

    def _lay_own_teeth(
        self, inside: Floats, points: Floats, to_rest: Floats, rows: Floats, free: float
    ) -> None:
        """Lays the picture's own teeth over the rig's: one row in the skull, one in the jaw.

        `free` is how little of the lower row the tongue covers, 0..1.
        """
        own = self._own
        assert own is not None
        brightness = min(max(1.6 * float(np.max(rows[1] - rows[0])) / own.gap, 0.4), 1.0)
        if own.lower is not None:
            now = (points[self._anchors, :2] + 0.5) / self._supersampling - 0.5
            at_rest = self.stage.project(self._rest[self._anchors])
            to_jaw = np.asarray(cv2.getAffineTransform(now, at_rest), np.float32)
            lay_picture(inside, own.lower.layer, self._into(to_jaw, own), free, brightness)
        if own.upper is not None:
            lay_picture(inside, own.upper.layer, self._into(to_rest, own), 1.0, brightness)

    def _into(self, to_rest: Floats, own: OwnMouth) -> Floats:
        source = to_rest.copy()
        source[:, 2] -= (own.left, own.top)
        return source

    def _held(self, face: Floats, head: HeadMotion) -> float:
        """Returns how far the inside is still the picture's: 1 while the lips do not move."""
        pair = self.geometry.mouth
        some = np.concatenate([pair.upper[::4], pair.lower[::4]])
        moved = np.abs(face[some] - head.apply(self.geometry.rest[some]))[:, :2].max()
        share = min(max(1.2 - float(moved) / OWN_HELD_CM, 0.0), 1.0)
        return share * share * (3.0 - 2.0 * share)

    def _put_out(
        self, face: Floats, jaw: Floats, head: HeadMotion, out: float
    ) -> tuple[Floats, Floats]:
        """Returns the tongue's grid in camera space and its light."""
        pair = self.geometry.mouth
        index = np.append(self._tongue, self._edges[LOWER_TEETH])
        points = head.apply((self._rest[index] + self._follow[index] @ jaw).astype(np.float32))
        resting = points[:-2].reshape(TONGUE_ROWS, -1, 3)
        axes = head.rotation @ self._upright
        middle = len(pair.lower) // 2
        lip = face[pair.lower[middle - 3 : middle + 4]].mean(axis=0)
        free = face[pair.upper][:, 1] - pair.facing(face)[0][:, 1]
        open_here = face[pair.upper][free > 0.45 * max(float(free.max()), 1e-3)]
        bed = Bed(
            right=axes[:, 0],
            up=axes[:, 1],
            front=axes[:, 2],
            root=resting[0].mean(axis=0),
            edge=points[-2:].mean(axis=0),
            lip=lip,
            half_width=0.46 * float(np.linalg.norm(np.ptp(open_here, axis=0)[[0, 2]])),
            scale=self.ratio,
        )
        return put_out(resting, out, bed)

    def _lay_on_lip(
        self,
        out: NDArray[np.uint8],
        points: Floats,
        colours: Floats,
        upper: Floats,
        rows: Floats,
        box: tuple[int, int, int, int],
    ) -> None:
        """Lays the tongue over the lower lip, with its shadow there."""
        left, top, right, bottom = box
        seen = np.zeros((bottom - top, right - left), np.float32)
        cover_triangles(seen, points, self._tongue_triangles, self._supersampling)
        below = np.empty_like(seen)
        floor = upper + np.array([0, 4 * self.stage.size], np.float32)
        cover_between(below, np.empty_like(rows), upper, floor, left, top)
        on_lip = np.clip(np.arange(bottom - top, dtype=np.float32)[:, None] - rows[1] + 3.0, 0, 1)
        seen *= below * on_lip
        soft = max(3, int(0.22 * self.stage.scale) | 1)
        shadow = cv2.blur(seen, (soft, soft))
        drop = max(1, soft // 2)
        shadow[drop:] = shadow[:-drop].copy()
        region = out[top:bottom, left:right]
        factor = 1.0 - 0.40 * shadow * shadow * on_lip
        region[:] = (region * factor[..., None] + 0.5).astype(np.uint8)
        edge = 0.8 * self.palette.tongue
        tongue = self._drawn(box, points, colours, self._tongue_triangles, edge)
        add_grain(tongue, self._grain, float(left), float(top))
        blur_cover(seen, self._edge_taps)
        lay_over(out, tongue, seen, left, top)


def _jaw_anchors(rig: Rig) -> NDArray[np.int64]:
    """Returns three vertices of the jaw that span the plane of its front teeth."""
    found = []
    for number in (13, 23):
        tooth = np.flatnonzero((rig.interior_part == LOWER_TEETH) & (rig.interior_tooth == number))
        found.append(tooth[rig.interior_neutral[tooth, 1].argmax()])
    gum = np.flatnonzero(rig.interior_part == LOWER_GUM)
    points = rig.interior_neutral[gum]
    found.append(gum[(np.abs(points[:, 0]) + np.abs(points[:, 1] - points[:, 1].min())).argmin()])
    return np.asarray(found)


def _middle_edge(rig: Rig, part: int) -> NDArray[np.int64]:
    """Returns one vertex on the edge of either middle incisor of a row."""
    found = []
    for number in (11, 21):
        tooth = np.flatnonzero((rig.interior_part == part) & (rig.interior_tooth == number))
        points = rig.interior_neutral[tooth]
        front = tooth[points[:, 2] > np.median(points[:, 2])]
        away = rig.interior_neutral[front, 1] * (1 if part == LOWER_TEETH else -1)
        found.append(front[away.argmax()])
    return np.asarray(found)


def _box(points: Floats, size: int, *, margin: int) -> tuple[int, int, int, int] | None:
    """Returns left, top, right, bottom of the pixels around `points`; None if off the stage."""
    low = np.maximum(np.floor(points.min(axis=0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(points.max(axis=0)).astype(int) + margin + 1, size)
    if (high <= low).any():
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
