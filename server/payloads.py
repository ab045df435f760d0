"""Encoded pictures as RTP payloads: VP9 by RFC 9628.

One spatial and one temporal layer, each picture predicted from the one before it. It knows bytes
only: no socket, sender or codec library. VP8 and H.264 are packed by aiortc.
"""

from __future__ import annotations

MOST = 1300  # bytes of a payload, as aiortc's own; the headers of RTP, SRTP, UDP and IPv6 beside it
PICTURE_IDS = 1 << 15  # they begin again after so many

# RFC 9628, section 4.2: the bits of the descriptor's first byte.
_PICTURE_ID, _PREDICTED, _LAYERS, _FLEXIBLE = 0x80, 0x40, 0x20, 0x10
_BEGIN, _END, _NO_UPPER_LAYER = 0x08, 0x04, 0x01
_ONLY_LAYER = b"\x00"  # TID 0, SID 0
_FROM_LAST = bytes([1 << 1])  # P_DIFF 1, and no further reference


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
