"""Which RTP time stamp a viewer's media time 0 has: aiortc begins each stream at a random one.

With it a receiver knows the exact media time of every picture and sound it gets. It reaches
into the sender's private parts, as `sender_reports` does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpSender

_LOG = logging.getLogger(__name__)
_HOOKS = ("_next_encoded_frame", "_RTCRtpSender__rtp_timestamp")
_WRAP = 1 << 32


def watch_origin(sender: RTCRtpSender, on_origin: Callable[[int], None]) -> bool:
    """Tells once, after the first packets of `sender`, the RTP time stamp of its media time 0.

    Returns whether that is possible with this aiortc.
    """
    missing = [name for name in _HOOKS if not hasattr(sender, name)]
    if missing:
        _LOG.warning("aiortc's sender has no %s: receivers get no media time", missing[0])
        return False
    hooked: Any = sender
    next_frame = hooked._next_encoded_frame
    sent: int | None = None  # time stamp of the frame that was handed out before
    is_told = False

    async def look_back(codec: Any) -> Any:  # noqa: ANN401 - aiortc's own types
        nonlocal sent, is_told
        if sent is not None and not is_told:
            # Asking for the next frame, the sender has sent all of the one before.
            is_told = True
            on_origin((hooked._RTCRtpSender__rtp_timestamp - sent) % _WRAP)
        frame = await next_frame(codec)
        if frame is not None:
            sent = frame.timestamp
        return frame

    hooked._next_encoded_frame = look_back
    return True
