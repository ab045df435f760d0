"""The head layer: a grid over the picture that carries hair, ears, neck and the face's edge.

Each node has a depth, a share of the head's motion (1 on the head, fading over neck and
shoulders) and a smooth continuation of the face's expressions. The warp is inverted, so that
every pixel of the output looks up its own place in the picture. Built once per portrait.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streaming_model.portrait.fit import Fit
from streaming_model.renderer.depth import continue_beyond_known, head_depth
from streaming_model.renderer.geometry import NEAREST_CM, FaceGeometry, HeadMotion
from streaming_model.renderer.surface import displaced
from streaming_model.rig import Rig

Floats = NDArray[np.float32]

NODES: Final = 41
CELLS: Final = 32  # of the output, each way, in which the warp is bilinear
ROUNDS: Final = 4  # in which the warp is inverted
LEAST_AREA: Final = np.float32(0.2)  # of what the warp makes of an area, for the inverse to be sane
SHOULDERS_RISE: Final = 0.45  # share of the head's shift that the shoulders take
MARGIN: Final = 0.12  # of the side: the grid goes on beyond the border, so none turns black
NECK_TOP_CM: Final = -8.5  # rig height where the head's motion begins to fade
NECK_BOTTOM_CM: Final = -14.5  # and where nothing moves any more
SHOULDER_CM: Final = 5.8  # farther from the middle, the lower the sooner, the fade comes earlier
EXPRESSION_REACH_CM: Final = 2.2  # how far a face's motion goes on into hair and neck
BEHIND_FACE_CM: Final = 1.0  # depth of the silhouette, in front of the neck's axis


class HeadLayer:
    """The grid and its response to motion.

    Attributes:
        rest: [n, 3] nodes in camera space.
        depth_at_face, deltas_at_face: [V], [52, V, 3] what the grid says at the face's vertices.
        weight: [n, 1] share of the head's turn.
        carried: [n, 1] share of the head's shift: shoulders rise with a breath.
        cell: side of the output's cells in pixels; `CELLS` of them cover it.
    """

    def __init__(
        self,
        geometry: FaceGeometry,
        fit: Fit,
        rig: Rig,
        *,
        usable: NDArray[np.bool_],
        size: int,
        scale: float,
        origin: Floats,
    ) -> None:
        self._first = -MARGIN * size
        self._step = (size - 1 - 2 * self._first) / (NODES - 1)
        self._scale = scale
        steps = (self._first + self._step * np.arange(NODES)).astype(np.float32)
        columns, rows = np.meshgrid(steps, steps)
        pixels = np.stack([columns.ravel(), rows.ravel()], axis=1)
        flat = (pixels - origin) / scale * np.array([1, -1], np.float32)
        known, values = _values_inside(
            geometry, flat, rig.triangles[usable[rig.triangles].all(axis=1)]
        )
        spacing = self._step / scale
        depth = head_depth(
            rig,
            fit,
            nodes=flat.reshape(NODES, NODES, 2),
            known=known.reshape(NODES, NODES),
            face=values[:, 0].reshape(NODES, NODES),
            floor=float(geometry.pivot[2]) + BEHIND_FACE_CM,
        )
        motion = np.ascontiguousarray(values[:, 1:])
        continue_beyond_known(motion, known, NODES, (spacing / EXPRESSION_REACH_CM) ** 2, 250)
        self.rest = np.concatenate([flat, depth.reshape(-1, 1)], axis=1).astype(np.float32)
        own = origin + scale * geometry.rest[:, :2] * np.array([1, -1], np.float32)
        at_vertices = _between_nodes(
            np.c_[self.rest[:, 2:], motion], ((own - self._first) / self._step).astype(np.float32)
        )
        self.depth_at_face = at_vertices[:, 0]
        self.deltas_at_face = at_vertices[:, 1:].reshape(len(own), -1, 3).transpose(1, 0, 2)
        upright = self.rest @ fit.rotation
        self.weight, self.carried = _shares_of_motion(upright)
        motion *= np.clip(4 * self.weight, 0, 1)
        self._deltas = np.ascontiguousarray(
            motion.reshape(len(flat), -1, 3).transpose(1, 0, 2), np.float32
        )
        self.cell = -(-size // CELLS)

    def sources(self, coefficients: Floats, head: HeadMotion) -> Floats:
        """Returns what pixels of the picture the cells' corners show, [CELLS + 1, CELLS + 1, 2]."""
        return _inverse(
            displaced(self.rest, self._deltas, coefficients),
            self.rest,
            self.weight,
            self.carried,
            head.rotation,
            head.pivot,
            head.shift,
            head.distance,
            self._scale,
            self._first,
            self._step,
            self.cell,
        )


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _inverse(
    points: NDArray[np.float32],
    rest: NDArray[np.float32],
    weight: NDArray[np.float32],
    carried: NDArray[np.float32],
    turn: NDArray[np.float32],
    pivot: NDArray[np.float32],
    shift: NDArray[np.float32],
    distance: float,
    scale: float,
    first: float,
    step: float,
    cell: int,
) -> NDArray[np.float32]:
    """Turns and shifts the nodes `points` [n, 3], and inverts the warp: see `HeadLayer.sources`.

    Solves q + moved(q) = place by Newton's method, which converges where the warp does not fold.
    """
    moved = np.empty((NODES, NODES, 2), np.float32)
    for node in range(len(points)):
        row, column = node // NODES, node % NODES
        x, y, z = points[node, 0] - pivot[0], points[node, 1] - pivot[1], points[node, 2] - pivot[2]
        share, lift = weight[node, 0], carried[node, 0]
        nearer = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z - z + shift[2]
        grown = np.float32(distance / max(distance - nearer, NEAREST_CM))
        for axis in range(2):
            place = turn[axis, 0] * x + turn[axis, 1] * y + turn[axis, 2] * z
            place = place * grown + pivot[axis]
            here = points[node, axis]
            here += share * (place - here) + lift * shift[axis] - rest[node, axis]
            moved[row, column, axis] = scale * here if axis == 0 else -scale * here
    count = CELLS + 1
    found = np.empty((count, count, 2), np.float32)
    most = np.float32(NODES - 1.001)
    one, origin, inverse = np.float32(1), np.float32(first), np.float32(1 / step)
    # Round by round along a row: nodes do not wait for each other, rounds of one node would.
    for row in range(count):
        for column in range(count):
            found[row, column, 0], found[row, column, 1] = column * cell, row * cell
        for _ in range(ROUNDS):
            for column in range(count):
                x, y = np.float32(column * cell), np.float32(row * cell)
                qx, qy = found[row, column, 0], found[row, column, 1]
                u = min(max((qx - origin) * inverse, np.float32(0)), most)
                v = min(max((qy - origin) * inverse, np.float32(0)), most)
                i, j = np.uint64(u), np.uint64(v)
                fu, fv = u - np.float32(np.int32(i)), v - np.float32(np.int32(j))
                gu, gv = one - fu, one - fv
                right, below = i + np.uint64(1), j + np.uint64(1)
                ax, bx = moved[j, i, 0], moved[j, right, 0]
                cx, dx = moved[below, i, 0], moved[below, right, 0]
                ay, by = moved[j, i, 1], moved[j, right, 1]
                cy, dy = moved[below, i, 1], moved[below, right, 1]
                off_x = x - qx - gv * (gu * ax + fu * bx) - fv * (gu * cx + fu * dx)
                off_y = y - qy - gv * (gu * ay + fu * by) - fv * (gu * cy + fu * dy)
                xx = one + (gv * (bx - ax) + fv * (dx - cx)) * inverse
                xy = (gu * (cx - ax) + fu * (dx - bx)) * inverse
                yx = (gv * (by - ay) + fv * (dy - cy)) * inverse
                yy = one + (gu * (cy - ay) + fu * (dy - by)) * inverse
                share = one / max(xx * yy - xy * yx, LEAST_AREA)
                found[row, column, 0] = qx + (yy * off_x - xy * off_y) * share
                found[row, column, 1] = qy + (xx * off_y - yx * off_x) * share
    return found


def _shares_of_motion(upright: Floats) -> tuple[Floats, Floats]:
    """Returns how much of the head's turn and of its shift each point [n, 3] takes, [n, 1]."""
    beside = np.clip(np.abs(upright[:, 0]) - SHOULDER_CM, 0.0, None)
    below = np.clip(-upright[:, 1] / 10.0, 0.0, 1.0)
    height = upright[:, 1] - 0.5 * beside * below
    share = np.clip((height - NECK_BOTTOM_CM) / (NECK_TOP_CM - NECK_BOTTOM_CM), 0.0, 1.0)
    turn = share * share * (3 - 2 * share)
    carried = SHOULDERS_RISE + (1.0 - SHOULDERS_RISE) * turn
    return turn.astype(np.float32)[:, None], carried.astype(np.float32)[:, None]


def _between_nodes(values: Floats, places: Floats) -> Floats:
    """Interpolates `values` [NODES * NODES, c] at `places` [V, 2] in grid steps."""
    places = np.clip(places, 0, NODES - 1.001)
    column, row = places.astype(int).T
    x, y = (places - np.floor(places)).T[..., None]
    node = row * NODES + column
    above = values[node] * (1 - x) + values[node + 1] * x
    below = values[node + NODES] * (1 - x) + values[node + NODES + 1] * x
    return np.asarray(above * (1 - y) + below * y, np.float32)


def _values_inside(
    geometry: FaceGeometry, nodes: Floats, triangles: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], Floats]:
    """Samples depth and expression deltas of the face at the nodes that lie on it."""
    per_vertex = np.concatenate(
        [geometry.rest[:, 2:3], geometry.deltas.transpose(1, 0, 2).reshape(len(geometry.rest), -1)],
        axis=1,
    )
    values = np.zeros((len(nodes), per_vertex.shape[1]), np.float32)
    nearest = np.full(len(nodes), -np.inf)
    known = np.zeros(len(nodes), bool)
    x, y = np.ascontiguousarray(nodes.T)
    for corners in triangles:
        a, b, c = geometry.rest[corners, :2]
        low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
        beside = (x < low[0]) | (x > high[0]) | (y < low[1]) | (y > high[1])
        inside = np.flatnonzero(~beside)
        if not len(inside):
            continue
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if abs(area) < 1e-9:
            continue
        offset = nodes[inside] - a
        second = (offset[:, 0] * (c[1] - a[1]) - (c[0] - a[0]) * offset[:, 1]) / area
        third = ((b[0] - a[0]) * offset[:, 1] - offset[:, 0] * (b[1] - a[1])) / area
        weights = np.stack([1 - second - third, second, third], axis=1)
        depth = weights @ geometry.rest[corners, 2]
        hit = (weights >= -1e-6).all(axis=1) & (depth > nearest[inside])
        nearest[inside[hit]] = depth[hit]
        known[inside[hit]] = True
        values[inside[hit]] = weights[hit] @ per_vertex[corners]
    return known, values
