"""The WebSocket of a session: events for everyone who listens, messages out, and how it ended.

One that breaks off, as when a gateway is restarted, is opened again, and what was said meanwhile
is told. It knows no media.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from server.channel import Channel, ChannelClosed, Overflow
from server.protocol import EventsAttached, ServerEvent, SessionClosed
from vivant_client.errors import SessionEndedError, UnreachableError
from vivant_client.events import number_of, read_event

_EVENTS = 1024  # kept for each who listens
_MOST_MESSAGE = 2**20  # bytes of one message of the server
_PATIENCE = 10.0  # seconds for which a connection that broke off is opened again
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds between attempts
_REFUSED = 1008  # the code of a session that there is not


class EventSocket:
    """One connection for events; open it, then let `read` run.

    Attributes:
        end: why nothing more comes; None while something may.
        line: how many connections there have been; what was begun on one ends with it.
    """

    def __init__(
        self, on_event: Callable[[ServerEvent], None], may_go_on: Callable[[bool], bool]
    ) -> None:
        """Takes who is told of every event, and who decides whether it is still of use.

        `may_go_on` is given whether the session has moved to another worker.
        """
        self._on_event = on_event
        self._may_go_on = may_go_on
        self.line = 0
        self._address, self._headers = "", dict[str, str]()
        self._last = 0  # number of the latest event
        self._connected = asyncio.Event()
        self.end: SessionEndedError | None = None
        self._listeners: set[Channel[ServerEvent]] = set()
        self._socket: ClientConnection | None = None

    async def open(self, address: str, headers: Mapping[str, str]) -> None:
        """Connects to `ws://...`; `headers` bring the key.

        Raises:
            UnreachableError: there is no way there.
        """
        self._address, self._headers = address, dict(headers)
        await self._connect()

    async def read(self) -> None:
        """Hands on what the server says until the session ends, or cannot be followed any more."""
        try:
            await self._read()
            while self.end is None and await self._again():
                await self._read()
        finally:
            self.end = self.end or SessionEndedError("The connection was lost.", reason="lost")
            self._connected.set()
            for listener in self._listeners:
                listener.close()

    async def _connect(self) -> None:
        address = f"{self._address}?after={self._last}"
        try:
            self._socket = await connect(
                address, max_size=_MOST_MESSAGE, proxy=None, additional_headers=self._headers
            )
        except (OSError, InvalidHandshake, TimeoutError) as error:
            raise UnreachableError(f"{self._address} cannot be reached: {error}.") from None
        self.line += 1
        self._connected.set()

    async def _read(self) -> None:
        """Hands on what comes by one connection."""
        if self._socket is None:
            raise RuntimeError("the socket is not open")
        try:
            async for text in self._socket:
                if not isinstance(text, str) or (event := read_event(text)) is None:
                    continue
                number = event.seq if isinstance(event, EventsAttached) else number_of(text)
                self._last = self._last if number is None else number
                self._publish(event)
                if self.end is not None:
                    break
        except ConnectionClosed:
            pass  # told by `end`, or mended
        if self._socket.close_code != _REFUSED:
            self._connected.clear()

    async def _again(self) -> bool:
        """Opens the connection again; returns False where that is of no use, or in vain."""
        since, pause = time.monotonic(), _FIRST_PAUSE
        if self._connected.is_set():
            return False  # refused
        while self._may_go_on(False) and time.monotonic() - since < _PATIENCE:
            try:
                await self._connect()
            except UnreachableError:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return True
        return False

    async def send(self, message: str | bytes) -> None:
        """Sends a message, once there is a connection; one that breaks off meanwhile may lose it.

        Raises:
            SessionEndedError: the connection is over.
        """
        await self._connected.wait()
        if self._socket is None or self.end is not None:
            raise self.end or SessionEndedError("The session is not open.", reason="client")
        try:
            await self._socket.send(message)
        except ConnectionClosed:
            raise self.end or SessionEndedError("The connection was lost.", reason="lost") from None

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
        has_moved = isinstance(event, EventsAttached) and event.lost is None
        if has_moved and not self._may_go_on(True) and self.end is None:
            sentence = "The session has moved to another worker: resume it to see it again."
            self.end = SessionEndedError(sentence, reason="lost")
        self._on_event(event)
        for listener in self._listeners:
            listener.offer(event)
