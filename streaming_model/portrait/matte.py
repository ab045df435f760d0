"""What moves with the head, and what is behind it.

A learned person segmentation, sharpened around the face by a colour cut and by the picture's
edges, gives the matte; the plate behind it is `background`'s. Knows nothing of 3D.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.portrait.background import complete_background
from streaming_model.portrait.resample import resize
from streaming_model.portrait.segmentation import shared_segmenter

__all__ = ["complete_background", "head_matte"]

_WHOLE_SIDE: Final = 256  # pixels, at which the whole picture is segmented
_WORK_FACE: Final = 72  # pixels of face width at which the cut is made
_WINDOW: Final = 7.0  # face widths around the face that are cut with care
_CLOSE_UP: Final = 4.5  # face widths shown to the net beside the whole picture
_CLOSE_UP_SHARE: Final = 0.67  # of its opinion against the whole picture's
_CUT_SIDE: Final = 224  # pixels, of the colour cut
_MIN_FACE_LIKELY: Final = 0.6  # below, the net has not understood the picture
_SMALL_HOLE: Final = 0.25  # of the face's width
_GUIDE_RADIUS: Final = 5  # pixels at the scale of the cut
_GUIDE_NOISE: Final = 3e-4  # variance of colours (0..1) that the guided filter takes for flat
# MediaPipe's face oval, clockwise from the top of the forehead.
FACE_OVAL: Final = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)

Array = NDArray[Any]
Plane = NDArray[np.float32]


def head_matte(image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> Plane:
    """Returns the matte of the person whose face is at `landmarks`: [h,w] float32 0..1.

    It covers head, hair, headdress, neck and shoulders of the picture, [h,w,3] uint8 RGB, whose
    face has the landmarks [478,3] in pixels.

    Raises:
        ModelFileError: the segmentation net is missing or damaged.
    """
    height, width = image.shape[:2]
    whole = shared_segmenter()(_at_most(image, _WHOLE_SIDE))
    face = _face_square(landmarks)
    x0, y0, x1, y1 = _clipped(face, _WINDOW, width, height)
    window = image[y0:y1, x0:x1]
    scale = min(1.0, _WORK_FACE / face[2])
    work_size = (max(round((x1 - x0) * scale), 8), max(round((y1 - y0) * scale), 8))
    work = np.asarray(cv2.resize(window, work_size, interpolation=cv2.INTER_AREA), np.uint8)
    ratio = np.array([work_size[0] / (x1 - x0), work_size[1] / (y1 - y0)])
    points = (landmarks[:, :2] - (x0, y0)) * ratio

    whole_part = _part(whole, x0 / width, y0 / height, x1 / width, y1 / height)
    likely = _likely_person(work, points, resize(whole_part, *work_size))
    likely = _one_person(_cut(work, likely, points), points)
    fine = _guided_upsample(likely, work, window, radius=_GUIDE_RADIUS)
    if (x0, y0, x1, y1) != (0, 0, width, height):
        fine = _continued(fine, whole, landmarks, corner=(x0, y0), size=(width, height))
    oval = _polygon(fine.shape, landmarks[list(FACE_OVAL), :2])
    kernel = np.ones((3, 3), np.uint8)
    return np.maximum(fine, cv2.erode(oval, kernel)).astype(np.float32)


def _continued(
    fine: Plane, whole: Plane, landmarks: Array, *, corner: tuple[int, int], size: tuple[int, int]
) -> Plane:
    """Returns the window's matte continued over the picture by what of `whole` hangs on to it."""
    width, height = size
    x0, y0 = corner
    rough = resize(whole, width, height)
    rough[y0 : y0 + fine.shape[0], x0 : x0 + fine.shape[1]] = fine
    low = resize(rough, whole.shape[1], whole.shape[0])
    scale = np.array([whole.shape[1] / width, whole.shape[0] / height])
    own = _component(low, landmarks[:, :2] * scale)
    near = cv2.dilate(own, np.ones((3, 3), np.uint8)).astype(np.float32)
    matte = rough * resize(near, width, height)
    matte[y0 : y0 + fine.shape[0], x0 : x0 + fine.shape[1]] = fine
    return np.asarray(matte, np.float32)


def _face_square(points: Array) -> tuple[float, float, float]:
    """Returns the centre x, y and the larger side of the box around the face."""
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    x, y = (low + high) / 2
    # A tall face in the picture's plane is at most 1.35 times as high as wide.
    return float(x), float(y), float(max(high[0] - low[0], (high[1] - low[1]) / 1.35))


def _clipped(
    face: tuple[float, float, float], sides: float, width: int, height: int
) -> tuple[int, int, int, int]:
    """Returns the square of `sides` face widths around the face, as far as the picture goes."""
    x, y, face_width = face
    half = sides * face_width / 2
    return (
        max(int(x - half), 0),
        max(int(y - half), 0),
        min(int(np.ceil(x + half)), width),
        min(int(np.ceil(y + half)), height),
    )


def _likely_person(work: NDArray[np.uint8], points: Array, whole: Plane) -> Plane:
    """Returns the segmentation of the whole picture blended with a close-up: [h,w] 0..1."""
    height, width = work.shape[:2]
    x0, y0, x1, y1 = _clipped(_face_square(points), _CLOSE_UP, width, height)
    seen = shared_segmenter()(work[y0:y1, x0:x1])
    edges = (x0 > 0, y0 > 0, x1 < width, y1 < height)
    share = _CLOSE_UP_SHARE * _feather(seen.shape, edges=edges)
    likely = whole.copy()
    likely[y0:y1, x0:x1] += share * (seen - likely[y0:y1, x0:x1])
    return likely


def _feather(shape: tuple[int, ...], *, edges: tuple[bool, bool, bool, bool]) -> Plane:
    """Returns 1 inside and a ramp to 0 at the named edges (left, top, right, bottom)."""
    height, width = shape[:2]
    left, top, right, bottom = edges
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    band_x, band_y = width / 5, height / 5
    across = np.minimum(
        x / band_x if left else np.ones(width), (width - x) / band_x if right else np.ones(width)
    )
    down = np.minimum(
        y / band_y if top else np.ones(height), (height - y) / band_y if bottom else np.ones(height)
    )
    return np.clip(np.minimum.outer(down, across), 0, 1).astype(np.float32)


def _cut(work: NDArray[np.uint8], likely: Plane, points: Array) -> Plane:
    """Decides the undecided pixels by colour (GrabCut), starting from the segmentation."""
    oval = _polygon(likely.shape, points[list(FACE_OVAL)])
    if float(likely[oval > 0].mean()) < _MIN_FACE_LIKELY:
        likely = _geometric_prior(likely.shape, points)
    scale = min(1.0, _CUT_SIDE / max(likely.shape))
    size = (max(round(likely.shape[1] * scale), 4), max(round(likely.shape[0] * scale), 4))
    small = np.asarray(cv2.resize(work, size, interpolation=cv2.INTER_AREA), np.uint8)
    guess = resize(likely, *size)
    inside = resize(oval.astype(np.float32), *size) > 0.5
    labels = np.where(guess > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[guess < 0.05] = cv2.GC_BGD
    labels[(guess > 0.95) | inside] = cv2.GC_FGD
    sure = np.isin(labels, (cv2.GC_BGD, cv2.GC_FGD))
    if not (labels == cv2.GC_BGD).any() or sure.all():
        return np.maximum(likely, oval.astype(np.float32))
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    cv2.setRNGSeed(0)  # GrabCut's clustering is seeded by a global generator
    cut, _, _ = cv2.grabCut(
        bgr, labels, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_MASK
    )
    person = np.isin(cut, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    agreed = resize(0.5 * guess + 0.5 * person, likely.shape[1], likely.shape[0])
    undecided = np.clip(4 * likely * (1 - likely) * 1.5, 0, 1)
    blended = likely + undecided * (agreed - likely)
    steep = np.clip((blended - 0.25) / 0.5, 0, 1)
    return np.asarray(np.maximum(steep, oval), np.float32)


def _geometric_prior(shape: tuple[int, ...], points: Array) -> Plane:
    """Returns a head with hair on shoulders, for pictures that the net does not understand."""
    prior = np.zeros(shape[:2], np.uint8)
    x, y, face_width = _face_square(points)
    chin = points[152]
    head = (round(x), round(y - 0.2 * face_width))
    axes = (round(0.8 * face_width), round(1.1 * face_width))
    cv2.ellipse(prior, head, axes, 0, 0, 360, 1, -1)
    below = shape[0] + face_width
    half_neck, half_shoulders = 0.4 * face_width, 1.4 * face_width
    outline = [
        (chin[0] - half_neck, chin[1] - 0.2 * face_width),
        (chin[0] + half_neck, chin[1] - 0.2 * face_width),
        (chin[0] + half_neck, chin[1] + 0.35 * face_width),
        (chin[0] + half_shoulders, chin[1] + 0.9 * face_width),
        (chin[0] + half_shoulders, below),
        (chin[0] - half_shoulders, below),
        (chin[0] - half_shoulders, chin[1] + 0.9 * face_width),
        (chin[0] - half_neck, chin[1] + 0.35 * face_width),
    ]
    cv2.fillPoly(prior, [np.round(outline).astype(np.int32)], 1)
    return np.asarray(
        cv2.GaussianBlur(prior.astype(np.float32), (0, 0), 0.12 * face_width), np.float32
    )


def _one_person(likely: Plane, points: Array) -> Plane:
    """Keeps what is connected to the face, and fills its small holes."""
    own = _component(likely, points)
    contours, _ = cv2.findContours(own, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(own)
    cv2.drawContours(filled, contours, -1, (1,), -1)
    holes = np.asarray(filled - own, np.uint8)
    # What is wider is background seen through, for example under an arm.
    side = max(round(_SMALL_HOLE * _face_square(points)[2]), 1)
    wide = cv2.morphologyEx(holes, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    near = cv2.dilate(own, np.ones((5, 5), np.uint8))
    return np.asarray(np.maximum(likely * near, (holes - wide).astype(np.float32)), np.float32)


def _component(likely: Plane, points: Array) -> NDArray[np.uint8]:
    """Returns the connected part of the plane that holds the face: [h,w] of 0 and 1."""
    _, labels = cv2.connectedComponents(np.asarray(likely > 0.4, np.uint8))
    x, y, _ = _face_square(points)
    row = int(np.clip(round(y), 0, likely.shape[0] - 1))
    column = int(np.clip(round(x), 0, likely.shape[1] - 1))
    return np.asarray(labels == labels[row, column], np.uint8)


def _polygon(shape: tuple[int, ...], outline: Array) -> NDArray[np.uint8]:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 1)
    return mask


def _guided_upsample(
    plane: Plane, guide: NDArray[np.uint8], full_guide: NDArray[np.uint8], *, radius: int
) -> Plane:
    """Snaps a plane to the edges of its guide and scales it up to those of the full picture.

    The guided filter of He, Sun and Tang (2013) with a colour guide: matte = a . colour + b with
    a and b fitted in each window of `radius`, which are then upsampled (the fast variant, 2015).
    """
    colours = guide.astype(np.float32) / 255

    def mean(values: Array) -> NDArray[np.float32]:
        size = (2 * radius + 1, 2 * radius + 1)
        return np.asarray(cv2.boxFilter(values, -1, size), np.float32)

    mean_colour, mean_plane = mean(colours), mean(plane)
    covariance = mean(colours * plane[:, :, None]) - mean_colour * mean_plane[:, :, None]
    products = mean((colours[:, :, :, None] * colours[:, :, None, :]).reshape(*plane.shape, 9))
    spread = products.reshape(*plane.shape, 3, 3)
    spread = spread - mean_colour[:, :, :, None] * mean_colour[:, :, None, :]
    spread = spread + np.float32(_GUIDE_NOISE) * np.eye(3, dtype=np.float32)
    slope = np.linalg.solve(spread, covariance[:, :, :, None])[:, :, :, 0]
    offset = mean_plane - (slope * mean_colour).sum(axis=2)
    height, width = full_guide.shape[:2]
    slope, offset = resize(mean(slope), width, height), resize(mean(offset), width, height)
    full = np.einsum("hwc,hwc->hw", slope, full_guide.astype(np.float32)) / 255 + offset
    # Away from the outline the plane is right and colour must not make holes in it.
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius - 1, 2 * radius - 1))
    inner = resize(cv2.GaussianBlur(cv2.erode(plane, kernel), (5, 5), 0), width, height)
    outer = resize(cv2.GaussianBlur(cv2.dilate(plane, kernel), (5, 5), 0), width, height)
    snapped = np.clip(full * 1.1 - 0.05, inner, outer)
    return np.asarray(np.clip(snapped, 0, 1), np.float32)


def _part(plane: Plane, x0: float, y0: float, x1: float, y1: float) -> Plane:
    """Returns the part of a plane between fractions of its width and height."""
    height, width = plane.shape
    top, bottom = int(y0 * height), max(int(np.ceil(y1 * height)), int(y0 * height) + 1)
    left, right = int(x0 * width), max(int(np.ceil(x1 * width)), int(x0 * width) + 1)
    return plane[top:bottom, left:right]


def _at_most(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Returns the picture with its long side reduced to `side`."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
