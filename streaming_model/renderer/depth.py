"""How near to the viewer each node of the head layer is: the face, the skull, and hair around.

The depth decides what a turn of the head does. The face's own depth goes over into that of a
coarse skull fitted with it, and where there is only hair or cloth it falls off no faster than
the warp can follow without folding.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streaming_model.portrait.fit import Fit
from streaming_model.rig import Rig

Floats = NDArray[np.float32]

STEEPEST: Final = 1.5  # centimetres of depth per centimetre of picture
FACE_REACH_CM: Final = 3.5  # over which the face's depth goes over into the skull's


def head_depth(
    rig: Rig, fit: Fit, *, nodes: Floats, known: NDArray[np.bool_], face: Floats, floor: float
) -> Floats:
    """Returns the depth [n, n] at the nodes of a square grid.

    Args:
        rig: for its skull.
        fit: the rig fitted to the picture.
        nodes: [n, n, 2] camera x and y, centimetres, row by row.
        known: [n, n] where the face's depth is known.
        face: [n, n] that depth.
        floor: depth of what is neither face nor skull.
    """
    spacing = float(nodes[0, 1, 0] - nodes[0, 0, 0])
    depth = np.full(known.shape, floor, np.float32)
    points = fitted_skull(rig, fit)
    _draw_depth(depth, points, rig.skull_triangles, nodes[0, 0, 0], nodes[0, 0, 1], spacing)
    difference = np.where(known, face - depth, 0).astype(np.float32)
    continue_beyond_known(
        difference.reshape(-1, 1), known.ravel(), len(known), (spacing / FACE_REACH_CM) ** 2, 400
    )
    depth += difference
    _soften(depth, STEEPEST * spacing)
    return depth


def fitted_skull(rig: Rig, fit: Fit) -> Floats:
    """Returns the skull [n, 3] in camera space, stretched as the fitted face is."""
    face = fit.posed @ fit.rotation
    stretched = np.empty_like(rig.skull_points)
    for axis in range(3):
        stretch, shift = np.polyfit(rig.neutral[:, axis], face[:, axis], 1)
        stretched[:, axis] = stretch * rig.skull_points[:, axis] + shift
    return np.asarray(stretched @ fit.rotation.T, np.float32)


@njit(nogil=True, cache=True)
def _draw_depth(
    depth: NDArray[np.float32],
    points: NDArray[np.float32],
    triangles: NDArray[np.int64],
    left: float,
    top: float,
    spacing: float,
) -> None:
    """Raises `depth` [n, n] to the nearest triangle at each node."""
    rows, columns = depth.shape
    for t in range(len(triangles)):
        a, b, c = points[triangles[t, 0]], points[triangles[t, 1]], points[triangles[t, 2]]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if abs(area) < 1e-9:
            continue
        first = int(np.ceil((min(a[0], b[0], c[0]) - left) / spacing))
        last = int(np.floor((max(a[0], b[0], c[0]) - left) / spacing))
        upper = int(np.ceil((top - max(a[1], b[1], c[1])) / spacing))
        lower = int(np.floor((top - min(a[1], b[1], c[1])) / spacing))
        for row in range(max(upper, 0), min(lower, rows - 1) + 1):
            for column in range(max(first, 0), min(last, columns - 1) + 1):
                x, y = left + column * spacing - a[0], top - row * spacing - a[1]
                second = (x * (c[1] - a[1]) - (c[0] - a[0]) * y) / area
                third = ((b[0] - a[0]) * y - x * (b[1] - a[1])) / area
                if second >= 0 and third >= 0 and second + third <= 1:
                    z = a[2] + second * (b[2] - a[2]) + third * (c[2] - a[2])
                    depth[row, column] = max(depth[row, column], z)


@njit(nogil=True, cache=True)
def _soften(depth: NDArray[np.float32], most: float) -> None:
    """Raises `depth` [n, n] until neighbouring nodes differ by at most `most`."""
    rows, columns = depth.shape
    changed = True
    while changed:
        changed = False
        for row in range(rows):
            for column in range(columns):
                here = depth[row, column]
                for j in range(max(row - 1, 0), min(row + 2, rows)):
                    for i in range(max(column - 1, 0), min(column + 2, columns)):
                        far = most * np.sqrt(float((j - row) ** 2 + (i - column) ** 2))
                        if depth[j, i] - far > here + 1e-4:
                            here = depth[j, i] - far
                            changed = True
                depth[row, column] = here


@njit(nogil=True, cache=True)
def continue_beyond_known(
    values: NDArray[np.float32],
    known: NDArray[np.bool_],
    nodes: int,
    decay: float,
    rounds: int,
) -> None:
    """Continues `values` [nodes * nodes, c] smoothly from known nodes, decaying to zero."""
    channels = values.shape[1]
    for _ in range(rounds):
        for row in range(nodes):
            for column in range(nodes):
                node = row * nodes + column
                if known[node]:
                    continue
                up, down = max(row - 1, 0), min(row + 1, nodes - 1)
                left, right = max(column - 1, 0), min(column + 1, nodes - 1)
                for channel in range(channels):
                    total = (
                        values[up * nodes + column, channel]
                        + values[down * nodes + column, channel]
                        + values[row * nodes + left, channel]
                        + values[row * nodes + right, channel]
                    )
                    values[node, channel] = total / (4.0 + decay)
