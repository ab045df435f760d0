"""What a receiver reports by RTCP, handed on instead of thrown away.

aiortc passes REMB to the encoder it opened itself, which does nothing when packets come
encoded. It reaches into the sender's private parts, and therefore checks first that they
are as in aiortc 1.16.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpSender
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)

_LOG = logging.getLogger(__name__)
_HOOKS = ("_handle_rtcp_packet", "_retransmit", "_send_keyframe", "_ssrc")


def listen_to_receiver(
    sender: RTCRtpSender,
    *,
    on_picture_lost: Callable[[], None],
    on_estimate: Callable[[int], None],
    on_loss: Callable[[float], None],
    may_repeat: Callable[[int], bool],
) -> bool:
    """Hands on what the receiver of `sender` reports; returns whether that was possible.

    Args:
        sender: its track hands out packets.
        on_picture_lost: the receiver wants a complete picture (PLI, FIR).
        on_estimate: bits a second that the receiver believes the connection carries (REMB).
        on_loss: the fraction of packets lost since its last report, 0..1.
        may_repeat: whether the packet of this sequence number, which it lacks, is sent again.
    """
    missing = [name for name in _HOOKS if not hasattr(sender, name)]
    if missing:
        _LOG.warning("aiortc's sender has no %s: the bit rate stays as it is", missing[0])
        return False
    hooked: Any = sender
    handle, retransmit = hooked._handle_rtcp_packet, hooked._retransmit

    async def hear(packet: Any) -> None:  # noqa: ANN401 - aiortc's own types
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            estimate = _estimate_for(hooked._ssrc, packet.fci)
            if estimate is not None:
                on_estimate(estimate)
            return
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == hooked._ssrc:
                    on_loss(report.fraction_lost / 256)
        await handle(packet)

    async def repeat(sequence_number: int) -> None:
        if may_repeat(sequence_number):
            await retransmit(sequence_number)

    hooked._handle_rtcp_packet = hear
    hooked._retransmit = repeat
    hooked._send_keyframe = on_picture_lost
    return True


def _estimate_for(ssrc: int, message: bytes) -> int | None:
    """Returns the bit rate of a REMB message about `ssrc`; other messages give None."""
    try:
        estimate, sources = unpack_remb_fci(message)
    except (ValueError, struct.error):
        return None  # feedback of another application, or cut off
    return int(estimate) if ssrc in sources else None
