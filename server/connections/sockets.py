"""WebSockets for strangers: Uvicorn's, with an end to messages that never end and to floods.

What is read is bounded in size, number and time; what is sent waits in a bounded buffer, and a
client that takes nothing of it is let go. It knows nothing of what messages say.
"""

from __future__ import annotations

import asyncio
from asyncio.transports import BaseTransport
from typing import Any, Final

from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from server.access.buckets import Buckets
from server.connections.alarm import Alarm
from server.connections.door import Door
from server.connections.limits import ConnectionLimits

POLICY: Final = 1008  # RFC 6455, section 7.4.1
NO_TEXT: Final = 1007
TOO_BIG: Final = 1009
_FRAGMENTS: Final = 4_096  # of one message
_QUEUED: Final = 4_096  # messages that came at once and wait to be read
_PINGS: Final = 20.0  # pings and pongs a second; three seconds' worth at once
_BURST: Final = 2.0  # seconds' worth of messages that may come at once
_LINGER: Final = 1.0  # seconds in which a client that is let go may learn why
_SECOND: Final = 1_000_000_000  # ns
_MALFORMED: Final = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Sockets(WebSocketsSansIOProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - Uvicorn's
        super().__init__(*arguments, **named)
        config: Any = self.config
        self._limits: ConnectionLimits = config.limits
        self._door: Door = config.door
        self._pings = Buckets(rate=_PINGS, burst=3 * _PINGS)
        rate = self._limits.messages
        self._messages = Buckets(rate=rate, burst=_BURST * rate)
        self._began = 0.0
        self._received = 0
        self._is_let_go = False
        self._deadline = Alarm(self.loop)
        self._stall = Alarm(self.loop)

    def connection_made(self, transport: BaseTransport) -> None:
        """Takes the place that the connection had as one of HTTP."""
        super().connection_made(transport)
        self._door.enter(self, self.client[0] if self.client else "")

    def connection_lost(self, exc: Exception | None) -> None:
        """Gives its place back."""
        self._door.leave(self)
        self._deadline.stop()
        self._stall.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what comes, unless the client was let go."""
        if self._is_let_go or self.transport.is_closing():
            return
        super().data_received(data)
        if not self.handshake_initiated:
            self._refuse_handshake()
        elif self.queue.qsize() > _QUEUED:
            self._let_go(POLICY, "too many messages at once")
        else:
            self._follow(len(data))

    def handle_cont(self, event: Frame) -> None:
        """Takes a further fragment, of so many."""
        if len(self.frames) >= _FRAGMENTS:
            self._let_go(TOO_BIG, "too many fragments")
        else:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Hands on a message that is all there; text must be text."""
        if self.curr_msg_data_type == "text" and not _is_text(b"".join(self.frames)):
            self.frames = []
            self._let_go(NO_TEXT, "not UTF-8")
        else:
            super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Answers a ping, of so many a second."""
        if self._may_ping():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Takes a pong, of so many a second."""
        if self._may_ping():
            super().handle_pong(event)

    async def receive(self) -> ASGIReceiveEvent:
        """Returns what came next, no faster than so many a second."""
        message = await super().receive()
        if not self.read_paused and self._deadline.is_set:
            self._begin()  # while nothing was read, nothing could come
        if message["type"] == "websocket.receive":
            while wait := self._messages.take("", 1.0, now=self._now()):  # noqa: ASYNC110 - time
                await asyncio.sleep(wait)
        return message

    async def send(self, message: ASGISendEvent) -> None:
        """Sends, unless the client was let go: then it is as one that has left."""
        if self._is_let_go:
            raise ClientDisconnected
        try:
            await super().send(message)
        except RuntimeError:
            if self._is_let_go:  # while it waited
                raise ClientDisconnected from None
            raise

    def pause_writing(self) -> None:
        """Waits for the client to take some of what was sent."""
        super().pause_writing()
        self._stall.set(self.loop.time() + self._limits.stalled, self.transport.abort)

    def resume_writing(self) -> None:
        """Notes that the client has taken most of what waited."""
        super().resume_writing()
        self._stall.stop()

    def keepalive_timeout(self) -> None:
        """Lets go of a client that answers no ping, whatever still waits for it."""
        super().keepalive_timeout()
        self._is_let_go = True
        self._stall.set(self.loop.time() + _LINGER, self.transport.abort)

    def handle_parser_exception(self) -> None:
        """Lets go of a client that breaks the protocol."""
        super().handle_parser_exception()
        self._is_let_go = True

    def _follow(self, size: int) -> None:
        """Gives a message that has begun its time."""
        if not (self.frames or self.conn.reader.buffer):
            self._deadline.stop()
        elif not self._deadline.is_set:
            self._begin()
        else:
            self._received += size

    def _begin(self) -> None:
        self._began, self._received = self.loop.time(), 0
        self._deadline.set(self.loop.time() + self._limits.body, self._look_at_message)

    def _look_at_message(self) -> None:
        """Ends a message that comes too slowly, unless it is we who do not read."""
        now = self.loop.time()
        if self.read_paused:
            self._began, self._received = now, 0
        end = self._began + self._limits.patience(self._received)
        if now < end:
            self._deadline.set(end, self._look_at_message)
        else:
            self._let_go(POLICY, "the message came too slowly")

    def _may_ping(self) -> bool:
        if self._pings.take("", 1.0, now=self._now()):
            self._let_go(POLICY, "too many pings")
        return not self._is_let_go

    def _refuse_handshake(self) -> None:
        """Sends what the library has to say of a malformed handshake, and closes."""
        said = b"".join(self.conn.data_to_send())
        self.close_sent = self.handshake_complete = self._is_let_go = True
        self.transport.write(said or _MALFORMED)
        self.transport.close()

    def _let_go(self, code: int, reason: str) -> None:
        """Closes, with a word that the client can still read if it does so soon."""
        if self.close_sent or self._is_let_go or self.transport.is_closing():
            return
        self._is_let_go = True
        self.conn.fail(code, reason)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.stop_keepalive()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        # What still comes is taken and thrown away: closed now, the system would answer it with
        # a reset, and the reason would be lost.
        self.close_timer = self.loop.call_later(_LINGER, self.transport.abort)

    def _now(self) -> int:
        return int(self.loop.time() * _SECOND)


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
