"""Paints masks, hands, objects and microphones over the mouths of pictures.

For fitting and testing the test for hidden mouths; every draw comes from the generator given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Image = NDArray[np.uint8]
Cover = Callable[[Image, Array, np.random.Generator], Image]

_CLOTHS: Final = np.array(
    [
        *((120, 170, 220), (240, 240, 240), (20, 20, 25), (200, 60, 70), (40, 90, 60)),
        *((90, 90, 100), (180, 150, 210), (250, 220, 120), (70, 130, 180), (210, 210, 225)),
    ],
    np.float64,
)
_MASK_TOPS: Final = (  # MediaPipe's points along a mask's upper edge: high, middle, low
    (127, 34, 227, 116, 117, 118, 50, 36, 198, 195, 420, 266, 280, 347, 346, 345, 447, 264, 356),
    (227, 117, 118, 101, 209, 197, 429, 330, 347, 346, 447),
    (132, 123, 50, 205, 98, 2, 327, 425, 280, 352, 361),
)
_JAW: Final = (
    *(454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58),
    *(132, 93, 234),
)
_CHEEKS: Final = (50, 280, 205, 425, 151)


@dataclass(frozen=True, slots=True)
class MouthFrame:
    """Where the mouth is: its centre, the face's axes across and down, and its width in pixels."""

    centre: Array
    across: Array
    down: Array
    width: float

    def at(self, x: float, y: float) -> Array:
        """Returns the pixel `x` face widths across and `y` down from the mouth."""
        return np.asarray(self.centre + (self.across * x + self.down * y) * self.width)


def mouth_frame(landmarks: Array) -> MouthFrame:
    """Returns the frame of the face with these landmarks, [478,3] pixels."""
    eyes = landmarks[263, :2] - landmarks[33, :2]
    across = eyes / np.linalg.norm(eyes)
    centre = (landmarks[61, :2] + landmarks[291, :2]) / 2
    width = float(np.ptp(landmarks[:, 0]))
    return MouthFrame(centre, across, np.array([-across[1], across[0]]), width)


def paint_mask(image: Image, landmarks: Array, generator: np.random.Generator) -> Image:
    """Returns the picture with a mask from nose or upper lip to chin."""
    frame = mouth_frame(landmarks)
    top = landmarks[list(_MASK_TOPS[generator.integers(3)]), :2]
    jaw = landmarks[list(_JAW), :2] + frame.down * frame.width * generator.uniform(0, 0.06)
    shape = _polygon(image, cv2.convexHull(np.round(np.concatenate([top, jaw])).astype(np.int32)))
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    away = np.abs(x - landmarks[2, 0]) / (frame.width / 2)
    shade = 1 - 0.35 * generator.uniform(0.3, 1) * away
    if generator.random() < 0.75:  # pleats
        shade = shade + 0.06 * np.sin(
            (y - landmarks[2, 1]) / frame.width * generator.uniform(20, 45)
        )
    cloth = _cloth(image, generator) * np.clip(shade, 0.3, 1.2)[:, :, None]
    light = image[shape > 0].mean() / 128 if shape.any() else 1.0
    cloth = cloth * np.clip(generator.uniform(0.7, 1.3) * light, 0.3, 1.4)
    return _paste(image, _soft(shape, frame.width / 200), cloth)


def paint_hand(image: Image, landmarks: Array, generator: np.random.Generator) -> Image:
    """Returns the picture with three or four fingers of the face's own colour on the mouth."""
    frame = mouth_frame(landmarks)
    limits = np.array(image.shape[:2])[::-1] - 1
    cheeks = np.clip(np.round(landmarks[list(_CHEEKS), :2]).astype(int), 0, limits)
    skin = np.median(image[cheeks[:, 1], cheeks[:, 0]], axis=0)
    skin = skin * generator.uniform(0.85, 1.12) + generator.normal(0, 5, 3)
    angle = generator.uniform(-0.6, 0.6) + (np.pi / 2 if generator.random() < 0.3 else 0)
    along = np.cos(angle) * frame.across + np.sin(angle) * frame.down
    beside = -np.sin(angle) * frame.across + np.cos(angle) * frame.down
    count, side = generator.integers(3, 5), generator.choice([-1, 1])
    thick = frame.width * generator.uniform(0.10, 0.14)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    pixels = np.stack([x, y], axis=-1)
    for finger in range(count):
        axis = frame.centre + beside * (finger - (count - 1) / 2) * thick * 0.98
        tip = axis - along * side * frame.width * generator.uniform(0.28, 0.45)
        bone = axis + along * side * frame.width - tip
        place = np.clip(((pixels - tip) @ bone) / (bone @ bone), 0, 1)
        distance = np.linalg.norm(pixels - tip - place[:, :, None] * bone, axis=-1) / (thick / 2)
        roundness = np.sqrt(np.clip(1 - 0.55 * distance**2, 0.1, 1))
        image = _paste(image, _soft(distance < 1, frame.width / 250), skin * roundness[:, :, None])
    return image


def paint_object(image: Image, landmarks: Array, generator: np.random.Generator) -> Image:
    """Returns the picture with a flat or patterned shape, or a bar, over the mouth."""
    frame = mouth_frame(landmarks)
    half_width, half_height = generator.uniform(0.22, 0.45), generator.uniform(0.16, 0.4)
    if generator.random() < 0.25:
        half_width = 1.5
    corners = generator.integers(4, 12)
    turns = np.linspace(0, 2 * np.pi, corners, endpoint=False) + np.pi / corners
    stretch = np.sqrt(2) if corners == 4 else generator.uniform(1, 1.3)
    outline = [
        frame.at(half_width * stretch * np.cos(turn), half_height * stretch * np.sin(turn))
        for turn in turns
    ]
    shape = _polygon(image, np.array(outline))
    return _paste(image, _soft(shape, frame.width / 250), _cloth(image, generator))


def paint_microphone(image: Image, landmarks: Array, generator: np.random.Generator) -> Image:
    """Returns the picture with a microphone's head and handle before the mouth."""
    frame = mouth_frame(landmarks)
    radius = frame.width * generator.uniform(0.2, 0.28)
    centre = frame.at(0, 0.03)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    distance = np.hypot(x - centre[0], y - centre[1]) / radius
    grey = generator.uniform(15, 120)
    net = 25.0 * (np.sin(x / frame.width * 80) * np.sin(y / frame.width * 80) > 0)
    head = (grey * (1.2 - 0.8 * np.minimum(distance, 1)) + net)[:, :, None] * np.ones(3)
    reach = radius / frame.width
    corners = [frame.at(*at) for at in ((-0.08, reach), (0.08, reach), (0.3, 2), (0.1, 2))]
    handle = _polygon(image, np.array(corners))
    image = _paste(image, _soft(distance < 1, frame.width / 300), head)
    return _paste(image, _soft(handle, 1), np.full(3, 0.6 * grey))


COVERS: Final[dict[str, Cover]] = {
    "mask": paint_mask,
    "hand": paint_hand,
    "object": paint_object,
    "microphone": paint_microphone,
}


def degraded(image: Image, generator: np.random.Generator) -> Image:
    """Returns the picture as a worse camera would give it: grey, dark, tinted, blurred, noisy."""
    if generator.random() < 0.15:
        image = np.asarray(
            cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8
        )
    if generator.random() < 0.4:
        tint = generator.uniform(0.25, 1.2) * (1 + generator.normal(0, 0.06, 3))
        image = np.clip(image * tint, 0, 255).astype(np.uint8)
    if generator.random() < 0.3:
        sigma = max(image.shape) / 512 * generator.uniform(0.5, 2.5)
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
    if generator.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(generator.uniform(25, 80))]
        image = np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], 1), np.uint8)
    if generator.random() < 0.5:
        image = np.ascontiguousarray(image[:, ::-1])
    if generator.random() < 0.3:
        noise = generator.normal(0, generator.uniform(3, 10), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


def _cloth(image: Image, generator: np.random.Generator) -> Array:
    """Returns a plain, striped or blotched fill, [h,w,3] float64."""
    height, width = image.shape[:2]
    plain = _CLOTHS[generator.integers(len(_CLOTHS))] + generator.normal(0, 12, 3)
    kind = generator.random()
    if kind < 0.5:
        return np.broadcast_to(plain, (height, width, 3)).copy()
    other = _CLOTHS[generator.integers(len(_CLOTHS))]
    if kind < 0.75:
        y, x = np.mgrid[:height, :width]
        angle, period = generator.uniform(0, np.pi), generator.uniform(4, 40)
        share = 0.5 + 0.5 * np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
    else:
        cells = int(generator.integers(4, 40))
        rough = generator.random((cells, cells)).astype(np.float32)
        share = np.asarray(cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC))
    return np.asarray(plain + (other - plain) * share[:, :, None])


def _polygon(image: Image, outline: Array) -> Array:
    shape = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(shape, [np.round(outline).astype(np.int32)], 1)
    return shape


def _soft(shape: Array, sigma: float) -> Array:
    return np.asarray(cv2.GaussianBlur(shape.astype(np.float32), (0, 0), max(sigma, 0.6)))


def _paste(image: Image, mask: Array, fill: Array) -> Image:
    share = mask[:, :, None]
    return np.asarray(np.clip(image * (1 - share) + fill * share, 0, 255), np.uint8)
