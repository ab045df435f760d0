"""Draws a portrait under motion: a pure function from 58 numbers to a picture.

Back to front: still backdrop, head layer, face with its lids and lips, eyes, mouth. The
object is immutable after construction and may be shared by threads.
"""

from __future__ import annotations

import copy
from typing import Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.backdrop import KEEP, Backdrop
from streaming_model.errors import VivantError
from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.portrait import Portrait
from streaming_model.renderer.cutout import straighten
from streaming_model.renderer.eyes import EyeLayer
from streaming_model.renderer.geometry import FaceGeometry
from streaming_model.renderer.head import HeadLayer
from streaming_model.renderer.mouth import MouthLayer
from streaming_model.renderer.palette import read_palette
from streaming_model.renderer.raster import draw_textured
from streaming_model.renderer.stage import Stage, set_stage
from streaming_model.renderer.surface import vertex_normals
from streaming_model.rig import Opening, Rig, load_rig

Floats = NDArray[np.float32]

MIN_SIZE: Final = 256  # pixels
MAX_SIZE: Final = 1024
FEATHER_CM: Final = (0.1, 1.2)  # inwards from the face's outline: where the surface fades in
FEATHER_FACING: Final = (0.12, 0.35)  # the same by how much the surface faces the viewer
SKIRT_PIXELS: Final = 1.5  # lips and lids go on inwards, so that the opening's edge is covered
SOLID: Final = 0.995
USABLE_FACING: Final = 0.3  # the head layer continues what the face does inside this
USABLE_WITHIN_CM: Final = 0.3
# fmt: off
FACE_OVAL: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)
# fmt: on


class RendererError(VivantError):
    """The renderer was asked for a size it cannot draw or given motion of a wrong shape."""

    code = "renderer_misused"


class Renderer:
    """Draws one portrait at one size.

    Args:
        portrait: from `make_portrait`.
        size: side of the square frames in pixels, 256 to 1024.
        backdrop: what is behind the person.

    Raises:
        RendererError: `size` is out of range.
        ModelFileError: the rig is missing or damaged.
    """

    def __init__(self, portrait: Portrait, *, size: int = 512, backdrop: Backdrop = KEEP) -> None:
        if not MIN_SIZE <= size <= MAX_SIZE:
            raise RendererError(
                f"The size must be {MIN_SIZE} to {MAX_SIZE} pixels, but {size} was asked for."
            )
        self.size = size
        self._portrait = portrait
        rig = load_rig()
        self._stage = stage = set_stage(portrait, size)
        self._geometry = geometry = FaceGeometry(portrait, rig)
        within = np.minimum(rig.edge_distance, _within_oval(portrait))
        facing = vertex_normals(geometry.rest, rig.triangles)[:, 2]
        near = sum(np.abs(opening.spread).sum(axis=1) for opening in openings(rig))
        # Lips and lids curl away from the viewer but are never behind anything.
        facing = np.maximum(facing, np.clip(4 * np.asarray(near, np.float32), 0, 1))
        opacity = _ramp(within, FEATHER_CM) * _ramp(facing, FEATHER_FACING)
        self._head = HeadLayer(
            geometry,
            portrait.fit,
            triangles=rig.triangles,
            usable=(facing > USABLE_FACING) & (within > USABLE_WITHIN_CM),
            side=len(portrait.picture),
        )
        geometry.join(self._head.depth_at_face, self._head.deltas_at_face, opacity)
        self._pairs = (geometry.mouth, geometry.left_eye, geometry.right_eye)
        self._seams = [_seam(stage, geometry.rest[pair.ring]) for pair in self._pairs]
        self._face_triangles, self._opacity = self._surface(rig.triangles, opacity)
        self._face_sources = self._with_skirts(stage.project(geometry.rest))
        self._head_sources = stage.project(self._head.rest)
        self._still, self._head_triangles = self._parted(self._head.triangles)
        self._head_opacity = np.ones(len(self._head.rest), np.float32)
        palette = read_palette(portrait.picture, portrait.landmarks)
        self._eyes = tuple(
            EyeLayer(portrait, geometry=geometry, stage=stage, side=side)
            for side in ("Left", "Right")
        )
        self._mouth = MouthLayer(portrait, rig, geometry=geometry, stage=stage, palette=palette)
        self._set_before(KEEP, stage)
        if backdrop != KEEP:
            self._set_before(backdrop, set_stage(portrait, size, backdrop))
        self.render(np.full(MOTION_SIZE, 0.1, np.float32))  # compiles what is not compiled yet

    def with_backdrop(self, backdrop: Backdrop) -> Self:
        """Returns a renderer of the same portrait before `backdrop`; what is heavy is shared."""
        other = copy.copy(self)
        other._set_before(backdrop, set_stage(self._portrait, self.size, backdrop))
        other.render(np.full(MOTION_SIZE, 0.1, np.float32))  # compiles what is not compiled yet
        return other

    def _set_before(self, backdrop: Backdrop, stage: Stage) -> None:
        """Takes the stage, and draws the person on its background where nothing ever moves."""
        self.backdrop = backdrop
        self._stage = stage
        texture, inset = stage.foreground, stage.border
        if backdrop == KEEP:  # exactly the picture
            texture, inset = np.dstack([stage.picture, np.full_like(stage.picture[..., 0], 255)]), 0
        unchanged = np.ones(len(self._head_sources), np.float32)
        draw_textured(
            stage.background,
            texture,
            self._head_sources,
            self._head_sources + np.float32(inset),
            unchanged,
            unchanged,
            self._still,
        )

    def render(self, motion: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Returns the frame for `motion` [58] of `motion_space`.

        It is [size, size, 3] uint8 RGB, or [size, size, 4] uint8 straight RGBA before a transparent
        backdrop. Zeros give back the portrait's picture, before another backdrop than its own the
        person cut out of it.

        Raises:
            RendererError: `motion` has another shape or holds a value that is not finite.
        """
        motion = np.asarray(motion, np.float32)
        if motion.shape != (MOTION_SIZE,) or not np.isfinite(motion).all():
            raise RendererError(f"Motion must be {MOTION_SIZE} finite numbers.")
        if not motion.any():
            return self._stage.rest.copy()
        out = self._stage.background.copy()
        head = self._geometry.head(motion)
        draw_textured(
            out,
            self._stage.foreground,
            self._stage.project(self._head.positions(self._geometry.effective(motion), head)),
            self._head_sources + np.float32(self._stage.border),
            self._head_opacity,
            self._head_opacity,
            self._head_triangles,
        )
        face = head.apply(self._geometry.shape(motion))
        self._fill_openings(out, face)
        draw_textured(
            out,
            self._stage.foreground,
            self._with_skirts(self._stage.project(face)),
            self._slid_sources(motion) + np.float32(self._stage.border),
            self._opacity,
            self._lit(motion),
            self._face_triangles,
        )
        colours = out[..., :3]
        for eye in self._eyes:
            eye.draw(colours, face, motion, head)
        self._mouth.draw(colours, face, motion, head)
        if out.shape[2] == 4:
            straighten(out)
        return out

    def _fill_openings(self, out: NDArray[np.uint8], face: Floats) -> None:
        """Puts the dark between lips and lids under the face, so that no backdrop shines through.

        Eyes and mouth are drawn over it; what they leave free is as wide as a pixel.
        """
        for pair, colour in zip(self._pairs, self._seams, strict=True):
            ring = np.concatenate([pair.upper, pair.lower[::-1]])
            outline = np.round(16 * self._stage.project(face[ring])).astype(np.int32)
            cv2.fillPoly(out, [outline], colour, cv2.LINE_8, 4)

    def _lit(self, motion: Floats) -> Floats:
        """Returns the brightness of the face's vertices and of the hems, which keep theirs."""
        light = np.ones(len(self._opacity), np.float32)
        light[: len(self._geometry.rest)] = self._geometry.light(motion)
        return light

    def _slid_sources(self, motion: Floats) -> Floats:
        """Returns where each vertex takes its texture: lid skin slides in as the eye closes."""
        blinks = motion[[INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]]
        if not blinks.any():
            return self._face_sources
        sources = self._face_sources.copy()
        count = len(self._geometry.rest)
        sources[:count, 1] -= self._stage.scale * (blinks @ self._geometry.lid_slide)
        for pair, start in zip(self._pairs, self._skirt_starts, strict=True):
            sources[start : start + len(pair.upper)] = sources[pair.upper]
        return sources

    def _with_skirts(self, pixels: Floats) -> Floats:
        """Appends to the face's pixels a narrow hem inside each opening."""
        pieces = [pixels]
        for pair in self._pairs:
            for here, there in zip((pair.upper, pair.lower), pair.facing(pixels), strict=True):
                inward = there - pixels[here]
                length = np.linalg.norm(inward, axis=1, keepdims=True)
                pieces.append(
                    pixels[here] + inward * np.minimum(SKIRT_PIXELS / np.maximum(length, 1e-3), 0.5)
                )
        return np.concatenate(pieces)

    def _surface(
        self, triangles: NDArray[np.int64], opacity: Floats
    ) -> tuple[NDArray[np.int32], Floats]:
        """Orders the face's triangles, farthest first, and adds the hems."""
        rest = self._geometry.rest
        triangles = triangles[(opacity[triangles] > 0).any(axis=1)]
        order = np.argsort(rest[triangles, 2].mean(axis=1), kind="stable")
        pieces = [triangles[order]]
        start = len(rest)
        self._skirt_starts = []
        for pair in self._pairs:
            self._skirt_starts.append(start)
            for side in (pair.upper, pair.lower):
                hem = np.arange(start, start + len(side))
                start += len(side)
                strip = np.concatenate(
                    [
                        np.stack([side[:-1], side[1:], hem[:-1]], axis=1),
                        np.stack([side[1:], hem[1:], hem[:-1]], axis=1),
                    ]
                )
                pieces += [strip, strip[:, ::-1]]  # either side: the hem may turn over
        full = np.concatenate([opacity, np.ones(start - len(rest), np.float32)])
        return np.concatenate(pieces).astype(np.int32), full.astype(np.float32)

    def _parted(self, cells: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Returns the head cells that never move, and those of the rest that can be seen.

        Nobody sees what is outside the person or under the face.
        """
        size = self.size
        covered = np.zeros((size, size, 3), np.uint8)
        white = np.full((size, size, 4), 255, np.uint8)
        draw_textured(
            covered,
            white,
            self._face_sources,
            self._face_sources,
            np.where(self._opacity > SOLID, 1, 0).astype(np.float32),
            np.ones_like(self._opacity),
            self._face_triangles,
        )
        for pair in self._pairs:
            ring = np.concatenate([pair.upper, pair.lower[::-1]])
            outline = np.round(self._face_sources[ring]).astype(np.int32)
            cv2.fillPoly(covered, [outline], (255, 255, 255))
        moves = (self._head.weight[cells, 0] > 0).any(axis=1)
        border = self._stage.border
        matte = self._stage.foreground[border : border + size, border : border + size, 3]
        keep = []
        for index in np.flatnonzero(moves):
            corners = self._head_sources[cells[index]]
            low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 1, 0, size - 1)
            high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2, 1, size)
            block = slice(low[1], max(high[1], low[1] + 1)), slice(low[0], max(high[0], low[0] + 1))
            if matte[block].max() > 0 and covered[block].min() < 255:
                keep.append(index)
        return cells[~moves], cells[keep]


def openings(rig: Rig) -> tuple[Opening, Opening, Opening]:
    """Returns the rig's three openings."""
    return rig.mouth, rig.left_eye, rig.right_eye


def _seam(stage: Stage, ring: Floats) -> tuple[float, ...]:
    """Returns the dark of the picture along an opening's edge, opaque RGBA."""
    x, y = np.clip(np.round(stage.project(ring)), 0, stage.size - 1).astype(int).T
    return (*np.percentile(stage.picture[y, x], 25, axis=0).tolist(), 255.0)


def _within_oval(portrait: Portrait) -> Floats:
    """Returns how far inside the face's outline each vertex lies at rest, in centimetres."""
    fit = portrait.fit
    outline = portrait.landmarks[list(FACE_OVAL), :2].reshape(-1, 1, 2)
    pixels = fit.origin + fit.scale * fit.rest[:, :2] * np.array([1, -1], np.float32)
    inside = [cv2.pointPolygonTest(outline, (float(x), float(y)), True) for x, y in pixels]
    return np.asarray(inside, np.float32) / np.float32(fit.scale)


def _ramp(values: Floats, span: tuple[float, float]) -> Floats:
    share = np.clip((values - span[0]) / (span[1] - span[0]), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)
