"""Ends a fragmented MP4 after its last whole fragment, where its writing was broken off.

Players differ in what they make of half a fragment: some refuse the film. ISO 14496-12, 4.2.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

_HEADER = struct.Struct(">I4s")
_LONG = struct.Struct(">Q")


def end_after_whole_fragments(path: Path) -> int:
    """Cuts off what is not whole; returns how many bytes that was.

    Raises:
        OSError: the file cannot be read or cut.
    """
    with path.open("r+b") as film:
        size = film.seek(0, os.SEEK_END)
        whole = _whole(film, size)
        if whole < size:
            film.truncate(whole)
    return size - whole


def _whole(film: BinaryIO, size: int) -> int:
    """Returns where the last box ends that is whole and not the head of one that is not."""
    at = end = 0
    while at + _HEADER.size <= size:
        film.seek(at)
        length, kind = _HEADER.unpack(film.read(_HEADER.size))
        if length == 1:  # a length of 64 bits follows
            (length,) = _LONG.unpack(film.read(_LONG.size).ljust(_LONG.size, b"\0"))
        if length < _HEADER.size or at + length > size:
            return end
        at += length
        if kind != b"moof":  # which is nothing without its data
            end = at
    return end
