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

LEAST_AREA: Final = 0.3  # of a triangle's area at rest, below which its corners are smoothed
DAMPING: Final = 0.15  # of what still folds after a round: where there is no room, less moves
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

    def smooth(self, points: Floats, *, rounds: int) -> None:
        """Draws `points` [V, 3] back, in place, where triangles shrink too much or turn over."""
        _smooth(
            points,
            self._rest,
            self._watched,
            self._starts,
            self._neighbours,
            self._free,
            rounds,
        )


def facing(points: Floats, triangles: Indices) -> Floats:
    """Returns the cosine [T] between each triangle's normal and the direction to the viewer."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=1)
    return np.asarray(normals[:, 2] / np.maximum(lengths, 1e-9), np.float32)


def signed_areas(points: Floats, triangles: Indices) -> Floats:
    """Returns twice the area [T] of each triangle in the picture, negative if turned away."""
    a, b, c = (points[triangles[:, corner], :2] for corner in range(3))
    first, second = b - a, c - a
    return np.asarray(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0], np.float32)


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _smooth(
    points: NDArray[np.float32],
    rest: NDArray[np.float32],
    triangles: NDArray[np.int32],
    starts: NDArray[np.int32],
    neighbours: NDArray[np.int32],
    free: NDArray[np.bool_],
    rounds: int,
) -> None:
    weight = np.empty(len(points), np.float32)
    moved = np.empty_like(points)
    for _ in range(rounds):
        weight[:] = 0.0
        is_folded = False
        for t in range(len(triangles)):
            i, j, k = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            area = (points[j, 0] - points[i, 0]) * (points[k, 1] - points[i, 1]) - (
                points[k, 0] - points[i, 0]
            ) * (points[j, 1] - points[i, 1])
            still = (rest[j, 0] - rest[i, 0]) * (rest[k, 1] - rest[i, 1]) - (
                rest[k, 0] - rest[i, 0]
            ) * (rest[j, 1] - rest[i, 1])
            lack = min((LEAST_AREA - area / still) / LEAST_AREA, 1.0)
            if lack > 0.0:
                is_folded = True
                weight[i] = max(weight[i], lack)
                weight[j] = max(weight[j], lack)
                weight[k] = max(weight[k], lack)
        if not is_folded:
            return
        for v in range(len(points)):
            if weight[v] == 0.0 or not free[v]:
                continue
            share = weight[v] / (starts[v + 1] - starts[v])
            for axis in range(3):
                own = points[v, axis] - rest[v, axis]
                total = 0.0
                for place in range(starts[v], starts[v + 1]):
                    near = neighbours[place]
                    total += points[near, axis] - rest[near, axis] - own
                moved[v, axis] = points[v, axis] + share * total - DAMPING * weight[v] * own
        for v in range(len(points)):
            if weight[v] > 0.0 and free[v]:
                for axis in range(3):
                    points[v, axis] = moved[v, axis]
