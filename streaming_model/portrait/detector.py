"""Where faces are: MediaPipe's BlazeFace (short range), run over scales and tiles of a picture.

The net sees 128 x 128 pixels and finds faces that fill more than about a sixth of them, so
a large picture is searched whole, with a margin, and in overlapping tiles. Candidates are
only proposals: the landmark net decides whether a face is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.portrait.bundle import Net, bundle_entries

INPUT_SIZE: Final = 128  # pixels
MIN_SCORE: Final = 0.5  # MediaPipe's default
SUPPRESSION_OVERLAP: Final = 0.3  # intersection over union, MediaPipe's default
KEYPOINTS: Final = 6  # right eye, left eye (the subject's), nose, mouth, right ear, left ear
_LAYERS: Final = ((16, 2), (8, 6))  # (cells a side, anchors a cell)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A face proposed by the detector, in pixels of the picture.

    Attributes:
        box: x0, y0, x1, y1.
        keypoints: [6,2] float32.
        score: 0..1.
    """

    box: tuple[float, float, float, float]
    keypoints: NDArray[np.float32]
    score: float

    @property
    def width(self) -> float:
        """Width of the box in pixels."""
        return self.box[2] - self.box[0]


class FaceDetector:
    """BlazeFace over scales and tiles. Not thread-safe: its owner serialises the calls."""

    def __init__(self) -> None:
        self._net = Net(bundle_entries()["face_detector.tflite"])
        self._anchors = _anchors()

    def search(
        self, image: NDArray[np.uint8], *, zooms: tuple[float, ...], min_score: float = MIN_SCORE
    ) -> list[Candidate]:
        """Returns the faces seen through square windows of the long side divided by each zoom.

        A zoom under 1 looks at the picture with a margin around it, for faces that fill it.
        Windows overlap by half. The result is sorted by score, without duplicates.
        """
        boxes: list[NDArray[np.float32]] = []
        long_side = max(image.shape[:2])
        for zoom in zooms:
            side = long_side / zoom
            for x, y in _window_origins(image.shape[1], image.shape[0], side):
                found = self._window(image, x=x, y=y, side=side, min_score=min_score)
                boxes.append(found)
        return _weighted_suppression(np.concatenate(boxes))

    def _window(
        self, image: NDArray[np.uint8], *, x: float, y: float, side: float, min_score: float
    ) -> NDArray[np.float32]:
        """Returns [n,17]: box, keypoints and score of what one window shows, in picture pixels."""
        pixels = _resample(image, x=x, y=y, side=side)
        regressors, logits = self._net(pixels[None] / np.float32(127.5) - np.float32(1))
        scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0], -80, 80)))  # float32 overflows at 88
        kept = scores >= min_score
        raw = regressors[0, kept] / INPUT_SIZE
        centre = raw[:, 0:2] + self._anchors[kept]
        half = raw[:, 2:4] / 2
        keypoints = raw[:, 4:].reshape(-1, KEYPOINTS, 2) + self._anchors[kept][:, None]
        points = np.concatenate(
            [(centre - half)[:, None], (centre + half)[:, None], keypoints], axis=1
        )
        points = points * side + np.array([x, y])
        flat = points.reshape(len(points), 2 * (KEYPOINTS + 2))
        return np.concatenate([flat, scores[kept, None]], axis=1).astype(np.float32)


def _anchors() -> NDArray[np.float32]:
    """Returns the anchors' centres, [896,2] in units of the input's side."""
    centres = []
    for cells, anchors_per_cell in _LAYERS:
        line = (np.arange(cells) + 0.5) / cells
        x, y = np.meshgrid(line, line)
        grid = np.stack([x, y], axis=-1).reshape(-1, 2)
        centres.append(np.repeat(grid, anchors_per_cell, axis=0))
    return np.concatenate(centres).astype(np.float32)


def _window_origins(width: int, height: int, side: float) -> list[tuple[float, float]]:
    """Returns the top left corners of windows that cover the picture, overlapping by half."""
    return [(x, y) for y in _line_origins(height, side) for x in _line_origins(width, side)]


def _line_origins(length: int, side: float) -> list[float]:
    if side >= length:
        return [(length - side) / 2]
    count = int(np.ceil((length - side) / (side / 2))) + 1
    return [float(origin) for origin in np.linspace(0, length - side, count)]


def _resample(image: NDArray[np.uint8], *, x: float, y: float, side: float) -> NDArray[np.float32]:
    """Returns the window at the net's size, [128,128,3] float32 0..255, black outside."""
    left, top = max(int(x), 0), max(int(y), 0)
    part = image[top : int(np.ceil(y + side)), left : int(np.ceil(x + side))]
    scale = INPUT_SIZE / side
    if scale < 0.5:  # bilinear sampling alone would alias
        height, width = part.shape[:2]
        size = (max(round(2 * scale * width), 1), max(round(2 * scale * height), 1))
        small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        ratio_x, ratio_y = size[0] / width, size[1] / height
    else:
        small, ratio_x, ratio_y = part, 1.0, 1.0
    matrix = np.array(
        [
            [scale / ratio_x, 0, (left - x) * scale],
            [0, scale / ratio_y, (top - y) * scale],
        ]
    )
    # Half-pixel centres: pixel i of a picture covers i..i+1.
    matrix[:, 2] += 0.5 * np.array([matrix[0, 0], matrix[1, 1]]) - 0.5
    window = cv2.warpAffine(small, matrix, (INPUT_SIZE, INPUT_SIZE), flags=cv2.INTER_LINEAR)
    return window.astype(np.float32)


def _weighted_suppression(found: NDArray[np.float32]) -> list[Candidate]:
    """Merges overlapping detections into their score-weighted means, best first."""
    candidates = []
    remaining = found[np.argsort(-found[:, -1])]
    while len(remaining):
        overlaps = _overlaps(remaining[0, :4], remaining[:, :4]) > SUPPRESSION_OVERLAP
        overlaps[0] = True
        group = remaining[overlaps]
        mean = np.average(group[:, :-1], axis=0, weights=group[:, -1]).astype(np.float32)
        x0, y0, x1, y1 = (float(value) for value in mean[:4])
        keypoints = mean[4:].reshape(KEYPOINTS, 2)
        candidates.append(Candidate((x0, y0, x1, y1), keypoints, float(group[0, -1])))
        remaining = remaining[~overlaps]
    return candidates


def _overlaps(box: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the intersection over union of `box` with each of `boxes`, [n]."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    intersection = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    union = areas + np.prod(box[2:] - box[:2]) - intersection
    return np.asarray(intersection / np.maximum(union, 1e-6), np.float32)
