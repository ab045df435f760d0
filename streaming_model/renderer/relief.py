"""Light that moves with the skin: how much brighter each coefficient makes each vertex.

Estimates the picture's own light from the shading of the fitted face, so that folds and
swellings are lit as the rest of the picture is.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.portrait import Portrait
from streaming_model.portrait.fit import Fit
from streaming_model.renderer.surface import vertex_normals
from streaming_model.rig import Rig

Floats = NDArray[np.float32]

SMOOTHING: Final = 4  # rounds of averaging over neighbours
USUAL_LIGHT: Final = np.array([0.0, 0.64, 0.77], np.float32)  # from above and in front
USUAL_CONTRAST: Final = 0.55
CONTRAST_RANGE: Final = (0.35, 0.6)
TRUST: Final = 0.02  # in the usual light, beside one vertex's brightness
LEAST_FRONTAL: Final = 0.35  # share of the light that comes from in front
PATCH_CM: Final = 0.35  # around a vertex, whose brightness it has
BRIGHTEST: Final = 250.0  # levels; skin that is brighter loses its colour
WHITISH: Final = 80.0  # levels below white from which skin takes shade as it is
LIGHT_RANGE: Final = (0.72, 1.2)
LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)


def relief_of(rig: Rig, rest: Floats, deltas: Floats, light: Floats) -> Floats:
    """Returns [52, V]: how much light each vertex gains at coefficient 1 under `light` [3].

    The change of the surface's slope against the light, smoothed: the folds of a smile, the
    cheek's swelling, the chin's turn. Lips and lids are left to their own textures.
    """
    neighbours = np.concatenate([rig.triangles[:, [a, b]] for a in range(3) for b in range(3)])
    count = np.bincount(neighbours[:, 0], minlength=len(rest)).astype(np.float32)
    skin = _skin(rig)
    still = vertex_normals(rest, rig.triangles) @ light
    relief = np.zeros((len(deltas), len(rest)), np.float32)
    for index, delta in enumerate(deltas):
        if not np.abs(delta).max() > 0.05:
            continue
        gain = vertex_normals(rest + delta, rig.triangles) @ light - still
        for _ in range(SMOOTHING):
            total = np.bincount(neighbours[:, 0], gain[neighbours[:, 1]], minlength=len(rest))
            gain = total / np.maximum(count, 1)
        relief[index] = np.clip(gain, -0.28, 0.28) * skin
    return relief


def light_of(portrait: Portrait, rig: Rig, rest: Floats) -> Floats:
    """Returns the picture's light [3]: its direction, as long as its contrast.

    Skin of normal n is as bright as b_0 + b . n (spherical harmonics of first order), by robust
    ridge regression towards the usual light; the light is b over the mean brightness.
    """
    normals = vertex_normals(rest, rig.triangles)
    grey = cv2.GaussianBlur(portrait.picture @ LUMA, (0, 0), max(PATCH_CM * portrait.fit.scale, 1))
    seen = _at_vertices(np.asarray(grey, np.float32), portrait.fit, rest)
    usable = (normals[:, 2] > 0.4) & (_skin(rig) > 0.8) & (rig.edge_distance > 1.0)
    usable &= rest[:, 1] < np.quantile(rest[:, 1], 0.85)  # above may be hair
    if usable.sum() < 50:
        return USUAL_CONTRAST * USUAL_LIGHT
    mean = max(float(seen[usable].mean()), 1.0)
    bright = seen[usable] / mean - 1.0
    centred = normals[usable] - normals[usable].mean(axis=0)
    weight = np.ones(len(bright), np.float32)
    usual = USUAL_CONTRAST * USUAL_LIGHT
    stiff = TRUST * len(bright) * np.eye(3)
    light = usual
    for _ in range(4):
        weighted = centred * weight[:, None]
        light = np.linalg.solve(weighted.T @ centred + stiff, weighted.T @ bright + stiff @ usual)
        weight = 1.0 / np.maximum(np.abs(bright - centred @ light) / 0.15, 1.0)
    contrast = float(np.clip(np.linalg.norm(light), *CONTRAST_RANGE))
    light[2] = max(light[2], LEAST_FRONTAL * float(np.linalg.norm(light)))
    return np.asarray(contrast * light / np.linalg.norm(light), np.float32)


def light_range(portrait: Portrait, rest: Floats) -> tuple[Floats, Floats]:
    """Returns the least and the most light [V] that each vertex may get, 1 at rest.

    Skin that is nearly white has no colour left: brighter it would clip, darker it would be grey.
    """
    reach = max(int(PATCH_CM * portrait.fit.scale), 1)
    peak = cv2.dilate(portrait.picture.max(axis=2), np.ones((reach, reach), np.uint8))
    level = cv2.blur(peak, (2 * reach + 1, 2 * reach + 1)).astype(np.float32)
    level = _at_vertices(level, portrait.fit, rest)
    room = np.clip((255.0 - level) / WHITISH, 0.15, 1.0)
    brightest = np.clip(BRIGHTEST / np.maximum(level, 1.0), 1.0, LIGHT_RANGE[1])
    darkest = 1.0 - (1.0 - LIGHT_RANGE[0]) * room
    return darkest.astype(np.float32), brightest.astype(np.float32)


def _skin(rig: Rig) -> Floats:
    """Returns 1 on skin, 0 at lips and lids [V]."""
    edge = sum(np.abs(o.spread).sum(axis=1) for o in (rig.mouth, rig.left_eye, rig.right_eye))
    return np.asarray(np.clip(1.0 - np.asarray(edge, np.float32), 0, 1) ** 2, np.float32)


def _at_vertices(image: NDArray[np.float32], fit: Fit, rest: Floats) -> Floats:
    """Samples `image` [s, s] at the pixels of camera points [V, 3]."""
    pixels = (fit.origin + fit.scale * rest[:, :2] * (1, -1)).astype(np.float32)
    sampled = cv2.remap(
        image,
        pixels[None, :, 0],
        pixels[None, :, 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(sampled[0], np.float32)
