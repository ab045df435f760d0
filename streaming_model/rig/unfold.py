"""Keeps a surface from folding over itself in the picture, by smoothing what moves it.

Works on displacements: where a triangle is about to turn over, those of its corners are drawn
towards their neighbours', the more the nearer it is to that. So the result is continuous.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

DAMPING: Final = 0.3  # of what still folds after a round: where there is no room, less moves
FACING: Final = 0.2  # cosine to the viewer of a triangle that is watched


class Unfolder:
    """Smooths displacements of one surface at rest where they would fold it.

    Args:
        rest: [V, 3] the unfolded surface; only x and y matter.
        triangles: [T, 3] of the whole surface.
        watched: [T] which triangles must not turn over; they must not be turned at rest.
        held: vertices that are not smoothed.
    """

    def __init__(
        self, rest: Floats, triangles: Indices, *, watched: NDArray[np.bool_], held: Indices
    ) -> None:
        self._rest = np.ascontiguousarray(rest, np.float32)
        self._watched = np.ascontiguousarray(triangles[watched], np.int32)
        edges = np.concatenate([triangles[:, [a, b]] for a in range(3) for b in range(3) if a != b])
        edges = np.unique(edges, axis=0)
        self._starts = np.searchsorted(edges[:, 0], np.arange(len(rest) + 1)).astype(np.int32)
        self._neighbours = edges[:, 1].astype(np.int32)
        self._free = np.ones(len(rest), np.bool_)
        self._free[held] = False

    def smooth(self, points: Floats, *, rounds: int, least: float) -> None:
        """Draws `points` [V, 3] back, in place, where a triangle has less than a share of its area.

        Args:
            points: the moved surface.
            rounds: most rounds of smoothing.
            least: share of a triangle's area at rest, in the picture.
        """
        _smooth(
            points,
            self._rest,
            self._watched,
            self._starts,
            self._neighbours,
            self._free,
            rounds,
            np.float32(least),
        )


def facing(points: Floats, triangles: Indices) -> Floats:
    """Returns the cosine [T] between each triangle's normal and the direction to the viewer."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=1)
    return np.asarray(normals[:, 2] / np.maximum(lengths, 1e-9), np.float32)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _smooth(
    points: NDArray[np.float32],
    rest: NDArray[np.float32],
    triangles: NDArray[np.int32],
    starts: NDArray[np.int32],
    neighbours: NDArray[np.int32],
    free: NDArray[np.bool_],
    rounds: int,
    least: np.float32,
) -> None:
    lack = np.empty(len(points), np.float32)
    moved = np.empty_like(points)
    for _ in range(rounds):
        if not _find_lack(points, rest, triangles, free, least, lack):
            return
        for v in range(len(points)):
            if lack[v] > 0.0:
                count = starts[v + 1] - starts[v]
                for axis in range(3):
                    own = points[v, axis] - rest[v, axis]
                    total = 0.0
                    for place in range(starts[v], starts[v + 1]):
                        total += points[neighbours[place], axis] - rest[neighbours[place], axis]
                    change = total / count - (1.0 + DAMPING) * own
                    moved[v, axis] = points[v, axis] + lack[v] * change
        for v in range(len(points)):
            if lack[v] > 0.0:
                for axis in range(3):
                    points[v, axis] = moved[v, axis]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _find_lack(
    points: NDArray[np.float32],
    rest: NDArray[np.float32],
    triangles: NDArray[np.int32],
    free: NDArray[np.bool_],
    least: np.float32,
    lack: NDArray[np.float32],
) -> bool:
    """Sets how much area is lacking around each vertex, 0..1; returns whether any is."""
    lack[:] = 0.0
    is_folded = False
    for t in range(len(triangles)):
        i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        share = _area(points, i, j, k) / _area(rest, i, j, k)
        if share < least:
            is_folded = True
            most = min(1.0 - share / float(least), 1.0)
            for v in (i, j, k):
                if free[v]:
                    lack[v] = max(lack[v], most)
    return is_folded


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy", inline="always")
def _area(points: NDArray[np.float32], i: int, j: int, k: int) -> float:
    first_x, first_y = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1]
    second_x, second_y = points[k, 0] - points[i, 0], points[k, 1] - points[i, 1]
    return float(first_x * second_y - first_y * second_x)
