"""Whether something hides the mouth: a hand, a mask, a microphone, any object.

The landmark net draws a mouth even where none is to be seen. So the picture is sampled along
and across the lips it claims, and a linear classifier (made by `training.mouth_cover`) judges
whether that looks like lips. Knows nothing of what to do about it.
"""

from __future__ import annotations

import hashlib
import importlib.resources
from functools import cache
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.errors import ModelFileError

WEIGHTS_NAME: Final = "mouth_cover.npy"
WEIGHTS_SHA256: Final = "d2fe864e67c5709885f651f76b31cf4771755ae0badfa933c39c04fd050a1814"
UPPER_OUTER: Final = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
UPPER_INNER: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LOWER_INNER: Final = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
LOWER_OUTER: Final = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
_UPPER_SKIN: Final = (
    *(151, 9, 8, 107, 336, 50, 280, 101, 330, 118, 347, 6, 197, 195, 5, 4, 117, 346, 69, 299, 108),
    337,
)
_LOWER_SKIN: Final = (
    *(205, 425, 214, 434, 192, 416, 212, 432, 204, 424, 199, 200, 175, 164, 2, 206, 426, 207, 427),
    *(169, 394, 202, 422, 194, 418, 201, 421),
)
_SIZE: Final = 192  # pixels of the aligned face
_FACE_WIDTH: Final = 128  # pixels in it
_COLUMNS: Final = 25  # samples along the lips, averaged in groups of five
_GROUPS: Final = 5
_MARGINS: Final = (3, 6, 9)  # pixels outside the lips
_ACROSS_LIP: Final = (0.1, 0.35, 0.65, 0.9)
_ROWS: Final = 2 * (len(_MARGINS) + len(_ACROSS_LIP)) + 3

Array = NDArray[Any]


def cover_likelihood(image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> float:
    """Returns how surely the mouth is hidden, 0..1.

    Args:
        image: [h,w,3] uint8 RGB.
        landmarks: [478,3] float32 in pixels.

    Raises:
        ModelFileError: the classifier's file is missing or damaged.
    """
    weights = _weights()
    logit = float(mouth_features(image, landmarks) @ weights[:-1] + weights[-1])
    return float(1 / (1 + np.exp(-logit)))


def mouth_features(image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> Array:
    """Returns what the classifier looks at, [178] float64, free of the picture's size and tilt."""
    lab, points = _aligned(image, landmarks)
    low, high = np.percentile(lab[:, :, 0], (5, 95))
    contrast = max(float(high - low), 5.0)  # L* is 0..100
    lips = _sample(lab, _lip_grid(points))
    coarse = lips.reshape(_ROWS, _GROUPS, -1, 3).mean(axis=2)
    light = (coarse[:, :, 0] - coarse[:, :, 0].mean()) / contrast
    redness = np.clip((coarse[:, :, 1] - coarse[:, :, 1].mean()) / 10, -1, 1)
    centre = lips[3:14, 5:20]
    texture = _texture(centre[:, :, 0] / contrast, centre[:, :, 1] / 10)
    upper = np.median(_sample(lab, points[list(_UPPER_SKIN)][None])[0], axis=0)
    lower = np.median(_sample(lab, points[list(_LOWER_SKIN)][None])[0], axis=0)
    hue_step = float(np.hypot(*(lower - upper)[1:]))
    skin = [min(hue_step, 25) / 10, np.clip(hue_step - 10, 0, 15) / 10]
    return np.concatenate([light.ravel(), redness.ravel(), texture, skin])


def _texture(light: Array, redness: Array) -> list[float]:
    """Returns how much there is to see between the lips' borders, overall and from row to row."""
    spread, rows = float(light.std()), light.mean(axis=1)
    row_spread = float(rows.std())
    return [
        min(spread, 0.25),
        min(spread, 0.04),
        min(float(redness.std()), 0.5),
        min(row_spread, 0.15),
        min(row_spread, 0.03),
        float((light - rows[:, None]).std()) / (spread + 0.01),
    ]


def _aligned(image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> tuple[Array, Array]:
    """Returns the face upright, 128 pixels wide, in L*a*b* [192,192,3], and its points in it."""
    points = landmarks[:, :2].astype(np.float64)
    eyes = points[263] - points[33]
    angle = float(np.arctan2(eyes[1], eyes[0]))
    scale = _FACE_WIDTH / max(float(np.ptp(points[:, 0])), 1.0)
    centre = (points[61] + points[291] + 2 * points[4]) / 4
    cosine, sine = np.cos(angle) * scale, np.sin(angle) * scale
    turn = np.array([[cosine, sine], [-sine, cosine]])
    shift = _SIZE / 2 - turn @ centre
    if scale < 0.6:  # linear sampling alone would alias
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.45 / scale), np.uint8)
    face = cv2.warpAffine(
        image,
        np.column_stack([turn, shift]),
        (_SIZE, _SIZE),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    face = cv2.GaussianBlur(face, (0, 0), 0.8).astype(np.float32) / 255
    return np.asarray(cv2.cvtColor(face, cv2.COLOR_RGB2LAB)), points @ turn.T + shift


def _lip_grid(points: Array) -> Array:
    """Returns sample points along the lips (columns) from above to below them (rows)."""
    upper_outer, upper_inner, lower_inner, lower_outer = (
        _resampled(points[list(line)])
        for line in (UPPER_OUTER, UPPER_INNER, LOWER_INNER, LOWER_OUTER)
    )
    along = points[291] - points[61]
    along = along / (np.linalg.norm(along) + 1e-6)
    down = np.array([-along[1], along[0]])
    rows = [
        *(upper_outer - down * margin for margin in reversed(_MARGINS)),
        *(upper_outer + (upper_inner - upper_outer) * share for share in _ACROSS_LIP),
        *(upper_inner + (lower_inner - upper_inner) * share for share in (0, 0.5, 1)),
        *(lower_inner + (lower_outer - lower_inner) * share for share in _ACROSS_LIP),
        *(lower_outer + down * margin for margin in _MARGINS),
    ]
    return np.stack(rows)


def _resampled(line: Array) -> Array:
    """Returns 25 points along a polyline, evenly by its own points."""
    position = np.linspace(0, len(line) - 1, _COLUMNS)
    own = np.arange(len(line))
    return np.stack([np.interp(position, own, line[:, axis]) for axis in (0, 1)], axis=1)


def _sample(picture: Array, points: Array) -> Array:
    x, y = (points[:, :, axis].astype(np.float32) for axis in (0, 1))
    return np.asarray(
        cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float64
    )


@cache
def _weights() -> Array:
    """Returns the classifier's weights and, last, its bias: [179]."""
    path = Path(
        str(importlib.resources.files("streaming_model") / "weights" / "mouth_cover" / WEIGHTS_NAME)
    )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"The mouth classifier's file {path} cannot be read.") from error
    if hashlib.sha256(content).hexdigest() != WEIGHTS_SHA256:
        raise ModelFileError(f"The mouth classifier's file {path} is damaged.")
    return np.asarray(np.load(path, allow_pickle=False), np.float64)
