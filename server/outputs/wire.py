"""What the server tells the process that pushes a stream, over a pipe: an order, then pieces.

A line of JSON is the order; each piece is a header and its bytes. The other way come lines of
JSON. It does no I/O of its own.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import BinaryIO

_HEADER = struct.Struct(">BqI")  # flags, media time in 48 kHz samples, bytes
_PICTURE, _COMPLETE = 1, 2


@dataclass(frozen=True, slots=True)
class Order:
    """What to push.

    Attributes:
        url: where to, secrets and all; it travels by the pipe, where no other process sees it.
        size: side of the pictures in pixels.
        fps: pictures a second.
        patience: seconds until the target must have taken the stream.
    """

    url: str
    size: int
    fps: int
    patience: float

    def line(self) -> bytes:
        """Returns it as it goes over the pipe."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Order:
        """Returns what `line` was made of."""
        return cls(**json.loads(line))


def pack(data: bytes, *, start: int, is_picture: bool, is_complete: bool) -> bytes:
    """Returns a piece as it goes over the pipe."""
    flags = _PICTURE * is_picture | _COMPLETE * is_complete
    return _HEADER.pack(flags, start, len(data)) + data


def unpack(pipe: BinaryIO) -> Iterator[tuple[bool, int, bool, bytes]]:
    """Yields (is a picture, start, is complete, bytes) of every piece until the pipe ends."""
    while len(header := pipe.read(_HEADER.size)) == _HEADER.size:
        flags, start, length = _HEADER.unpack(header)
        data = pipe.read(length)
        if len(data) < length:
            return
        yield bool(flags & _PICTURE), start, bool(flags & _COMPLETE), data
