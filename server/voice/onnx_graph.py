"""Adds an output to an ONNX model and cuts one in two, without the `onnx` package.

A protocol buffer that repeats a message field is read as the merge of both, and repeated
fields merge by concatenation (Protocol Buffers encoding, "Last One Wins"). So appending a
second, tiny `graph` field that holds one `output` adds that output; nothing is parsed or copied.
Cutting sorts the graph's nodes and weights into two; what is inside them is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

# Field numbers of ModelProto, GraphProto, NodeProto, TensorProto and ValueInfoProto (onnx.proto).
MODEL_GRAPH = 7
GRAPH_NODE, GRAPH_NAME, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT = 1, 2, 5, 11, 12
NODE_INPUT, NODE_OUTPUT = 1, 2
TENSOR_NAME = 8
INFO_NAME, INFO_TYPE = 1, 2
FLOAT_TENSOR = b"\x0a\x02\x08\x01"  # TypeProto of a tensor of floats, of any shape

Field = tuple[int, memoryview, memoryview]  # number, the whole field, its content


def graph_output_suffix(tensor_name: str) -> bytes:
    """Returns the bytes that, appended to an ONNX file, make `tensor_name` a graph output."""
    return _field(MODEL_GRAPH, _output(tensor_name))


def cut_model(model: bytes, tensor: str, *, also: Iterable[str] = ()) -> tuple[bytes, bytes]:
    """Cuts an ONNX model at a tensor of floats, through which alone its end hangs on the rest.

    Returns:
        the model up to `tensor`, whose outputs are `tensor` and those in `also`; and the model
        from `tensor`, its only input, to the outputs there were.

    Raises:
        ValueError: the bytes are not an ONNX model, or it has no such tensor.
    """
    header, graphs = b"", []
    for number, whole, content in _fields(memoryview(model)):
        if number == MODEL_GRAPH:
            graphs.append(content)
        else:
            header += whole
    parts = [field for graph in graphs for field in _fields(graph)]
    before, after = _sorted_nodes(parts, tensor)
    if not after:
        raise ValueError(f"the model does nothing with a tensor {tensor!r}")
    name = _of(parts, GRAPH_NAME)
    info = _field(INFO_NAME, tensor.encode()) + _field(INFO_TYPE, FLOAT_TENSOR)
    outputs = b"".join(_output(output) for output in (tensor, *also))
    first = [*name, *before, *_weights(parts, before, but_of=after), *_of(parts, GRAPH_INPUT)]
    second = [*name, *after, *_weights(parts, after), *_of(parts, GRAPH_OUTPUT)]
    return (
        header + _field(MODEL_GRAPH, b"".join(first) + outputs),
        header + _field(MODEL_GRAPH, b"".join(second) + _field(GRAPH_INPUT, info)),
    )


def _sorted_nodes(parts: list[Field], tensor: str) -> tuple[list[memoryview], list[memoryview]]:
    """Returns the nodes, as fields, that do not depend on the tensor, and those that do."""
    known = {tensor}
    before, after = [], []
    for number, whole, node in parts:
        if number != GRAPH_NODE:
            continue
        if known.isdisjoint(_names(node, NODE_INPUT)):
            before.append(whole)
        else:
            after.append(whole)
            known.update(_names(node, NODE_OUTPUT))
    return before, after


def _weights(
    parts: list[Field], nodes: list[memoryview], but_of: Iterable[memoryview] = ()
) -> list[memoryview]:
    """Returns the weights of some nodes; given others, all weights but those of them alone.

    What a loop's own graph takes from outside is not among its node's inputs.
    """
    used, others = _inputs(nodes), _inputs(but_of)
    return [
        whole
        for number, whole, weights in parts
        if number == GRAPH_INITIALIZER
        and ((name := _names(weights, TENSOR_NAME)[0]) in used or (others and name not in others))
    ]


def _inputs(nodes: Iterable[memoryview]) -> set[str]:
    return {
        name
        for node in nodes
        for _, _, content in _fields(node)
        for name in _names(content, NODE_INPUT)
    }


def _of(parts: list[Field], number: int) -> list[memoryview]:
    return [whole for found, whole, _ in parts if found == number]


def _names(message: memoryview, number: int) -> list[str]:
    return [bytes(content).decode() for found, _, content in _fields(message) if found == number]


def _output(name: str) -> bytes:
    return _field(GRAPH_OUTPUT, _field(INFO_NAME, name.encode()))


def _fields(message: memoryview) -> Iterator[Field]:
    """Yields the fields of a message; the content of a number is empty."""
    position = 0
    while position < len(message):
        begin = position
        key, position = _read_varint(message, position)
        size = 0
        match key & 7:
            case 0:
                _, position = _read_varint(message, position)
            case 1:
                position += 8
            case 2:
                size, position = _read_varint(message, position)
            case 5:
                position += 4
            case kind:
                raise ValueError(f"no ONNX model: a field of kind {kind}")
        end = position + size
        if end > len(message):
            raise ValueError("no ONNX model: a field is cut off")
        yield key >> 3, message[begin:end], message[position:end]
        position = end


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    """Returns the number that begins at `position`, and the position after it."""
    value = shift = 0
    while True:
        if position >= len(message):
            raise ValueError("no ONNX model: a number is cut off")
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
