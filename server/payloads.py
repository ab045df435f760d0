"""Encoded pictures as RTP payloads: VP9 by RFC 9628, AV1 by the Alliance's RTP specification 1.0.

One spatial and one temporal layer, each picture predicted from the one before it. It knows bytes
only: no socket, sender or codec library. VP8 and H.264 are packed by aiortc.
"""

from __future__ import annotations

from collections.abc import Iterator

MOST = 1300  # bytes of a payload, as aiortc's own; the headers of RTP, SRTP, UDP and IPv6 beside it
PICTURE_IDS = 1 << 15  # they begin again after so many

# RFC 9628, section 4.2: the bits of the descriptor's first byte.
_PICTURE_ID, _PREDICTED, _LAYERS, _FLEXIBLE = 0x80, 0x40, 0x20, 0x10
_BEGIN, _END, _NO_UPPER_LAYER = 0x08, 0x04, 0x01
_ONLY_LAYER = b"\x00"  # TID 0, SID 0
_FROM_LAST = bytes([1 << 1])  # P_DIFF 1, and no further reference

# AV1 bitstream specification, section 5.3, and RTP specification, section 4.4.
_OBU_EXTENSION, _OBU_HAS_SIZE = 0x04, 0x02
_TEMPORAL_DELIMITER, _TILE_LIST = 2, 8  # kinds of OBU that are not sent
_CONTINUES, _CONTINUED, _NEW_SEQUENCE = 0x80, 0x40, 0x08  # Z, Y, N


def vp9_payloads(picture: bytes, *, picture_id: int, is_keyframe: bool) -> list[bytes]:
    """Returns the payloads of one VP9 picture.

    In flexible mode (F), so that a receiver needs no scalability structure; with layer indices
    (L), without which libwebrtc drops pictures.
    """
    most = MOST - len(_vp9_descriptor(picture_id, is_keyframe=False))
    starts = range(0, len(picture), most)
    return [
        _vp9_descriptor(
            picture_id,
            is_keyframe=is_keyframe,
            begins=start == 0,
            ends=start + most >= len(picture),
        )
        + picture[start : start + most]
        for start in starts
    ]


def _vp9_descriptor(
    picture_id: int, *, is_keyframe: bool, begins: bool = False, ends: bool = False
) -> bytes:
    bits = _PICTURE_ID | _LAYERS | _FLEXIBLE | _NO_UPPER_LAYER
    bits |= 0 if is_keyframe else _PREDICTED
    bits |= _BEGIN if begins else 0
    bits |= _END if ends else 0
    long_id = (PICTURE_IDS | picture_id).to_bytes(2, "big")  # its first bit says that it is long
    return bytes([bits]) + long_id + _ONLY_LAYER + (b"" if is_keyframe else _FROM_LAST)


def av1_payloads(unit: bytes, *, is_keyframe: bool) -> list[bytes]:
    """Returns the payloads of one AV1 temporal unit in the low-overhead format.

    Raises:
        ValueError: it is not a sequence of OBUs that tell their sizes.
    """
    payloads: list[bytearray] = [bytearray([_NEW_SEQUENCE if is_keyframe else 0])]
    for element in _sent_obus(unit):
        rest = element
        while True:
            # W is 0: every element tells its length, in two bytes when it fills a payload.
            room = MOST - len(payloads[-1]) - 2
            if room > 0:
                piece, rest = rest[:room], rest[room:]
                payloads[-1] += _leb128(len(piece)) + piece
                if not rest:
                    break
            is_begun = len(rest) < len(element)
            payloads[-1][0] |= _CONTINUED if is_begun else 0
            payloads.append(bytearray([_CONTINUES if is_begun else 0]))
    return [bytes(payload) for payload in payloads]


def _sent_obus(unit: bytes) -> Iterator[bytes]:
    """Yields the OBUs that are sent, without their sizes."""
    position = 0
    while position < len(unit):
        header = unit[position]
        if not header & _OBU_HAS_SIZE:
            raise ValueError(f"the OBU at byte {position} of {len(unit)} tells no size")
        begin = position + (2 if header & _OBU_EXTENSION else 1)
        size, content = _read_leb128(unit, begin)
        end = content + size
        if end > len(unit):
            raise ValueError(f"the OBU at byte {position} ends at {end} of {len(unit)}")
        if (header >> 3) & 0xF not in (_TEMPORAL_DELIMITER, _TILE_LIST):
            bare = bytes([header & ~_OBU_HAS_SIZE])
            yield bare + unit[position + 1 : begin] + unit[content:end]
        position = end


def _leb128(value: int) -> bytes:
    """Returns a number in groups of seven bits, the lowest first (AV1, section 4.10.5)."""
    groups = []
    while value >= 0x80:
        groups.append(0x80 | (value & 0x7F))
        value >>= 7
    return bytes([*groups, value])


def _read_leb128(data: bytes, position: int) -> tuple[int, int]:
    """Returns a number and the position after it."""
    value = shift = 0
    while True:
        if position >= len(data):
            raise ValueError(f"a size is cut off at byte {position}")
        value |= (data[position] & 0x7F) << shift
        position += 1
        shift += 7
        if not data[position - 1] & 0x80:
            return value, position
