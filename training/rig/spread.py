"""Linear maps that spread displacements of a few vertices over the surface around them.

All are solved once, here, on the rig's neutral surface, so that the run time needs only
matrix products. They follow the surface: what moves the upper lip leaves the lower alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

FloatArray = NDArray[np.float64]


def laplacian(points: FloatArray, triangles: NDArray[np.int64]) -> tuple[csr_matrix, FloatArray]:
    """Returns the cotangent stiffness matrix [V, V] (positive) and the vertex areas [V]."""
    count = len(points)
    rows, columns, weights = [], [], []
    areas = np.zeros(count)
    for corner in range(3):
        here, first, second = (triangles[:, (corner + shift) % 3] for shift in range(3))
        a, b = points[first] - points[here], points[second] - points[here]
        double_area = np.linalg.norm(np.cross(a, b), axis=1)
        cotangent = np.clip((a * b).sum(axis=1) / np.maximum(double_area, 1e-9), 0.02, 20.0)
        rows += [first, second]
        columns += [second, first]
        weights += [cotangent / 2, cotangent / 2]
        np.add.at(areas, here, double_area / 6)
    adjacency = coo_matrix(
        (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))),
        shape=(count, count),
    ).tocsr()
    stiffness = diags(np.asarray(adjacency.sum(axis=1)).ravel()) - adjacency
    return csr_matrix(stiffness), np.maximum(areas, 1e-6)


def smooth_fit(
    stiffness: csr_matrix,
    areas: FloatArray,
    *,
    constrained: NDArray[np.int64],
    weights: FloatArray,
    membrane: float,
) -> FloatArray:
    """Returns A [V, n]: the thin-plate surface through soft targets at `constrained`.

    Minimises |Laplacian u|^2 + membrane |gradient u|^2 + sum_i w_i (u_i - r_i)^2, u = A r.
    """
    count = stiffness.shape[0]
    bending = stiffness @ diags(1.0 / areas) @ stiffness
    targets = coo_matrix(
        (weights, (constrained, np.arange(len(constrained)))), shape=(count, len(constrained))
    )
    diagonal = np.zeros(count)
    np.add.at(diagonal, constrained, weights)
    system = bending + membrane * stiffness + diags(diagonal + 1e-4 * areas)
    return np.asarray(splu(system.tocsc()).solve(targets.toarray()))


def local_spread(
    points: FloatArray,
    stiffness: csr_matrix,
    areas: FloatArray,
    *,
    sources: NDArray[np.int64],
    radius: float,
    decay: float,
) -> FloatArray:
    """Returns H [V, n]: 1 at source i itself, decaying over `decay` cm, 0 beyond `radius` cm.

    Screened-harmonic on the surface with the sources held exactly.
    """
    count = len(points)
    distance = cKDTree(points[sources]).query(points)[0]
    inner = np.flatnonzero((distance < radius) & ~np.isin(np.arange(count), sources))
    system = (stiffness + diags(areas / decay**2)).tocsr()
    solve = splu(system[inner][:, inner].tocsc()).solve
    spread = np.zeros((count, len(sources)))
    spread[inner] = solve(-system[inner][:, sources].toarray())
    spread[sources, np.arange(len(sources))] = 1.0
    return spread
