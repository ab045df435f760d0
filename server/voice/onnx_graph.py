"""Adds an output to an ONNX model without the `onnx` package.

A protocol buffer that repeats a message field is read as the merge of both, and repeated
fields merge by concatenation (Protocol Buffers encoding, "Last One Wins"). So appending a
second, tiny `graph` field that holds one `output` adds that output; nothing is parsed or copied.
"""

from __future__ import annotations

# ModelProto.graph, GraphProto.output and ValueInfoProto.name, all length-delimited (type 2).
GRAPH_FIELD = 7 << 3 | 2
OUTPUT_FIELD = 12 << 3 | 2
NAME_FIELD = 1 << 3 | 2


def graph_output_suffix(tensor_name: str) -> bytes:
    """Returns the bytes that, appended to an ONNX file, make `tensor_name` a graph output."""
    name = _field(NAME_FIELD, tensor_name.encode())
    return _field(GRAPH_FIELD, _field(OUTPUT_FIELD, name))


def _field(key: int, payload: bytes) -> bytes:
    return _varint(key) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
