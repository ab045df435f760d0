"""The picture's medium near the mouth: how sharp its edges are, and the grain on its skin.

What the renderer invents is blurred and roughened by these, so that it looks made with the
same lens, brush or pencil.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.renderer.palette import LEFT_CHEEK, LOWER_LIP, LUMA, RIGHT_CHEEK, UPPER_LIP
from streaming_model.renderer.stage import Stage

Floats = NDArray[np.float32]

# fmt: off
FEATURES: Final = (  # where faces have their sharpest edges
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
    (70, 63, 105, 66, 107), (300, 293, 334, 296, 336), UPPER_LIP, LOWER_LIP,
)
# fmt: on
BROW: Final = (10, 151, 9, 67, 297, 109, 338, 69, 299, 50, 280, 101, 330)  # and upper cheeks
PROBE: Final = 1.5  # pixels of the blur that edges are compared with
DRAWN: Final = 0.55  # blur that supersampled drawing has by itself, in pixels
SOFTNESS: Final = (0.3, 2.6)  # pixels
GRAIN: Final = 0.9
GRAIN_PATCH_CM: Final = 1.3


def sharpness(stage: Stage) -> float:
    """Returns the standard deviation of the blur of the face's sharpest edges, in pixels.

    An edge of blur s, blurred by p, loses contrast by sqrt(1 + (p / s)^2); from that s
    (Zhuo and Sim 2011).
    """
    points = stage.landmarks
    grey = (stage.picture @ LUMA).astype(np.float32)
    mask = np.zeros(grey.shape, np.uint8)
    for outline in FEATURES:
        hull = cv2.convexHull(np.round(points[list(outline)]).astype(np.int32))
        cv2.fillConvexPoly(mask, hull, 1)
    reach = max(3, int(0.02 * np.ptp(points[:, 0]))) | 1
    near = cv2.dilate(mask, np.ones((reach, reach), np.uint8)) > 0
    blurred = _slope(np.asarray(cv2.GaussianBlur(grey, (0, 0), PROBE), np.float32))
    edges = near & (blurred > np.percentile(blurred[near], 85)) if near.any() else near
    if edges.sum() < 20:
        return 1.0
    loss = _slope(grey)[edges] / np.maximum(blurred[edges], 1e-3)
    return float(np.percentile(PROBE / np.sqrt(np.maximum(loss**2 - 1, 0.01)), 25))


def softness(stage: Stage) -> float:
    """Returns the blur, in pixels, that brings drawn things to the picture's sharpness."""
    own = sharpness(stage)
    return float(np.clip(0.85 * np.sqrt(max(own**2 - DRAWN**2, 0.0)), *SOFTNESS))


def filter_taps(sigma: float) -> Floats:
    """Returns the middle and one side of a Gaussian filter that sums to 1."""
    reach = max(1, int(np.ceil(2.5 * sigma)))
    taps = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    return np.asarray(taps / (2 * taps.sum() - taps[0]), np.float32)


def skin_grain(stage: Stage) -> Floats:
    """Returns a tile of factors around 1: the lit skin's finest texture, mirrored to repeat.

    Of many patches the smoothest of the bright ones is taken: what is left there is the
    medium's (noise, brushwork, cracks, paper), not the skin's.
    """
    grey = (stage.picture @ LUMA).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), max(0.09 * stage.scale, 1.0))
    texture = np.clip(grey / np.maximum(smooth, 8.0), 0.75, 1.3) - 1.0
    reach = max(int(GRAIN_PATCH_CM * stage.scale / 2), 2)
    found = []
    for x, y in np.round(stage.landmarks[list(LEFT_CHEEK + RIGHT_CHEEK + BROW)]).astype(int):
        rows, columns = slice(max(y - reach, 0), y + reach), slice(max(x - reach, 0), x + reach)
        patch = texture[rows, columns]
        if min(patch.shape) >= 4:
            found.append((float(grey[rows, columns].mean()), float(patch.std()), patch))
    if not found:
        return np.ones((2, 2), np.float32)
    brightest = max(level for level, _, _ in found)
    spread, best = min(
        ((spread, patch) for level, spread, patch in found if level > 0.75 * brightest),
        key=lambda pair: pair[0],
    )
    limit = 2.5 * spread
    tile = np.asarray(1.0 + GRAIN * np.clip(best, -limit, limit), np.float32)
    tile = np.concatenate([tile, tile[::-1]])
    return np.ascontiguousarray(np.concatenate([tile, tile[:, ::-1]], axis=1))


def _slope(grey: Floats) -> Floats:
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    return np.asarray(np.hypot(across, down), np.float32)
