"""The person's edge on a magenta plate: holes, fringes and dark lines.

The same motion is drawn on magenta and on nothing. Where the person covers a pixel by the share
a with the colour F, the plate must show a F + (1 - a) magenta; F must look like the person a few
pixels farther in, not like the background of the picture and not darker than both.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.renderer.commands import Motion, extremes
from streaming_model.backdrop import Backdrop
from streaming_model.motion_space import MOTION_SIZE
from streaming_model.portrait import Portrait
from streaming_model.renderer import Renderer

Floats = NDArray[np.float64]

MAGENTA: Final = np.array([255.0, 0.0, 255.0])
WATCHED: Final = ("head", "jawOpen", "ah")  # names of extremes begin so
SOLID: Final = 250  # alpha that is surely the person
EDGE: Final = (40, 245)  # alpha of the pixels at the edge
OPEN: Final = 200  # alpha below this inside the person is a hole
DEEP: Final = 0.05  # of the side: nearer to the outside it is the ragged edge of hair
TRAVEL: Final = 0.2  # of the side: how far a head carries its own holes
INWARD: Final = (2, 4, 6, 8)  # pixels: how far in a colour may come from
DARKER: Final = 30.0  # levels of brightness below all colours around
UNLIKE: Final = 45.0  # distance in RGB from all colours around
LUMA: Final = np.array([0.299, 0.587, 0.114])


def plate_figures(renderer: Renderer, portrait: Portrait, *, size: int) -> dict[str, float]:
    """Returns the worst of the watched motions.

    `plate mix` is the largest difference in levels between the plate and the expected mixture;
    `plate holes` counts pixels; `plate fringe` and `plate dark` are shares of the edge in percent.
    """
    magenta = renderer.with_backdrop(Backdrop.parse("#ff00ff"))
    cut_out = renderer.with_backdrop(Backdrop.parse("transparent"))
    behind = cv2.resize(portrait.background, (size, size), interpolation=cv2.INTER_AREA)
    rest = cut_out.render(np.zeros(MOTION_SIZE, np.float32))
    rows = []
    for motion in watched().values():
        seen = magenta.render(motion).astype(np.float64)
        rgba = cut_out.render(motion)
        faults = edge_faults(rgba, behind.astype(np.float64))
        rows.append((mix_error(seen, rgba), *faults, new_holes(rgba, rest)))
    mix, fringe, dark, hole = np.max(rows, axis=0)
    return {
        "plate mix": float(mix),
        "plate holes": float(hole),
        "plate fringe %": float(fringe),
        "plate dark %": float(dark),
    }


def watched() -> dict[str, Motion]:
    """Returns the motions in which the person's edge moves."""
    return {name: m for name, m in extremes().items() if name.startswith(WATCHED)}


def mix_error(seen: Floats, rgba: NDArray[np.uint8]) -> float:
    """Returns the largest difference in levels between `seen` and `rgba` laid on magenta."""
    share = rgba[..., 3:] / 255.0
    return float(np.abs(seen - (share * rgba[..., :3] + (1 - share) * MAGENTA)).max())


def holes(rgba: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Returns [h, w]: pixels well inside the person that are not covered."""
    free = (rgba[..., 3] < OPEN).astype(np.uint8)
    count, labels = cv2.connectedComponents(free, connectivity=4)
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    enclosed = np.isin(labels, np.setdiff1d(np.arange(1, count), border))
    outside = (free > 0) & ~enclosed
    depth = cv2.distanceTransform((~outside).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(enclosed & (depth > DEEP * len(rgba)))


def new_holes(rgba: NDArray[np.uint8], rest: NDArray[np.uint8]) -> float:
    """Counts pixels of holes that are not those of the cut-out at rest, as under an arm."""
    reach = round(TRAVEL * len(rgba))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    own = cv2.dilate(holes(rest).astype(np.uint8), kernel) > 0
    return float((holes(rgba) & ~own).sum())


def edge_faults(rgba: NDArray[np.uint8], behind: Floats) -> tuple[float, float]:
    """Returns the shares in percent of edge pixels that are fringe and dark."""
    alpha = rgba[..., 3]
    rows, columns = np.nonzero((alpha >= EDGE[0]) & (alpha <= EDGE[1]))
    if not len(rows):
        return 0.0, 0.0
    colour = rgba[rows, columns, :3].astype(np.float64)
    nearest = np.full(len(rows), np.inf)
    darkest = np.full(len(rows), np.inf)
    for down, right in offsets():
        y = np.clip(rows + down, 0, len(rgba) - 1)
        x = np.clip(columns + right, 0, len(rgba) - 1)
        solid = alpha[y, x] >= SOLID
        there = rgba[y, x, :3].astype(np.float64)
        apart = np.where(solid, np.linalg.norm(there - colour, axis=1), np.inf)
        nearest = np.minimum(nearest, apart)
        darkest = np.minimum(darkest, np.where(solid, there @ LUMA, np.inf))
    known = np.isfinite(nearest)
    old = np.linalg.norm(behind[rows, columns] - colour, axis=1)
    fringe = known & (nearest > UNLIKE) & (old < 0.5 * nearest)
    around = np.minimum(darkest, behind[rows, columns] @ LUMA)
    dark = known & (colour @ LUMA < around - DARKER)
    return 100 * float(fringe.mean()), 100 * float(dark.mean())


def offsets() -> list[tuple[int, int]]:
    """Returns where around an edge pixel colours of the person are looked for."""
    angles = np.arange(0, 2 * np.pi, np.pi / 6)
    return [
        (round(reach * np.sin(angle)), round(reach * np.cos(angle)))
        for reach in INWARD
        for angle in angles
    ]
