"""The picture parted into the person and what is behind, and the person beyond the border.

At rest both layers blend back to the picture. In motion each must look right alone: the person's
edge in the person's colours, the background without the person's outline.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.portrait.background import wash

SOLID: Final = 0.9  # of the matte, from which a pixel shows the person alone
INSIDE: Final = 0.004  # of the side: how far inside the person's own colours are taken
SPREAD: Final = 0.006  # of the side: over which they are smooth
ALIKE: Final = 30.0  # levels: person and background closer than this do not tell the matte
SHADE: Final = 30.0  # levels, of three channels, off the mean from which it is dark or light
UNLIKE: Final = 8.0  # how much what is left unexplained lowers the trust
HELD: Final = 0.15  # of the matte, from which a pixel surely shows some of the person
STRAY: Final = 0.035  # of the side: how far from there hair that the matte misses is believed
FAINT: Final = (24.0, 64.0)  # levels: what differs less is carried along, as soft hair would be
STRAND: Final = 128.0  # levels by which a strand of hair differs from what is behind it
SOFT: Final = (0.4, 0.8)  # of the matte, from where to where it is not lowered
FIRM: Final = (2.0, 200.0)  # how much more than the person the background keeps its colour
TOLERANCE: Final = 1.0  # levels by which the blend may differ from the picture
WISP: Final = 0.2  # of the border: how soon what is thin at the top fades

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]


def layers(picture: Pixels, background: Pixels, matte: Pixels) -> tuple[Pixels, Pixels]:
    """Parts the picture into a foreground RGBA over a background RGB that blend back to it.

    With the person's colour P from farther inside and the plate B, the share a is read off the
    picture I = a F + (1 - a) B where P and B differ enough, and from the matte else. What P and B
    do not explain goes to both, the more to the background the thinner the person is there: what
    the plate lacks beside the person is background.
    """
    seen, behind = picture.astype(np.float32), background.astype(np.float32)
    drawn = matte.astype(np.float32) / np.float32(255)
    person, told, trust = _explained(seen, behind, _own_colours(picture, drawn))
    differs = _most(np.abs(seen - behind))
    close = np.maximum(_closeness(drawn), 1 - _ramp(differs, FAINT))
    trust = trust * np.where(told > drawn, close, 1 - _ramp(drawn, SOFT))
    share = drawn + trust * (told - drawn)
    share = np.minimum(np.maximum(share, close * differs / STRAND), 1)[..., None]
    left = seen - share * person - (1 - share) * behind
    firm = (FIRM[0] + (FIRM[1] - FIRM[0]) * np.square(close))[..., None]
    weight = np.square(share) + np.square(1 - share) / firm
    behind = behind + left * (1 - share) / (firm * weight)
    behind = np.round(np.clip(behind, 0, 255)).astype(np.float32)
    # What neither can hold makes the person more solid.
    differs = np.maximum(np.abs(seen - behind) - TOLERANCE, 0)
    room = np.where(seen > behind, 255 - behind, behind)
    least = _most(differs / np.maximum(room, 1))[..., None]
    share = np.ceil(np.clip(least, share, 1) * 255) / 255
    colour = behind + (seen - behind) / np.maximum(share, 1 / 255)
    bounded = np.clip(np.where(share > 0, colour, person), 0, 255)
    foreground = np.concatenate([np.round(bounded), np.round(share * 255)], axis=2)
    return np.ascontiguousarray(foreground, np.uint8), behind.astype(np.uint8)


def _own_colours(picture: Pixels, matte: Plane) -> tuple[Plane, ...]:
    """Returns the person's colours, mean, dark and light, carried on over the rest: [s, s, 3]."""
    side = 2 * round(INSIDE * len(matte)) + 1
    step = max(SPREAD * len(matte), 1.0)
    solid = np.asarray(matte > SOLID, np.uint8)
    inner = cv2.erode(solid, np.ones((side, side), np.uint8))
    mean = wash(picture, np.asarray(inner == 0, np.uint8), step=step)
    above = _sum(picture - cv2.GaussianBlur(mean, (0, 0), 4 * step))
    parts = ((inner == 0) | (above > -SHADE), (inner == 0) | (above < SHADE))
    return mean, *(
        wash(picture, part.astype(np.uint8), step=step) for part in parts if not part.all()
    )


def _closeness(matte: Plane) -> Plane:
    """Returns 1 at the person, less the farther away, where what looks like hair may be none."""
    away = cv2.distanceTransform(np.asarray(matte < HELD, np.uint8), cv2.DIST_L2, 3)
    return np.asarray(np.exp(-away / (STRAY * len(matte))), np.float32)


def _sum(colours: Plane) -> Plane:
    """Returns the sum of the channels, in a fraction of what NumPy takes over an axis of three."""
    red, green, blue = (colours[..., channel] for channel in range(3))
    return np.asarray(red + green + blue, np.float32)


def _most(colours: Plane) -> Plane:
    """Returns the largest of the channels."""
    red, green, blue = (colours[..., channel] for channel in range(3))
    return np.asarray(np.maximum(np.maximum(red, green), blue), np.float32)


def _ramp(values: Plane, span: tuple[float, float]) -> Plane:
    return np.asarray(np.clip((values - span[0]) / (span[1] - span[0]), 0, 1), np.float32)


def _explained(
    seen: Plane, behind: Plane, persons: tuple[Plane, ...]
) -> tuple[Plane, Plane, Plane]:
    """Returns the colours [s, s, 3] of `persons` that explain best what is seen before `behind`.

    Also how much of them there is, and how far that can be told: [s, s].
    """
    best = persons[0], np.zeros(seen.shape[:2], np.float32), np.zeros(seen.shape[:2], np.float32)
    least = np.full(seen.shape[:2], np.inf, np.float32)
    for person in persons:
        towards = person - behind
        contrast = _sum(np.square(towards))
        told = _sum((seen - behind) * towards) / np.maximum(contrast, 1)
        told = np.clip(told, 0, 1).astype(np.float32)
        left = _sum(np.square(seen - behind - told[..., None] * towards))
        trust = contrast / (contrast + 3 * ALIKE**2 + UNLIKE * left)
        is_better = left < least
        least = np.where(is_better, left, least)
        best = (
            np.where(is_better[..., None], person, best[0]).astype(np.float32),
            np.where(is_better, told, best[1]).astype(np.float32),
            np.where(is_better, trust, best[2]).astype(np.float32),
        )
    return best


def continue_beyond(foreground: Pixels, border: int) -> Pixels:
    """Returns the foreground with `border` pixels more on each side, mirrored.

    An outline that leaves at a side goes on straight, rather than coming back as its mirror image.
    Above the picture the person is rounded off, so that hair cut by the border closes.
    """
    padded = cv2.copyMakeBorder(foreground, *(border,) * 4, cv2.BORDER_REFLECT_101)
    matte = np.asarray(padded[..., 3], np.uint8)
    for beside in (matte, matte[:, ::-1]):
        outwards = _straight_on(beside[:, border : 2 * border], border)
        beside[:, :border] = np.minimum(beside[:, :border], outwards[:, ::-1])
    inward = _inward(np.pad(foreground[0, :, 3], border, mode="edge"))
    below = round(0.03 * len(foreground))
    growth = (_inward(foreground[below, :, 3]).max() - inward.max()) / below
    heights = np.arange(border, 0, -1)[:, None]
    shrunk = inward[None] - _rounded(float(inward.max()), max(float(growth), 0.3), heights)
    wisps = np.where(padded[border, :, 3] < 128, padded[border, :, 3], 0)
    faded = wisps * np.clip(1 - heights / (WISP * border), 0, 1)
    padded[:border, :, 3] = np.maximum(np.clip(shrunk * 128, 0, 255), faded).astype(np.uint8)
    return np.asarray(padded, np.uint8)


def _rounded(half: float, growth: float, heights: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns how much narrower on each side an outline becomes at `heights` above the border.

    It goes on as the circle that is as wide there, 2 `half`, and grows inwards as fast.
    """
    below = growth * half  # of the circle's middle
    across = half**2 + below**2 - (heights + below) ** 2
    return np.asarray(half - np.sqrt(np.maximum(across, 0)) + (across <= 0), np.float64)


def _straight_on(matte: Pixels, count: int) -> Pixels:
    """Returns `count` columns that go on from the first of `matte`, nearest to it first.

    Outlines keep the slope they have in `matte`, unless the person would grow.
    """
    step = matte.shape[1] - 1
    at_border = _inward(matte[:, 0]) - _inward(255 - matte[:, 0])
    before = _inward(matte[:, step]) - _inward(255 - matte[:, step])
    slope = np.clip((at_border - before) / step, -4, 0)
    inward = at_border[:, None] + slope[:, None] * np.arange(1, count + 1)
    return np.asarray(np.clip(128 + inward * 128, 0, 255), np.uint8)


def _inward(row: Pixels) -> NDArray[np.float64]:
    """Returns how far inside the person each pixel of one row of the matte is."""
    outside = np.flatnonzero(row < 128)
    if not len(outside):
        return np.full(len(row), float(len(row)))
    distance = np.abs(np.arange(len(row))[:, None] - outside[None]).min(axis=1)
    return np.asarray(distance, np.float64)
