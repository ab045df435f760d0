"""Matrix products with weights of eight bits, as onnxruntime does them.

At the few rows of one chunk a product costs what its weights weigh: read as bytes they weigh a
quarter. Each `BLOCK` weights of an output share a scale; inputs are rounded to bytes likewise,
row by row, so that a row gives the same bits in any batch. The bytes are worked out when the
graph is loaded, by the graph itself, so that there is one set of weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

BLOCK: Final = 16  # weights to a scale
_MOST: Final = 127.0  # steps of a scale each way
_ZERO: Final = 128.0  # the byte that stands for 0
_LEAST: Final = 1e-12  # scale of a block of zeros
_BY_BYTES: Final = 4  # `accuracy_level`: inputs are rounded to bytes, too
_DOMAIN: Final = "com.microsoft"


def quantise_products(path: Path, quantised: Path, *, of: str) -> None:
    """Writes a graph again with `MatMulNBits` in the place of products with weights.

    Args:
        path: of the graph.
        quantised: of what is written, in the same folder.
        of: what the names of these weights begin with; the others' products stay as they are.
    """
    whole = onnx.load(str(path))
    shapes = _shapes(whole)
    model = onnx.load(str(path), load_external_data=False)
    graph = model.graph
    weights = _made_of(graph, of)
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights:
            nodes += _quantised(graph, node, shapes[node.input[1]])
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    if all(opset.domain != _DOMAIN for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid(_DOMAIN, 1))
    quantised.write_bytes(model.SerializeToString())


def _shapes(model: ModelProto) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of what is known without any input."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {each.name: tuple(each.dims) for each in inferred.initializer}
    for info in inferred.value_info:
        shapes[info.name] = tuple(each.dim_value for each in info.type.tensor_type.shape.dim)
    return shapes


def _made_of(graph: GraphProto, prefix: str) -> set[str]:
    """Returns the names of what is made of such a weight alone; nodes are in topological order."""
    weights = {each.name for each in graph.initializer if each.name.startswith(prefix)}
    fixed = {each.name for each in graph.initializer}
    for node in graph.node:
        if fixed.issuperset(node.input):
            fixed.update(node.output)
            if not weights.isdisjoint(node.input):
                weights.update(node.output)
    return weights


def _quantised(graph: GraphProto, product: NodeProto, shape: tuple[int, ...]) -> list[NodeProto]:
    """Returns nodes in the place of a product with weights [inputs, outputs] of this shape."""
    rows, weights = product.input
    inputs, outputs = shape
    blocks = -(-inputs // BLOCK)
    name = product.output[0]
    nodes: list[NodeProto] = []

    def step(kind: str, *given: str, **attributes: Any) -> str:  # noqa: ANN401 - onnx's
        made = f"{name}.{len(nodes)}"
        nodes.append(helper.make_node(kind, given, [made], **attributes))
        return made

    def number(value: float | list[int]) -> str:
        made = f"{name}.{value}"
        dtype: type = np.int64 if isinstance(value, list) else np.float32
        values: NDArray[np.generic] = np.array(value, dtype)
        if all(each.name != made for each in graph.initializer):
            graph.initializer.append(numpy_helper.from_array(values, made))
        return made

    turned = step("Transpose", weights, perm=[1, 0])
    padded = step("Pad", turned, number([0, 0, 0, blocks * BLOCK - inputs]))
    blocked = step("Reshape", padded, number([outputs, blocks, BLOCK]))
    largest = step("ReduceMax", step("Abs", blocked), number([2]), keepdims=1)
    scales = step("Max", step("Div", largest, number(_MOST)), number(_LEAST))
    steps = step("Round", step("Div", blocked, scales))
    bytes_ = step("Cast", step("Add", steps, number(_ZERO)), to=TensorProto.UINT8)
    nodes.append(
        helper.make_node(
            "MatMulNBits",
            [rows, bytes_, step("Reshape", scales, number([-1]))],
            [name],
            domain=_DOMAIN,
            K=inputs,
            N=outputs,
            bits=8,
            block_size=BLOCK,
            accuracy_level=_BY_BYTES,
        )
    )
    return nodes
