"""Live Link Face: an iPhone's 61 numbers a frame, as its UDP packets carry them.

A packet is big endian: version (u8), device and subject (each a length, i32, and UTF-8), frame
(u32), its fraction (f32), frames a second as a ratio (u32, u32), a count (u8) and that many f32:
52 ARKit coefficients in the order of Unreal's EARFaceBlendShape, which is not that of the app's
own CSV for the four sideways ones, then yaw, pitch and roll of head and eyes in radians. Neither
the eyes' angles are needed (the coefficients tell them) nor is the head's place sent.
"""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from server.puppet.ports import PuppetError
from streaming_model.motion_space import ARKIT_NAMES

COUNT: Final = 61
_VERSION: Final = 6
_MOST_TEXT: Final = 256  # bytes of a name
_MOST_ANGLE: Final = math.pi
_SWAPPED: Final = {
    f"{part}{side}": f"{part}{other}"
    for part in ("jaw", "mouth")
    for side, other in (("Left", "Right"), ("Right", "Left"))
}
NAMES: Final[tuple[str, ...]] = (
    *(_SWAPPED.get(name, name) for name in ARKIT_NAMES),
    "headYaw",
    "headPitch",
    "headRoll",
)  # of the numbers that are used


@dataclass(frozen=True, slots=True)
class FacePacket:
    """One frame of a face.

    Attributes:
        subject: the name given in the app.
        milliseconds: the phone's time code.
        coefficients: by the names of the motion space; empty where the phone sees no face.
    """

    subject: str
    milliseconds: float
    coefficients: dict[str, float]


def read_packet(data: bytes) -> FacePacket | None:
    """Reads a packet; None where it is malformed."""
    try:
        version, offset = data[0], 1
        _device, offset = _text(data, offset)
        subject, offset = _text(data, offset)
        frame, fraction, rate, divisor, count = struct.unpack_from(">IfIIB", data, offset)
        numbers = struct.unpack_from(f">{count}f", data, offset + 17)
    except (struct.error, IndexError, ValueError):
        return None
    is_sound = version == _VERSION and count in (0, COUNT) and rate > 0 and divisor > 0
    if not is_sound or not all(map(math.isfinite, (fraction, *numbers))):
        return None
    if any(abs(angle) > _MOST_ANGLE for angle in numbers[len(ARKIT_NAMES) : len(NAMES)]):
        return None
    seconds = (frame + fraction) * divisor / rate
    return FacePacket(subject, 1000 * seconds, dict(zip(NAMES, numbers, strict=False)))


def write_packet(
    coefficients: dict[str, float], *, frame: int, rate: int = 60, subject: str = "iPhone"
) -> bytes:
    """Returns the packet that the app would send; what is not named is 0."""
    numbers = [coefficients.get(name, 0.0) for name in NAMES] + [0.0] * (COUNT - len(NAMES))
    device, name = b"00000000-0000-0000-0000-000000000000", subject.encode()
    head = struct.pack(">Bi", _VERSION, len(device)) + device + struct.pack(">i", len(name)) + name
    return head + struct.pack(f">IfIIB{COUNT}f", frame, 0.0, rate, 1, COUNT, *numbers)


def _text(data: bytes, offset: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">i", data, offset)
    start, end = offset + 4, offset + 4 + length
    if not 0 <= length <= _MOST_TEXT or end > len(data):
        raise ValueError
    return data[start:end].decode(), end


class LiveLinkPort(asyncio.DatagramProtocol):
    """Listens for one phone; what is no face is counted and left.

    Attributes:
        frames: packets understood so far.
        malformed: packets left.
    """

    def __init__(self, on_face: Callable[[FacePacket], None]) -> None:
        self.frames = self.malformed = 0
        self._on_face = on_face
        self._transport: asyncio.BaseTransport | None = None

    async def open(self, port: int) -> int:
        """Listens on all addresses of the machine; returns the port.

        Raises:
            PuppetError: the port is taken.
        """
        loop = asyncio.get_running_loop()
        try:
            self._transport, _ = await loop.create_datagram_endpoint(
                lambda: self, local_addr=("0.0.0.0", port)
            )
        except OSError as error:
            raise PuppetError(
                f"Cannot listen for Live Link Face on UDP port {port}: {error.strerror}."
            ) from None
        return int(self._transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Takes one packet."""
        del addr
        packet = read_packet(data)
        if packet is None:
            self.malformed += 1
            return
        self.frames += 1
        self._on_face(packet)

    def close(self) -> None:
        """Listens no more."""
        if self._transport is not None:
            self._transport.close()
