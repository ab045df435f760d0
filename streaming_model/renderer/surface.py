"""Geometry of surfaces and rotations, without any face in it."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def displaced(
    rest: NDArray[np.float32], deltas: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Returns rest + sum_k weights[k] deltas[k], [n, 3]; `deltas` is [>= k, n, 3].

    Most weights of a frame are zero, and their deltas are not even read.
    """
    moved = rest.copy()
    out = moved.reshape(-1)
    for index in range(len(weights)):
        weight = weights[index]
        if weight != 0:
            delta = deltas[index].reshape(-1)
            for k in range(len(out)):
                out[k] += weight * delta[k]
    return moved


def rotation_matrix(pitch: float, yaw: float, roll: float) -> Floats:
    """Returns R_y(yaw) R_x(pitch) R_z(roll) [3, 3]; the signs are those of `motion_space`."""
    cp, sp, cy, sy = math.cos(pitch), math.sin(pitch), math.cos(yaw), math.sin(yaw)
    cr, sr = math.cos(roll), math.sin(roll)
    return np.array(
        [
            [cy * cr + sy * sp * sr, sy * sp * cr - cy * sr, sy * cp],
            [cp * sr, cp * cr, -sp],
            [cy * sp * sr - sy * cr, sy * sr + cy * sp * cr, cy * cp],
        ],
        np.float32,
    )


def vertex_normals(points: Floats, triangles: NDArray[np.int64]) -> Floats:
    """Returns unit normals [V, 3] of a surface."""
    corners = points[triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], faces)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(normals / np.maximum(lengths, 1e-9), np.float32)


def least_facing(points: Floats, triangles: NDArray[np.int64]) -> Floats:
    """Returns how much the surface around each vertex [V] faces the viewer: the least, -1 to 1."""
    corners = points[triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    towards = faces[:, 2] / np.maximum(np.linalg.norm(faces, axis=1), 1e-9)
    least = np.ones(len(points), np.float32)
    np.minimum.at(least, triangles, towards[:, None].astype(np.float32))
    return least


def least_around(values: Floats, triangles: NDArray[np.int64]) -> Floats:
    """Returns the least of the values [V] at each vertex and its neighbours."""
    least = values.copy()
    np.minimum.at(least, triangles, values[triangles].min(axis=1)[:, None])
    return least


def mean_around(values: Floats, triangles: NDArray[np.int64]) -> Floats:
    """Returns the mean of the values [V] of the triangles around each vertex."""
    total, count = np.zeros_like(values), np.zeros_like(values)
    np.add.at(total, triangles, values[triangles].mean(axis=1)[:, None])
    np.add.at(count, triangles, np.float32(1))
    return np.asarray(total / np.maximum(count, 1), np.float32)
