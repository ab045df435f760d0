"""Mouth and eyes as openings of the face's surface: two sides that meet and never cross."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streaming_model.rig import Opening

Floats = NDArray[np.float32]


class Pair:
    """The two sides of an opening: which points face each other, and how skin follows them."""

    def __init__(self, opening: Opening, rest: Floats) -> None:
        self.opening = opening
        self.upper, self.lower, self.ring = opening.upper, opening.lower, opening.ring
        self.upper_share = _shares(rest[self.upper])
        self.lower_share = _shares(rest[self.lower])
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
        upper, lower = points[self.upper], points[self.lower]
        return (
            _interpolate(self.upper_share, self.lower_share, lower),
            _interpolate(self.lower_share, self.upper_share, upper),
        )

    def ring_deltas(self, upper: Floats, lower: Floats) -> Floats:
        """Joins displacements of the two sides to displacements of the ring."""
        return np.concatenate([upper, lower[1:-1]])

    def spread_over(self, ring_deltas: Floats) -> Floats:
        """Returns what displacements of the ring [n, 3] do to the face [V, 3]."""
        moved: Floats = self.opening.spread @ ring_deltas.astype(np.float32)
        return moved

    def keep_apart(self, points: Floats) -> None:
        """Stops the lower side from passing above the upper one: they meet half way."""
        below, above = self.facing(points)
        upper_over = np.minimum(points[self.upper, 1] - below[:, 1], 0.0)
        lower_over = np.minimum(above[:, 1] - points[self.lower, 1], 0.0)
        if min(upper_over.min(), lower_over.min()) < -1e-4:
            self._meet(points, upper_over, lower_over)
        # Skin next to an edge that rolls in does not hang over it.
        for skin, edge, sign in ((self.above, self.upper, 1), (self.below, self.lower, -1)):
            x, y = points[edge, 0], points[edge, 1]
            line = np.interp(points[skin, 0], x, y)
            beside = (points[skin, 0] < x[0]) | (points[skin, 0] > x[-1])
            over = np.maximum(sign * (line - points[skin, 1]), 0.0)
            points[skin, 1] += np.where(beside, 0.0, sign * over).astype(np.float32)

    def _meet(self, points: Floats, upper_over: Floats, lower_over: Floats) -> None:
        correction = np.concatenate([-upper_over / 2, lower_over[1:-1] / 2])
        points[self.active, 1] += self.spread @ correction.astype(np.float32)
        # The spread acts on neighbours too: settle the ring itself exactly.
        middle_upper = np.minimum(points[self.upper, 1] - self.facing(points)[0][:, 1], 0.0) / 2
        points[self.upper, 1] -= middle_upper
        over = np.minimum(self.facing(points)[1][:, 1] - points[self.lower, 1], 0.0)
        points[self.lower, 1] += over


def _shares(chain: Floats) -> Floats:
    steps = np.linalg.norm(np.diff(chain[:, :2], axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(length / max(float(length[-1]), 1e-6), np.float32)


def _interpolate(at: Floats, shares: Floats, values: Floats) -> Floats:
    return np.stack(
        [np.interp(at, shares, values[:, axis]) for axis in range(values.shape[1])], axis=1
    ).astype(np.float32)
