"""What FFmpeg believes of RIFF files, checked before it reads them. Knows no sound."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

_FORMS: Final = (b"RIFF", b"RF64", b"RIFX")
_MOST_CHUNKS: Final = 10_000


def tells_the_truth(path: Path) -> bool:
    """Returns whether the texts of a WAV or AVI file (`LIST` of `INFO`) are within the file.

    FFmpeg takes as much memory for a text as it is told to, gigabytes for a file of a kilobyte.
    Files of other kinds, and damaged ones otherwise, are FFmpeg's to judge.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        position = 12
        form = file.read(position)[:4]
        if form not in _FORMS:
            return True
        header = struct.Struct(">4sI4s" if form == b"RIFX" else "<4sI4s")
        for _ in range(_MOST_CHUNKS):
            file.seek(position)
            head = file.read(header.size)
            if len(head) < header.size:
                return True
            name, length, kind = header.unpack(head)
            position += 8 + length + length % 2
            if name == b"LIST" and kind == b"INFO" and position > size + 1:
                return False
    return True
