"""The mouth's interior: cavity, tongue, teeth and gums, drawn behind the lips.

Drawn at twice the size, shaded by the portrait's own light and palette, and laid over the
frame with the exact coverage of the opening between the lips. A portrait that shows its own
teeth keeps them, fixed to the skull, and hands over to the rig's where it had none.
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
from streaming_model.renderer.palette import LEFT_CHEEK, LUMA, RIGHT_CHEEK, Palette
from streaming_model.renderer.raster import cover_opening, draw_shaded
from streaming_model.renderer.stage import Stage
from streaming_model.rig import LOWER_GUM, LOWER_TEETH, TONGUE, UPPER_GUM, UPPER_TEETH, Rig

Floats = NDArray[np.float32]

SUPERSAMPLING: Final = 2
TEETH_BACK_CM: Final = 0.3
UPPER_SHOW_CM: Final = 0.40  # the upper incisors end this far below where closed lips meet
LOWER_RISE_CM: Final = 0.22  # and the lower ones begin this far above it, behind the upper
TOUCH_CM: Final = 0.05  # lips nearer than this touch: they are soft
GAPE_CM: Final = 1.6  # a picture's lips farther apart than this mean an open jaw, not a smile
SOFTNESS: Final = 0.42  # blur of the inside per output pixel of one picture pixel
GRAIN: Final = 0.7
GRAIN_PATCH_CM: Final = 2.2
DARKEST: Final = 0.3
CORNER_SHADE: Final = 0.5  # of the teeth towards the corners of the mouth
SHADOW_HUE: Final = np.array([0.8, 1.05, 1.15], np.float32)
FRONT_FALLOFF_CM: Final = 4.6  # how far behind the incisors the light still reaches
LIGHT: Final = np.array([-0.15, 0.45, 0.88], np.float32)
OWN_TEETH_HANDOVER_CM: Final = 0.5  # jaw travel over which the picture's own mouth lets go


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
        self.stage = stage
        self.palette = palette
        self.geometry = geometry
        rotation = upright_rotation(portrait.fit)
        ring = rig.mouth.ring
        centre = rig.neutral[ring].mean(axis=0)
        fitted, usual = geometry.rest[rig.mouth.upper], rig.neutral[rig.mouth.upper]
        ratio = np.linalg.norm(fitted[-1] - fitted[0]) / np.linalg.norm(usual[-1] - usual[0])
        self.ratio = float(np.clip(ratio, 0.75, 1.2))
        upright = rig.interior_neutral + np.array([0, 0, -TEETH_BACK_CM], np.float32)
        place = geometry.rest[ring].mean(axis=0)
        self.rest: Floats = self.ratio * ((upright - centre) @ rotation.T) + place
        self._set_heights(rig.interior_part)
        deltas = self.ratio * (rig.interior_expressions @ rotation.T)
        self._flat = np.ascontiguousarray(deltas.reshape(len(deltas), -1), np.float32)
        self.triangles = rig.interior_triangles.astype(np.int32)
        self.colours = _vertex_colours(rig, upright, palette)
        self.width = float(np.ptp(stage.project(fitted)[:, 0]))
        self.softness = max(0.5, SOFTNESS * stage.size / len(portrait.picture))
        self.grain = _grain(stage)
        self._own = None if portrait.fit.mouth_is_closed else self._own_mask()

    def draw(self, out: NDArray[np.uint8], face: Floats, motion: Floats, head: HeadMotion) -> None:
        """Lays the interior over `out` where `face` [V, 3] (head turned) opens its lips."""
        pair = self.geometry.mouth
        upper, lower = self._parted(
            self.stage.project(face[pair.upper]), self.stage.project(face[pair.lower]), motion
        )
        box = _box(np.concatenate([upper, lower]), self.stage.size, margin=3)
        if box is None:
            return
        left, top, right, bottom = box
        cover = np.zeros((bottom - top, right - left), np.float32)
        cover_opening(cover, upper, lower, left, top)
        if float(cover.sum()) < 0.05:
            return
        inside = self._interior(motion, head, box)
        inside *= self._light_let_in(upper, lower, motion)
        inside *= self._contact_shade(cover)[..., None]
        if self._own is not None:
            inside = self._keep_own(inside, motion, head, box)
        region = out[top:bottom, left:right]
        mixed = region + cover[..., None] * (inside - region)
        region[:] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)

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

    def _set_heights(self, part: NDArray[np.int64]) -> None:
        """Puts the biting edges where the picture's lips ask for them."""
        pair, rest = self.geometry.mouth, self.geometry.rest
        above = float(rest[pair.upper[len(pair.upper) // 2], 1])
        below = float(rest[pair.lower[len(pair.lower) // 2], 1])
        gap = above - below
        if gap > GAPE_CM:
            upper_edge, lower_edge = above - UPPER_SHOW_CM, below + LOWER_RISE_CM
        else:
            share = min(gap / 0.3, 1.0)  # a smile's lower lip lies on the upper teeth's edge
            upper_edge = below - self.ratio * UPPER_SHOW_CM * (1.0 - share)
            lower_edge = below + self.ratio * LOWER_RISE_CM
        upper_row, lower_row = part == UPPER_TEETH, part == LOWER_TEETH
        front = self.rest[:, 2] > self.rest[upper_row, 2].max() - 0.8 * self.ratio
        upper_now = self.rest[upper_row & front, 1].min()
        lower_now = self.rest[lower_row & front, 1].max()
        is_upper = np.isin(part, (UPPER_TEETH, UPPER_GUM))
        self.rest[is_upper, 1] += upper_edge - upper_now
        self.rest[~is_upper, 1] += lower_edge - lower_now

    def _interior(self, motion: Floats, head: HeadMotion, box: tuple[int, int, int, int]) -> Floats:
        left, top, right, bottom = box
        moved = self.rest + (motion[: len(self._flat)] @ self._flat).reshape(-1, 3)
        points = head.apply(np.asarray(moved, np.float32))
        pixels = self.stage.project(points) - np.array([left, top], np.float32)
        pixels = SUPERSAMPLING * (pixels + 0.5) - 0.5
        shape = (SUPERSAMPLING * (bottom - top), SUPERSAMPLING * (right - left))
        inside = np.empty((*shape, 3), np.float32)
        lit = np.linspace(0.60, 1.35, shape[0], dtype=np.float32)  # from above: the floor is lit
        inside[:] = lit[:, None, None] * self.palette.cavity
        depth = np.full(shape, -np.inf, np.float32)
        draw_shaded(
            inside,
            depth,
            np.concatenate([pixels, points[:, 2:]], axis=1),
            self.colours,
            self.triangles,
        )
        small = cv2.resize(inside, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
        soft = np.asarray(cv2.GaussianBlur(small, (0, 0), self.softness), np.float32)
        # The grain stays on the teeth: it travels with the head.
        travel = self.stage.project(head.apply(self.rest[:1])) - self.stage.project(self.rest[:1])
        to_here = np.array([[1, 0, travel[0, 0] - left], [0, 1, travel[0, 1] - top]], np.float32)
        shape = (right - left, bottom - top)
        grain = cv2.warpAffine(self.grain, to_here, shape, borderMode=cv2.BORDER_REFLECT_101)
        return np.asarray(soft * grain[..., None], np.float32)

    def _light_let_in(self, upper: Floats, lower: Floats, motion: Floats) -> Floats:
        """Returns how bright the inside is, [3]: barely parted lips show a dark line, no teeth."""
        gap = float(np.ptp(np.concatenate([upper, lower])[:, 1]))
        middle = lower[len(lower) // 2, 1] - upper[len(upper) // 2, 1]
        share = min(max((min(gap, float(middle)) / self.width - 0.03) / 0.11, 0.0), 1.0)
        bared = motion[INDEX["mouthUpperUpLeft"]] + motion[INDEX["mouthUpperUpRight"]]
        share = min(max(share + float(bared), 0.0), 1.0)
        darkest = DARKEST ** (1.0 + self.palette.colourfulness * (SHADOW_HUE - 1.0) * 2)
        return np.asarray(darkest + (1.0 - darkest) * share, np.float32)

    def _contact_shade(self, cover: Floats) -> Floats:
        """Darkens what lies close behind the lips, more under the upper one."""
        reach = max(3, int(0.075 * self.width) | 1)
        open_near = cv2.blur(cover, (reach, reach), borderType=cv2.BORDER_CONSTANT)
        lowered = np.zeros_like(open_near)
        drop = max(1, reach // 3)
        lowered[drop:] = open_near[:-drop]
        shade = 0.44 + 0.56 * np.clip(np.minimum(open_near, lowered) * 1.6 - 0.2, 0, 1)
        return np.asarray(shade, np.float32)

    def _own_mask(self) -> Floats:
        """Returns [size, size]: 1 where the picture shows the inside of its own open mouth."""
        size = self.stage.size
        mask = np.zeros((size, size), np.float32)
        pair, rest = self.geometry.mouth, self.geometry.rest
        upper, lower = self.stage.project(rest[pair.upper]), self.stage.project(rest[pair.lower])
        cover_opening(mask, upper, lower, 0, 0)
        soft = max(3, int(0.05 * self.width) | 1)
        eroded = cv2.erode(mask, np.ones((3, 3), np.uint8))
        return np.asarray(cv2.blur(eroded, (soft, soft)) * eroded, np.float32)

    def _keep_own(
        self, inside: Floats, motion: Floats, head: HeadMotion, box: tuple[int, int, int, int]
    ) -> Floats:
        """Blends the picture's own teeth, fixed to the skull, over the rig's."""
        assert self._own is not None
        left, top, right, bottom = box
        anchors = self.geometry.rest[self.geometry.mouth.upper[[0, 19, -1]]].copy()
        anchors[:, 2] -= 0.3
        anchors[1, 1] += 2.0
        to_now = cv2.getAffineTransform(
            self.stage.project(anchors),
            self.stage.project(head.apply(anchors)) - np.array([left, top], np.float32),
        )
        shape = (right - left, bottom - top)
        own = cv2.warpAffine(self.stage.picture, to_now, shape, borderMode=cv2.BORDER_REPLICATE)
        mask = cv2.warpAffine(self._own, to_now, shape)
        jaw = np.abs(motion[: len(self._flat)] @ self._flat).reshape(-1, 3).max()
        moved = min(float(jaw) / OWN_TEETH_HANDOVER_CM, 1.0)
        moved = max(moved, float(np.abs(motion[INDEX["mouthPucker"]])))
        share = np.maximum(mask, 1.0 - moved)[..., None]
        return np.asarray(inside + share * (own - inside), np.float32)


def _grain(stage: Stage) -> Floats:
    """Returns [size, size] factors around 1: the cheeks' fine texture, carried to the mouth.

    The brighter cheek is mirrored over the whole stage, so that any place can be looked up.
    """
    scale = stage.scale
    cheeks = [stage.landmarks[list(part)] for part in (LEFT_CHEEK, RIGHT_CHEEK)]
    grey = (stage.picture @ LUMA).astype(np.float32)
    best = np.ones((2, 2), np.float32)
    brightest = 0.0
    for cheek in cheeks:
        x, y = np.round(cheek.mean(axis=0)).astype(int)
        reach = max(int(GRAIN_PATCH_CM * scale / 2), 2)
        patch = grey[max(y - reach, 0) : y + reach, max(x - reach, 0) : x + reach]
        if min(patch.shape) >= 3 and float(patch.mean()) > brightest:
            brightest = float(patch.mean())
            smooth = cv2.GaussianBlur(patch, (0, 0), max(0.15 * scale, 1.0))
            grain = np.clip(patch / np.maximum(smooth, 8.0), 0.8, 1.25)
            best = np.asarray(1.0 + GRAIN * (grain - 1.0), np.float32)
    repeats = [stage.size // side + 1 for side in best.shape]
    tile = np.pad(best, [(0, side) for side in best.shape], mode="symmetric")
    whole = np.tile(tile, [count // 2 + 1 for count in repeats])
    return np.ascontiguousarray(whole[: stage.size, : stage.size], np.float32)


def _vertex_colours(rig: Rig, points: Floats, palette: Palette) -> Floats:
    """Shades every interior vertex once: part, facing, depth, side of the light."""
    base = np.empty_like(points)
    for part, colour in (
        (UPPER_TEETH, palette.tooth),
        (LOWER_TEETH, palette.tooth * 0.92),
        (UPPER_GUM, palette.gum),
        (LOWER_GUM, palette.gum * 0.9),
        (TONGUE, palette.tongue),
    ):
        base[rig.interior_part == part] = colour
    corners = points[rig.interior_triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, rig.interior_triangles[:, corner], faces)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    facing = 0.66 + 0.42 * np.clip(normals @ (LIGHT / np.linalg.norm(LIGHT)), 0, 1)
    front = points[rig.interior_part == UPPER_TEETH, 2].max()
    depth = np.clip(1.0 - (front - points[:, 2]) / FRONT_FALLOFF_CM, 0.3, 1.0)
    tongue = rig.interior_part == TONGUE
    depth[tongue] = 0.1 + 0.95 * depth[tongue]
    across = np.clip((points[:, 0] + 2.5) / 5.0, 0, 1)
    side = palette.light[0] + (palette.light[1] - palette.light[0]) * across
    outer = np.clip((np.abs(points[:, 0]) - 0.9) / 1.5, 0, 1)
    shade = facing * depth * side * (1.0 - CORNER_SHADE * outer * outer)
    # What little light gets there has been through flesh: shadows turn red.
    hue = 1.0 + palette.colourfulness * (SHADOW_HUE - 1.0)
    return np.ascontiguousarray(base * shade[:, None] ** hue, np.float32)


def _box(points: Floats, size: int, *, margin: int) -> tuple[int, int, int, int] | None:
    """Returns left, top, right, bottom of the pixels around `points`; None if off the stage."""
    low = np.maximum(np.floor(points.min(axis=0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(points.max(axis=0)).astype(int) + margin + 1, size)
    if (high <= low).any():
        return None
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
