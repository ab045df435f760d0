"""Remakes `streaming_model/weights/face_embedder/` of the npm package @vladmandic/face-api 1.7.15.

    npm pack @vladmandic/face-api@1.7.15 && tar xf vladmandic-face-api-1.7.15.tgz
    python tools/face_embedder.py package/model

The weights there are those of dlib's face recognition net (Davis King, public domain) for
TensorFlow.js. Here the scale behind each convolution is multiplied into it, and every output
channel kept as whole numbers of eight bits with one scale: ONNX with its data in files beside it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Floats = NDArray[np.float32]

OUT: Final = Path(__file__).parents[1] / "streaming_model" / "weights" / "face_embedder"
STEM: Final = "face_recognition_model"
LARGEST: Final = 600_000  # bytes of a file of weights
MEAN: Final = (122.782, 117.001, 104.298)  # red, green, blue of the faces it was trained with
RANGE: Final = 255.0
OPSET: Final = 17
BLOCKS: Final = (
    "conv32_1", "conv32_2", "conv32_3", "conv64_down", "conv64_1", "conv64_2", "conv64_3",
    "conv128_down", "conv128_1", "conv128_2", "conv256_down", "conv256_1", "conv256_2",
    "conv256_down_out",
)  # fmt: skip


class _Graph:
    """The net while it is written down."""

    def __init__(self, weights: dict[str, Floats]) -> None:
        self._weights = weights
        self._used = 0
        self._file, self._data = 0, bytearray()
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def convolve(self, x: str, layer: str, *, stride: int = 1, pad: int = 1) -> str:
        """Adds a convolution with what scales its output."""
        scale = self._weights[f"{layer}/scale/weights"]
        filters = self._weights[f"{layer}/conv/filters"].transpose(3, 2, 0, 1)
        filters = filters * scale[:, None, None, None]
        bias = self._weights[f"{layer}/conv/bias"] * scale + self._weights[f"{layer}/scale/biases"]
        steps = np.abs(filters).max(axis=(1, 2, 3)) / 127
        whole = np.rint(filters / steps[:, None, None, None]).astype(np.int8)
        name = layer.replace("/", "_")
        self._store(f"{name}_filters", whole)
        self.constant(f"{name}_steps", steps.astype(np.float32))
        self.constant(f"{name}_bias", bias.astype(np.float32))
        exact = self.add(
            "DequantizeLinear", f"{name}_filters", f"{name}_steps", out=f"{name}_kernel", axis=0
        )
        return self.add("Conv", x, exact, f"{name}_bias", strides=[stride, stride], pads=[pad] * 4)

    def residual(self, x: str, block: str) -> str:
        """Adds two convolutions with a way around them; one that halves the picture pools there."""
        is_down = "down" in block
        out = self.convolve(x, f"{block}/conv1", stride=1 + is_down, pad=1 - is_down)
        out = self.convolve(self.add("Relu", out), f"{block}/conv2")
        if is_down:
            x = self.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
            x, out = self._fitted(x, out)
        return self.add("Relu", self.add("Add", x, out))

    def _fitted(self, x: str, out: str) -> tuple[str, str]:
        """Fills both with zeros at the ends up to the larger of each size."""
        sizes = self.add("Max", self.add("Shape", x), self.add("Shape", out))
        return self._filled(x, sizes), self._filled(out, sizes)

    def _filled(self, x: str, sizes: str) -> str:
        missing = self.add("Sub", sizes, self.add("Shape", x))
        return self.add("Pad", x, self.add("Concat", "none", missing, axis=0))

    def add(self, kind: str, *inputs: str, out: str | None = None, **attributes: object) -> str:
        """Adds a node; returns the name of what it gives."""
        self._used += 1
        out = out or f"x{self._used}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def constant(self, name: str, value: NDArray[np.generic]) -> None:
        """Keeps numbers in the graph itself."""
        self.constants.append(numpy_helper.from_array(value, name))

    def _store(self, name: str, value: NDArray[np.int8]) -> None:
        """Keeps numbers in a file beside the graph."""
        raw = value.tobytes()
        if self._data and len(self._data) + len(raw) > LARGEST:
            self.flush()
        tensor = onnx.TensorProto(name=name, data_type=TensorProto.INT8, dims=value.shape)
        tensor.data_location = TensorProto.EXTERNAL
        where = {"location": _file(self._file), "offset": len(self._data), "length": len(raw)}
        for key, told in where.items():
            tensor.external_data.add(key=key, value=str(told))
        self._data += raw
        self.constants.append(tensor)

    def flush(self) -> None:
        """Writes the file of weights that is being filled, and begins another."""
        (OUT / _file(self._file)).write_bytes(self._data)
        self._file, self._data = self._file + 1, bytearray()


def _file(number: int) -> str:
    return f"weights-{number:02}.bin"


def read_weights(folder: Path) -> dict[str, Floats]:
    """Returns the package's tensors by name, as they are meant."""
    (group,) = json.loads((folder / f"{STEM}-weights_manifest.json").read_text())
    raw = (folder / f"{STEM}.bin").read_bytes()
    return dict(_tensors(group["weights"], raw))


def _tensors(entries: list[dict[str, object]], raw: bytes) -> Iterator[tuple[str, Floats]]:
    at = 0
    for entry in entries:
        packing: dict[str, float] = entry.get("quantization", {})  # type: ignore[assignment]
        shape: list[int] = entry["shape"]  # type: ignore[assignment]
        kind = np.dtype(np.uint8 if packing else np.float32)
        values = np.frombuffer(raw, kind, int(np.prod(shape)), at).reshape(shape)
        at += values.nbytes
        if packing:
            values = values * packing["scale"] + packing["min"]
        yield str(entry["name"]), values.astype(np.float32)
    assert at == len(raw), (at, len(raw))


def main(folder: Path) -> None:
    """Writes the net."""
    weights = read_weights(folder)
    OUT.mkdir(parents=True, exist_ok=True)
    graph = _Graph(weights)
    graph.constant("mean", np.array(MEAN, np.float32).reshape(1, 3, 1, 1))
    graph.constant("range", np.float32(RANGE).reshape(1))
    graph.constant("none", np.zeros(4, np.int64))
    graph.constant("fc", weights["fc"].astype(np.float32))
    x = graph.add("Div", graph.add("Sub", "faces", "mean"), "range")
    x = graph.add("Relu", graph.convolve(x, "conv32_down", stride=2, pad=0))
    x = graph.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    for block in BLOCKS:
        x = graph.residual(x, block)
    x = graph.add("ReduceMean", x, axes=[2, 3], keepdims=0)
    graph.add("MatMul", x, "fc", out="descriptors")
    graph.flush()
    faces = helper.make_tensor_value_info("faces", TensorProto.FLOAT, ["n", 3, 150, 150])
    given = helper.make_tensor_value_info("descriptors", TensorProto.FLOAT, ["n", 128])
    made = helper.make_graph(graph.nodes, "face_embedder", [faces], [given], graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 9
    (OUT / "face_embedder.onnx").write_bytes(model.SerializeToString())
    onnx.checker.check_model(str(OUT / "face_embedder.onnx"))
    print(f"{OUT}: {sum(file.stat().st_size for file in OUT.iterdir()):,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
