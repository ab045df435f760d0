"""The rig's head as one glTF 2.0 binary, with the 52 ARKit shapes as morph targets.

For whoever draws the motion with something else: Three.js, Blender, Unity. Nodes `head` (turns
about the neck), `face`, `mouth`, `skull`, `eyeLeft` and `eyeRight`; the meshes of face and mouth
have targets named as ARKit names them. Metres, y up, z to the viewer (glTF's own frame). Eyes
turn by their nodes, for a morph target is straight.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion_space import ARKIT_NAMES
from streaming_model.rig import BAG, LOWER_TEETH, TONGUE, UPPER_TEETH, Rig

Floats = NDArray[np.float32]

MEDIA_TYPE: Final = "model/gltf-binary"
_METRES: Final = 0.01
_NECK: Final = np.array([0.0, -6.0, -2.0], np.float32)  # cm; what the head turns about
_SKIN: Final = (0.80, 0.60, 0.50)
_PINK: Final = (0.55, 0.22, 0.22)
_DARK: Final = (0.10, 0.03, 0.03)
_TEETH: Final = (0.85, 0.82, 0.75)
_LIPS: Final = (0.60, 0.24, 0.22)
_BROWS: Final = (0.30, 0.20, 0.15)
_LIP_WIDTH, _BROW_WIDTH = 0.6, 0.55  # cm from the lips' edge and from the brows' middle
# The brows' lower and upper edges as MediaPipe numbers them, from the nose outwards.
_BROW_LANDMARKS: Final = (
    ((55, 65, 52, 53, 46), (107, 66, 105, 63, 70)),
    ((285, 295, 282, 283, 276), (336, 296, 334, 293, 300)),
)
_BROW_POINTS: Final = 30
# Pupil, iris and white, each up to so many degrees from the middle.
_EYE: Final = ((8.0, (0.02, 0.02, 0.02)), (23.0, (0.15, 0.20, 0.22)), (181.0, (0.8, 0.77, 0.74)))
_RINGS, _SPOKES = 36, 32  # of an eyeball
_COVERED: Final = 1.6  # cm; so near to the face, the skull makes room for it
_LEFT_OUT: Final = 2.0  # cm from the face's border; under its middle there is no skull
_ROOM: Final = 0.3  # cm
_NARROWED: Final = 0.9  # of the mouth's width, or its bag would show beside the corners
_FLOAT, _SHORT = 5126, 5123
_VERTICES, _INDICES = 34962, 34963
_GLB, _JSON, _BIN = 0x46546C67, 0x4E4F534A, 0x004E4942


def head_glb(rig: Rig) -> bytes:
    """Returns the file's content."""
    file = _File()
    targets = [np.asarray(each, np.float32) for each in rig.expressions]
    mouth = rig.interior_neutral * np.array([_NARROWED, 1, 1], np.float32)
    homogeneous = np.c_[rig.interior_neutral, np.ones(len(mouth))]
    follow = (homogeneous * rig.interior_jaw_share[:, None]).astype(np.float32)
    inner = [np.asarray(follow @ jaw, np.float32) for jaw in rig.interior_jaw]
    skull, uncovered = _skull(rig)
    children = [
        file.add("face", rig.neutral - _NECK, rig.triangles, _painted(rig), targets),
        file.add("mouth", mouth - _NECK, rig.interior_triangles, _inside(rig), inner),
        file.add("skull", skull - _NECK, uncovered, _SKIN),
    ]
    for index, side in enumerate(("Left", "Right")):
        points, triangles, colours = _eyeball(float(rig.eye_radii[index]))
        # ARKit's left is the subject's, whose left eye is at the picture's right.
        centre = rig.eye_centres[index] - _NECK
        children.append(file.add(f"eye{side}", points, triangles, colours, at=centre))
    return file.content(children)


class _File:
    """Collects meshes and their numbers."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._views: list[dict[str, Any]] = []
        self._accessors: list[dict[str, Any]] = []
        self._meshes: list[dict[str, Any]] = []
        self._nodes: list[dict[str, Any]] = []

    def add(
        self,
        name: str,
        points: Floats,
        triangles: NDArray[np.integer[Any]],
        colour: tuple[float, float, float] | Floats,
        targets: list[Floats] | None = None,
        *,
        at: Floats | None = None,
    ) -> int:
        """Adds a node with a mesh; returns its index."""
        colours = np.broadcast_to(np.asarray(colour, np.float32), points.shape)
        primitive: dict[str, Any] = {
            "attributes": {
                "POSITION": self._vectors(points * _METRES, is_place=True),
                "NORMAL": self._vectors(_normals(points, triangles)),
                "COLOR_0": self._vectors(colours),
            },
            "indices": self._numbers(triangles),
            "material": 0,
        }
        mesh: dict[str, Any] = {"name": name, "primitives": [primitive]}
        if targets:
            primitive["targets"] = [
                {"POSITION": self._vectors(each * _METRES, is_place=True)} for each in targets
            ]
            mesh["weights"] = [0.0] * len(targets)
            mesh["extras"] = {"targetNames": list(ARKIT_NAMES)}
        self._meshes.append(mesh)
        place = np.zeros(3) if at is None else at * _METRES
        node = {"name": name, "mesh": len(self._meshes) - 1}
        self._nodes.append({**node, "translation": [float(each) for each in place]})
        return len(self._nodes) - 1

    def content(self, children: list[int]) -> bytes:
        """Returns the file, with these nodes under one that is the head."""
        neck = [float(each) for each in _NECK * _METRES]
        head = {"name": "head", "children": children, "translation": neck}
        material = {
            "name": "surface",
            "doubleSided": True,
            "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.65},
        }
        described = {
            "asset": {"version": "2.0", "generator": "vivant"},
            "scene": 0,
            "scenes": [{"nodes": [len(self._nodes)]}],
            "nodes": [*self._nodes, head],
            "meshes": self._meshes,
            "materials": [material],
            "accessors": self._accessors,
            "bufferViews": self._views,
            "buffers": [{"byteLength": len(self._bytes)}],
        }
        text = json.dumps(described, separators=(",", ":")).encode()
        chunks = _chunk(_JSON, text, b" ") + _chunk(_BIN, bytes(self._bytes), b"\0")
        return struct.pack("<III", _GLB, 2, 12 + len(chunks)) + chunks

    def _vectors(self, values: Floats, *, is_place: bool = False) -> int:
        described = {"componentType": _FLOAT, "count": len(values), "type": "VEC3"}
        if is_place:  # glTF wants the bounds of positions, and of nothing else
            described |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        if is_place and not values.any():
            self._accessors.append(described)  # zeros need no bytes
            return len(self._accessors) - 1
        return self._accessor(described, values.astype("<f4").tobytes(), _VERTICES)

    def _numbers(self, triangles: NDArray[np.integer[Any]]) -> int:
        described = {"componentType": _SHORT, "count": triangles.size, "type": "SCALAR"}
        return self._accessor(described, triangles.astype("<u2").tobytes(), _INDICES)

    def _accessor(self, described: dict[str, Any], data: bytes, target: int) -> int:
        view = {"buffer": 0, "byteOffset": len(self._bytes), "byteLength": len(data)}
        self._bytes += data + b"\0" * (-len(data) % 4)
        self._views.append({**view, "target": target})
        self._accessors.append({"bufferView": len(self._views) - 1, **described})
        return len(self._accessors) - 1


def _chunk(kind: int, data: bytes, padding: bytes) -> bytes:
    padded = data + padding * (-len(data) % 4)
    return struct.pack("<II", len(padded), kind) + padded


def _normals(points: Floats, triangles: NDArray[np.integer[Any]]) -> Floats:
    """Returns [V, 3] the unit normals of vertices, weighted by their triangles' areas."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    normals = np.zeros(points.shape, np.float64)
    for corner in range(3):
        np.add.at(normals, triangles[:, corner], across)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    outward = np.where(length > 0, normals / np.maximum(length, 1e-12), (0.0, 0.0, 1.0))
    return outward.astype(np.float32)


def _inside(rig: Rig) -> Floats:
    """Returns [I, 3] the colours of teeth, gums, tongue and bag, darker where less light gets."""
    colours = np.tile(np.asarray(_PINK, np.float32), (len(rig.interior_neutral), 1))
    colours[np.isin(rig.interior_part, (UPPER_TEETH, LOWER_TEETH))] = _TEETH
    colours[rig.interior_part == TONGUE] = _PINK
    colours[rig.interior_part == BAG] = _DARK
    return np.asarray(colours * (0.3 + 0.7 * rig.interior_light[:, None]), np.float32)


def _painted(rig: Rig) -> Floats:
    """Returns [V, 3] the face's colours: skin, lips and brows."""
    lips = _distance(rig.neutral, rig.neutral[rig.mouth.ring])
    brows = [_line(rig.neutral[rig.landmarks[list(side)]].mean(axis=0)) for side in _BROW_LANDMARKS]
    colours = np.tile(np.asarray(_SKIN, np.float32), (len(rig.neutral), 1))
    for distance, width, colour in (
        (lips, _LIP_WIDTH, _LIPS),
        (_distance(rig.neutral, np.concatenate(brows)), _BROW_WIDTH, _BROWS),
    ):
        share = np.clip(2 * (1 - distance / width), 0, 1)[:, None]
        colours += share * (np.asarray(colour, np.float32) - colours)
    return np.asarray(colours, np.float32)


def _line(points: Floats) -> Floats:
    """Returns points along a line from the first to the last of a few."""
    steps = np.linspace(0, len(points) - 1, _BROW_POINTS)
    axes = [np.interp(steps, np.arange(len(points)), axis) for axis in points.T]
    return np.stack(axes, axis=1).astype(np.float32)


def _skull(rig: Rig) -> tuple[Floats, NDArray[np.int64]]:
    """Returns the skull's points, drawn in under the face, and its triangles around the face."""
    difference = np.linalg.norm(rig.skull_points[:, None] - rig.neutral[None], axis=2)
    nearest = difference.argmin(axis=1)
    is_near = difference.min(axis=1) < _COVERED
    is_under = is_near & (rig.edge_distance[nearest] > _LEFT_OUT)
    inward = _ROOM * is_near[:, None] * _normals(rig.skull_points, rig.skull_triangles)
    triangles = rig.skull_triangles[~is_under[rig.skull_triangles].any(axis=1)]
    return np.asarray(rig.skull_points - inward, np.float32), np.asarray(triangles)


def _distance(points: Floats, places: Floats) -> Floats:
    """Returns [n] how far each of [n, 3] points is from the nearest of [m, 3] places."""
    differences = np.linalg.norm(points[:, None] - places[None], axis=2)
    return np.asarray(differences.min(axis=1), np.float32)


def _eyeball(radius: float) -> tuple[Floats, NDArray[np.int64], Floats]:
    """Returns points, triangles and colours of a ball that looks at the viewer."""
    polar, around = np.meshgrid(
        np.linspace(0, np.pi, _RINGS + 1), np.arange(_SPOKES) * 2 * np.pi / _SPOKES, indexing="ij"
    )
    axes = (np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar))
    points = np.stack(axes, axis=-1).reshape(-1, 3).astype(np.float32) * radius
    ring, spoke = np.meshgrid(np.arange(_RINGS), np.arange(_SPOKES), indexing="ij")
    here, there = ring * _SPOKES + spoke, ring * _SPOKES + (spoke + 1) % _SPOKES
    first = np.stack([here, here + _SPOKES, there], axis=-1)
    second = np.stack([there, here + _SPOKES, there + _SPOKES], axis=-1)
    degrees = np.degrees(polar).reshape(-1)
    limits = [limit for limit, _ in _EYE]
    colours = np.asarray([colour for _, colour in _EYE], np.float32)
    chosen = colours[np.searchsorted(limits, degrees, side="right")]
    triangles = np.concatenate([first.reshape(-1, 3), second.reshape(-1, 3)])
    return points, triangles, chosen
