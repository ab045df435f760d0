"""The inside of a mouth that the picture itself shows: its teeth, reused while it speaks.

The teeth are cut out of the picture, continued upwards where the lip hides them, and stand
still in the skull. Everything else between the lips (corners, tongue, lower teeth) is kept
only while the lips hardly move.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from streaming_model.renderer.geometry import FaceGeometry
from streaming_model.renderer.palette import LUMA
from streaming_model.renderer.raster_mouth import cover_between
from streaming_model.renderer.stage import Stage

Floats = NDArray[np.float32]

CROWN_CM: Final = 1.1  # what is farther from the lip is no tooth of its row
GAP_CM: Final = 0.22  # dark between teeth that belongs to the row
LIP_SHADOW_CM: Final = 0.16  # from the lip, where its shadow hides the teeth's colour
PAPILLA_CM: Final = 0.35  # how far gum reaches down between teeth
HIDDEN_CM: Final = 0.6  # how far teeth go on behind the lip
END_CM: Final = 0.3  # the part of a row whose edge its end is
CONTRAST: Final = 20.0  # luma between teeth and the rest; less means that no teeth are seen
LEAST_SHARE: Final = 0.12  # of the region in which a row is looked for
LEAST_PIECE: Final = 0.12  # of the largest piece
LEAST_WIDTH: Final = 0.35  # of the opening's width
TWO_ROWS_CM: Final = 0.6  # a gap as wide as this can show both rows
FILLED: Final = 0.62  # of the gap that a single row fills
UPPER_REGION: Final = 0.6  # of such a gap, from above
LOWER_REGION: Final = 0.45  # and from below


@dataclass(frozen=True)
class Row:
    """A row of teeth that the picture shows.

    Attributes:
        layer: [h, w, 4] uint8 RGB and share, continued behind the lip.
        colour: [3] of its teeth in good light.
        edge: [2] output pixel of its edge in the middle.
        ends: [2, 2] output pixels of its edge at its first and its last tooth.
    """

    layer: NDArray[np.uint8]
    colour: Floats
    edge: Floats
    ends: Floats


@dataclass(frozen=True)
class OwnMouth:
    """What the picture shows between its lips.

    Attributes:
        left, top: pixel of the output at the layers' first pixel.
        upper, lower: the rows of teeth that can be seen.
        still: [h, w, 4] uint8 RGB and share of the whole opening with its edge.
        gap: pixels between the lips where they are widest apart.
    """

    left: int
    top: int
    upper: Row | None
    lower: Row | None
    still: NDArray[np.uint8]
    gap: float


def read_own_mouth(stage: Stage, geometry: FaceGeometry) -> OwnMouth:
    """Cuts the open mouth out of the stage's picture."""
    pair, rest = geometry.mouth, geometry.rest
    upper, lower = stage.project(rest[pair.upper]), stage.project(rest[pair.lower])
    margin = int(1.2 * HIDDEN_CM * stage.scale) + 3
    ring = np.concatenate([upper, lower])
    low = np.maximum(np.floor(ring.min(axis=0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(ring.max(axis=0)).astype(int) + margin, stage.size)
    corner = low.astype(np.float32)
    picture = stage.picture[low[1] : high[1], low[0] : high[0]]
    opening = np.zeros(picture.shape[:2], np.float32)
    rows = np.zeros((2, picture.shape[1]), np.float32)
    cover_between(opening, rows, upper, lower, int(low[0]), int(low[1]))
    gap = float((rows[1] - rows[0]).max())
    above = _find_row(picture, opening, rows, stage.scale, 1.0)
    both = gap > TWO_ROWS_CM * stage.scale and not _fills(above, rows)
    if both:
        above = _find_row(picture, opening, rows, stage.scale, UPPER_REGION)
    below = None
    if both:  # the same, upside down
        last = len(picture) - 1
        turned = last - rows[::-1]
        below = _find_row(picture[::-1], opening[::-1], turned, stage.scale, LOWER_REGION)
        if below is not None:
            layer = np.ascontiguousarray(below.layer[::-1])
            below = replace(below, layer=layer, edge=below.edge.copy(), ends=below.ends.copy())
            below.edge[1] = last - below.edge[1]
            below.ends[:, 1] = last - below.ends[:, 1]
    share = np.asarray(cv2.dilate(opening, np.ones((5, 5), np.uint8)), np.float32)
    still = np.dstack([picture, _as_bytes(share)])
    above, below = (_moved(row, corner) for row in (above, below))
    return OwnMouth(int(low[0]), int(low[1]), above, below, still, gap)


def _fills(row: Row | None, rows: Floats) -> bool:
    """Returns whether one row of teeth reaches from lip to lip, so that there is no other."""
    if row is None:
        return False
    x = int(row.edge[0])
    return bool(row.edge[1] - rows[0, x] > FILLED * (rows[1, x] - rows[0, x]))


def _moved(row: Row | None, corner: Floats) -> Row | None:
    return row and replace(row, edge=row.edge + corner, ends=row.ends + corner)


def _find_row(
    picture: NDArray[np.uint8], opening: Floats, rows: Floats, scale: float, region: float
) -> Row | None:
    """Finds the upper teeth in the upper share `region` of the opening."""
    down = np.arange(len(opening), dtype=np.float32)[:, None] - rows[0]
    here = opening * (down <= region * np.maximum(rows[1] - rows[0], 1.0))
    share = _teeth(picture, here, down, scale)
    if float(share.sum()) <= LEAST_SHARE * float(here.sum()):
        return None
    teeth, continued = _continue_up(picture, share, rows, scale)
    bright = teeth[continued > 0.7].astype(np.float32)
    if not len(bright) or share.max() <= 0.5:
        return None
    light = bright @ LUMA
    colour = bright[light >= np.percentile(light, 60)].mean(axis=0)
    layer = np.dstack([teeth, _as_bytes(continued)])
    columns = np.flatnonzero(share.max(axis=0) > 0.5)
    if len(columns) < LEAST_WIDTH * float((rows[1] > rows[0]).sum()):
        return None
    few = max(int(END_CM * scale), 1)
    ends = [
        (x, float(np.mean([np.flatnonzero(share[:, c] > 0.5).max() for c in near])) + 0.5)
        for x, near in ((columns[0], columns[:few]), (columns[-1], columns[-few:]))
    ]
    return Row(
        layer, np.asarray(colour, np.float32), _edge(share, rows), np.array(ends, np.float32)
    )


def _teeth(picture: NDArray[np.uint8], here: Floats, down: Floats, scale: float) -> Floats:
    """Returns how surely each pixel [h, w] is one of the teeth next to the lip above."""
    inner = np.asarray(cv2.erode(here, np.ones((3, 3), np.uint8)), np.float32)
    colours = picture.astype(np.float32)
    red = colours[..., 0] - colours[..., 1:].mean(axis=2)
    inside = inner > 0.6
    if inside.sum() < 12:
        return np.zeros_like(here)
    # Teeth are what is least red of what is bright.
    usual = float(np.percentile(red[inside], 20))
    whiteness = np.clip(colours @ LUMA - 0.9 * np.maximum(red - usual - 8.0, 0), 0, 255)
    values = whiteness[inside].astype(np.uint8).reshape(1, -1)
    threshold, _ = cv2.threshold(values, 0, 255, cv2.THRESH_OTSU)
    bright, dark = values[values > threshold], values[values <= threshold]
    if not len(bright) or not len(dark) or float(bright.mean()) - float(dark.mean()) < CONTRAST:
        return np.zeros_like(here)
    soft = 0.25 * (float(bright.mean()) - float(dark.mean()))
    share = np.clip((whiteness - threshold + soft) / (1.2 * soft), 0, 1) * inner
    reach = max(3, int(GAP_CM * scale) | 1)
    share = cv2.morphologyEx(share, cv2.MORPH_CLOSE, np.ones((1, reach), np.uint8))
    share = _first_run(np.asarray(share * (down < CROWN_CM * scale) * inner, np.float32))
    share *= _large_pieces(share)
    # The filter squared the corners: round them again.
    round_again = cv2.GaussianBlur(share, (0, 0), max(0.05 * scale, 0.5))
    return np.asarray(np.clip(2.0 * round_again - 0.5, 0, 1), np.float32)


def _large_pieces(share: Floats) -> NDArray[np.bool_]:
    """Returns where pieces are large enough to be teeth and no glints."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((share > 0.3).astype(np.uint8))
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    areas[0] = 0
    return np.asarray((areas >= LEAST_PIECE * areas.max())[labels])


def _first_run(share: Floats) -> Floats:
    """Keeps in each column what is joined to its topmost tooth: a lower row is none of it."""
    seen = share > 0.4
    first = seen.argmax(axis=0)
    ended = np.zeros(share.shape[1], np.bool_)
    kept = share.copy()
    for y in range(len(share)):
        ended |= (y > first + 1) & ~seen[y] & seen.any(axis=0)
        kept[y, ended] = np.minimum(kept[y, ended], 0.0)
    return kept


def _continue_up(
    picture: NDArray[np.uint8], row: Floats, rows: Floats, scale: float
) -> tuple[NDArray[np.uint8], Floats]:
    """Repeats the teeth upwards from just below the lip's shadow, fading towards the gum."""
    height, width = row.shape
    gap = np.maximum(rows[1] - rows[0], 0)
    start = np.round(rows[0] + np.minimum(LIP_SHADOW_CM * scale, 0.35 * gap)).astype(int)
    start = np.clip(start, 0, height - 1)
    y = np.arange(height)[:, None]
    # Gum between the teeth is no tooth: there they begin lower.
    deepest = start + np.minimum(PAPILLA_CM * scale, 0.4 * gap)
    tooth = (row > 0.75) & (y >= start) & (y <= deepest)
    start = np.where(tooth.any(axis=0), tooth.argmax(axis=0), start)
    source = np.maximum(y, start)
    columns = np.arange(width)[None].repeat(height, axis=0)
    fade = np.clip(2.2 - 2.2 * (start - y) / (HIDDEN_CM * scale), 0, 1)
    teeth = picture[source, columns].astype(np.float32)
    share = row[source, columns]
    # What is repeated loses the lines between the teeth, which would look like bars.
    width = max(0.25 * scale, 0.5)
    bright = share * ((teeth @ LUMA) / 255) ** 3 + 1e-4
    even = cv2.GaussianBlur(teeth * bright[..., None], (0, 0), width, sigmaY=0.01)
    even /= cv2.GaussianBlur(bright, (0, 0), width, sigmaY=0.01)[..., None]
    reach = max(3, int(GAP_CM * scale) | 1)
    joined = cv2.morphologyEx(share, cv2.MORPH_CLOSE, np.ones((1, reach), np.uint8))
    weight = np.asarray(cv2.GaussianBlur(joined, (0, 0), 0.3 * width, sigmaY=0.01), np.float32)
    # The lines between the teeth go on as soft shades.
    level = np.asarray(teeth @ LUMA, np.float32)
    line = cv2.GaussianBlur(level, (0, 0), 0.2 * width, sigmaY=0.01)
    shade = line / np.maximum(cv2.GaussianBlur(level, (0, 0), width, sigmaY=0.01), 1.0)
    even *= np.clip(shade, 0.84, 1.03)[..., None]
    far = np.clip((start + 1.5 - y) / max(0.08 * scale, 2.0), 0, 1).astype(np.float32)
    teeth += far[..., None] * (even - teeth)
    solid = np.where(y < start, np.minimum(1.2 * np.maximum(weight, joined), 1.0), share)
    share = np.maximum(share, solid) * fade
    return _as_bytes(teeth / 255), np.asarray(share, np.float32)


def _edge(row: Floats, rows: Floats) -> Floats:
    """Returns where the row ends below, in the middle of the mouth, [2] pixels of the layer."""
    seen = np.flatnonzero(rows[1] > rows[0])
    middle = seen[len(seen) // 3 : max(2 * len(seen) // 3, 1)]
    ends = [float(np.flatnonzero(row[:, x] > 0.5).max()) for x in middle if row[:, x].max() > 0.5]
    y = float(np.percentile(ends, 70)) if ends else float(rows[1, middle].mean())
    return np.array([float(middle.mean()), y + 0.5], np.float32)


def _as_bytes(share: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(share * 255 + 0.5, 0, 255), np.uint8)
