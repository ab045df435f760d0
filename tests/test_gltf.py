"""The head as glTF: what its file says is what the rig is."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streaming_model.motion_space import ARKIT_NAMES
from streaming_model.rig import Rig, load_rig
from streaming_model.rig.gltf import head_glb


class Glb:
    """A reader of what the writer wrote, by the specification's section 4."""

    def __init__(self, data: bytes) -> None:
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        size, kind = struct.unpack_from("<I4s", data, 12)
        assert kind == b"JSON" and size % 4 == 0
        self.told: dict[str, Any] = json.loads(data[20 : 20 + size])
        rest, kind = struct.unpack_from("<I4s", data, 20 + size)
        assert kind == b"BIN\0" and rest % 4 == 0
        self._bytes = data[28 + size : 28 + size + rest]
        assert self.told["buffers"][0]["byteLength"] <= rest

    def mesh(self, name: str) -> dict[str, Any]:
        (found,) = (mesh for mesh in self.told["meshes"] if mesh["name"] == name)
        return dict(found)

    def numbers(self, index: int) -> NDArray[Any]:
        accessor = self.told["accessors"][index]
        kind = {5126: "<f4", 5123: "<u2"}[accessor["componentType"]]
        width = {"VEC3": 3, "SCALAR": 1}[accessor["type"]]
        if "bufferView" not in accessor:
            return np.zeros((accessor["count"], width), kind)
        view = self.told["bufferViews"][accessor["bufferView"]]
        data = self._bytes[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        values = np.frombuffer(data, kind).reshape(-1, width)
        assert len(values) == accessor["count"] and view["byteOffset"] % 4 == 0
        return values


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig()


@pytest.fixture(scope="module")
def glb(rig: Rig) -> Glb:
    return Glb(head_glb(rig))


def test_the_face_has_arkit_s_shapes_as_the_rig_moves_them(glb: Glb, rig: Rig) -> None:
    face = glb.mesh("face")
    assert tuple(face["extras"]["targetNames"]) == ARKIT_NAMES
    (primitive,) = face["primitives"]
    assert len(primitive["targets"]) == len(face["weights"]) == 52
    for target, moved in zip(primitive["targets"], rig.expressions, strict=True):
        assert glb.numbers(target["POSITION"]) == pytest.approx(moved / 100, abs=1e-7)


@pytest.mark.parametrize("name", ["face", "mouth", "skull", "eyeLeft", "eyeRight"])
def test_every_mesh_is_whole(glb: Glb, name: str) -> None:
    (primitive,) = glb.mesh(name)["primitives"]
    points = glb.numbers(primitive["attributes"]["POSITION"])
    bounds = glb.told["accessors"][primitive["attributes"]["POSITION"]]
    assert (bounds["min"], bounds["max"]) == (points.min(0).tolist(), points.max(0).tolist())
    normals = glb.numbers(primitive["attributes"]["NORMAL"])
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1, abs=1e-4)
    colours = glb.numbers(primitive["attributes"]["COLOR_0"])
    assert len(points) == len(normals) == len(colours)
    assert colours.min() >= 0 and colours.max() <= 1
    corners = glb.numbers(primitive["indices"])
    assert len(corners) % 3 == 0 and corners.max() < len(points)


def test_the_eyes_are_where_the_rig_has_them_and_the_left_is_the_subject_s(
    glb: Glb, rig: Rig
) -> None:
    nodes = {node["name"]: node for node in glb.told["nodes"]}
    neck = np.array(nodes["head"]["translation"])
    for index, side in enumerate(("Left", "Right")):
        place = neck + nodes[f"eye{side}"]["translation"]
        assert place == pytest.approx(rig.eye_centres[index] / 100, abs=1e-6)
    assert nodes["eyeLeft"]["translation"][0] > 0  # the picture's right
