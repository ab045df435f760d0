"""Damages files of chunks as files of chunks, so that what is in a chunk is reached.

PNG, JPEG, RIFF (WAV, WebP), Ogg, ISO base media (MP4, AVIF) and ZIP (NPZ). Lengths and checksums
are made to fit again, or sometimes not.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Final

from tools.fuzz.mutate import Mutator, mutate_bytes

Chunk = tuple[bytes, bytes]  # its name or header, and its content
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_AS_BYTES: Final = 0.25  # of all mutations
_DAMAGED: Final = (
    *(ValueError, LookupError, OSError, RuntimeError, EOFError, NotImplementedError),
    *(struct.error, zlib.error, zipfile.BadZipFile),
)
_BOXES_IN_BOXES: Final = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"meta", b"iprp", b"ipco")


def chunks_of(
    split: Callable[[bytes], list[Chunk]], join: Callable[[list[Chunk], Random], bytes]
) -> Mutator:
    """Returns a mutator of a format whose chunks `split` finds and `join` puts together."""

    def mutate(data: bytes, random: Random) -> bytes:
        if random.random() < _AS_BYTES:
            return mutate_bytes(data, random)
        try:
            chunks = split(data)
        except _DAMAGED:
            return mutate_bytes(data, random)
        for _ in range(random.choice((1, 1, 2, 4))):
            _damage(chunks, random)
        return join(chunks, random)

    return mutate


def _damage(chunks: list[Chunk], random: Random) -> None:
    if not chunks:
        return
    at = random.randrange(len(chunks))
    name, content = chunks[at]
    match random.randrange(10):
        case 0:
            del chunks[at]
        case 1:
            chunks.insert(random.randrange(len(chunks) + 1), chunks[at])
        case 2:
            chunks[at : at + 1] = [chunks[at]] * random.choice((2, 20, 200))
        case 3:
            other = random.randrange(len(chunks))
            chunks[at], chunks[other] = chunks[other], chunks[at]
        case 4:
            chunks[at] = (chunks[random.randrange(len(chunks))][0], content)
        case 5:
            chunks[at] = (name, content[: random.randrange(len(content) + 1)])
        case _:
            chunks[at] = (name, mutate_bytes(content, random))


def _split_png(data: bytes) -> list[Chunk]:
    chunks, position = list[Chunk](), len(_PNG)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        chunks.append((data[position + 4 : position + 8], data[position + 8 :][:length]))
        position += 12 + length
    return chunks


def _join_png(chunks: list[Chunk], random: Random) -> bytes:
    return _PNG + b"".join(png_chunk(name, content) for name, content in chunks)


def png_chunk(name: bytes, content: bytes) -> bytes:
    """Returns a chunk of a PNG with its length and checksum."""
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def _split_jpeg(data: bytes) -> list[Chunk]:
    chunks, position = list[Chunk](), 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        (length,) = struct.unpack_from(">H", data, position + 2)
        if data[position + 1] == 0xDA:  # what follows is coded
            chunks.append((data[position : position + 2], data[position + 4 :]))
            break
        chunks.append((data[position : position + 2], data[position + 4 : position + 2 + length]))
        position += 2 + length
    return chunks


def _join_jpeg(chunks: list[Chunk], random: Random) -> bytes:
    parts = [b"\xff\xd8"]
    for name, content in chunks:
        length = 12 if name == b"\xff\xda" else 2 + len(content)
        parts += [name, struct.pack(">H", length & 0xFFFF), content]
    return b"".join(parts)


def _split_riff(data: bytes) -> list[Chunk]:
    chunks, position = [(data[8:12], b"")], 12
    while position + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        chunks.append((name, data[position + 8 :][:length]))
        position += 8 + length + length % 2
    return chunks


def _join_riff(chunks: list[Chunk], random: Random) -> bytes:
    body = b""
    for name, content in chunks[1:]:
        length = len(content) if random.random() < 0.95 else random.choice((0, 1, 2**31, 2**32 - 1))
        body += name + struct.pack("<I", length) + content + bytes(len(content) % 2)
    size = len(body) + 4 if random.random() < 0.9 else random.choice((0, 2**32 - 1))
    return b"RIFF" + struct.pack("<I", size) + chunks[0][0] + body if chunks else body


def _split_ogg(data: bytes) -> list[Chunk]:
    pages, position = list[Chunk](), 0
    while data[position : position + 4] == b"OggS":
        table = data[position + 27 :][: data[position + 26]]
        start = position + 27 + len(table)
        pages.append((data[position:start], data[start : start + sum(table)]))
        position = start + sum(table)
    return pages


def _join_ogg(chunks: list[Chunk], random: Random) -> bytes:
    pages = []
    for head, content in chunks:
        damaged = mutate_bytes(head, random) if random.random() < 0.1 else head
        page = bytearray(damaged + content)
        if len(page) >= 26:
            page[22:26] = bytes(4)
            page[22:26] = struct.pack("<I", _ogg_checksum(page))
        pages.append(bytes(page))
    return b"".join(pages)


def _ogg_checksum(page: bytes | bytearray) -> int:
    """Returns the checksum of RFC 3533: CRC-32 of polynomial 0x04C11DB7, not reflected."""
    total = 0
    for byte in page:
        total = (total << 8 & 0xFFFFFFFF) ^ _OGG_TABLE[total >> 24 ^ byte]
    return total


def _ogg_table() -> list[int]:
    table = []
    for index in range(256):
        total = index << 24
        for _ in range(8):
            total = total << 1 ^ (0x04C11DB7 if total & 1 << 31 else 0)
        table.append(total & 0xFFFFFFFF)
    return table


_OGG_TABLE: Final = _ogg_table()


def _split_boxes(data: bytes) -> list[Chunk]:
    boxes, position = list[Chunk](), 0
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        length = length if length >= 8 else len(data) - position
        boxes.append((name, data[position + 8 : position + length]))
        position += length
    return boxes


def _join_boxes(chunks: list[Chunk], random: Random) -> bytes:
    parts = []
    for name, content in chunks:
        if name in _BOXES_IN_BOXES and random.random() < 0.7:
            skip = 4 if name == b"meta" else 0
            inner = _split_boxes(content[skip:])
            if random.random() < 0.5:
                _damage(inner, random)
            content = content[:skip] + _join_boxes(inner, random)
        length = len(content) + 8 if random.random() < 0.97 else random.choice((0, 1, 7, 2**32 - 1))
        parts.append(struct.pack(">I4s", length, name) + content)
    return b"".join(parts)


def _split_zip(data: bytes) -> list[Chunk]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(name.encode(), archive.read(name)) for name in archive.namelist()]


def _join_zip(chunks: list[Chunk], random: Random) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in {name for name, _ in chunks}:
            content = next(content for other, content in chunks if other == name)
            archive.writestr(name.decode("utf-8", "replace"), content)
    return made.getvalue()


mutate_png: Final = chunks_of(_split_png, _join_png)
mutate_jpeg: Final = chunks_of(_split_jpeg, _join_jpeg)
mutate_riff: Final = chunks_of(_split_riff, _join_riff)
mutate_ogg: Final = chunks_of(_split_ogg, _join_ogg)
mutate_boxes: Final = chunks_of(_split_boxes, _join_boxes)
mutate_zip: Final = chunks_of(_split_zip, _join_zip)


def mutate_file(data: bytes, random: Random) -> bytes:
    """Damages a picture or a sound in the way of its format."""
    for begins, mutate in (
        (_PNG, mutate_png),
        (b"\xff\xd8", mutate_jpeg),
        (b"RIFF", mutate_riff),
        (b"OggS", mutate_ogg),
        (b"PK\x03\x04", mutate_zip),
    ):
        if data.startswith(begins):
            return mutate(data, random)
    if data[4:8] == b"ftyp":
        return mutate_boxes(data, random)
    return mutate_bytes(data, random)
