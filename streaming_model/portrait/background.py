"""The plate behind the head: what the matte hides, filled in so that it may be uncovered.

The hole is the head with the soft fringe of its hair. It is filled with the colours around,
carried over smoothly, and with the grain around, laid as overlapping patches.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.portrait.patches import IGNORED, KNOWN, SOUGHT, complete
from streaming_model.portrait.resample import resize

# Lengths are in pixels plus a share of half the head's width.
_RIM: Final = (2.0, 0.02)  # beyond the matte: always part of the hole
_FRINGE: Final = (2.0, 0.10)  # the farthest that hair is looked for
_SEAM: Final = (2.0, 0.02)  # over which the hole's border is blended
_WASH: Final = (2.0, 0.05)  # what is finer is grain
_HAIR: Final = 0.1  # of the person's contrast to the background, from which a pixel is hair
_ALIKE: Final = 18.0  # levels: person and background closer than this cannot be told apart
_HAZE: Final = 0.1  # of the matte: up to there it may be background that looks like hair
_FAINT: Final = 0.15  # of the matte: at most this where the grain is the background's own
_NEIGHBOURS: Final = 16  # patches of background that a patch of the hole chooses from
_BAND: Final = 0.7  # of half the head's width: as far as a head's motion uncovers
_BARE: Final = 0.67  # of the band: from where on structure fades
_FLATTER: Final = 0.6  # of them, the flattest: what stands out are things, not grain

Array = NDArray[Any]
Plane = NDArray[np.float32]


def complete_background(image: NDArray[np.uint8], matte: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Returns the picture with what the matte hides filled in: [h,w,3] uint8.

    The hole is the matte and the fringe of hair beyond it; outside it the picture is kept.
    """
    solid = np.asarray(matte > 0.5, np.uint8)
    reach = float(cv2.distanceTransform(solid, cv2.DIST_L2, 3).max())
    beyond = cv2.distanceTransform(np.asarray(matte <= _HAZE, np.uint8), cv2.DIST_L2, 3)
    if not (beyond <= 0).any():
        return image.copy()
    hole = _with_fringe(image, matte, beyond, reach=reach)
    if hole.all():
        blur = max(matte.shape) / 20
        return np.asarray(cv2.GaussianBlur(image, (0, 0), blur), np.uint8)
    washed = wash(image, hole, step=_length(_WASH, reach))
    depth = cv2.distanceTransform(hole, cv2.DIST_L2, 3)
    filled = np.asarray(washed + _grain(image, washed, depth, reach=reach), np.float32)
    filled = _with_structure(image, filled, depth, reach=reach)
    filled = _with_own_grain(image, matte, filled, hole, reach=reach)
    share = np.clip(depth / _length(_SEAM, reach), 0, 1)[:, :, None]
    plate = image + share * (filled - image)
    return np.asarray(np.clip(plate + 0.5, 0, 255), np.uint8)


def _length(pair: tuple[float, float], reach: float) -> float:
    return pair[0] + pair[1] * reach


def _with_fringe(image: Array, matte: Array, beyond: Array, *, reach: float) -> NDArray[np.uint8]:
    """Returns the hole, [h,w] of 0 and 1: the matte, its rim, and hair that hangs on to it.

    Hair is what lies between the background's colour farther out and the person's next to it,
    and more so than the background does itself.
    """
    rim = np.asarray(beyond <= _length(_RIM, reach), np.uint8)
    farthest = _length(_FRINGE, reach)
    near = np.asarray(beyond <= farthest, np.uint8)
    around = (beyond > farthest) & (beyond <= 2 * farthest)
    if not around.any():
        return rim
    step = max(max(matte.shape) / 384, 1.0)
    ground = wash(image, near, step=farthest)
    person = wash(image, np.asarray(matte < 0.9, np.uint8), step=step)
    seen = cv2.GaussianBlur(image, (0, 0), 0.7 + 0.004 * reach).astype(np.float32)
    towards = np.asarray(person - ground)
    contrast = np.asarray(np.square(towards).sum(axis=2) + 3 * _ALIKE**2)
    likeness = np.asarray(((seen - ground) * towards).sum(axis=2)) / contrast
    threshold = max(_HAIR, float(np.percentile(likeness[around], 95)))
    hair = np.asarray((likeness > threshold) & (near > 0), np.uint8)
    side = 2 * round(0.5 + 0.008 * reach) + 1
    grown = np.asarray(cv2.dilate(hair, np.ones((side, side), np.uint8)), np.uint8)
    _, labels = cv2.connectedComponents(grown | rim)
    own = np.isin(labels, np.unique(labels[beyond <= 0]))
    return np.asarray(own, np.uint8)


def wash(image: Array, hole: Array, *, step: float) -> Plane:
    """Returns the colours outside the hole, smooth over `step` pixels, carried over it."""
    height, width = hole.shape
    size = (max(round(width / step), 1), max(round(height / step), 1))
    outside = np.asarray(hole == 0, np.uint8)
    known = resize(outside * np.uint8(255), *size) / 255
    total = resize(cv2.bitwise_and(image, image, mask=outside), *size)
    colours = total / np.maximum(known, 0.02)[:, :, None]
    return resize(_push_pull(colours, np.clip(2 * known, 0, 1)), width, height)


def _grain(image: Array, washed: Plane, depth: Array, *, reach: float) -> Plane:
    """Returns the hole's grain, [h,w,3], like that around it, where no structure is laid."""
    grain = np.asarray(image - washed, np.float32)
    most = 4 * _roughness(grain, depth) + 1
    bare = np.asarray(depth > _BARE * _BAND * reach, np.uint8)
    return _laid_grain(np.clip(grain, -most, most), bare, hole=depth > 0, reach=reach)


def _roughness(grain: Array, depth: Array) -> float:
    return float(np.median(np.abs(grain[depth <= 0])))


def _with_structure(image: Array, filled: Plane, depth: Array, *, reach: float) -> Plane:
    """Returns `filled` with patches of the picture in it, so that edges and patterns go on.

    They reach as far inside as the head's motion uncovers.
    """
    band = _BAND * reach
    labels = np.where(depth <= 0, KNOWN, np.where(depth <= band, SOUGHT, IGNORED))
    patched = complete(image, filled, labels.astype(np.uint8))
    share = np.clip((1 - depth / max(band, 1)) / (1 - _BARE), 0, 1)[:, :, None]
    return np.asarray(filled + share * (patched - filled), np.float32)


def _with_own_grain(
    image: Array, matte: Array, filled: Plane, hole: Array, *, reach: float
) -> Plane:
    """Returns `filled` with the picture's own grain beyond the matte.

    What keeps its own grain differs from the picture smoothly, so that no noise is left for the
    foreground to carry about.
    """
    rim = _length(_RIM, reach)
    beyond = cv2.distanceTransform(np.asarray(matte <= _FAINT, np.uint8), cv2.DIST_L2, 3)
    clear = np.asarray(beyond > rim / 2, np.float32)
    spread = (0, 0), _length(_WASH, reach) / 2
    smooth = cv2.GaussianBlur(image * clear[:, :, None], *spread)
    smooth = smooth / np.maximum(cv2.GaussianBlur(clear, *spread), 0.02)[:, :, None]
    own = np.asarray(image - smooth, np.float32)
    most = 2 * _roughness(own, hole) + 1
    kept = cv2.GaussianBlur(filled, *spread) + np.clip(own, -most, most)
    share = np.clip(beyond / rim - 0.5, 0, 1)[:, :, None]
    return np.asarray(filled + share * (kept - filled), np.float32)


def _laid_grain(grain: Array, bare: Array, *, hole: Array, reach: float) -> Plane:
    """Returns patches of the grain outside the hole, laid over what is `bare`: [h,w,3].

    They overlap by half under windows whose squares add up to one, so that the sum is as rough
    as they are.
    """
    laid = np.zeros(grain.shape, np.float32)
    side = 2 * max(round(0.1 * reach), 4)
    sources = _clean_patches(np.asarray(hole, np.uint8), side)
    if not len(sources):
        return laid
    energy = cv2.boxFilter(np.square(grain).sum(axis=2), -1, (side, side), anchor=(0, 0))
    wave = np.sin(np.pi * (np.arange(side) + 0.5) / side).astype(np.float32)
    window = np.outer(wave, wave)[:, :, None]
    generator = np.random.default_rng(0)
    height, width = bare.shape
    half = side // 2
    for top in range(-half, height, half):
        for left in range(-half, width, half):
            y0, x0 = max(top, 0), max(left, 0)
            y1, x1 = min(top + side, height), min(left + side, width)
            if not bare[y0:y1, x0:x1].any():
                continue
            y, x = _chosen(sources, energy, (top, left), generator)
            patch = grain[y : y + side, x : x + side]
            patch = patch[:: generator.choice((-1, 1)), :: generator.choice((-1, 1))] * window
            laid[y0:y1, x0:x1] += patch[y0 - top : y1 - top, x0 - left : x1 - left]
    return laid


def _clean_patches(hole: Array, side: int) -> NDArray[np.intp]:
    """Returns the top left corners [n,2] of squares that lie outside the hole."""
    height, width = hole.shape
    if min(height, width) < side:
        return np.empty((0, 2), np.intp)
    total = np.asarray(cv2.integral(hole), np.int64)
    inside = total[side:, side:] - total[:-side, side:] - total[side:, :-side]
    inside = inside + total[:-side, :-side]
    stride = max(side // 6, 1)
    return np.argwhere(inside[::stride, ::stride] == 0) * stride


def _chosen(
    sources: Array, energy: Array, place: tuple[int, int], generator: np.random.Generator
) -> tuple[int, int]:
    """Picks one of the patches nearest to `place` that are not the roughest."""
    distance = np.square(sources - np.array(place)).sum(axis=1)
    count = min(_NEIGHBOURS, len(sources))
    nearest = sources[np.argpartition(distance, count - 1)[:count]]
    rough = energy[nearest[:, 0], nearest[:, 1]]
    flattest = nearest[np.argsort(rough, kind="stable")[: max(round(_FLATTER * count), 1)]]
    y, x = flattest[generator.integers(len(flattest))]
    return int(y), int(x)


def _push_pull(colours: Array, known: Array) -> Plane:
    """Fills the unknown with the colours around, smoothly, by an image pyramid."""
    height, width = known.shape
    share = known[:, :, None]
    if min(height, width) <= 2:
        mean = (colours * share).sum(axis=(0, 1)) / max(float(known.sum()), 1e-6)
        return np.asarray(np.where(share > 0, colours, mean), np.float32)
    size = ((width + 1) // 2, (height + 1) // 2)
    weight = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    weighted = cv2.resize(colours * share, size, interpolation=cv2.INTER_AREA)
    mean = weighted / np.maximum(weight, 1e-6)[:, :, None]
    pulled = cv2.GaussianBlur(_push_pull(mean, np.minimum(weight * 4, 1)), (3, 3), 0)
    return np.asarray(share * colours + (1 - share) * resize(pulled, width, height), np.float32)
