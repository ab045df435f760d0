"""Transparent pictures as codecs can carry them: colours that go on beyond the outline, a matte.

A live stream has no matte of its own, so it is packed: the colours above, the matte below, in a
picture twice as high. The colours are straight, not multiplied with the matte: the outline then
is in the matte's luma alone, which codecs keep at full size, and the chroma, which they halve,
has no edge there to smear. It knows no codec.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.backdrop import CHROMA_GREEN

Pixels = NDArray[np.uint8]

_COARSE = 4  # pixels of a picture per pixel of the colours beyond its outline
# How much of the chroma key's green is seen through each level of a matte, [1, 256, 3].
_GREEN_BEHIND = np.rint(
    np.arange(255, -1, -1)[None, :, None] / 255 * np.array(CHROMA_GREEN)
).astype(np.uint8)
_FAINT = 16  # levels of the matte below which a colour is too rounded to go on from


def pack(image: Pixels) -> Pixels:
    """Returns a straight RGBA picture [s, s, 4] as RGB [2 s, s, 3]: colours above the matte."""
    matte = cv2.cvtColor(cv2.extractChannel(image, 3), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.vconcat([beyond_outline(image), matte]), np.uint8)


def beyond_outline(image: Pixels) -> Pixels:
    """Returns the colours of a straight RGBA picture, going on smoothly where it is transparent.

    Were they black there, a dark line would be smeared into the outline.
    """
    height, width = image.shape[:2]
    colours, matte = cv2.cvtColor(image, cv2.COLOR_RGBA2RGB), cv2.extractChannel(image, 3)
    known = np.asarray(cv2.threshold(matte, _FAINT, 255, cv2.THRESH_BINARY)[1], np.uint8)
    coarse = (-(-width // _COARSE), -(-height // _COARSE))
    seen = cv2.bitwise_and(colours, colours, mask=known)
    shares = cv2.resize(cv2.merge([seen, known]), coarse, interpolation=cv2.INTER_AREA)
    spread = np.round(_spread(shares.astype(np.float32))).astype(np.uint8)
    beyond = cv2.resize(spread, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.copyTo(colours, known, beyond), np.uint8)


def _spread(shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns colours [h, w, 3] of premultiplied ones [h, w, 4], and of those around them."""
    known = shares[..., 3:] / 255
    colours = shares[..., :3] / np.maximum(known, 1e-3)
    height, width = known.shape[:2]
    if min(height, width) <= 2:
        return np.asarray(colours, np.float32)
    half = ((width + 1) // 2, (height + 1) // 2)
    smaller = np.asarray(cv2.resize(shares, half, interpolation=cv2.INTER_AREA), np.float32)
    beyond = cv2.resize(_spread(smaller), (width, height), interpolation=cv2.INTER_LINEAR)
    weight = np.minimum(8 * known, 1)
    return np.asarray(beyond + weight * (colours - beyond), np.float32)


def flatten(image: Pixels) -> Pixels:
    """Returns a straight RGBA picture [s, s, 4] as RGB [s, s, 3] before the chroma key's green."""
    matte = cv2.cvtColor(cv2.extractChannel(image, 3), cv2.COLOR_GRAY2RGB)
    colours = cv2.multiply(cv2.cvtColor(image, cv2.COLOR_RGBA2RGB), matte, scale=1 / 255)
    return np.asarray(cv2.add(colours, cv2.LUT(matte, _GREEN_BEHIND)), np.uint8)
