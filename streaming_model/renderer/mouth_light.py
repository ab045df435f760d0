"""Colours and light of the mouth's inside: what each vertex shows, and what the lips let in."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import INDEX
from streaming_model.renderer.expression import closing_share
from streaming_model.renderer.mouth_places import let_in
from streaming_model.renderer.own_teeth import OwnMouth
from streaming_model.renderer.palette import Palette
from streaming_model.renderer.surface import vertex_normals
from streaming_model.rig import BAG, LOWER_GUM, LOWER_TEETH, TONGUE, UPPER_GUM, UPPER_TEETH, Rig

Floats = NDArray[np.float32]

TEETH_APPEAR: Final = (0.03, 0.105)  # gap over the mouth's width at which light comes in
BARED: Final = (0.025, 0.065)  # how much earlier between lips that are drawn off the teeth
OWN_APPEAR: Final = (-0.02, 0.06)  # the same where the picture has let it in
FLAT_CONTRAST: Final = 5.0  # how much more suddenly it comes in a flat drawing
ROUNDED_SHADE: Final = 0.85  # of lips that protrude over what lies behind them
DARKEST: Final = 0.09  # what is left in the dark
DUSK: Final = np.array([0.0, 0.36, 0.48], np.float32)  # of each colour lost when half is dark
LOWER_SHADE: Final = 0.84  # of the lower teeth, which stand in the upper ones' shadow
CORNER_SHADE: Final = 0.45  # of the upper teeth towards the corners of the mouth
LOWER_CORNER_SHADE: Final = 0.75
READABLE_PIXELS: Final = 10.0  # width of an incisor from which single teeth can be told apart
MERGED: Final = 0.85  # share of the shade between teeth that the smallest lack
SHADOW_HUE: Final = np.array([0.85, 1.05, 1.12], np.float32)
FRONT_FALLOFF_CM: Final = 5.0  # how far behind the incisors the light still reaches
LIGHT: Final = np.array([-0.15, 0.45, 0.88], np.float32)
FLAT_TONES: Final = {UPPER_TEETH: 0.95, LOWER_TEETH: 0.86, BAG: 0.6}  # others 0.75
SEAM: Final = 0.55  # strength of the line where the lips of an open mouth meet
SEAM_GAP: Final = 0.04  # gap over the mouth's width at which it is gone
SEAM_ENDS: Final = 0.08  # of the mouth's width over which it fades to the corners


def shaded(rig: Rig, palette: Palette, own: OwnMouth | None, *, tooth_pixels: float) -> Floats:
    """Returns every interior vertex's colour [V, 3]: part, facing, depth, side of the light.

    `tooth_pixels` is the width of a middle incisor: a row of small ones must not look like a comb.
    """
    points, part = rig.interior_neutral, rig.interior_part
    base = _part_colours(rig, palette, own)
    normals = vertex_normals(points, rig.interior_triangles)
    facing = 0.79 + 0.33 * np.clip(normals @ (LIGHT / np.linalg.norm(LIGHT)), 0, 1)
    front = points[part == UPPER_TEETH, 2].max()
    depth = np.clip(1.0 - (front - points[:, 2]) / FRONT_FALLOFF_CM, 0.3, 1.0)
    depth = np.where(part == TONGUE, 0.12 + 0.96 * depth**1.25, depth)
    across = np.clip((points[:, 0] + 2.5) / 5.0, 0, 1)
    side = palette.light[0] + (palette.light[1] - palette.light[0]) * across
    outer = np.clip((np.abs(points[:, 0]) - 0.9) / 1.6, 0, 1)
    corner = np.where(part == LOWER_TEETH, LOWER_CORNER_SHADE, CORNER_SHADE)
    shape = np.where(part == BAG, 1.0, facing * depth * (1.0 - corner * outer * outer))
    merged = MERGED * min(max(1.0 - tooth_pixels / READABLE_PIXELS, 0.0), 1.0)
    even = np.where(rig.interior_tooth > 0, merged, 0.0)
    light = shape * side * (rig.interior_light + even * (1.0 - rig.interior_light))
    # What little light gets there has been through flesh: shadows turn red.
    hue = 1.0 + palette.colourfulness * (SHADOW_HUE - 1.0)
    solid = base * np.clip(light, 0, 1.1)[:, None] ** hue
    # A flat drawing has one tone for each thing.
    flat = base * np.array([FLAT_TONES.get(int(kind), 0.75) for kind in part])[:, None]
    return np.ascontiguousarray(solid + palette.flatness * (flat - solid), np.float32)


def _part_colours(rig: Rig, palette: Palette, own: OwnMouth | None) -> Floats:
    rows = [] if own is None else [row for row in (own.upper, own.lower) if row is not None]
    upper, lower = palette.tooth, palette.tooth * LOWER_SHADE
    if rows:
        upper, lower = rows[0].colour, rows[-1].colour
    colours = np.empty((len(rig.interior_part), 3), np.float32)
    for part, colour in (
        (UPPER_TEETH, upper),
        (LOWER_TEETH, lower),
        (UPPER_GUM, palette.gum),
        (LOWER_GUM, palette.gum * 0.92),
        (TONGUE, palette.tongue),
        (BAG, palette.cavity),
    ):
        colours[rig.interior_part == part] = colour
    return colours


def darkness(palette: Palette) -> Floats:
    """Returns what the dark leaves of each colour, and what dusk takes of it, [2, 3]."""
    dusk = palette.colourfulness * DUSK
    return np.stack([DARKEST * (1 - dusk), dusk]).astype(np.float32)


def light_let_in(gaps: Floats, motion: Floats, *, flatness: float, is_own: bool) -> Floats:
    """Returns how much light falls in at each column: barely parted lips show a dark line.

    `gaps` [w] are the lips' distances over the mouth's width.
    """
    bared = motion[INDEX["mouthUpperUpLeft"]] + motion[INDEX["mouthUpperUpRight"]]
    bared += motion[INDEX["mouthRollLower"]]  # as in f and v
    rounded = motion[INDEX["mouthFunnel"]] + motion[INDEX["mouthPucker"]]
    share = min(max(float(bared), 0.0), 1.0)
    start, full = OWN_APPEAR if is_own else TEETH_APPEAR
    start, full = start - BARED[0] * share, full - BARED[1] * share
    steepness = (1.0 + FLAT_CONTRAST * flatness) / (full - start)
    return let_in(gaps, start, steepness, 1.0 - ROUNDED_SHADE * min(max(float(rounded), 0.0), 1.0))


def meeting_line(gaps: Floats, beside: Floats, motion: Floats) -> Floats | None:
    """Returns how dark the line is at each column where the lips of an open mouth meet, [2, w].

    The picture has no such line, and may have a glint of its teeth there. `beside` [w] is the
    distance to the nearer corner; both are over the mouth's width. None if they do not meet.
    """
    closing = closing_share(motion)
    if closing < 0.01:
        return None
    near = np.clip(1.0 - gaps / SEAM_GAP, 0, 1)
    line = closing * SEAM * np.clip(beside / SEAM_ENDS, 0, 1) * near
    return np.stack([line, line]).astype(np.float32)
