"""Small files that unpack to a lot: what a hostile client sends to fill a memory.

Each function returns kilobytes that ask for gigabytes.
"""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from functools import cache

from PIL import Image

from tools.fuzz.containers import png_chunk

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@cache
def png(width: int, height: int) -> bytes:
    """Returns a PNG of one colour, 8 bits of grey."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = bytes(width + 1)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    chunks = [(b"IHDR", head), (b"IDAT", body), (b"IEND", b"")]
    return _SIGNATURE + b"".join(png_chunk(name, content) for name, content in chunks)


def png_with_text(megabytes: int) -> bytes:
    """Returns a small PNG whose compressed text is of that size."""
    made = io.BytesIO()
    Image.new("RGB", (64, 64), (90, 120, 60)).save(made, "PNG")
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(megabytes * 2**20), 9))
    whole = made.getvalue()
    return whole[:33] + text + whole[33:]  # behind its header


def animation(kind: str, frames: int, side: int) -> bytes:
    """Returns a GIF, PNG or WEBP of many frames."""
    made = io.BytesIO()
    pictures = [Image.new("L", (side, side), index % 251) for index in range(frames)]
    pictures[0].save(made, kind, save_all=True, append_images=pictures[1:])
    return made.getvalue()


def flac(seconds: int, rate: int = 48_000) -> bytes:
    """Returns a FLAC of silence (RFC 9639): some 12 bytes for 65,535 samples."""
    block = 65_535
    count = seconds * rate // block
    info = struct.pack(">HH", block, block) + bytes(6)
    packed = rate << 44 | 0 << 41 | 15 << 36 | count * block
    info += packed.to_bytes(8, "big") + bytes(16)
    frames = b"".join(_constant_frame(number, block) for number in range(count))
    return b"fLaC" + b"\x80" + struct.pack(">I", len(info))[1:] + info + frames


def wave(told: int, given: int) -> bytes:
    """Returns a WAV that says it has `told` bytes of sound, and has `given`."""
    form = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    head = b"RIFF" + struct.pack("<I", min(told + 36, 2**32 - 1)) + b"WAVEfmt "
    return head + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", told) + bytes(given)


def npz(megabytes: int) -> bytes:
    """Returns a motion file whose `motion` unpacks to that size."""
    made = io.BytesIO()
    count = megabytes * 2**20 // (58 * 4)
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, 58), }}"
    header += " " * (117 - len(header)) + "\n"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("motion.npy", "w", force_zip64=True) as file:
            file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
            for _ in range(megabytes):
                file.write(bytes(2**20))
        archive.writestr("names.npy", b"")
    return made.getvalue()


def nested_json(depth: int) -> bytes:
    """Returns lists in lists."""
    return b"[" * depth + b"]" * depth


def gzipped(megabytes: int) -> bytes:
    """Returns JSON of that size, packed."""
    return gzip.compress(b'{"text": "' + b"a" * (megabytes * 2**20) + b'"}')


def _constant_frame(number: int, block: int) -> bytes:
    """Returns a frame: block size from 16 bits, rate and 16 bits from the stream, one channel."""
    head = b"\xff\xf8\x70\x08" + _coded(number) + struct.pack(">H", block - 1)
    head += bytes([_checksum(head, 0x07, 8)])
    body = head + b"\x00" + b"\x00\x00"  # a constant subframe and its value
    return body + struct.pack(">H", _checksum(body, 0x8005, 16))


def _coded(number: int) -> bytes:
    """Returns a number as UTF-8 would write that character."""
    return chr(number).encode("utf-8", "surrogatepass")


def _checksum(data: bytes, polynomial: int, bits: int) -> int:
    total, top, mask = 0, 1 << bits - 1, (1 << bits) - 1
    for byte in data:
        total ^= byte << bits - 8
        for _ in range(8):
            total = (total << 1 ^ (polynomial if total & top else 0)) & mask
    return total
