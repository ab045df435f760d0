"""The eyeball of a portrait, parted into its white, its iris and the light on the cornea.

What lids and iris hide is completed from what the picture shows: the white by its
neighbourhood and the light on the face, the iris by its symmetry. Knows nothing of motion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.renderer.palette import LUMA

Floats = NDArray[np.float32]

SHADOW_REACH: Final = 0.2  # of the upper lid's shadow on the eye, of its width
LEAST_SHADOW: Final = 0.14
MOST_SHADOW: Final = 0.3
EDGES: Final = (0.07, 0.03)  # blurred by the upper and the lower lid's edge, of the eye's width
CORNER_SHADE: Final = 0.4  # how much darker the eye is in its corners
CORNER_REACH: Final = 0.3  # of that, of the eye's width
LIGHT_POWER: Final = 0.7  # how much of the face's light and shade the white takes
GLINT_LEVELS: Final = 30  # by which a cornea's light is brighter than the iris


@dataclass(frozen=True)
class Eyeball:
    """The eye under the lids, going on beyond them, all [h, w, ...].

    Attributes:
        still: as it is in the picture.
        white: without iris.
        iris: RGBA, alpha 0..1, complete.
        glint: RGBA of the light on the cornea.
        centre: [2] of the iris, in the box's pixels.
        radius: of the iris in pixels.
        shadow: how much darker the white is under the upper lid, 0..1.
    """

    still: Floats
    white: Floats
    iris: Floats
    glint: Floats
    centre: Floats
    radius: float
    shadow: float


@dataclass(frozen=True)
class EyeView:
    """What the picture shows of an eye, all [h, w, ...].

    Attributes:
        patch: the picture, RGB.
        opening: coverage by the opening between the lids.
        depth, height: how far a pixel lies under the upper lid's edge and over the lower one's.
        light: brightness of the lid's skin.
        beside: distance to the nearer corner along the eye, in widths.
        width: pixels from corner to corner.
        shading: 0 where colours are flat, as in a cartoon, 1 where things are shaded.
    """

    patch: Floats
    opening: Floats
    depth: Floats
    height: Floats
    light: Floats
    beside: Floats
    width: float
    shading: float


def read_eyeball(view: EyeView, centre: Floats, radius: float) -> Eyeball:
    """Parts an eye whose iris the landmarks have at `centre` [2], in the box's pixels."""
    patch, width = view.patch, view.width
    luma = patch @ LUMA
    centre, radius = _find_iris(luma, view.opening, centre, radius)
    rows, columns = np.indices(luma.shape, dtype=np.float32)
    distance = np.hypot(columns - centre[0], rows - centre[1])
    seen = (view.opening > 0.98).astype(np.float32)
    tall = float((view.depth + view.height)[seen > 0].max()) if seen.any() else 0.0
    clear = seen * (view.depth > min(EDGES[0] * width, 0.28 * tall))
    clear *= view.height > min(max(EDGES[1] * width, 1.0), 0.15 * tall)
    away = distance > 1.14 * radius
    known = clear * away
    if known.sum() < 0.02 * seen.sum() + 4:
        known = clear * (distance > 1.02 * radius)
    if known.sum() < 4:  # a closed or tiny eye: nothing to move
        still = spread(patch, seen, max(0.04 * width, 1.0)) if seen.any() else patch
        empty = np.zeros((*luma.shape, 4), np.float32)
        return Eyeball(still, still, empty, empty, centre, radius, 0.0)
    shadow = _lid_shadow(luma, seen * away, view)
    reach = np.clip(1 - view.depth / (SHADOW_REACH * width), 0, 1)
    level = max(float(view.light[known > 0].mean()), 1.0)
    shade = (1 - shadow * reach * reach) * np.clip(view.light / level, 0.4, 1.2) ** LIGHT_POWER
    shade *= 1 - CORNER_SHADE * view.shading * np.clip(1 - view.beside / CORNER_REACH, 0, 1) ** 2
    white = spread(patch / shade[..., None], known, max(0.1 * width, 1.0)) * shade[..., None]
    white += _softly(clear * away, width) * (patch - white)
    iris, glint = _whole_iris(patch, clear, centre, radius)
    still = white + iris[..., 3:] * (iris[..., :3] - white)
    still = still + glint[..., 3:] * (glint[..., :3] - still)
    still += _softly(clear, width) * (patch - still)
    return Eyeball(
        still.astype(np.float32), white.astype(np.float32), iris, glint, centre, radius, shadow
    )


def _softly(mask: Floats, width: float) -> Floats:
    """Returns a mask that fades inside its border, [h, w, 1]."""
    blurred = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(0.025 * width, 0.8))
    return np.asarray(np.clip(blurred * 2 - 1, 0, 1)[..., None], np.float32)


def _find_iris(
    luma: Floats, opening: Floats, centre: Floats, radius: float
) -> tuple[Floats, float]:
    """Moves a circle to where the eye is darkest inside and brightest outside its sides."""
    angles = np.radians([*range(-55, 60, 10), *range(125, 240, 10)]).astype(np.float32)
    rim = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    smooth = np.asarray(cv2.GaussianBlur(luma, (0, 0), max(0.08 * radius, 0.5)), np.float32)
    contrast = max(float(np.ptp(smooth[opening > 0.9])) if (opening > 0.9).any() else 1.0, 1.0)
    best, found = -np.inf, (centre, radius)
    for size in np.linspace(0.8, 1.2, 9):
        for dx in np.linspace(-0.4, 0.4, 11):
            for dy in np.linspace(-0.3, 0.3, 7):
                middle = centre + radius * np.array([dx, dy], np.float32)
                rings = size * radius * np.array([0.85, 0.93, 1.07, 1.15], np.float32)
                points = (middle + rings[:, None, None] * rim).astype(np.float32)
                light = cv2.remap(smooth, points[..., 0], points[..., 1], cv2.INTER_LINEAR)
                visible = cv2.remap(opening, points[..., 0], points[..., 1], cv2.INTER_LINEAR)[
                    [0, 3]
                ].min(axis=0)
                step = light[2] + light[3] - light[0] - light[1]
                gain = float((visible * step).sum() / (visible.sum() + 3)) / contrast
                gain -= 0.25 * (dx * dx + dy * dy) + 0.5 * (size - 1) ** 2
                if gain > best:
                    best, found = gain, (middle.astype(np.float32), float(size * radius))
    return found[0], _radius_at_half(smooth, opening, *found)


def _radius_at_half(luma: Floats, opening: Floats, centre: Floats, radius: float) -> float:
    """Returns the radius at which an iris is half as bright as the white beside it."""
    angles = np.radians([*range(-40, 45, 10), *range(140, 225, 10)]).astype(np.float32)
    rim = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    shares = np.linspace(0.7, 1.35, 40, dtype=np.float32)
    points = (centre + radius * shares[:, None, None] * rim).astype(np.float32)
    light = cv2.remap(luma, points[..., 0], points[..., 1], cv2.INTER_LINEAR)
    visible = cv2.remap(opening, points[..., 0], points[..., 1], cv2.INTER_LINEAR)
    weight = visible.sum(axis=1)
    if weight.min() < 2:
        return radius
    profile = (light * visible).sum(axis=1) / weight
    dark, bright = profile[:8].mean(), profile[-8:].mean()
    over = np.flatnonzero(profile > (dark + bright) / 2)
    if bright < 1.1 * dark or not len(over):
        return radius
    return float(radius * np.clip(shares[over[0]], 0.85, 1.2))


def _lid_shadow(luma: Floats, white: Floats, view: EyeView) -> float:
    """Returns how much darker the white is under the upper lid, 0..MOST_SHADOW."""
    least = view.shading * LEAST_SHADOW
    near = (white > 0) & (view.depth > 0.06 * view.width) & (view.depth < 0.11 * view.width)
    far = (white > 0) & (view.depth > 0.15 * view.width)
    if near.sum() < 6 or far.sum() < 6:
        return least
    lost = 1 - float(np.median(luma[near])) / max(float(np.median(luma[far])), 1)
    return float(np.clip(1.5 * lost, least, MOST_SHADOW))


def _whole_iris(
    patch: Floats, clear: Floats, centre: Floats, radius: float
) -> tuple[Floats, Floats]:
    """Returns the iris and the light on it, both [h, w, 4], from what is `clear` [h, w]."""
    rows, columns = np.indices(clear.shape, dtype=np.float32)
    distance = np.hypot(columns - centre[0], rows - centre[1])
    luma = patch @ LUMA
    disc = (distance < 0.9 * radius) & (clear > 0)
    bright = np.zeros_like(disc)
    if disc.sum() > 12:
        low, middle, high = np.percentile(luma[disc], (10, 50, 85))
        bright = disc & (luma > middle + max(1.2 * (middle - low), GLINT_LEVELS))
        bright &= (distance < 0.8 * radius) & (rows < centre[1] + 0.3 * radius)
        if bright.sum() > 0.3 * disc.sum():
            bright[:] = False
        bright = cv2.dilate(bright.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        disc &= bright | (luma <= high) | (distance < 0.7 * radius)
    known = (disc & ~bright).astype(np.float32)
    clean = _by_radius(patch, known, distance / radius)
    whole = clean + _softly(known, 2 * radius) * (patch - clean)
    soft_edge = max(0.14 * radius, 0.9)
    cover = np.clip((radius - distance) / soft_edge + 0.5, 0, 1)
    cover = cover * cover * (3 - 2 * cover)
    iris = np.ascontiguousarray(np.dstack([whole, cover]).astype(np.float32))
    return iris, _glint(patch, clean, bright, radius)


def _by_radius(patch: Floats, known: Floats, share: Floats) -> Floats:
    """Returns the iris [h, w, 3] with the same colours at the same distance from its centre."""
    rings = np.linspace(0, 1, 12, dtype=np.float32)
    means = np.zeros((len(rings), 3), np.float32)
    weights = np.zeros(len(rings), np.float32)
    for index, ring in enumerate(rings):
        near = (known > 0) & (np.abs(share - ring) < 0.1)
        if near.any():
            means[index], weights[index] = np.median(patch[near], axis=0), near.sum()
    found = weights > 0
    if not found.any():
        return patch
    return np.stack(
        [np.interp(share, rings[found], means[found, channel]) for channel in range(3)], axis=-1
    ).astype(np.float32)


def _glint(patch: Floats, clean: Floats, bright: NDArray[np.bool_], radius: float) -> Floats:
    """Returns as colour and coverage [h, w, 4] what makes `clean` into `patch`."""
    soft = cv2.GaussianBlur(bright.astype(np.float32), (0, 0), max(0.06 * radius, 0.5))
    gain = np.maximum(patch - clean, 0) * np.clip(soft * 1.5, 0, 1)[..., None]
    share = (gain / np.maximum(255 - clean, 1)).max(axis=2)
    colour = np.minimum(clean + gain / np.maximum(share, 0.02)[..., None], 255)
    colour = spread(colour.astype(np.float32), (share > 0.1).astype(np.float32), 1.0)
    return np.ascontiguousarray(np.dstack([colour, share]).astype(np.float32))


def spread(image: Floats, known: Floats, sigma: float) -> Floats:
    """Returns the weighted mean of known pixels, over as narrow a reach as finds some."""
    source = np.asarray(image * known[..., None], np.float32)
    mean = np.zeros_like(source)
    reached = np.zeros_like(known)
    for widening in range(6):
        width = sigma * 2**widening
        share = cv2.GaussianBlur(known.astype(np.float32), (0, 0), width)
        usable = np.clip(share * 5, 0, 1) * (1 - reached)
        blurred = cv2.GaussianBlur(source, (0, 0), width) / np.maximum(share, 1e-6)[..., None]
        mean += usable[..., None] * blurred
        reached += usable
    return np.asarray(mean / np.maximum(reached, 1e-3)[..., None], np.float32)
