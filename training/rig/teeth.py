"""Teeth and gums of our own: crowns of average size set on average dental arches.

Sizes are the usual averages of dental anatomy in millimetres. Every crown is a sheet of its
own; the gum is a band whose margin is scalloped around the crowns. Knows nothing of jaws that
move. Centimetres, x to the picture's right, y up, z to the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

UPPER_EDGE_Y: Final = -3.72  # the upper incisors' edges, below the line where lips meet
OVERBITE_CM: Final = 0.20  # how far the upper incisors overlap the lower ones
OVERJET_CM: Final = 0.24  # and how far they stand in front of them
FRONT_Z: Final = 10.50  # of the upper incisors
GUM_STEPS: Final = 4  # columns of gum per tooth
# Rows of gum from behind the crowns to the fold of the lip: beyond the margin, outwards.
GUM_ROWS_CM: Final = (
    (-0.4, -0.36),
    (0.0, 0.02),
    (0.10, 0.06),
    (0.34, 0.07),
    (0.85, 0.0),
    (1.30, -0.12),
)


@dataclass(frozen=True)
class Tooth:
    """A kind of tooth: width and crown height in mm, and its form.

    Attributes:
        lift: how much its edge stays short of the incisors', in mm.
        cusp: height of the pointed edge, in mm.
        depth: from the labial to the lingual side at the edge, in mm.
        taper: width at the gum over the greatest width.
        rounding: how far the labial surface turns back towards the sides, in mm.
    """

    number: int
    width: float
    height: float
    lift: float
    cusp: float
    depth: float
    taper: float
    rounding: float


UPPER: Final = (
    Tooth(1, 8.5, 10.4, 0.0, 0.2, 1.4, 0.78, 0.8),
    Tooth(2, 6.6, 9.2, 0.6, 0.3, 1.4, 0.74, 0.8),
    Tooth(3, 7.6, 10.0, 0.1, 1.5, 2.2, 0.72, 1.5),
    Tooth(4, 7.0, 8.6, 0.7, 1.3, 6.0, 0.74, 1.9),
    Tooth(5, 6.8, 7.8, 1.1, 0.9, 6.0, 0.78, 1.9),
    Tooth(6, 10.2, 7.2, 1.5, 0.8, 8.0, 0.84, 2.2),
)
LOWER: Final = (
    Tooth(1, 5.4, 8.8, 0.0, 0.1, 1.2, 0.70, 0.5),
    Tooth(2, 5.9, 9.2, 0.1, 0.2, 1.2, 0.70, 0.6),
    Tooth(3, 6.9, 10.4, -0.1, 1.3, 2.0, 0.70, 1.3),
    Tooth(4, 7.0, 8.4, 0.4, 1.2, 5.0, 0.74, 1.7),
    Tooth(5, 7.1, 7.8, 0.8, 0.8, 5.5, 0.78, 1.7),
    Tooth(6, 11.0, 7.2, 1.2, 0.7, 8.0, 0.84, 2.0),
)

# Across a crown: place between its sides, distance behind the labial surface there (in units
# of `rounding`, then cm), and how much light gets there.
COLUMNS: Final = np.array([-1, -1, -0.7, 0, 0.7, 1, 1], np.float64)
COLUMN_BACK_CM: Final = np.array([0.32, 0, 0, 0, 0, 0, 0.32])
COLUMN_LIGHT: Final = np.array([0.30, 0.66, 0.97, 1, 0.97, 0.66, 0.30])
# Down a crown: place from the edge (0) to the gum (1), and whether on the lingual side.
ROWS: Final = np.array([1.04, 0.76, 0.40, 0.10, 0.0, 0.0, 1.0], np.float64)
ROW_LINGUAL: Final = np.array([0, 0, 0, 0, 0.10, 0.88, 1], np.float64)
ROW_LIGHT: Final = np.array([0.74, 0.92, 1, 1, 0.94, 0.78, 0.30])


@dataclass(frozen=True)
class Piece:
    """A sheet of the mouth: points [n, 3], triangles [m, 3], light [n] 0..1, tooth [n]."""

    points: FloatArray
    triangles: NDArray[np.int64]
    light: FloatArray
    tooth: NDArray[np.int64]


class Arch:
    """A dental arch: a superellipse seen from above, walked by arc length from the middle."""

    def __init__(self, half_width: float, length: float, front: float) -> None:
        angle = np.linspace(0, np.pi / 2, 2000)
        x = half_width * np.sin(angle) ** (2 / 2.3)
        z = front - length * (1 - np.cos(angle) ** (2 / 2.3))
        self._x, self._z = x, z
        self._walked = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(z)))])

    def place(self, walked: FloatArray, outward: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Returns x, z at arc lengths (negative to the picture's left), moved outwards."""
        at = np.abs(walked)
        x, z = np.interp(at, self._walked, self._x), np.interp(at, self._walked, self._z)
        ahead = np.interp(at + 0.3, self._walked, self._x) - x
        along = z - np.interp(at + 0.3, self._walked, self._z)
        length = np.hypot(ahead, along)
        normal_x, normal_z = along / length, ahead / length
        return np.sign(walked) * (x + outward * normal_x), z + outward * normal_z


def upper_arch() -> Arch:
    """Returns the arch along the upper teeth's labial side."""
    return Arch(2.75, 4.6, FRONT_Z)


def lower_arch() -> Arch:
    """Returns the arch along the lower teeth's labial side."""
    return Arch(2.50, 4.4, FRONT_Z - OVERJET_CM)


def crowns(kinds: tuple[Tooth, ...], arch: Arch, *, edge_y: float, up: float) -> Piece:
    """Builds a row of teeth; `up` is 1 if crowns rise from their edges (upper jaw), else -1."""
    pieces = []
    for side in (-1.0, 1.0):
        walked = 0.0
        for kind in kinds:
            centre = side * (walked + kind.width / 20)
            pieces.append(_crown(kind, arch, centre=centre, side=side, edge_y=edge_y, up=up))
            walked += kind.width / 10
    return join(pieces)


def _crown(
    kind: Tooth, arch: Arch, *, centre: float, side: float, edge_y: float, up: float
) -> Piece:
    across, down = np.meshgrid(COLUMNS, ROWS)
    lingual = ROW_LINGUAL[:, None] + np.zeros_like(across)
    # Widest a quarter of the way from the edge, where neighbours touch.
    width = np.interp(ROWS, [0, 0.05, 0.25, 1.04], [0.93, 0.97, 1.0, kind.taper])
    half = kind.width / 20 * width[:, None] * (1 - 0.15 * lingual)
    outer = across * side  # 1 at the side away from the middle
    corner = 0.035 * np.abs(across) ** 6 + 0.03 * np.clip(outer, 0, 1) ** 3
    edge = kind.lift / 10 + kind.cusp / 10 * np.abs(across - 0.1 * side) ** 1.4 + corner
    height = edge + down * (kind.height / 10 - edge)
    bulge = 0.07 * np.sin(np.pi * np.clip(0.1 + 0.85 * down, 0, 1)) - 0.05
    back = kind.rounding / 10 * np.abs(across) ** 2.6 + COLUMN_BACK_CM
    behind = back * (1 - lingual) + lingual * (kind.depth / 10 + 0.25 * down)
    x, z = arch.place(centre + across * half, bulge * (1 - lingual) - behind)
    y = edge_y + up * height
    light = COLUMN_LIGHT * ROW_LIGHT[:, None]
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    number = np.full(len(points), kind.number + (10 if side < 0 else 20))
    return Piece(points, grid_triangles(*down.shape, flipped=up < 0), light.ravel(), number)


def gum(kinds: tuple[Tooth, ...], arch: Arch, *, edge_y: float, up: float) -> Piece:
    """Builds the gum of one jaw: scalloped around its crowns, swelling over the roots."""
    across = np.linspace(-1, 1, GUM_STEPS, endpoint=False)
    place, margin, sunk, swell = [], [], [], []
    walked = 0.0
    for kind in kinds:
        height = kind.height / 10
        place.append(walked + (across + 1) * kind.width / 20)
        between = np.abs(across) ** 2.4
        margin.append(height * (0.98 - 0.50 * between))
        sunk.append((kind.rounding / 10 + 0.06) * between)
        swell.append(0.05 * (1 - across**2))
        walked += kind.width / 10
    right = [np.concatenate(values) for values in (place, margin, sunk, swell)]
    place_all, margin_all, sunk_all, swell_all = (
        np.concatenate([sign * values[:0:-1], values])
        for values, sign in zip(right, (-1, 1, 1, 1), strict=True)
    )
    rows = np.array(GUM_ROWS_CM)
    fade = np.array([1.0, 1.0, 0.75, 0.25, 0.0, 0.0])[:, None]
    top = margin_all.max()
    beyond = margin_all * fade + top * (1 - fade) + rows[:, :1]
    outward = rows[:, 1:] - sunk_all * fade + swell_all * np.array([0, 0, 0.7, 1, 0.5, 0])[:, None]
    x, z = arch.place(place_all + np.zeros_like(beyond), outward)
    y = edge_y + up * beyond
    light = np.array([0.45, 0.80, 1.0, 1.0, 0.8, 0.5])[:, None] * (
        1 - 0.45 * sunk_all / sunk_all.max()
    )
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    triangles = grid_triangles(*beyond.shape, flipped=up > 0)
    return Piece(points, triangles, light.ravel(), np.zeros(len(points), np.int64))


def grid_triangles(rows: int, columns: int, *, flipped: bool) -> NDArray[np.int64]:
    """Joins a grid whose columns run to the picture's right and whose rows run down."""
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = (
        part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:])
    )
    triangles = np.concatenate([np.stack([a, c, b], -1), np.stack([b, c, d], -1)])
    return triangles[:, ::-1] if flipped else triangles


def join(pieces: list[Piece]) -> Piece:
    """Joins sheets to one piece."""
    offsets = np.cumsum([0] + [len(piece.points) for piece in pieces[:-1]])
    return Piece(
        np.concatenate([piece.points for piece in pieces]),
        np.concatenate(
            [piece.triangles + offset for piece, offset in zip(pieces, offsets, strict=True)]
        ),
        np.concatenate([piece.light for piece in pieces]),
        np.concatenate([piece.tooth for piece in pieces]),
    )
