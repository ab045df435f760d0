"""The whole head, coarsely: how far hair, ears and neck are behind the face when it turns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.rig.source import Source

CELL_CM = 1.1  # vertices that share a cube of this side become one
LAST_VERTEX = 11_248  # face, head and neck; what is inside them comes after


def build_skull(source: Source) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns points [n, 3] and triangles [m, 3] of face, head and neck in one coarse surface.

    Vertex clustering (Rossignac and Borrel 1993): every occupied cube of `CELL_CM` is one vertex.
    """
    outside = source.triangles[(source.triangles < LAST_VERTEX).all(axis=1)]
    cubes = np.floor(source.neutral[:LAST_VERTEX] / CELL_CM).astype(np.int64)
    _, cluster = np.unique(cubes, axis=0, return_inverse=True)
    cluster = cluster.ravel()
    count = np.bincount(cluster)
    points = np.stack(
        [np.bincount(cluster, source.neutral[:LAST_VERTEX, axis]) / count for axis in range(3)],
        axis=1,
    )
    joined = cluster[outside]
    is_whole = (joined != np.roll(joined, 1, axis=1)).all(axis=1)
    return points, np.unique(joined[is_whole], axis=0)
