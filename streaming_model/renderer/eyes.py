"""The eyes behind their lids: an iris cut from the portrait that moves over a completed white.

Laid over the frame with the exact coverage of the opening between the lids; the lash line is
painted on the lid as it closes.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import INDEX
from streaming_model.portrait import Portrait
from streaming_model.renderer.geometry import FaceGeometry, HeadMotion
from streaming_model.renderer.openings import Pair
from streaming_model.renderer.palette import LUMA
from streaming_model.renderer.raster import cover_opening
from streaming_model.renderer.stage import Stage

Floats = NDArray[np.float32]

LID_EVENNESS: Final = 0.78  # how much of a lowered lid is painted, the rest is stretched skin
GAZE_TRAVEL_CM: Final = (0.42, 0.26)  # of the iris at coefficient 1, across and up
IRIS: Final = {"Left": slice(473, 478), "Right": slice(468, 473)}
OUTWARD: Final = {"Left": 1.0, "Right": -1.0}  # towards the picture's right for the left eye


class EyeLayer:
    """One eye of one portrait on one stage; `side` is the subject's, "Left" or "Right"."""

    def __init__(
        self, portrait: Portrait, *, geometry: FaceGeometry, stage: Stage, side: str
    ) -> None:
        self.stage = stage
        self.side = side
        self.pair: Pair = geometry.left_eye if side == "Left" else geometry.right_eye
        rest = geometry.rest
        upper, lower = stage.project(rest[self.pair.upper]), stage.project(rest[self.pair.lower])
        ring = np.concatenate([upper, lower])
        self.width = float(np.linalg.norm(upper[-1] - upper[0]))
        margin = int(0.5 * self.width) + 2
        low = np.floor(ring.min(axis=0)).astype(int) - margin
        high = np.ceil(ring.max(axis=0)).astype(int) + margin
        self.left, self.top = (int(max(value, 0)) for value in low)
        right, bottom = (int(min(value, stage.size)) for value in high)
        patch = stage.picture[self.top : bottom, self.left : right].astype(np.float32)
        opening = np.zeros(patch.shape[:2], np.float32)
        cover_opening(opening, upper, lower, self.left, self.top)
        self.centre = np.append(
            rest[self.pair.ring].mean(axis=0)[:2], rest[self.pair.ring, 2].max()
        )
        self.centre = self.centre.astype(np.float32)
        iris = stage.landmarks[IRIS[side]] - np.array([self.left, self.top], np.float32)
        radius = float(np.linalg.norm(iris[1:] - iris[0], axis=1).mean())
        self.still, self.white, self.iris = _split_eye(patch, opening, iris[0], radius)
        self.lid_edge = rest[self.pair.upper]
        self.lid = _lid_colours(stage.picture, upper, lower)
        self.lash = _lash_colour(stage.picture, upper, self.width)

    def draw(self, out: NDArray[np.uint8], face: Floats, motion: Floats, head: HeadMotion) -> None:
        """Lays the eye over `out` where `face` [V, 3] (head turned) opens its lids."""
        upper = self.stage.project(face[self.pair.upper])
        lower = self.stage.project(face[self.pair.lower])
        ring = np.concatenate([upper, lower])
        low = np.maximum(np.floor(ring.min(axis=0)).astype(int) - 3 - int(0.5 * self.width), 0)
        high = np.minimum(np.ceil(ring.max(axis=0)).astype(int) + 4, self.stage.size)
        if (high <= low).any():
            return
        shape = (int(high[0] - low[0]), int(high[1] - low[1]))
        cover = np.zeros(shape[::-1], np.float32)
        cover_opening(cover, upper, lower, int(low[0]), int(low[1]))
        region = out[low[1] : high[1], low[0] : high[0]]
        closing = min(max(float(motion[INDEX[f"eyeBlink{self.side}"]]), 0.0), 1.0)
        mixed = region.astype(np.float32)
        if closing > 0:
            self._paint_lid(mixed, upper, head, low)
        if float(cover.max()) > 0.01:
            inside = self._eyeball(motion, head, low, shape)
            if closing > 0:
                inside *= (1.0 - closing * (1.0 - self._lid_shade(cover)))[..., None]
            mixed += cover[..., None] * (inside - mixed)
        if closing > 0:
            line = self._lash_line(upper - low, shape) * closing
            mixed += line[..., None] * (self.lash - mixed)
        region[:] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)

    def _paint_lid(
        self, image: Floats, upper: Floats, head: HeadMotion, low: NDArray[np.int64]
    ) -> None:
        """Evens out the lid that came down, with its own roundness in the light."""
        edge = self.stage.project(head.apply(self.lid_edge))
        cover = np.zeros(image.shape[:2], np.float32)
        cover_opening(cover, edge, upper, int(low[0]), int(low[1]))
        if float(cover.sum()) < 1.0:
            return
        soft = max(3, int(0.08 * self.width) | 1)
        share = LID_EVENNESS * np.asarray(cv2.GaussianBlur(cover, (soft, soft), 0), np.float32)
        columns = np.arange(image.shape[1], dtype=np.float32) + low[0]
        rows = np.arange(image.shape[0], dtype=np.float32)[:, None] + low[1]
        top = np.interp(columns, edge[:, 0], edge[:, 1])
        bottom = np.interp(columns, upper[:, 0], upper[:, 1])
        down = np.clip((rows - top) / np.maximum(bottom - top, 1.0), 0, 1)
        across = np.linspace(0, 1, len(self.lid), dtype=np.float32)
        place = (columns - edge[0, 0]) / max(float(edge[-1, 0] - edge[0, 0]), 1.0)
        colour = np.stack([np.interp(place, across, self.lid[:, c]) for c in range(3)], axis=1)
        roundness = 0.90 + 0.14 * np.sin(np.pi * np.clip(0.15 + 0.75 * down, 0, 1))
        painted = colour[None] * roundness[..., None]
        image += share[..., None] * (painted - image)

    def _eyeball(
        self, motion: Floats, head: HeadMotion, low: NDArray[np.int64], shape: tuple[int, int]
    ) -> Floats:
        corners = self.centre + np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
        corner = np.array([self.left, self.top], np.float32)
        to_now = cv2.getAffineTransform(
            self.stage.project(corners) - corner,
            self.stage.project(head.apply(corners)) - low.astype(np.float32),
        )
        shift = self._gaze(motion) @ np.array([[1, 0], [0, -1]], np.float32) * self.stage.scale
        turned = float(np.linalg.norm(shift))
        flags = cv2.INTER_LINEAR
        border = cv2.BORDER_REPLICATE
        still = cv2.warpAffine(self.still, to_now, shape, flags=flags, borderMode=border)
        if turned < 1e-3:
            return np.asarray(still, np.float32)
        moved = to_now.copy()
        moved[:, 2] += to_now[:, :2] @ shift
        white = cv2.warpAffine(self.white, to_now, shape, flags=flags, borderMode=border)
        iris = cv2.warpAffine(self.iris, moved, shape, flags=flags)
        white += iris[..., 3:] * (iris[..., :3] - white)
        share = min(turned / 0.75, 1.0)
        return np.asarray(still + share * (white - still), np.float32)

    def _gaze(self, motion: Floats) -> Floats:
        """Returns the travel of the iris in centimetres, x to the picture's right, y up."""

        def value(name: str) -> float:
            return float(motion[INDEX[f"eyeLook{name}{self.side}"]])

        across = (value("Out") - value("In")) * OUTWARD[self.side]
        travel = np.array([across, value("Up") - value("Down")]) * GAZE_TRAVEL_CM
        return travel.astype(np.float32)

    def _lid_shade(self, cover: Floats) -> Floats:
        reach = max(3, int(0.12 * self.width) | 1)
        near = cv2.blur(cover, (reach, reach), borderType=cv2.BORDER_CONSTANT)
        return np.asarray(0.55 + 0.45 * np.clip(near * 1.4, 0, 1), np.float32)

    def _lash_line(self, upper: Floats, shape: tuple[int, int]) -> Floats:
        mask = np.zeros(shape[::-1], np.uint8)
        thickness = max(1, round(0.045 * self.width))
        points = np.round(upper[2:-2] * 16).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(mask, [points], False, 255, thickness, cv2.LINE_AA, 4)
        strength = 0.75 if 0.045 * self.width >= 1 else 0.75 * 0.045 * self.width
        soft = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0.6)
        return np.asarray(soft * (strength / 255), np.float32)


def _split_eye(
    patch: Floats, opening: Floats, centre: Floats, radius: float
) -> tuple[Floats, Floats, Floats]:
    """Splits an eye's picture into the eye as it is, its white alone, and its iris (RGBA).

    The first two go on under the lids; the iris is completed by point symmetry.
    """
    rows, columns = np.indices(opening.shape, dtype=np.float32)
    distance = np.hypot(columns - centre[0], rows - centre[1])
    seen = cv2.erode((opening > 0.9).astype(np.uint8), np.ones((2, 2), np.uint8))
    still = _fill(patch, seen.astype(np.float32), max(radius * 0.3, 1.0))
    still = np.where(opening[..., None] > 0.02, patch, still).astype(np.float32)
    known = (seen > 0) & (distance > 1.22 * radius)
    if known.sum() < 8:
        known = (seen > 0) & (distance > 0.9 * radius)
    if known.sum() < 8:  # a closed or tiny eye: nothing to move
        return still, still, np.zeros((*opening.shape, 4), np.float32)
    white = _fill(patch, known.astype(np.float32), max(radius * 0.5, 1.0))
    mirrored_x, mirrored_y = 2 * centre[0] - columns, 2 * centre[1] - rows
    mirrored = cv2.remap(patch, mirrored_x, mirrored_y, cv2.INTER_LINEAR)
    mirrored_seen = cv2.remap(seen.astype(np.float32), mirrored_x, mirrored_y, cv2.INTER_LINEAR)
    inner = seen.astype(np.float32)
    weights = np.stack([inner, (1 - inner) * mirrored_seen])
    total = weights.sum(axis=0)
    joined = (weights[0][..., None] * patch + weights[1][..., None] * mirrored) / np.maximum(
        total, 1e-3
    )[..., None]
    iris = _fill(joined, ((total > 0.9) & (distance < 1.3 * radius)).astype(np.float32), radius / 3)
    edge = np.clip((1.22 - distance / radius) / 0.18, 0, 1)
    return still, white, np.ascontiguousarray(np.dstack([iris, edge * edge * (3 - 2 * edge)]))


def _fill(image: Floats, known: Floats, sigma: float) -> Floats:
    """Keeps known pixels and fills the rest with ever wider weighted means of them."""
    filled = np.asarray(image * known[..., None], np.float32)
    reached = known.copy()
    for widening in range(5):
        width = sigma * 2**widening
        share = cv2.GaussianBlur(known, (0, 0), width)
        mean = cv2.GaussianBlur(image * known[..., None], (0, 0), width)
        mean = mean / np.maximum(share, 1e-6)[..., None]
        usable = np.clip(share * 20, 0, 1) * (1 - reached)
        filled += usable[..., None] * mean
        reached += usable
    return np.asarray(filled / np.maximum(reached, 1e-3)[..., None], np.float32)


def _lid_colours(picture: NDArray[np.uint8], upper: Floats, lower: Floats) -> Floats:
    """Returns the skin above the upper lid from corner to corner, [5, 3], lashes left out."""
    size = len(picture)
    height = max(
        float(np.median(np.interp(upper[:, 0], lower[:, 0], lower[:, 1]) - upper[:, 1])), 3
    )
    colours = []
    for share in np.linspace(0.15, 0.85, 5):
        x, y = (
            float(np.interp(share, np.linspace(0, 1, len(upper)), upper[:, axis]))
            for axis in range(2)
        )
        rows = slice(int(max(y - 1.1 * height, 0)), int(max(y - 0.25 * height, 1)) + 1)
        columns = slice(int(max(x - 0.5 * height, 0)), int(min(x + 0.5 * height, size - 1)) + 1)
        skin = picture[rows, columns].reshape(-1, 3).astype(np.float32)
        bright = skin @ LUMA
        colours.append(skin[bright >= np.percentile(bright, 45)].mean(axis=0))
    return np.asarray(colours, np.float32)


def _lash_colour(picture: NDArray[np.uint8], upper: Floats, width: float) -> Floats:
    """Returns the dark of the portrait's own lash line, [3]."""
    reach = max(1, round(0.05 * width))
    samples = []
    for x, y in np.round(upper[2:-2]).astype(int):
        column = picture[max(y - reach, 0) : y + reach + 1, min(max(x, 0), len(picture) - 1)]
        samples.append(column[(column.astype(np.float32) @ LUMA).argmin()])
    dark = np.array(samples, np.float32)
    order = (dark @ LUMA).argsort()
    mean: Floats = dark[order[: max(2, len(order) // 2)]].mean(axis=0)
    return mean
