"""In which words a viewer's data channel speaks: ours, or those of another framework's clients."""

from __future__ import annotations

from typing import ClassVar, Protocol

from server.desk import Desk
from server.motion_output import MotionFeed
from server.protocol import ServerEvent
from server.webrtc import EVENTS_LABEL


class Dialect(Protocol):
    """One connection's words; it knows the desk that obeys them.

    Attributes:
        label: of the data channel that the client opens.
        tells_origin: whether the client is told how RTP time stamps tell media time.
    """

    label: ClassVar[str]
    tells_origin: ClassVar[bool]

    @property
    def motion(self) -> MotionFeed:
        """The motion that the client asked for."""

    def tell(self, event: ServerEvent) -> list[str]:
        """Returns the messages that tell of an event, perhaps none."""

    async def take(self, text: str) -> list[str]:
        """Obeys a message; returns what to answer."""


class Native:
    """The messages of docs/protocol.md."""

    label: ClassVar[str] = EVENTS_LABEL
    tells_origin: ClassVar[bool] = True

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    @property
    def motion(self) -> MotionFeed:
        """The motion that the client asked for."""
        return self._desk.motion

    def tell(self, event: ServerEvent) -> list[str]:
        """Returns the event as JSON."""
        return [event.to_json()]

    async def take(self, text: str) -> list[str]:
        """Obeys a message; returns what to answer."""
        return [event.to_json() for event in await self._desk.take_text(text)]
