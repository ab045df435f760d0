"""Lid contours of drawn eyes, found in the picture where the landmark net is far off.

The net knows people. Of a cartoon's big eyes it marks a human part; there the eye stands out
from flat skin, and its outline can be read. Eyes of photographs and paintings, whose skin is
shaded, are left as the net has them.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.portrait.fit import CONTOURS

Floats = NDArray[np.float32]
Mask = NDArray[np.uint8]

EYE_PIXELS: Final = 64  # width of the net's eye in the window that is looked at
WINDOW: Final = 224  # side of that window
LEAST_CONTRAST: Final = 22  # levels by which an eye differs from skin
FLAT_SKIN: Final = 0.75  # share of the pixels around an eye that have one colour
ONE_COLOUR: Final = 10  # levels
SOLID: Final = 0.93  # area of an eye over that of its convex hull
GROWTH: Final = (1.25, 6.0)  # area over what the net marked: less needs no mending, more is no eye
INK: Final = 0.5  # brightness of an outline over that of the skin
OUTLINE: Final = 0.16  # most thickness of an outline, of the eye's height
IRISES: Final = {"right_eye": range(468, 473), "left_eye": range(473, 478)}


def mend_eyes(picture: NDArray[np.uint8], landmarks: Floats) -> Floats:
    """Returns `landmarks` [478, 3] with the lids of drawn eyes on their outlines.

    Both eyes are, or none: one alone is a shadow or a strand of hair.
    """
    mended = landmarks.copy()
    for name, iris in IRISES.items():
        upper, lower = CONTOURS[name]
        to_window = _to_window(landmarks[upper[0], :2], landmarks[upper[-1], :2])
        window = np.asarray(
            cv2.warpAffine(
                picture,
                to_window,
                (WINDOW, WINDOW),
                flags=cv2.INTER_AREA,
                borderMode=cv2.BORDER_REFLECT,
            ),
            np.uint8,
        )
        ring = landmarks[[*upper, *lower[::-1]], :2] @ to_window[:, :2].T + to_window[:, 2]
        marked = np.zeros((WINDOW, WINDOW), np.uint8)
        cv2.fillPoly(marked, [np.round(ring).astype(np.int32)], 1)
        drawn = _drawn_eye(window, marked)
        if drawn is None:
            return landmarks
        eye, whole = drawn
        back = cv2.invertAffineTransform(to_window)
        found = [*zip((upper, lower), _sides(_stretched(eye, whole), len(upper)), strict=True)]
        rim = _drawn_iris(window, eye)
        if rim is not None:
            found.append((tuple(iris), rim))
        for indices, points in found:
            mended[list(indices), :2] = points @ back[:, :2].T + back[:, 2]
    return mended


def _to_window(left: Floats, right: Floats) -> NDArray[np.float64]:
    """Returns the map [2, 3] that puts an eye level into the middle of the window."""
    along = right - left
    scale = EYE_PIXELS / max(float(np.linalg.norm(along)), 1.0)
    angle = float(np.arctan2(along[1], along[0]))
    turn = scale * np.array(
        [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float64
    )
    return np.column_stack([turn, WINDOW / 2 - turn @ ((left + right) / 2)])


def _drawn_eye(window: NDArray[np.uint8], marked: Mask) -> tuple[Mask, Mask] | None:
    """Returns an eye that stands out from flat skin, within its outline and with it, or None."""
    near = cv2.dilate(marked, np.ones((61, 61), np.uint8)) > 0
    skin = np.median(window[near & (marked == 0)].astype(np.float32), axis=0)
    contrast = np.abs(window.astype(np.float32) - skin).max(axis=2)
    apart = contrast > LEAST_CONTRAST
    count, labels = cv2.connectedComponents(apart.astype(np.uint8), connectivity=4)
    inside = np.bincount(labels[(marked > 0) & apart], minlength=count)
    if inside[1:].sum() < 0.5 * marked.sum():
        return None
    whole = _filled((labels == 1 + int(inside[1:].argmax())).astype(np.uint8))
    around = (cv2.dilate(whole, np.ones((13, 13), np.uint8)) > 0) & (whole == 0)
    around &= cv2.dilate(whole, np.ones((5, 5), np.uint8)) == 0
    if (
        (contrast[around] < ONE_COLOUR).mean() < FLAT_SKIN
        or whole[[0, -1]].any()
        or whole[:, [0, -1]].any()
    ):
        return None
    eye = _without_outline(window, whole, float(skin.mean()))
    area = float(eye.sum())
    hull = cv2.contourArea(cv2.convexHull(cv2.findNonZero(eye)))
    grown = area / max(float(marked.sum()), 1.0)
    if area < SOLID * hull or not GROWTH[0] <= grown <= GROWTH[1]:
        return None
    return eye, whole


def _without_outline(window: NDArray[np.uint8], whole: Mask, skin: float) -> Mask:
    """Takes the inked outline away from an eye, if anything is left then."""
    rows = np.flatnonzero(whole.any(axis=1))
    depth = cv2.distanceTransform(whole, cv2.DIST_L2, 3)
    ink = (window.mean(axis=2) < INK * skin) & (depth < OUTLINE * len(rows))
    inner = cv2.morphologyEx(
        (whole.astype(bool) & ~ink).astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)
    )
    count, labels, stats, _ = cv2.connectedComponentsWithStats(inner)
    if count < 2:
        return whole
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    inner = _filled((labels == largest).astype(np.uint8))
    return inner if inner.sum() > 0.4 * whole.sum() else whole


def _stretched(eye: Mask, whole: Mask) -> Mask:
    """Widens an eye to the corners of its outline, which a closed lid covers too."""
    (left, right), (first, last) = (
        np.flatnonzero(mask.any(axis=0))[[0, -1]] for mask in (eye, whole)
    )
    most = 0.15 * (right - left)
    first, last = max(first, left - most), min(last, right + most)
    scale = (last - first + 1) / (right - left + 1)
    wider = np.array([[scale, 0, first - scale * left], [0, 1, 0]], np.float64)
    return np.asarray(
        cv2.warpAffine(eye, wider, eye.shape[::-1], flags=cv2.INTER_NEAREST), np.uint8
    )


def _filled(mask: Mask) -> Mask:
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(mask)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    return filled


def _sides(eye: Mask, count: int) -> tuple[Floats, Floats]:
    """Returns `count` points along the upper and the lower side, left to right, corners too."""
    contours, _ = cv2.findContours(eye, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(contours, key=cv2.contourArea)[:, 0].astype(np.float32)
    columns = np.arange(outline[:, 0].min(), outline[:, 0].max() + 1)
    top, bottom = (
        np.array([pick(outline[outline[:, 0] == column, 1]) for column in columns], np.float32)
        for pick in (np.min, np.max)
    )
    top, bottom = (
        cv2.GaussianBlur(side[None], (0, 0), 2.0, borderType=cv2.BORDER_REPLICATE)[0]
        for side in (top - 0.5, bottom + 0.5)
    )
    left, right = (top[0] + bottom[0]) / 2, (top[-1] + bottom[-1]) / 2
    at = (1 - np.cos(np.linspace(0, np.pi, count))) / 2  # denser towards the steep corners
    at = columns[0] - 0.5 + at * (columns[-1] - columns[0] + 1)
    sides = []
    for side in (top, bottom):
        heights = np.interp(at, columns, side)
        heights[0], heights[-1] = left, right
        sides.append(np.stack([at, heights], axis=1).astype(np.float32))
    return sides[0], sides[1]


def _drawn_iris(window: NDArray[np.uint8], eye: Mask) -> Floats | None:
    """Returns centre and rim [5, 2] of what is darker than the white of a drawn eye, or None."""
    inner = cv2.erode(eye, np.ones((5, 5), np.uint8)) > 0
    luma = window.mean(axis=2)
    white = float(np.percentile(luma[inner], 90))
    disc = (inner & (luma < 0.75 * white)).astype(np.uint8)
    if not 0.03 * eye.sum() < disc.sum() < 0.9 * eye.sum():
        return None
    disc = cv2.morphologyEx(disc, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)).astype(np.uint8)
    disc = _filled(disc)
    outline = cv2.findNonZero(disc)
    if outline is None:
        return None
    x, y, width, height = cv2.boundingRect(outline)
    radius = max(width, height) / 2
    centre = np.array([x + width / 2 - 0.5, y + height / 2 - 0.5])
    if height < width:  # a lid hides a part: the other side tells where the middle is
        hidden_above = inner[max(y - 3, 0), int(centre[0])] == 0
        centre[1] = y + height - radius if hidden_above else y + radius
    rim = np.array([[0, 0], [1, 0], [0, -1], [-1, 0], [0, 1]]) * radius
    return (centre + rim).astype(np.float32)
