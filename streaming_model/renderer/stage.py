"""The stage: how camera centimetres become output pixels, and the pictures scaled to it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.backdrop import KEEP, Backdrop
from streaming_model.portrait import Portrait
from streaming_model.renderer.cutout import blend, cut_out
from streaming_model.renderer.head import MARGIN
from streaming_model.renderer.layers import continue_beyond, layers

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Stage:
    """Everything that depends on the output's size and on the backdrop.

    Attributes:
        size: side of the output in pixels.
        scale: output pixels per centimetre.
        origin: [2] output pixel of camera (0, 0).
        picture: [size, size, 3] uint8.
        rest: what is seen at rest: `picture`, or the person before the backdrop; straight RGBA
            where that is transparent.
        background: [size, size, 3] uint8, or [size, size, 4] of zeros to draw a cut-out on.
        foreground: [size + 2 border, size + 2 border, 4] uint8; over the picture's own background
            its middle gives `picture`. Beyond the picture it is mirrored.
        border: pixels around the picture in `foreground`.
        landmarks: [478, 2] output pixels.
    """

    size: int
    scale: float
    origin: Floats
    picture: NDArray[np.uint8]
    rest: NDArray[np.uint8]
    background: NDArray[np.uint8]
    foreground: NDArray[np.uint8]
    border: int
    landmarks: Floats

    def project(self, points: Floats) -> Floats:
        """Returns the pixels [n, 2] of camera points [n, 3]."""
        pixels = points[:, :2] * np.array([self.scale, -self.scale], np.float32)
        pixels += self.origin
        return pixels


def set_stage(portrait: Portrait, size: int, backdrop: Backdrop = KEEP) -> Stage:
    """Scales a portrait to `size` output pixels a side and sets it before a backdrop."""
    side = len(portrait.picture)
    ratio = size / side
    smooth = cv2.INTER_AREA if ratio < 1 else cv2.INTER_CUBIC

    def scaled(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if ratio == 1:
            return image
        return np.asarray(cv2.resize(image, (size, size), interpolation=smooth), np.uint8)

    picture, background = scaled(portrait.picture), scaled(portrait.background)
    matte = scaled(portrait.matte)
    border = round(size * MARGIN)
    plate = backdrop.plate(background)
    if plate is None:
        foreground, background = layers(picture, background, matte)
        rest = picture
    else:
        foreground, background = cut_out(picture, matte), plate
        rest = blend(foreground, background)
    wider = continue_beyond(foreground, border)
    if plate is not None:  # before a plain backdrop, hair that goes on straight up is a grey line
        wider[:border, wider[border, :, 3] < 128, 3] = 0
    # Pixel centres: (x + 1/2) scales, x does not.
    shift = (ratio - 1) / 2
    return Stage(
        size=size,
        scale=portrait.fit.scale * ratio,
        origin=(portrait.fit.origin * ratio + shift).astype(np.float32),
        picture=picture,
        rest=rest,
        background=background,
        foreground=wider,
        border=border,
        landmarks=(portrait.landmarks[:, :2] * ratio + shift).astype(np.float32),
    )
