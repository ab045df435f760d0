"""Fold-overs, measured from outside: a portrait whose picture says where each pixel comes from.

The picture is replaced by waves in x and in y. From their phases in a frame the source of every
pixel is known to a tenth of a pixel, however the renderer found it. A negative Jacobian is skin
turned over. A jump between neighbours is an edge that hides something: the nose before the cheek
of a turned head, the chin before the neck; it is counted, but not a fault.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.renderer.commands import Motion, extremes
from streaming_model.backdrop import Backdrop
from streaming_model.portrait import Portrait
from streaming_model.renderer import Renderer

Floats = NDArray[np.float64]

PERIOD: Final = 32.0  # pixels of the frame
JUMP: Final = 6.0  # pixels of the source between neighbouring pixels of the frame
TURNED: Final = -0.05  # a Jacobian below this is not noise
LIPS: Final = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181,
               91, 146)  # fmt: skip
LIDS: Final = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
)
SPLIT_REACH: Final = 0.045  # of the face's height: what belongs to the lip and lid splits
SOLID: Final = 255  # alpha of what is wholly the person's
AMPLITUDE: Final = 96.0  # levels
CLEAR: Final = 0.7  # of the amplitude: less is painted by the renderer, as teeth and eyes are
DOUBT: Final = 0.25  # periods by which the wave and the coarse place may disagree
BORDER: Final = 6  # pixels
SPECK: Final = 2  # pixels: what is narrower is an edge's noise


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """Where each pixel of a frame comes from.

    Attributes:
        x, y: [size, size] pixels of the frame at rest.
        known: [size, size], the pixel is the person's and shows the picture.
    """

    x: Floats
    y: Floats
    known: NDArray[np.bool_]


class WarpProbe:
    """Tells where each pixel of a frame comes from."""

    def __init__(self, portrait: Portrait, *, size: int) -> None:
        side = len(portrait.picture)
        self._ratio = size / side
        period = PERIOD / self._ratio
        across = np.broadcast_to(np.arange(side, dtype=np.float64), (side, side))
        flat = np.full((side, side, 3), 128, np.uint8)
        self._flat = Renderer(_painted(portrait, flat), size=size)
        self._cut_out = self._flat.with_backdrop(Backdrop.parse("transparent"))
        self._waves = [
            Renderer(_painted(portrait, _wave(at, period)), size=size) for at in (across, across.T)
        ]

    def sources(self, motion: Motion) -> Sources:
        """Returns the places that the pixels of the frame for `motion` show."""
        light = np.maximum(self._flat.render(motion), 1) / 128.0
        (x, sure_x), (y, sure_y) = (
            self._place(wave.render(motion) / light) for wave in self._waves
        )
        return Sources(x, y, sure_x & sure_y & (self._cut_out.render(motion)[..., 3] >= SOLID))

    def _place(self, wave: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        coarse = wave[..., 2] / 255 * len(wave)
        sine, cosine = wave[..., 1] - 128, wave[..., 0] - 128
        phase = np.arctan2(sine, cosine) / (2 * np.pi) * PERIOD
        turns = (coarse - phase) / PERIOD
        sure = np.hypot(sine, cosine) > CLEAR * AMPLITUDE
        sure &= np.abs(turns - np.round(turns)) < DOUBT
        shift = (self._ratio - 1) / 2  # pixel centres: (x + 1/2) scales, x does not
        return phase + PERIOD * np.round(turns) + shift, sure


def _wave(at: Floats, period: float) -> NDArray[np.uint8]:
    """Returns a picture with cosine and sine of the place, and the place itself."""
    angle = 2 * np.pi * at / period
    place = at / len(at) * 255
    return np.round(
        np.stack([128 + AMPLITUDE * np.cos(angle), 128 + AMPLITUDE * np.sin(angle), place], axis=-1)
    ).astype(np.uint8)


def _painted(portrait: Portrait, picture: NDArray[np.uint8]) -> Portrait:
    return replace(portrait, picture=picture, background=picture)


def fold_figures(
    portrait: Portrait, landmarks: NDArray[np.float64], *, size: int
) -> dict[str, float]:
    """Returns the worst counts of pixels over all extreme motions, and which motions fold."""
    probe = WarpProbe(portrait, size=size)
    splits = split_mask(landmarks, size)
    counts = {
        name: faults(probe.sources(motion), splits)
        for name, motion in extremes().items()
        if motion.any()
    }
    turned, hidden = np.max(list(counts.values()), axis=0)
    folding = {f"folds at {name}": float(count) for name, (count, _) in counts.items() if count}
    return {"folds": float(turned), "hiding edges": float(hidden), **folding}


def faults(sources: Sources, splits: NDArray[np.bool_]) -> tuple[int, int]:
    """Counts pixels turned over, and pixels at edges that hide something."""
    x, y = sources.x, sources.y
    xx, yx = np.diff(x, axis=1)[:-1], np.diff(y, axis=1)[:-1]
    xy, yy = np.diff(x, axis=0)[:, :-1], np.diff(y, axis=0)[:, :-1]
    inside = watched(sources, splits)
    inside = inside[:-1, :-1] & inside[:-1, 1:] & inside[1:, :-1]
    edge = inside & (np.max(np.abs([xx, yx, xy, yy]), axis=0) > JUMP)
    turned = inside & ~edge & (xx * yy - xy * yx < TURNED)
    return int(away_from_border(turned).sum()), int(edge.sum())


def away_from_border(turned: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Drops specks, and areas at the frame's border, where the picture goes on mirrored."""
    kernel = np.ones((SPECK, SPECK), np.uint8)
    areas = cv2.morphologyEx(turned.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    _, labels = cv2.connectedComponents(areas, connectivity=8)
    near = np.zeros_like(turned)
    near[:BORDER], near[-BORDER:], near[:, :BORDER], near[:, -BORDER:] = True, True, True, True
    return np.asarray((areas > 0) & ~np.isin(labels, np.unique(labels[near & (labels > 0)])))


def watched(sources: Sources, splits: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns the frame's pixels that show the inside of the person, lips and lids left out."""
    size = len(splits)
    reach = max(1, round(0.006 * size))
    kernel = np.ones((2 * reach + 1,) * 2, np.uint8)
    inside = cv2.erode(sources.known.astype(np.uint8), kernel)
    at = np.clip(np.round([sources.y, sources.x]).astype(int), 0, size - 1)
    return np.asarray((inside > 0) & ~splits[at[0], at[1]])


def split_mask(landmarks: NDArray[np.float64], size: int) -> NDArray[np.bool_]:
    """Returns [size, size]: what belongs to lips and lids in the frame at rest."""
    height = np.linalg.norm(landmarks[10, :2] - landmarks[152, :2])
    mask = np.zeros((size, size), np.uint8)
    for ring in (LIPS, *LIDS):
        outline = np.round(landmarks[list(ring), :2]).astype(np.int32)
        cv2.fillPoly(mask, [outline], 1)
        cv2.polylines(mask, [outline], True, 1, round(2 * SPLIT_REACH * height))
    return mask > 0
