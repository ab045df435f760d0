"""MediaPipe's face landmarker bundle, opened without MediaPipe.

The bundle is a zip of three TFLite nets and a metadata file that holds the canonical face
geometry. This module checks it, hands out the nets on LiteRT and reads the geometry. It
knows nothing of pictures.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.resources
import io
import os
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.errors import ModelFileError

BUNDLE_NAME: Final = "face_landmarker.task"
BUNDLE_SHA256: Final = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"
CANONICAL_POINTS: Final = 468  # the mesh without the ten iris points


class Net:
    """One TFLite net on one thread. Not thread-safe: its owner serialises the calls."""

    def __init__(self, model: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter  # a server that starts needs no net

        with _native_stderr_silenced():
            self._interpreter = Interpreter(model_content=model, num_threads=1)
            self._interpreter.allocate_tensors()
        self._input = int(self._interpreter.get_input_details()[0]["index"])
        self._outputs = [int(output["index"]) for output in self._interpreter.get_output_details()]

    def __call__(self, tensor: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Returns the net's outputs for `tensor`, in the order in which the file lists them."""
        self._interpreter.set_tensor(self._input, tensor)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


@contextlib.contextmanager
def _native_stderr_silenced() -> Iterator[None]:
    """Keeps LiteRT's "INFO: Created TensorFlow Lite XNNPACK delegate" from the user's terminal.

    It comes from C++, has no switch, and says nothing a user could act on; failures raise.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@cache
def bundle_entries() -> dict[str, bytes]:
    """Returns the files inside the shipped bundle, by name.

    Raises:
        ModelFileError: the bundle is missing or is not the file that was shipped.
    """
    weights = importlib.resources.files("streaming_model") / "weights" / "face_landmarker"
    return read_bundle(Path(str(weights / BUNDLE_NAME)))


def read_bundle(path: Path) -> dict[str, bytes]:
    """Returns the files inside the bundle at `path`, by name, after checking its SHA-256.

    Raises:
        ModelFileError: the file is missing or damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"The face landmarker's file {path} cannot be read.") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != BUNDLE_SHA256:
        raise ModelFileError(
            f"The face landmarker's file {path} is damaged: its SHA-256 begins {digest[:12]}, "
            f"not {BUNDLE_SHA256[:12]}."
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@cache
def canonical_geometry() -> NDArray[np.float32]:
    """Returns the canonical face, [468,3] float32 in centimetres: x right, y up, z to the viewer.

    Raises:
        ModelFileError: the bundle is missing or damaged.
    """
    # Field 1 of the metadata is the mesh; field 3 of the mesh, a repeated float that is not
    # packed, lists x y z u v of each vertex.
    mesh = next(value for field, value in _fields(_metadata()) if field == 1)
    numbers = b"".join(value for field, value in _fields(mesh) if field == 3)
    return np.frombuffer(numbers, "<f4").reshape(CANONICAL_POINTS, 5)[:, :3].copy()


@cache
def rigid_points() -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Returns the indices and weights, [n], of the landmarks that expressions move least.

    Raises:
        ModelFileError: the bundle is missing or damaged.
    """
    # Field 2 of the metadata repeats (1: landmark index, 2: weight).
    pairs = [value for field, value in _fields(_metadata()) if field == 2]
    indices = np.array([_varint(pair, 1)[0] for pair in pairs])
    weights = np.array([np.frombuffer(dict(_fields(pair))[2], "<f4")[0] for pair in pairs])
    return indices, weights


def _metadata() -> bytes:
    return bundle_entries()["geometry_pipeline_metadata_landmarks.binarypb"]


def _fields(message: bytes) -> list[tuple[int, bytes]]:
    """Splits a protocol-buffer message into (field number, raw value); varints are left out."""
    fields: list[tuple[int, bytes]] = []
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == 0:
            _, position = _varint(message, position)
            continue
        length = 4
        if kind == 2:
            length, position = _varint(message, position)
        fields.append((key >> 3, message[position : position + length]))
        position += length
    return fields


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
