"""Draws a portrait under motion: a pure function from 58 numbers to a picture.

Back to front: still backdrop, head layer, face with its lids and lips, eyes, mouth. The
object is immutable after construction and may be shared by threads.
"""

from __future__ import annotations

import copy
import math
import threading
from typing import Final, NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.backdrop import KEEP, Backdrop
from streaming_model.errors import VivantError
from streaming_model.motion_space import INDEX, MOTION_SIZE
from streaming_model.portrait import Portrait
from streaming_model.portrait.matte import FACE_OVAL
from streaming_model.renderer.eyes import EyeLayer
from streaming_model.renderer.geometry import FaceGeometry, HeadMotion
from streaming_model.renderer.head import CELLS, HeadLayer
from streaming_model.renderer.lanes import COUNT as LANES
from streaming_model.renderer.measured import Measured
from streaming_model.renderer.mouth import MouthLayer
from streaming_model.renderer.openings import with_hems
from streaming_model.renderer.palette import read_palette
from streaming_model.renderer.raster import bounds, packed, unpacked
from streaming_model.renderer.raster_cells import LIT, blocks_of, cell_kinds, draw_cells
from streaming_model.renderer.raster_maps import map_cells, map_opening, map_triangles
from streaming_model.renderer.response import HeadResponse, measure_response
from streaming_model.renderer.stage import Stage, set_stage
from streaming_model.renderer.surface import least_around, least_facing, mean_around
from streaming_model.rig import Opening, Rig, load_rig

Floats = NDArray[np.float32]
Box = tuple[int, int, int, int]

MIN_SIZE: Final = 256  # pixels
MAX_SIZE: Final = 1024
FEATHER_CM: Final = (0.1, 1.2)  # inwards from the face's outline: where the surface fades in
FEATHER_FACING: Final = (0.05, 0.25)  # the same by how much the surface faces the viewer
SKIRT_PIXELS: Final = 1.5  # lips and lids go on inwards, so that the opening's edge is covered
SOLID: Final = 0.999  # opacity from which nothing shows through
USABLE_FACING: Final = 0.3  # the head layer continues what the face does inside this
USABLE_WITHIN_CM: Final = 0.3
MOST: Final = 100.0  # of a motion's numbers; what is more is cut, before positions overflow
# The frame is drawn in bands of as many rows of cells, so that what one step writes is still near
# when the next one reads it, by how large a frame the band is for.
BANDS: Final = ((512, 8), (MAX_SIZE, 4))
BESIDE: Final = 3  # pixels around the face that may show some of it
SEAM_ROWS: Final = 4  # of the texture, in one colour for each opening

_threads = threading.local()


class RendererError(VivantError):
    """The renderer was asked for a size it cannot draw or given motion of a wrong shape."""

    code = "renderer_misused"


class Placement(NamedTuple):
    """Everything of head and face in one frame but its pixels.

    Attributes:
        grid: [CELLS + 1, CELLS + 1, 2] places of the texture that the cells' corners show.
        kinds: [CELLS, CELLS] what is in each cell.
        lit: the cells around the face: first column and row, and those after the last.
        pixels: [V, 2] the face's vertices and hems in the frame.
        sources: [V, 2] the places of the texture that they show.
        light: [V] their brightness.
    """

    grid: Floats
    kinds: NDArray[np.uint8]
    lit: Box
    pixels: Floats
    sources: Floats
    light: Floats


class Renderer:
    """Draws one portrait at one size.

    Args:
        portrait: from `make_portrait`.
        size: side of the square frames in pixels, 256 to 1024.
        backdrop: what is behind the person.
        measured: what was measured of the portrait at this size before; else it is measured now.

    Raises:
        RendererError: `size` is out of range.
        ModelFileError: the rig is missing or damaged.
    """

    def __init__(
        self,
        portrait: Portrait,
        *,
        size: int = 512,
        backdrop: Backdrop = KEEP,
        measured: Measured | None = None,
    ) -> None:
        if not MIN_SIZE <= size <= MAX_SIZE:
            raise RendererError(
                f"The size must be {MIN_SIZE} to {MAX_SIZE} pixels, but {size} was asked for."
            )
        self.size = size
        self._band = next(rows for largest, rows in BANDS if size <= largest)
        self._portrait = portrait
        rig = load_rig()
        self._stage = stage = set_stage(portrait, size)
        curves = None if measured is None else measured.curves
        self._geometry = geometry = FaceGeometry(portrait, rig, curves)
        within = np.minimum(rig.edge_distance, _within_oval(portrait))
        facing = least_facing(geometry.rest, rig.triangles)
        near = sum(np.abs(opening.spread).sum(axis=1) for opening in openings(rig))
        # Lips and lids curl away from the viewer but are never behind anything.
        facing = np.maximum(facing, np.clip(3 * np.asarray(near, np.float32) - 1.5, 0, 1))
        opacity = _ramp(within, FEATHER_CM) * _ramp(facing, FEATHER_FACING)
        # No vertex stands out alone from a part that belongs to the head layer.
        calm = mean_around(least_around(opacity, rig.triangles), rig.triangles)
        opacity = np.where(np.asarray(near) > 0.9, opacity, np.minimum(opacity, calm))
        self._head = HeadLayer(
            geometry,
            portrait.fit,
            rig,
            usable=(facing > USABLE_FACING) & (within > USABLE_WITHIN_CM),
            size=size,
            scale=stage.scale,
            origin=stage.origin,
        )
        geometry.join(self._head.depth_at_face, self._head.deltas_at_face, opacity)
        self._pairs = (geometry.mouth,)
        self._hems = np.concatenate([pair.opposite() for pair in self._pairs])
        self._seams = [_seam(stage, geometry.rest[pair.ring]) for pair in self._pairs]
        self._face_triangles, self._opacity = self._surface(rig.triangles, opacity)
        self._face_sources = self._with_skirts(stage.project(geometry.rest))
        palette = read_palette(portrait.picture, portrait.landmarks)
        self._eyes = tuple(
            EyeLayer(rig, geometry=geometry, stage=stage, side=side) for side in ("Left", "Right")
        )
        self._mouth = MouthLayer(portrait, rig, geometry=geometry, stage=stage, palette=palette)
        self._set_before(KEEP, stage)
        if measured is None:
            # The same before any backdrop.
            measured = Measured(geometry.curves, measure_response(self._turned))
        self.measured = measured
        geometry.response = measured.response
        if backdrop != KEEP:
            self._set_before(backdrop, set_stage(portrait, size, backdrop))
        everything = np.full(MOTION_SIZE, 0.1, np.float32)
        everything[INDEX["tongueOut"]] = 1
        self.render(everything)  # compiles what is not compiled yet

    def with_backdrop(self, backdrop: Backdrop) -> Self:
        """Returns a renderer of the same portrait before `backdrop`; what is heavy is shared."""
        other = copy.copy(self)
        other._set_before(backdrop, set_stage(self._portrait, self.size, backdrop))
        other.render(np.full(MOTION_SIZE, 0.1, np.float32))  # compiles what is not compiled yet
        return other

    def _set_before(self, backdrop: Backdrop, stage: Stage) -> None:
        self.backdrop = backdrop
        self._stage = stage
        self._blocks = blocks_of(stage.foreground[..., 3])
        self._texture = packed(self._with_seams(stage.foreground))
        self._is_cut_out = stage.background.shape[2] == 4
        plate = stage.background
        if not self._is_cut_out:
            plate = np.asarray(cv2.cvtColor(plate, cv2.COLOR_RGB2RGBA), np.uint8)
        self._plate = packed(plate)

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
        motion = np.clip(motion, -MOST, MOST)
        return self._draw(motion, self._geometry.head(motion))

    def _turned(self, motion: Floats, response: HeadResponse) -> NDArray[np.uint8]:
        """Returns the frame [size, size, 3] that another response of the head would give."""
        return self._draw(motion, self._geometry.head(motion, response))[..., :3]

    def _draw(self, motion: Floats, head: HeadMotion) -> NDArray[np.uint8]:
        acting = self._geometry.effective(motion)
        face = head.apply(self._geometry.shape(motion, acting))
        colours, canvas = self._person(motion, acting, head, face)
        self._mouth.draw(colours, face, motion, acting, head)
        if not self._is_cut_out:
            return colours
        frame = np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2RGBA), np.uint8)
        cv2.insertChannel(cv2.extractChannel(unpacked(canvas), 3), frame, 3)
        return frame

    def _person(
        self, motion: Floats, acting: Floats, head: HeadMotion, face: Floats
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
        """Returns head and face without what the mouth holds: colours [s, s, 3], and the canvas.

        The canvas [s, s] has the person's matte, and its colours but for the eyes.
        """
        placed = self.place(acting, head, face)
        scratch = _scratch(self.size, CELLS * self._head.cell)
        self._map_face(placed, scratch.maps)
        colours = np.empty((self.size, self.size, 3), np.uint8)
        canvas, out = scratch.canvas, unpacked(scratch.canvas)
        for start in range(0, CELLS, self._band):
            stop = start + self._band
            rows = slice(start * self._head.cell, stop * self._head.cell)
            self._draw_band(placed, scratch, (start, stop))
            if start * self._head.cell < self.size:
                cv2.cvtColor(out[rows], cv2.COLOR_RGBA2RGB, dst=colours[rows])
        for eye in self._eyes:
            eye.draw(colours, motion, acting, scratch.maps, placed.pixels)
        return colours, canvas

    def _map_face(self, placed: Placement, maps: Floats) -> None:
        """Writes into the maps what the cells around the face show."""
        map_cells(maps, placed.grid, placed.lit, self._head.cell)
        end = len(self._stage.foreground)
        row = end + SEAM_ROWS / 2
        for pair in self._pairs:  # what the mouth leaves free shows the dark of its edge
            map_opening(maps, placed.pixels, pair.upper, pair.lower, (SEAM_ROWS / 2, row))
            row += SEAM_ROWS
        map_triangles(
            maps,
            placed.pixels,
            placed.sources,
            self._opacity,
            placed.light,
            self._face_triangles,
            float(end),
        )

    def _draw_band(self, placed: Placement, scratch: _Scratch, rows: tuple[int, int]) -> None:
        draw_cells(
            scratch.canvas,
            self._texture,
            self._plate,
            scratch.maps,
            placed.grid,
            placed.kinds,
            self._head.cell,
            rows,
            self._is_cut_out,
        )

    def place(self, acting: Floats, head: HeadMotion, face: Floats) -> Placement:
        """Returns where head and `face` [V, 3] (head turned) are drawn, and what they show.

        `acting` [52] is what is `effective` of the motion.
        """
        inset = np.float32(self._stage.border)
        grid = self._head.sources(acting, head) + inset
        # Beyond the texture there is nothing: its border goes on.
        np.clip(grid, 0, len(self._stage.foreground) - 1, out=grid)
        pixels = self._with_skirts(self._stage.project(face))
        left, top, right, bottom = lit = _cells_around(pixels, self._head.cell)
        kinds = cell_kinds(grid, self._blocks)
        kinds[top:bottom, left:right] = LIT
        return Placement(
            grid=grid,
            kinds=kinds,
            lit=lit,
            pixels=pixels,
            sources=self._face_sources + inset,
            light=self._lit(acting),
        )

    def _with_seams(self, foreground: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Appends rows in the dark of each opening's edge."""
        seams = [
            np.full((SEAM_ROWS, foreground.shape[1], 4), colour, np.uint8) for colour in self._seams
        ]
        return np.concatenate([foreground, *seams])

    def _lit(self, acting: Floats) -> Floats:
        """Returns the brightness of the face's vertices and of the hems, which keep theirs."""
        light = np.ones(len(self._opacity), np.float32)
        light[: len(self._geometry.rest)] = self._geometry.light(acting)
        return light

    def _with_skirts(self, pixels: Floats) -> Floats:
        """Appends to the face's pixels a narrow hem inside each opening."""
        return with_hems(pixels, self._hems, SKIRT_PIXELS)

    def _surface(
        self, triangles: NDArray[np.int64], opacity: Floats
    ) -> tuple[NDArray[np.int32], Floats]:
        """Orders the face's triangles, farthest first, and adds the hems."""
        rest = self._geometry.rest
        triangles = triangles[(opacity[triangles] > 0).any(axis=1)]
        order = np.argsort(rest[triangles, 2].mean(axis=1), kind="stable")
        # The eyes are part of the surface: their layer paints them on it.
        eyes = [self._geometry.left_eye.across(), self._geometry.right_eye.across()]
        pieces = [*eyes, triangles[order]]
        start = len(rest)
        for pair in self._pairs:
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
        full[full > SOLID] = 1  # nothing is looked up between the face and itself
        return np.concatenate(pieces).astype(np.int32), full.astype(np.float32)


def openings(rig: Rig) -> tuple[Opening, Opening, Opening]:
    """Returns the rig's three openings."""
    return rig.mouth, rig.left_eye, rig.right_eye


def _cells_around(pixels: Floats, cell: int) -> Box:
    """Returns the first column and row of the cells around `pixels`, and those after the last.

    They reach `BESIDE` pixels farther, as what the eyes draw does.
    """
    left, top, right, bottom = bounds(pixels)
    left, top = math.floor((left - BESIDE) / cell), math.floor((top - BESIDE) / cell)
    right, bottom = math.floor((right + BESIDE) / cell), math.floor((bottom + BESIDE) / cell)
    left, top = min(max(left, 0), CELLS - 1), min(max(top, 0), CELLS - 1)
    right, bottom = min(max(right, left) + 1, CELLS), min(max(bottom, top) + 1, CELLS)
    return left, top, right, bottom


class _Scratch(NamedTuple):
    """One thread's canvas [s, s] and the face's maps [3, n, n + LANES], with whatever they hold.

    Fresh memory for each frame would cost as much as drawing does.
    """

    canvas: NDArray[np.uint32]
    maps: Floats


def _scratch(size: int, side: int) -> _Scratch:
    """Returns this thread's scratch memory for a canvas of `size` and maps of `side`."""
    kept: dict[int, _Scratch] = _threads.__dict__.setdefault("scratch", {})
    if size not in kept:
        canvas = np.zeros((size + 1, size), np.uint32)[:size]  # may be written to behind its end
        kept[size] = _Scratch(canvas, np.zeros((3, side, side + LANES), np.float32))
    return kept[size]


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
