"""The plate behind the head: what the matte hides, filled in so that it may be uncovered.

Close behind the silhouette the background goes on with its own grain; further in it becomes
a smooth wash of the colours around.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.portrait.resample import resize

_WASH_SIDE: Final = 384  # pixels, at which the background is continued

Array = NDArray[Any]


def complete_background(image: NDArray[np.uint8], matte: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Returns the picture with what the matte hides filled in: [h,w,3] uint8.

    Close behind the silhouette the background goes on with its own grain; further in it becomes a
    smooth wash of the colours around.
    """
    height, width = matte.shape
    solid = np.asarray(matte > 0.5, np.uint8)
    reach = float(cv2.distanceTransform(solid, cv2.DIST_L2, 3).max())
    beyond = cv2.distanceTransform(np.asarray(matte <= 0.02, np.uint8), cv2.DIST_L2, 3)
    hole = np.asarray(beyond <= 2 + 0.03 * reach, np.uint8)  # no hair may bleed into the plate
    if not hole.any():
        return image.copy()
    if hole.all():
        return np.asarray(cv2.GaussianBlur(image, (0, 0), max(width, height) / 20), np.uint8)
    wash = _wash(image, hole)
    filled = np.where(hole[:, :, None] > 0, wash, image)
    grain = _grain(image, hole, sigma=max(0.04 * reach, 1.0))
    completed = filled + _mirrored(grain, hole, reach=reach)
    return np.clip(completed + 0.5, 0, 255).astype(np.uint8)


def _wash(image: NDArray[np.uint8], hole: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns the colours around the hole carried smoothly over it: [h,w,3] uint8."""
    height, width = hole.shape
    scale = min(1.0, _WASH_SIDE / max(hole.shape))
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    known = resize(1 - hole.astype(np.float32), *size)
    colours = resize((image * (1 - hole[:, :, None])).astype(np.float32), *size)
    colours = colours / np.maximum(known, 1e-3)[:, :, None]
    wash = _push_pull(colours.astype(np.float32), np.asarray(known > 0.1, np.float32))
    return np.clip(resize(wash, width, height) + 0.5, 0, 255).astype(np.uint8)


def _grain(
    image: NDArray[np.uint8], hole: NDArray[np.uint8], *, sigma: float
) -> NDArray[np.float32]:
    """Returns what a blur of about `sigma` pixels takes from the picture outside the hole."""
    height, width = hole.shape
    size = (max(round(width / sigma), 1), max(round(height / sigma), 1))
    known = 1 - hole.astype(np.float32)
    colours = image * known[:, :, None]
    weight = cv2.GaussianBlur(resize(known, *size), (3, 3), 0)
    blurred = cv2.GaussianBlur(resize(colours, *size), (3, 3), 0)
    smooth = np.asarray(blurred / np.maximum(weight, 1e-3)[:, :, None], np.float32)
    grain = (image - resize(smooth, width, height)) * known[:, :, None]
    # Grain is texture everywhere; what stands out of it are things, which must not be repeated.
    limit = 4 * float(np.median(np.abs(grain[hole == 0]))) + 1
    return np.asarray(np.clip(grain, -limit, limit), np.float32)


def _push_pull(colours: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fills the unknown with the colours around, smoothly, by an image pyramid."""
    height, width = known.shape
    if min(height, width) <= 2:
        weight = max(float(known.sum()), 1e-6)
        mean = (colours * known[:, :, None]).sum(axis=(0, 1)) / weight
        return np.asarray(np.where(known[:, :, None] > 0, colours, mean), np.float32)
    size = ((width + 1) // 2, (height + 1) // 2)
    weight = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    weighted = cv2.resize(colours * known[:, :, None], size, interpolation=cv2.INTER_AREA)
    coarse = np.asarray(weighted / np.maximum(weight, 1e-6)[:, :, None], np.float32)
    coarse = _push_pull(coarse, np.minimum(weight * 4, 1).astype(np.float32))
    pulled = cv2.GaussianBlur(coarse, (3, 3), 0)
    up = resize(np.asarray(pulled, np.float32), width, height)
    return np.asarray(known[:, :, None] * colours + (1 - known[:, :, None]) * up, np.float32)


def _mirrored(
    grain: NDArray[np.float32], hole: NDArray[np.uint8], *, reach: float
) -> NDArray[np.float32]:
    """Returns the grain outside the hole reflected into it, fading inwards: [h,w,3]."""
    distance, labels = cv2.distanceTransformWithLabels(
        hole, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(hole == 0)
    nearest = np.zeros((len(rows) + 1, 2), np.float32)
    nearest[labels[rows, columns]] = np.stack([columns, rows], axis=1)
    y, x = np.mgrid[: hole.shape[0], : hole.shape[1]].astype(np.float32)
    edge = nearest[labels]
    source = 2 * edge - np.stack([x, y], axis=2)
    reflected = cv2.remap(
        grain,
        source[:, :, 0],
        source[:, :, 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    fade = np.clip(1 - distance / (0.4 * reach + 1), 0, 1) * hole
    return np.asarray(reflected * fade[:, :, None], np.float32)
