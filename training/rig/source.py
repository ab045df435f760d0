"""Reads what the rig is made from: ICT-FaceKit and MediaPipe's canonical face.

Knows the files and their numbering; knows nothing of the mesh that is made of them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

# Vertex ranges of ICT-FaceKit (first, one past the last).
NARROW_FACE: Final = slice(0, 6706)
FACE_POLYGONS: Final = 9230  # the first polygons are skin; later ones have charts of their own
GUMS_AND_TONGUE: Final = slice(14062, 17039)
EYEBALLS: Final = (slice(21451, 23021), slice(23021, 24591))  # the subject's left, right
UPPER_TEETH: Final = (17607, 18679)  # canines, incisors and two premolars of each side
LOWER_TEETH: Final = (19814, 20884)

# 68 Multi-PIE points: ICT vertex and the MediaPipe landmark at the same place.
# fmt: off
ICT_POINTS: Final = (
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088,
    3443, 268, 493, 1914, 2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140,
    2075, 1147, 4269, 3360, 1507, 1542, 1537, 1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732,
    5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841, 5702, 5711, 5533, 6216,
    6207, 6470, 5517, 5966,
)
MEDIAPIPE_POINTS: Final = (
    127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356, 70, 63, 105,
    66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 98, 97, 2, 326, 327, 33, 160, 158, 133, 153,
    144, 362, 385, 387, 263, 373, 380, 61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82,
    13, 312, 308, 317, 14, 87,
)
# fmt: on


@dataclass(frozen=True)
class Source:
    """ICT-FaceKit's arrays: centimetres, x to the picture's right, y up, z to the front.

    Attributes:
        neutral: [26719, 3].
        uv: [26719, 2] texture coordinates of the face's skin, zero elsewhere.
        triangles: [n, 3] vertex indices of the whole head.
        expressions: name to [26719, 3] deltas.
        identities: [100, 26719, 3] deltas of unit variance, strongest first.
    """

    neutral: NDArray[np.float64]
    uv: NDArray[np.float64]
    triangles: NDArray[np.int64]
    expressions: dict[str, NDArray[np.float64]]
    identities: NDArray[np.float64]


def load_source(folder: Path) -> Source:
    """Reads `ict_facekit.npz` from `folder`."""
    with np.load(folder / "ict_facekit.npz") as data:
        faces = data["faces"].astype(np.int64)
        skin, skin_uv = faces[:FACE_POLYGONS], data["uv_faces"][:FACE_POLYGONS]
        uv = np.zeros((len(data["neutral"]), 2))
        uv[skin[skin >= 0]] = data["uv"][skin_uv[skin >= 0]]
        quads = faces[faces[:, 3] >= 0]
        triangles = np.concatenate([faces[:, :3], quads[:, [0, 2, 3]]])
        names = [str(name) for name in data["expression_names"]]
        return Source(
            neutral=data["neutral"].astype(np.float64),
            uv=uv,
            triangles=triangles,
            expressions=dict(zip(names, data["expressions"].astype(np.float64), strict=True)),
            identities=data["identities"].astype(np.float64),
        )


def load_canonical_face(task_file: Path) -> NDArray[np.float64]:
    """Reads the 468 canonical landmark positions [468, 3] from a face landmarker bundle."""
    with zipfile.ZipFile(task_file) as bundle:
        metadata = bundle.read("geometry_pipeline_metadata_landmarks.binarypb")
    mesh = next(value for field, value in _fields(metadata) if field == 1)
    buffer = b"".join(value for field, value in _fields(mesh) if field == 3)
    return np.frombuffer(buffer, "<f4").reshape(468, 5)[:, :3].astype(np.float64)


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields (field number, payload) of a protobuf message; varints have an empty payload."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        wire = key & 7
        if wire == 0:
            _, position = _varint(message, position)
            yield key >> 3, b""
            continue
        length = 4
        if wire == 2:
            length, position = _varint(message, position)
        yield key >> 3, message[position : position + length]
        position += length


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position
