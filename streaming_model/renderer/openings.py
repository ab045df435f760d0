"""Mouth and eyes as openings of the face's surface: two sides that meet and never cross."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streaming_model.rig import Opening

Floats = NDArray[np.float32]


class _Stencil(NamedTuple):
    """Points between neighbouring vertices: where, and how far from the first to the second."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    share: Floats

    @classmethod
    def at(cls, places: Floats, shares: Floats, vertices: NDArray[np.int64]) -> Self:
        """Returns the stencil of `places` on a chain of `vertices` that lie at `shares`."""
        index = np.clip(np.searchsorted(shares, places, side="right") - 1, 0, len(shares) - 2)
        width = np.maximum(shares[index + 1] - shares[index], 1e-9)
        share = np.clip((places - shares[index]) / width, 0.0, 1.0)
        return cls(vertices[index], vertices[index + 1], share.astype(np.float32)[:, None])

    def of(self, points: Floats) -> Floats:
        """Returns the points [n, 3] between those of `points` [V, 3]."""
        first = points[self.first]
        return np.asarray(first + self.share * (points[self.second] - first), np.float32)


class Pair:
    """The two sides of an opening: which points face each other, and how skin follows them."""

    def __init__(self, opening: Opening, rest: Floats) -> None:
        self.opening = opening
        self.upper, self.lower, self.ring = opening.upper, opening.lower, opening.ring
        self.upper_share = shares(rest[self.upper, :2])
        self.lower_share = shares(rest[self.lower, :2])
        self._below = _Stencil.at(self.upper_share, self.lower_share, self.lower)
        self._above = _Stencil.at(self.lower_share, self.upper_share, self.upper)
        self.active = np.flatnonzero(np.abs(opening.spread).max(axis=1) > 1e-4)
        self.spread = np.ascontiguousarray(opening.spread[self.active])
        reach = np.abs(opening.spread)
        from_upper = reach[:, : len(self.upper)].sum(axis=1)
        from_lower = reach[:, len(self.upper) :].sum(axis=1)
        skin = (from_upper + from_lower > 0.1) & ~np.isin(np.arange(len(rest)), self.ring)
        self.above = np.flatnonzero(skin & (from_upper > from_lower))
        self.below = np.flatnonzero(skin & (from_upper <= from_lower))

    def facing(self, points: Floats) -> tuple[Floats, Floats]:
        """Returns the point of the other side opposite each upper and each lower vertex."""
        return self._below.of(points), self._above.of(points)

    def across(self) -> NDArray[np.int64]:
        """Returns triangles [T, 3] of the ring's vertices that fill the opening."""
        triangles = []
        i = j = 0
        while i < len(self.upper) - 1 or j < len(self.lower) - 1:
            at_upper = self.upper_share[i + 1] if i < len(self.upper) - 1 else np.inf
            at_lower = self.lower_share[j + 1] if j < len(self.lower) - 1 else np.inf
            corner = self.upper[i], self.lower[j]
            if at_upper <= at_lower:
                i += 1
                triangles.append((*corner, self.upper[i]))
            else:
                j += 1
                triangles.append((*corner, self.lower[j]))
        return np.array([each for each in triangles if len(set(each)) == 3], np.int64)

    def opposite(self) -> NDArray[np.float64]:
        """Returns for each upper and then each lower vertex what it faces, [n, 4].

        The vertex, the two on the other side that it lies between, and how far towards the second.
        """
        rows = [
            np.column_stack([side, facing.first, facing.second, facing.share[:, 0]])
            for side, facing in ((self.upper, self._below), (self.lower, self._above))
        ]
        return np.concatenate(rows).astype(np.float64)

    def ring_deltas(self, upper: Floats, lower: Floats) -> Floats:
        """Joins displacements of the two sides to displacements of the ring."""
        return np.concatenate([upper, lower[1:-1]])

    def spread_over(self, ring_deltas: Floats) -> Floats:
        """Returns what displacements of the ring [n, 3] do to the face [V, 3]."""
        moved: Floats = self.opening.spread @ ring_deltas.astype(np.float32)
        return moved

    def keep_apart(self, points: Floats, seal: float = 0.0) -> None:
        """Stops the lower side from passing above the upper one: they meet half way.

        By the share `seal` of what parts them they meet, too.
        """
        _keep_apart(
            points,
            np.float32(seal),
            self.upper,
            self.lower,
            self._below,
            self._above,
            self.active,
            self.spread,
            self.above,
            self.below,
        )


@njit(nogil=True, cache=True, error_model="numpy")
def with_hems(
    pixels: NDArray[np.float32], across: NDArray[np.float64], width: float
) -> NDArray[np.float32]:
    """Appends to `pixels` [V, 2] a place `width` inside the opening for each row of `across`.

    In double precision and in one order, so that every device comes to the same places. `across`
    is that of `Pair.opposite`; where the opening is narrow the hem ends half way.
    """
    count = len(pixels)
    out = np.empty((count + len(across), 2), np.float32)
    for row in range(count):
        out[row, 0], out[row, 1] = pixels[row]
    for row in range(len(across)):
        edge = pixels[int(across[row, 0])]
        first, second = pixels[int(across[row, 1])], pixels[int(across[row, 2])]
        share = across[row, 3]
        x = first[0] + share * (second[0] - first[0]) - edge[0]
        y = first[1] + share * (second[1] - first[1]) - edge[1]
        step = min(width / max(np.sqrt(x * x + y * y), 1e-3), 0.5)
        out[count + row, 0] = edge[0] + step * x
        out[count + row, 1] = edge[1] + step * y
    return out


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _keep_apart(
    points: NDArray[np.float32],
    seal: np.float32,
    upper: NDArray[np.int64],
    lower: NDArray[np.int64],
    facing_upper: _Stencil,
    facing_lower: _Stencil,
    active: NDArray[np.int64],
    spread: NDArray[np.float32],
    above: NDArray[np.int64],
    below: NDArray[np.int64],
) -> None:
    """Lets the sides `upper` and `lower` of an opening meet, and the skin beside them follow."""
    over_upper = np.empty(len(upper), np.float32)
    over_lower = np.empty(len(lower), np.float32)
    _overlap(points, upper, facing_upper, 1, seal, over_upper)
    _overlap(points, lower, facing_lower, -1, seal, over_lower)
    if max(np.abs(over_upper).max(), np.abs(over_lower).max()) > 1e-4:
        count = len(upper)
        for k in range(len(active)):
            lift = np.float32(0)
            for edge in range(count):
                lift -= spread[k, edge] * over_upper[edge]
            for edge in range(1, len(lower) - 1):
                lift += spread[k, count + edge - 1] * over_lower[edge]
            points[active[k], 1] += lift / 2
        # The spread acts on neighbours too: settle the ring itself exactly.
        _overlap(points, upper, facing_upper, 1, seal, over_upper)
        for edge in range(count):
            points[upper[edge], 1] -= over_upper[edge] / 2
        _overlap(points, lower, facing_lower, -1, seal, over_lower)
        for edge in range(len(lower)):
            points[lower[edge], 1] += over_lower[edge]
    # Skin next to an edge that rolls in does not hang over it.
    _clear_edge(points, above, upper, 1)
    _clear_edge(points, below, lower, -1)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _overlap(
    points: NDArray[np.float32],
    edge: NDArray[np.int64],
    facing: _Stencil,
    sign: int,
    seal: np.float32,
    over: NDArray[np.float32],
) -> None:
    """Writes to `over` [n] how far an edge is to go back: below 0 if it is beyond what it faces.

    Above 0 it is the share `seal` of the gap between them.
    """
    for k in range(len(edge)):
        first, second = points[facing.first[k], 1], points[facing.second[k], 1]
        there = first + facing.share[k, 0] * (second - first)
        apart = sign * (points[edge[k], 1] - there)
        over[k] = apart if apart < 0 else seal * apart


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _clear_edge(
    points: NDArray[np.float32], skin: NDArray[np.int64], edge: NDArray[np.int64], sign: int
) -> None:
    """Moves vertices of `skin` that hang over an edge on to it; `sign` is 1 for the upper one."""
    count = len(edge)
    for vertex in skin:
        x = points[vertex, 0]
        if x < points[edge[0], 0] or x > points[edge[count - 1], 0]:
            continue
        for k in range(count - 1):
            x0, x1 = points[edge[k], 0], points[edge[k + 1], 0]
            if x0 <= x <= x1:
                y0, y1 = points[edge[k], 1], points[edge[k + 1], 1]
                line = y0 + (y1 - y0) * (x - x0) / max(x1 - x0, np.float32(1e-9))
                over = max(sign * (line - points[vertex, 1]), np.float32(0))
                points[vertex, 1] += sign * over
                break


def shares(chain: Floats) -> Floats:
    """Returns the share of its length at which each point of a chain [n, d] lies, 0..1."""
    steps = np.linalg.norm(np.diff(chain, axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(length / max(float(length[-1]), 1e-6), np.float32)
