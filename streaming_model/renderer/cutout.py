"""The person cut out of the picture, to be laid over any other background.

Before its own background a portrait forgives a matte that is soft or carries some background
along; before another it does not. So the matte is made firm, and the colours in its band are
those of the person alone.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

SURE: Final = (0.25, 0.8)  # of the matte: below the first it is noise, above the second solid
LONELY: Final = 0.02  # of the side: specks that have less person around them than that fade
REACHES: Final = (0.09, 0.09, 0.02)  # of the side: windows of the successive estimates of colour
PURE: Final = 8  # power of the matte that weighs colours at first: hardly any of the mixed ones
RIM: Final = 0.012  # of the side: how far a wall's colour shines into the person
SHINING: Final = (100.0, 130.0)  # levels that a wall's colour is off grey, from which it shines so

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]


def cut_out(picture: Pixels, matte: Pixels) -> Pixels:
    """Returns the person of `picture` [s, s, 3] under `matte` [s, s] as straight RGBA [s, s, 4].

    Colours are estimated by blur fusion (Forte 2021): with the blurred colours of person and
    background around, F' and B', the person's own is F = F' + a (I - a F' - (1 - a) B').
    """
    seen = picture.astype(np.float32)
    share = np.asarray(matte, np.float32) / np.float32(255)
    share *= np.clip(3 * _around(share, LONELY), 0, 1).astype(np.float32)
    colour = ground = seen
    own, others = np.power(share, PURE), np.power(1 - share, PURE)
    mixed = share[..., None]
    for reach in REACHES:
        person = _weighted(colour, own, reach)
        ground = _weighted(ground, others, reach)
        colour = np.clip(person + mixed * (seen - mixed * person - (1 - mixed) * ground), 0, 255)
        own, others = share, 1 - share
    solid = np.clip((share - SURE[0]) / (SURE[1] - SURE[0]), 0, 1)
    rgb = _without_spill(np.where(mixed == 1, seen, colour), share, ground)
    return np.asarray(np.round(np.dstack([rgb, 255 * solid])), np.uint8)


def _without_spill(colours: NDArray[Any], share: NDArray[Any], ground: NDArray[Any]) -> Plane:
    """Returns the colours with the old background's hue taken out of the person's rim.

    Cameras, and the halved chroma of JPEG and video, let a coloured wall shine into the outline.
    Brightness stays: light from behind belongs to the person.
    """
    depth = cv2.distanceTransform(np.asarray(share > 0.9, np.uint8), cv2.DIST_L2, 3)
    near = np.clip(1.5 - depth / (RIM * len(share)), 0, 1)
    inner = _weighted(colours, np.asarray(near == 0, np.float32), REACHES[0])
    hue = _hue(ground)
    strength = np.linalg.norm(hue, axis=2)
    direction = hue / np.maximum(strength, 1)[..., None]

    def along(values: NDArray[Any]) -> Plane:
        return np.asarray((_hue(values) * direction).sum(axis=2), np.float32)

    # What is grey or has the person's own hue is no spill.
    spilt = np.maximum(along(colours) - np.maximum(along(inner), 0), 0)
    spilt *= near * np.clip((strength - SHINING[0]) / (SHINING[1] - SHINING[0]), 0, 1)
    return np.asarray(np.clip(colours - spilt[..., None] * direction, 0, 255), np.float32)


def _hue(colours: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(colours - colours.mean(axis=2, keepdims=True))


def blend(foreground: Pixels, plate: Pixels) -> Pixels:
    """Lays a straight RGBA `foreground` [s, s, 4] over a `plate`; over four channels it is kept."""
    if plate.shape[2] == 4:
        return foreground.copy()
    share = foreground[..., 3:].astype(np.float32) / 255
    mixed = plate + share * (foreground[..., :3].astype(np.float32) - plate)
    return np.asarray(mixed + 0.5, np.uint8)


def _weighted(colours: NDArray[Any], weights: Plane, reach: float) -> NDArray[Any]:
    total = np.maximum(_around(weights, reach), 1e-5)
    return np.asarray(_around(colours * weights[..., None], reach) / total[..., None])


def _around(values: NDArray[Any], reach: float) -> NDArray[Any]:
    side = int(reach * len(values)) | 1
    return np.asarray(cv2.blur(values, (side, side)))
