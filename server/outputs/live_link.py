"""Motion sent as Live Link Face does, by UDP: Unreal's MetaHumans and others listen for it.

Twenty-five packets a second to `livelink://host:port?subject=NAME`, each with the media time as its
time code. UDP does not tell whether somebody listens; where the other machine says that nobody
does (ICMP), the output tries again later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs, urlsplit

from server.channel import Channel
from server.clock import Clock
from server.motion_output import Frame, MotionOutput
from server.outputs.output import Output, TargetError
from server.outputs.reach import Reach
from server.outputs.targets import Target
from server.protocol import ServerEvent
from server.puppet.live_link import write_packet
from streaming_model.media import MOTION_FPS, SAMPLES_PER_MOTION_FRAME
from streaming_model.motion_space import MOTION_NAMES

_SUBJECT: Final = "Vivant"


class LiveLinkOut(Output):
    """A stream of motion by Live Link Face's packets."""

    def __init__(
        self,
        target: Target,
        *,
        reach: Reach,
        motion: MotionOutput,
        clock: Clock,
        publish: Callable[[ServerEvent], None],
    ) -> None:
        super().__init__(target, clock=clock, publish=publish)
        self._reach = reach
        self._motion = motion
        self._subject = parse_qs(urlsplit(target.url).query).get("subject", [_SUBJECT])[0]

    async def _attempt(self) -> None:
        loop = asyncio.get_running_loop()
        host, port = self.target.host, self.target.port
        address = str(await self._reach.find(host, port) or host)
        with self._motion.listen() as frames:
            try:
                transport, _ = await loop.create_datagram_endpoint(
                    lambda: _Remarks(frames), remote_addr=(address, port)
                )
            except OSError as error:
                raise TargetError(f"The target has no address: {error.strerror}.") from error
            self._note_live()
            try:
                async for frame in frames:
                    transport.sendto(self._packet(frame))
            finally:
                transport.close()
        raise TargetError("Nobody listens at the target's port.")

    def _packet(self, frame: Frame) -> bytes:
        numbers = dict(zip(MOTION_NAMES, frame.motion.tolist(), strict=True))
        index = frame.start // SAMPLES_PER_MOTION_FRAME
        return write_packet(numbers, frame=index, rate=MOTION_FPS, subject=self._subject)


class _Remarks(asyncio.DatagramProtocol):
    """Ends the stream when the other side says that nobody listens."""

    def __init__(self, frames: Channel[Frame]) -> None:
        self._frames = frames

    def error_received(self, exc: Exception) -> None:
        """Hears of an ICMP error."""
        del exc
        self._frames.close()
