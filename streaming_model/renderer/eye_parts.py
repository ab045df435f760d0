"""What a portrait's eye is made of, read from the picture once: lid skin, lashes, white, iris.

What the picture hides (skin that unrolls over a closed eye, the white and the iris under the
lid) is completed from what it shows around. Knows nothing of motion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.renderer.palette import LUMA

Floats = NDArray[np.float32]

MARGIN: Final = 0.45  # beside the eye's corners, of its width: what is looked at
ABOVE: Final = 0.85  # the same above the corners
BELOW: Final = 1.1  # and below them
LASHES: Final = (0.05, 0.2)  # least and most height of the lashes over the lid's edge
LID_ROUNDNESS: Final = 0.05  # how much brighter the middle of a closed lid is
MOST_RATIO: Final = 1.25
LEAST_LID: Final = 0.7  # brightness of the lid over that of the skin below the eye
PAPER: Final = 200  # levels: least brightness of paper
FLAT: Final = 0.0008  # finest structure of flat colours, as a share of their light
GRAIN_PLACES: Final = (0.0, 0.45, 0.9)  # how much further below the eye, of its width
CREASE_LOST: Final = 0.9  # share of a crease that a closed lid smooths out


@dataclass(frozen=True)
class EyeFrame:
    """The eye's own axes: u from the picture's left corner to the right one, v upwards.

    Attributes:
        corner: [2] pixel of the left corner.
        along, up: [2] unit vectors in pixels.
        width: pixels from corner to corner.
    """

    corner: Floats
    along: Floats
    up: Floats
    width: float

    @classmethod
    def between(cls, left: Floats, right: Floats) -> EyeFrame:
        """Returns the frame of an eye with corners at two pixels [2]."""
        width = max(float(np.linalg.norm(right - left)), 1.0)
        along = ((right - left) / np.float32(width)).astype(np.float32)
        return cls(left, along, np.array([along[1], -along[0]], np.float32), width)

    def of(self, pixels: Floats) -> Floats:
        """Returns (u, v) [n, 2] of pixels [n, 2]."""
        away = pixels - self.corner
        return np.stack([away @ self.along, away @ self.up], axis=-1).astype(np.float32)

    def axes(self, left: int, top: int) -> Floats:
        """Returns u = a0 x + a1 y + a2, v = a3 x + a4 y + a5 for a box at `left`, `top`; [6]."""
        start = np.array([left, top], np.float32) - self.corner
        return np.array(
            [*self.along, start @ self.along, *self.up, start @ self.up], dtype=np.float32
        )


@dataclass(frozen=True)
class Lids:
    """The skin of one eye's lids.

    Attributes:
        plate: [h, w, 3] the picture with eye and lashes replaced by lid skin.
        unfold: [h, w, 3] what a closed lid adds to the plate: its creases are smoothed out.
        ratio: [h, w, 3] what the lashes leave of the plate's light; 1 elsewhere.
        reach: how far the lashes go above the edge, in pixels.
        lash: [3] the dark of the lash line.
        shading: 0 where colours are flat, as in a cartoon, 1 where things are shaded.
    """

    plate: Floats
    unfold: Floats
    ratio: Floats
    reach: float
    lash: Floats
    shading: float


class _Upright:
    """The eye's surroundings turned upright: column i is u = i - margin, row j is v = top - j."""

    def __init__(self, picture: NDArray[np.uint8], frame: EyeFrame, edges: Floats) -> None:
        self.frame = frame
        self.margin = (edges.shape[1] - round(frame.width) - 1) // 2
        self.top = round(ABOVE * frame.width + float(edges[0].max()))
        rows = self.top + round(BELOW * frame.width - float(edges[1].min()))
        self.shape = (rows, edges.shape[1])
        start = frame.corner - self.margin * frame.along + self.top * frame.up
        self.to_picture = np.stack([frame.along, -frame.up, start], axis=1)
        self.image = cv2.warpAffine(
            picture,
            self.to_picture,
            self.shape[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ).astype(np.float32)
        self.heights = (self.top - np.arange(rows, dtype=np.float32))[:, None]

    def at(self, image: Floats, heights: Floats) -> Floats:
        """Returns `image` at heights [n, k] of each column."""
        columns = np.broadcast_to(np.arange(heights.shape[1], dtype=np.float32), heights.shape)
        rows = (self.top - heights).astype(np.float32)
        return np.asarray(
            cv2.remap(
                image,
                np.ascontiguousarray(columns),
                rows,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            ),
            np.float32,
        )

    def boxed(self, image: Floats, left: int, top: int, size: tuple[int, int]) -> Floats:
        """Returns `image` in a box (width, height) of the picture."""
        to_box = self.to_picture.copy()
        to_box[:, 2] -= np.array([left, top], np.float32)
        return np.asarray(
            cv2.warpAffine(
                image, to_box, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            ),
            np.float32,
        )


def read_lids(
    picture: NDArray[np.uint8],
    frame: EyeFrame,
    edges: Floats,
    *,
    brow: Floats,
    box: tuple[int, int, int, int],
) -> Lids:
    """Reads the lids of an eye whose edges have heights `edges` [2, k], below its `brow` [k].

    `box` is left, top, right and bottom of what is returned.
    """
    upright = _Upright(picture, frame, edges)
    upper, lower = edges
    reach = _lash_reach(upright, upper)
    width = frame.width
    start = upper + reach
    room = np.clip(brow - start, 0.1 * width, 0.6 * width)
    skin, roundness = _lid_skin(upright, start, lower)
    columns = np.arange(upright.shape[1], dtype=np.float32) - upright.margin
    beside = np.clip(1 - np.maximum(-columns, columns - width) / (0.12 * width), 0, 1)
    ramp = max(0.1 * width, 2.0)
    mask = _smooth_step((start + ramp - upright.heights) / ramp) * _smooth_step(beside)
    unfold = _unfolding(upright.image + mask[..., None] * (skin - upright.image), width)
    high = _smooth_step(2 * (start + room - upright.heights) / room) * beside
    unfold *= (high * (upright.heights > lower))[..., None]
    left, top, right, bottom = box
    size = (right - left, bottom - top)
    share = upright.boxed(mask, left, top, size)
    away = float((start - lower).max()) + 0.28 * width
    # Make-up, spectacles and blushes are no grain: the calmest place below the eye has it.
    grain, shading, _ = min(
        (
            _grain(
                picture,
                np.round(-(away + further * width) * frame.up).astype(int),
                box,
                width,
                share,
            )
            for further in GRAIN_PLACES
        ),
        key=lambda found: found[2],
    )
    if _is_line_art(upright.image):
        grain = np.zeros_like(grain)
    light = 1 + shading * (upright.boxed(roundness, left, top, size)[..., None] + grain)
    seen = picture[top:bottom, left:right].astype(np.float32)
    plate = seen + share[..., None] * (upright.boxed(skin, left, top, size) * light - seen)
    plate = np.clip(plate, 0, 255).astype(np.float32)
    ratio = np.clip((seen + 1) / (plate + 1), 0, MOST_RATIO).astype(np.float32)
    return Lids(
        plate=np.asarray(plate, np.float32),
        unfold=upright.boxed(unfold, left, top, size),
        ratio=ratio,
        # A drawn outline comes along whole; lashes thin out.
        reach=(reach + ramp) * (3 - 2 * shading),
        lash=_lash_colour(upright, upper),
        shading=shading,
    )


def _lid_skin(upright: _Upright, start: Floats, lower: Floats) -> tuple[Floats, Floats]:
    """Returns the skin [h, k, 3] of a lid from `start` [k] down, and its roundness [h, k].

    Between the skin above the lashes and that below the eye; on paper it is paper.
    """
    width = upright.frame.width
    above = _band(upright, start, (0.0, 0.09 * width), brighter=True)
    below = _band(upright, lower, (-0.16 * width, -0.05 * width), brighter=False)
    if _is_line_art(upright.image):
        luma = upright.image @ LUMA
        above[:] = below[:] = np.median(upright.image[luma > np.percentile(luma, 60)], axis=0)
    # Brows and make-up darken and tint what is above: a lid catches more light than they do.
    bright_above, bright_below = (np.maximum(band @ LUMA, 1.0)[:, None] for band in (above, below))
    above = 0.5 * above + 0.5 * below * bright_above / bright_below
    shade = np.clip(1 - bright_above / (LEAST_LID * bright_below), 0, 1)
    above = above + np.maximum(shade, 0.25) * (below - above)
    below = 0.45 * above + 0.55 * below
    end = lower - 0.05 * width
    down = np.clip((start - upright.heights) / np.maximum(start - end, 1.0), 0, 1)
    columns = np.arange(upright.shape[1], dtype=np.float32) - upright.margin
    bulge = np.sin(np.pi * np.clip(columns / width, 0, 1))
    skin = above[None] + down[..., None] * (below - above)[None]
    roundness = LID_ROUNDNESS * np.sin(np.pi * down) * bulge
    return skin.astype(np.float32), roundness.astype(np.float32)


def _smooth_step(values: Floats) -> Floats:
    share = np.clip(values, 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def _is_line_art(image: Floats) -> bool:
    """Tells whether a picture [h, k, 3] is lines on paper."""
    luma = image @ LUMA
    dark, light = np.percentile(luma, (5, 95))
    between = (luma > dark + 0.25 * (light - dark)) & (luma < light - 0.25 * (light - dark))
    return bool(light > PAPER and dark < 0.2 * light and between.mean() < 0.25)


def _lash_reach(upright: _Upright, upper: Floats) -> float:
    """Returns the height over the edge at which the lid's skin begins, in pixels."""
    width = upright.frame.width
    steps = np.arange(0.0, 0.35 * width, 0.5, dtype=np.float32)
    inner = slice(upright.margin + int(0.15 * width), upright.margin + int(0.85 * width) + 1)
    profile = upright.at(upright.image @ LUMA, upper[None] + steps[:, None])[:, inner]
    profile = np.median(profile / np.maximum(profile.max(axis=0), 1.0), axis=1)
    least, most = (share * width for share in LASHES)
    darkest = int(profile[steps <= 0.14 * width].argmin())
    peak = profile[darkest : np.searchsorted(steps, 0.3 * width)].max()
    if peak - profile[darkest] < 0.06:
        return least
    bright = np.flatnonzero(profile[darkest:] >= profile[darkest] + 0.8 * (peak - profile[darkest]))
    return float(np.clip(steps[darkest + bright[0]], least, most))


def _unfolding(lid: Floats, width: float) -> Floats:
    """Returns what smooths out the dark creases that run along a lid [h, k, 3]."""
    height = 2 * round(0.08 * width) + 1
    filled = cv2.morphologyEx(lid, cv2.MORPH_CLOSE, np.ones((height, 1), np.uint8))
    filled = cv2.GaussianBlur(filled, (0, 0), max(0.03 * width, 0.6))
    return np.asarray(CREASE_LOST * np.maximum(filled - lid, 0), np.float32)


def _band(upright: _Upright, start: Floats, span: tuple[float, float], *, brighter: bool) -> Floats:
    """Returns the smoothed skin colour [k, 3] of a band along the lid."""
    steps = np.arange(span[0], span[1] + 0.5, 0.5, dtype=np.float32)
    colours = upright.at(upright.image, start[None] + steps[:, None])
    luma = colours @ LUMA
    level = np.percentile(luma, 50 if brighter else 25, axis=0)
    weight = np.clip((luma - level) / np.maximum(0.08 * level, 1.0) + 1, 0, 1)[..., None]
    found = weight.sum(axis=0)
    mean = (weight * colours).sum(axis=0) / np.maximum(found, 1e-3)
    # Corners have no lid of their own: they take what is next to them.
    width = upright.frame.width
    columns = np.arange(len(mean)) - upright.margin
    inside = ((columns > 0.06 * width) & (columns < 0.94 * width)).astype(np.float32)
    trust = (0.02 + inside)[:, None] * np.clip(found, 0, 1) + 1e-4
    sigma = 0.09 * width
    total = _along(mean * trust, sigma)
    return np.asarray(total / _along(np.broadcast_to(trust, mean.shape), sigma), np.float32)


def _along(values: Floats, sigma: float) -> Floats:
    """Smooths [k, c] along its columns."""
    blurred = cv2.GaussianBlur(
        np.ascontiguousarray(values[None]),
        (0, 0),
        sigma,
        sigmaY=0.01,
        borderType=cv2.BORDER_REPLICATE,
    )
    return np.asarray(blurred[0], np.float32)


def _grain(
    picture: NDArray[np.uint8],
    away: NDArray[np.int64],
    box: tuple[int, int, int, int],
    width: float,
    lid: Floats,
) -> tuple[Floats, float, float]:
    """Returns for `box` the grain [h, w, 3] of the skin at `away` [2] pixels, as shares of light.

    And whether there is any where it comes to the `lid` [h, w]: 0 where colours are flat, as in a
    cartoon, 1 elsewhere. And how strong it is. Whole pixels keep it sharp.
    """
    left, top, right, bottom = box
    rows = np.arange(top, bottom)[:, None] + away[1]
    columns = np.arange(left, right) + away[0]
    rows, columns = (_reflected(index, len(picture)) for index in (rows, columns))
    image = picture.astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.06 * width), np.float32)
    image, smooth = image[rows, columns], smooth[rows, columns]
    fine = (image - smooth) / np.maximum(smooth @ LUMA, 8.0)[..., None]
    usual = float(np.median(np.abs(fine[lid > 0.5]))) / 0.67 if (lid > 0.5).any() else 0.0
    fine = np.clip(fine, -2.5 * usual, 2.5 * usual).astype(np.float32)
    luma = image @ LUMA
    finest = np.abs(luma - cv2.GaussianBlur(luma, (0, 0), 0.03 * width))
    finest = finest / np.maximum(luma, 8.0)
    least = float(np.median(finest[lid > 0.5])) if (lid > 0.5).any() else 0.0
    return fine, float(np.clip(least / FLAT - 1, 0, 1)), usual


def _reflected(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Mirrors places beyond the picture's border into it."""
    return np.clip(np.where(index >= size, 2 * (size - 1) - index, np.abs(index)), 0, size - 1)


def _lash_colour(upright: _Upright, upper: Floats) -> Floats:
    """Returns the dark of the picture's own lash line, [3]."""
    width = upright.frame.width
    steps = np.arange(-0.05 * width, 0.07 * width, 0.5, dtype=np.float32)
    first, last = (upright.margin + round(share * width) for share in (0.12, 0.88))
    colours = upright.at(upright.image, upper[None] + steps[:, None])[:, first : last + 1]
    luma = colours @ LUMA
    darkest = luma.argmin(axis=0)
    columns = np.arange(len(darkest))
    order = luma[darkest, columns].argsort()[: max(len(darkest) // 2, 1)]
    return np.asarray(colours[darkest, columns][order].mean(axis=0), np.float32)
