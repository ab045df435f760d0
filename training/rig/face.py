"""The face surface of our rig: which points it has, how they join, and what they are called.

Chooses a graded subset of surface points (dense at lips and lids, sparse on cheeks), joins
them by Delaunay triangulation in texture space, and finds MediaPipe's landmarks on it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.spatial import Delaunay, cKDTree

from training.rig.source import ICT_POINTS, MEDIAPIPE_POINTS, NARROW_FACE, Source

FINE_SPACING_CM: Final = 0.10
COARSE_SPACING_CM: Final = 0.48
GRADING: Final = 0.22  # spacing gained per centimetre from the nearest lip or lid
INNER_LIP_RINGS: Final = 7  # rows of vertices between the mouth's border and where lips meet
INNER_LID_RINGS: Final = (2, 2)  # the same between the eye's border and the lid's front edge
NOSTRIL_NORMAL_Z: Final = -0.05  # surface turned away from the viewer inside the nostrils


@dataclass(frozen=True)
class Loop:
    """A closed boundary, split at its corners; indices into the face's vertices.

    Attributes:
        upper: from the picture's left corner to the right one, both included.
        lower: the same corners along the lower side.
    """

    upper: NDArray[np.int64]
    lower: NDArray[np.int64]


@dataclass(frozen=True)
class Face:
    """The rig's face surface.

    Attributes:
        source_index: [V] the ICT vertex each vertex stands on.
        triangles: [T, 3].
        landmarks: [468] the vertex nearest to each MediaPipe landmark.
        mouth, left_eye, right_eye: the openings (left is the subject's).
        edge_distance: [V] distance to the outer border in centimetres.
    """

    source_index: NDArray[np.int64]
    triangles: NDArray[np.int64]
    landmarks: NDArray[np.int64]
    mouth: Loop
    left_eye: Loop
    right_eye: Loop
    edge_distance: NDArray[np.float64]


def build_face(source: Source, canonical: NDArray[np.float64]) -> Face:
    """Builds the face surface from ICT-FaceKit and MediaPipe's canonical face [468, 3]."""
    skin = _visible_skin(source)
    border, mouth, *eyes = sorted(_boundary_loops(skin), key=len, reverse=True)
    left_eye, right_eye = sorted(eyes, key=lambda loop: -source.neutral[loop, 0].mean())
    normals = _vertex_normals(source.neutral[NARROW_FACE], skin)
    landmark_source = _landmarks_on_surface(source, canonical, normals)
    chosen = _choose(
        source,
        normals,
        loops=np.concatenate([mouth, left_eye, right_eye]),
        border=border,
        landmarks=landmark_source,
    )
    position = {int(vertex): index for index, vertex in enumerate(chosen)}

    def own(vertices: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.array([position[int(vertex)] for vertex in vertices])

    uv = source.uv[chosen]
    holes = [own(mouth), own(left_eye), own(right_eye)]
    points = source.neutral[chosen]
    return Face(
        source_index=chosen,
        triangles=_triangulate(uv, holes),
        landmarks=own(landmark_source),
        mouth=_split(holes[0], points, uv),
        left_eye=_split(holes[1], points, uv),
        right_eye=_split(holes[2], points, uv),
        edge_distance=_distances(source.neutral[border], points),
    )


def _visible_skin(source: Source) -> NDArray[np.int64]:
    """Returns the face's triangles up to where the lips meet and the lids' front edge.

    The source goes on inside the mouth and under the lids; a viewer sees none of that.
    """
    triangles = source.triangles[(source.triangles < NARROW_FACE.stop).all(axis=1)]
    _, *openings = sorted(_boundary_loops(triangles), key=len, reverse=True)
    for opening, rings in zip(openings, (INNER_LIP_RINGS, *INNER_LID_RINGS), strict=True):
        hidden = opening
        for _ in range(rings):
            touching = np.isin(triangles, hidden).any(axis=1)
            hidden = np.setdiff1d(triangles[touching], hidden)
            triangles = triangles[~touching]
    return triangles


def _boundary_loops(triangles: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    edges = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1
    )
    unique, count = np.unique(edges, axis=0, return_counts=True)
    neighbours: defaultdict[int, list[int]] = defaultdict(list)
    for first, second in unique[count == 1].tolist():
        neighbours[first].append(second)
        neighbours[second].append(first)
    loops = []
    seen: set[int] = set()
    for start in neighbours:
        if start in seen:
            continue
        loop = [start]
        while following := [v for v in neighbours[loop[-1]] if v not in loop[-2:] + loop[:1]]:
            loop.append(following[0])
        seen.update(loop)
        loops.append(np.array(loop))
    return loops


def _vertex_normals(
    points: NDArray[np.float64], triangles: NDArray[np.int64]
) -> NDArray[np.float64]:
    corners = points[triangles]
    faces = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], faces)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(normals / np.maximum(lengths, 1e-12))


def _landmarks_on_surface(
    source: Source, canonical: NDArray[np.float64], normals: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Carries the canonical landmarks over by the 68 known pairs; one distinct vertex each."""
    warp = RBFInterpolator(
        canonical[list(MEDIAPIPE_POINTS)],
        source.neutral[list(ICT_POINTS)],
        kernel="linear",
        smoothing=0.01,
    )
    target = warp(canonical)
    target[list(MEDIAPIPE_POINTS)] = source.neutral[list(ICT_POINTS)]
    front = np.flatnonzero(normals[:, 2] > 0.0)
    tree = cKDTree(source.neutral[front])
    chosen = np.full(len(canonical), -1)
    chosen[list(MEDIAPIPE_POINTS)] = ICT_POINTS
    taken = set(ICT_POINTS)
    for landmark in np.flatnonzero(chosen < 0):
        near = np.atleast_1d(tree.query(target[landmark], k=12)[1])
        free = [int(front[index]) for index in near if int(front[index]) not in taken]
        chosen[landmark] = free[0]
        taken.add(free[0])
    return chosen


def _choose(
    source: Source,
    normals: NDArray[np.float64],
    *,
    loops: NDArray[np.int64],
    border: NDArray[np.int64],
    landmarks: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Picks vertices greedily so that no two are nearer than the wanted spacing."""
    points = source.neutral[NARROW_FACE]
    to_loop = _distances(points[loops], points)
    spacing = np.clip(FINE_SPACING_CM + GRADING * to_loop, FINE_SPACING_CM, COARSE_SPACING_CM)
    in_nostril = (
        (np.abs(points[:, 0]) < 1.9)
        & (np.abs(points[:, 1] + 0.6) < 1.2)
        & (normals[:, 2] < NOSTRIL_NORMAL_Z)
    )
    chosen = list(dict.fromkeys([*loops.tolist(), *landmarks.tolist(), *border[::2].tolist()]))
    free = np.ones(len(points), bool)
    free[in_nostril] = False
    free[np.linalg.norm(normals, axis=1) < 0.5] = False  # cut away
    free[border] = False
    for vertex in chosen:
        free &= np.linalg.norm(points - points[vertex], axis=1) >= spacing * 0.75
    order = np.random.default_rng(0).permutation(len(points))
    for vertex in order[np.argsort(spacing[order], kind="stable")]:
        if free[vertex]:
            chosen.append(int(vertex))
            free &= np.linalg.norm(points - points[vertex], axis=1) >= spacing
    return np.array(chosen)


def _distances(to: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(cKDTree(to).query(points)[0])


def _triangulate(uv: NDArray[np.float64], holes: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Delaunay in texture space without the triangles that span an opening."""
    triangles = Delaunay(uv).simplices.astype(np.int64)
    centres = uv[triangles].mean(axis=1)
    keep = np.ones(len(triangles), bool)
    for hole in holes:
        polygon = uv[hole].astype(np.float32).reshape(-1, 1, 2)
        on_hole = np.isin(triangles, hole).all(axis=1)
        for index in np.flatnonzero(on_hole):
            keep[index] &= cv2.pointPolygonTest(polygon, centres[index].tolist(), False) < 0
    triangles = triangles[keep]
    a, b, c = (uv[triangles[:, corner]] for corner in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    triangles[area < 0] = triangles[area < 0][:, ::-1]
    return triangles[np.abs(area) > 1e-10]


def _split(loop: NDArray[np.int64], points: NDArray[np.float64], uv: NDArray[np.float64]) -> Loop:
    """Splits a boundary at its outermost corners into upper and lower, left to right."""
    start = int(points[loop, 0].argmin())
    loop = np.roll(loop, -start)
    end = int(points[loop, 0].argmax())
    sides = [loop[: end + 1], np.concatenate([loop[end:], loop[:1]])[::-1]]
    sides.sort(key=lambda side: -uv[side, 1].mean())
    return Loop(upper=sides[0], lower=sides[1])
