"""What the watermark says: the day and a tag of the session, with a checksum. Pure.

64 bits: 16 of days since 2026-01-01, 32 of the SHA-256 of the session's id, 16 of checksum
(CRC-16/CCITT, ITU-T V.41).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

PAYLOAD_BITS: Final = 64
CHECKSUM_BITS: Final = 16
FIRST_DAY: Final = date(2026, 1, 1)
_LAST_DAY: Final = (1 << 16) - 1
_TAG_BYTES: Final = 4
_POLYNOMIAL: Final = 0x1021


@dataclass(frozen=True, slots=True)
class Payload:
    """A day and a session's tag, eight hexadecimal digits."""

    day: date
    tag: str

    @classmethod
    def of(cls, session_id: str, day: date) -> Self:
        """Returns what pictures of a session carry on a day from 2026 on."""
        return cls(day, tag_of(session_id))

    def to_bits(self) -> NDArray[np.uint8]:
        """Returns [64] zeros and ones.

        Raises:
            ValueError: the day is before 2026 or after 2205.
        """
        days = (self.day - FIRST_DAY).days
        if not 0 <= days <= _LAST_DAY:
            raise ValueError(f"a watermark's day is from {FIRST_DAY} on, not {self.day}")
        data = days.to_bytes(2, "big") + bytes.fromhex(self.tag)
        checked = data + checksum(data).to_bytes(2, "big")
        return np.unpackbits(np.frombuffer(checked, np.uint8))

    @classmethod
    def from_bits(cls, bits: NDArray[np.uint8]) -> Self | None:
        """Returns what [64] bits say, None where the checksum is another's."""
        checked = np.packbits(bits).tobytes()
        data, told = checked[:-2], int.from_bytes(checked[-2:], "big")
        if checksum(data) != told:
            return None
        return cls(FIRST_DAY + timedelta(days=int.from_bytes(data[:2], "big")), data[2:].hex())


def tag_of(session_id: str) -> str:
    """Returns eight hexadecimal digits that tell a session, but do not let anyone into it."""
    return hashlib.sha256(session_id.encode()).digest()[:_TAG_BYTES].hex()


def checksum(data: bytes) -> int:
    """Returns the CRC-16/CCITT of `data`, begun with ones."""
    value = 0xFFFF
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1) ^ (_POLYNOMIAL if value & 0x8000 else 0)
        value &= 0xFFFF
    return value
