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

_RIM: Final = 0.4  # depth of the grain inside the hole, of half the head's width
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
    plate = np.where(hole[:, :, None] > 0, _wash(image, hole), image).astype(np.uint8)
    _add_grain(plate, image, hole, reach=reach)
    return plate


def _wash(image: NDArray[np.uint8], hole: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns the colours around the hole carried smoothly over it: [h,w,3] uint8."""
    height, width = hole.shape
    colours, known = _known_colours(image, hole, step=max(hole.shape) / _WASH_SIDE)
    wash = _push_pull(colours, np.asarray(known > 0.1, np.float32))
    rounded = np.clip(wash + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(rounded, (width, height), interpolation=cv2.INTER_LINEAR))


def _known_colours(image: Array, hole: Array, *, step: float) -> tuple[Array, Array]:
    """Returns the picture outside the hole and its share of each pixel, reduced by `step`."""
    height, width = hole.shape
    step = max(step, 1.0)
    size = (max(round(width / step), 1), max(round(height / step), 1))
    outside = np.asarray(hole == 0, np.uint8)
    known = resize(outside * np.uint8(255), *size) / 255
    colours = resize(cv2.bitwise_and(image, image, mask=outside), *size)
    return colours / np.maximum(known, 0.05)[:, :, None], known


def _add_grain(
    plate: NDArray[np.uint8], image: NDArray[np.uint8], hole: NDArray[np.uint8], *, reach: float
) -> None:
    """Reflects the grain around the hole into its rim, fading inwards, in place."""
    depth = _RIM * reach + 1
    distance, labels = cv2.distanceTransformWithLabels(
        hole, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    outside = np.flatnonzero(hole == 0)
    nearest = np.zeros(len(outside) + 1, np.intp)
    nearest[labels.ravel()[outside]] = outside
    rows, columns = np.nonzero((distance > 0) & (distance < depth))
    edge_rows, edge_columns = np.unravel_index(nearest[labels[rows, columns]], hole.shape)
    height, width = hole.shape
    from_rows, from_columns = 2 * edge_rows - rows, 2 * edge_columns - columns
    is_inside = (from_rows >= 0) & (from_rows < height)
    is_inside &= (from_columns >= 0) & (from_columns < width)
    rows, columns = rows[is_inside], columns[is_inside]
    grain = _grain(image, hole, from_rows[is_inside], from_columns[is_inside], sigma=0.04 * reach)
    fade = 1 - distance[rows, columns, None] / depth
    plate[rows, columns] = np.clip(plate[rows, columns] + grain * fade + 0.5, 0, 255)


def _grain(image: Array, hole: Array, rows: Array, columns: Array, *, sigma: float) -> Array:
    """Returns what a blur of about `sigma` pixels takes from these pixels outside the hole: [n,3].

    Grain is texture everywhere; what stands out of it are things, which must not be repeated.
    """
    colours, known = _known_colours(image, hole, step=sigma)
    weight = cv2.GaussianBlur(known, (3, 3), 0)
    smooth = cv2.GaussianBlur(colours * known[:, :, None], (3, 3), 0)
    smooth = smooth / np.maximum(weight, 0.05)[:, :, None]
    half = (max(image.shape[1] // 2, 1), max(image.shape[0] // 2, 1))
    smooth = cv2.resize(smooth.astype(np.float32), half, interpolation=cv2.INTER_LINEAR)
    near_rows = np.minimum(rows // 2, half[1] - 1)
    near_columns = np.minimum(columns // 2, half[0] - 1)
    grain = image[rows, columns] - smooth[near_rows, near_columns]
    grain[hole[rows, columns] > 0] = 0
    limit = 4 * float(np.median(np.abs(grain))) + 1 if grain.size else 0.0
    return np.asarray(np.clip(grain, -limit, limit))


def _push_pull(colours: Array, known: Array) -> Array:
    """Fills the unknown with the colours around, smoothly, by an image pyramid."""
    height, width = known.shape
    share = known[:, :, None]
    if min(height, width) <= 2:
        mean = (colours * share).sum(axis=(0, 1)) / max(float(known.sum()), 1e-6)
        return np.asarray(np.where(share > 0, colours, mean), np.float32)
    size = ((width + 1) // 2, (height + 1) // 2)
    weight = cv2.resize(known, size, interpolation=cv2.INTER_AREA)
    weighted = cv2.resize(colours * share, size, interpolation=cv2.INTER_AREA)
    coarse = weighted / np.maximum(weight, 1e-6)[:, :, None]
    coarse = _push_pull(coarse, np.minimum(weight * 4, 1))
    pulled = cv2.GaussianBlur(coarse, (3, 3), 0)
    return np.asarray(share * colours + (1 - share) * resize(pulled, width, height), np.float32)
