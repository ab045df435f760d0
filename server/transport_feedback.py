"""Transport-wide feedback: which numbered packets arrived, and when.

draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1. It reads bytes and decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

NUMBERS = 1 << 16  # packets are numbered modulo this
_TRANSPORT_FEEDBACK, _FORMAT = 205, 15  # RTPFB, and the feedback message type of the draft
_REFERENCE = 64_000_000  # ns, unit of the reference time
_DELTA = 250_000  # ns, unit of the times between arrivals
_MOST_PACKETS = 1 << 13  # of a message that is believed; ours send some hundreds a second
_RECEIVED_SOON, _RECEIVED_LATE = 1, 2


@dataclass(frozen=True, slots=True)
class Arrival:
    """What became of one packet.

    Attributes:
        number: its transport-wide sequence number.
        instant: when it arrived by the receiver's clock, in nanoseconds from an arbitrary
            origin that wraps after 12 days; None when it has not.
    """

    number: int
    instant: int | None


def read_feedback(compound: bytes) -> list[Arrival]:
    """Returns what the transport-wide messages of a compound RTCP packet tell; others are skipped.

    Raises:
        ValueError: a message is cut off or contradicts itself.
    """
    arrivals: list[Arrival] = []
    position = 0
    while position + 4 <= len(compound):
        end = position + 4 * (1 + int.from_bytes(compound[position + 2 : position + 4], "big"))
        is_ours = compound[position + 1] == _TRANSPORT_FEEDBACK
        if is_ours and compound[position] & 0x1F == _FORMAT:
            arrivals += _read(compound[position + 12 : end])
        position = end
    return arrivals


def _read(message: bytes) -> Iterator[Arrival]:
    """Yields what one message tells; it begins after the two SSRCs."""
    if len(message) < 8:
        raise ValueError(f"transport feedback of {len(message)} bytes has no header")
    base = int.from_bytes(message[:2], "big")
    count = int.from_bytes(message[2:4], "big")
    if count > _MOST_PACKETS:
        raise ValueError(f"transport feedback tells of {count} packets at once")
    instant = int.from_bytes(message[4:7], "big", signed=True) * _REFERENCE
    symbols, position = _symbols(message, count)
    for index, symbol in enumerate(symbols):
        number = (base + index) % NUMBERS
        if symbol not in (_RECEIVED_SOON, _RECEIVED_LATE):
            yield Arrival(number, None)
            continue
        width = 1 if symbol == _RECEIVED_SOON else 2
        delta = message[position : position + width]
        if len(delta) < width:
            raise ValueError(f"transport feedback is cut off at packet {index} of {count}")
        instant += _DELTA * int.from_bytes(delta, "big", signed=width == 2)
        position += width
        yield Arrival(number, instant)


def _symbols(message: bytes, count: int) -> tuple[list[int], int]:
    """Returns the status of each packet and the position after the chunks that told it."""
    symbols: list[int] = []
    position = 8
    while len(symbols) < count:
        if position + 2 > len(message):
            raise ValueError(f"transport feedback tells of {len(symbols)} packets, not {count}")
        chunk = int.from_bytes(message[position : position + 2], "big")
        position += 2
        if not chunk & 0x8000:  # a run
            symbols += [chunk >> 13 & 0x3] * (chunk & 0x1FFF)
        elif not chunk & 0x4000:  # fourteen of one bit
            symbols += [chunk >> shift & 0x1 for shift in range(13, -1, -1)]
        else:  # seven of two bits
            symbols += [chunk >> shift & 0x3 for shift in range(12, -1, -2)]
    return symbols[:count], position
