"""The WebSocket of a session: events for everyone who listens, messages out, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from server.channel import Channel, ChannelClosed, Overflow
from server.protocol import ServerEvent, SessionClosed
from vivant_client.errors import SessionEndedError, UnreachableError
from vivant_client.events import read_event

_EVENTS = 1024  # kept for each who listens
_MOST_MESSAGE = 2**20  # bytes of one message of the server


class EventSocket:
    """One connection for events; open it, then let `read` run.

    Attributes:
        end: why nothing more comes; None while something may.
    """

    def __init__(self, on_event: Callable[[ServerEvent], None]) -> None:
        """Takes who is told of every event, before those who listen."""
        self._on_event = on_event
        self.end: SessionEndedError | None = None
        self._listeners: set[Channel[ServerEvent]] = set()
        self._socket: ClientConnection | None = None

    async def open(self, address: str, headers: Mapping[str, str]) -> None:
        """Connects to `ws://...`; `headers` bring the key.

        Raises:
            UnreachableError: there is no way there.
        """
        try:
            self._socket = await connect(
                address, max_size=_MOST_MESSAGE, proxy=None, additional_headers=headers
            )
        except (OSError, InvalidHandshake, TimeoutError) as error:
            raise UnreachableError(f"{address} cannot be reached: {error}.") from None

    async def read(self) -> None:
        """Hands on what the server says until the connection ends."""
        if self._socket is None:
            raise RuntimeError("the socket is not open")
        try:
            async for text in self._socket:
                event = read_event(text) if isinstance(text, str) else None
                if event is not None:
                    self._publish(event)
        except ConnectionClosed:
            pass  # told by `end`
        finally:
            self.end = self.end or SessionEndedError("The connection was lost.", reason="lost")
            for listener in self._listeners:
                listener.close()

    async def send(self, message: str | bytes) -> None:
        """Sends a message.

        Raises:
            SessionEndedError: the connection is over.
        """
        if self._socket is None or self.end is not None:
            raise self.end or SessionEndedError("The session is not open.", reason="client")
        try:
            await self._socket.send(message)
        except ConnectionClosed:
            raise SessionEndedError("The connection was lost.", reason="lost") from None

    async def close(self) -> None:
        """Ends the connection."""
        if self._socket is not None:
            await self._socket.close()

    @contextmanager
    def listen(self) -> Iterator[Channel[ServerEvent]]:
        """Yields a channel of all events from now on; the oldest go for a slow reader."""
        channel: Channel[ServerEvent] = Channel(_EVENTS, Overflow.DROP_OLDEST)
        if self.end is not None:
            channel.close()
        self._listeners.add(channel)
        try:
            yield channel
        finally:
            self._listeners.discard(channel)

    async def next(self, events: Channel[ServerEvent]) -> ServerEvent:
        """Returns the next event of a channel.

        Raises:
            SessionEndedError: there is none any more.
        """
        try:
            return await events.get()
        except ChannelClosed:
            raise self.end or SessionEndedError("The session is over.", reason="lost") from None

    def _publish(self, event: ServerEvent) -> None:
        if isinstance(event, SessionClosed) and self.end is None:
            reason = event.reason
            self.end = SessionEndedError(f"The session has ended ({reason}).", reason=reason)
        self._on_event(event)
        for listener in self._listeners:
            listener.offer(event)
