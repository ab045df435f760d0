"""RTCP sender reports that map RTP time to the media clock instead of the instant of sending.

aiortc pairs a packet's time stamp with the moment it happened to be sent, so encoding time
shows up as skew that a browser's lip-sync cannot see. It reaches into the sender's private
parts, and therefore checks first that they are as in aiortc 1.16.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpSender
from aiortc import clock as aiortc_clock
from aiortc.rtp import RtcpSrPacket

from server.clock import Clock

_LOG = logging.getLogger(__name__)
_HOOKS = ("_next_encoded_frame", "_send_rtcp", "_RTCRtpSender__lsr")


class NtpClock:
    """Monotonic instants as NTP time stamps (32.32 bits), from one reading of the date."""

    def __init__(self, clock: Clock) -> None:
        self._instant = clock.now()
        self._ntp = aiortc_clock.current_ntp_time()

    def stamp(self, instant: int) -> int:
        """Returns the NTP time stamp of an instant in nanoseconds."""
        return self._ntp + ((instant - self._instant) << 32) // 1_000_000_000


def tie_to_media_clock(
    sender: RTCRtpSender, *, instant_of: Callable[[int], int], ntp: NtpClock
) -> bool:
    """Makes `sender` report when its media was due; returns whether that was possible.

    Args:
        sender: its track hands out packets.
        instant_of: the instant, in nanoseconds, at which a time stamp in the track's RTP clock
            rate was due.
        ntp: converts instants.
    """
    missing = [name for name in _HOOKS if not hasattr(sender, name)]
    if missing:
        _LOG.warning("aiortc's sender has no %s: sender reports stay as they are", missing[0])
        return False
    hooked: Any = sender
    next_frame, send_rtcp = hooked._next_encoded_frame, hooked._send_rtcp
    last: int | None = None

    async def remember_frame(codec: Any) -> Any:  # noqa: ANN401 - aiortc's own types
        nonlocal last
        frame = await next_frame(codec)
        if frame is not None:
            last = frame.timestamp
        return frame

    async def send_true_report(packets: list[Any]) -> None:
        for packet in packets:
            if isinstance(packet, RtcpSrPacket) and last is not None:
                packet.sender_info.ntp_timestamp = ntp.stamp(instant_of(last))
                # The receiver echoes it, and aiortc compares to measure the round trip.
                hooked._RTCRtpSender__lsr = (packet.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF
        await send_rtcp(packets)

    hooked._next_encoded_frame = remember_frame
    hooked._send_rtcp = send_true_report
    return True
