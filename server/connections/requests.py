"""HTTP/1.1 for strangers: Uvicorn's, with an end to what comes too slowly or not at all.

A request's head has a time, a body a least speed, and a client that takes no answer a patience.
Apache's mod_reqtimeout is the model. Requests framed in both ways at once, which proxies
read differently (RFC 9112, section 6.1), are refused.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from http import HTTPStatus
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from server.connections.alarm import Alarm
from server.connections.door import Door
from server.connections.limits import ConnectionLimits

_LARGEST_HEAD: Final = 16 * 1024  # bytes of a request's line and headers
_MOST_FIELDS: Final = 128  # of a head
_MOST_UNWANTED: Final = 64 * 1024  # bytes of a body that are taken after its refusal
_LINGER: Final = 1.0  # seconds in which a client that is refused may learn why


class _Phase(Enum):
    HEAD = "its line and headers come"
    BODY = "its body comes"
    REST = "no request has begun"
    SERVED = "it is all there, and answered"


class Requests(H11Protocol):
    """One connection."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - Uvicorn's
        super().__init__(*arguments, **named)
        config: Any = self.config
        self._limits: ConnectionLimits = config.limits
        self._door: Door = config.door
        self.conn: _Framing = _Framing(h11.SERVER, _LARGEST_HEAD)
        self._phase = _Phase.SERVED
        self._began = 0.0
        self._received = self._unwanted = 0
        self._is_refused = False
        self._deadline = Alarm(self.loop)
        self._stall = Alarm(self.loop)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Lets the connection in, or says that there is no room."""
        super().connection_made(transport)
        host = self.client[0] if self.client else ""
        if not self._door.enter(self, host):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            transport.close()  # at once: there may be many
            return
        self._door.rest(self, self._send_off)
        self._enter(_Phase.HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        """Gives its place back."""
        self._let_go()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what comes, unless it is refused already."""
        if self._is_refused or self.transport.is_closing():
            return
        super().data_received(data)
        self._follow(len(data))

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        super().on_response_complete()
        self._unwanted = 0
        self._follow(0)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hands the connection on, with its place."""
        self._let_go()
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no HTTP, or too long a head."""
        del msg
        self._refuse(HTTPStatus(self.conn.fault))

    def pause_writing(self) -> None:
        """Waits for the client to take some of its answer."""
        super().pause_writing()
        self._stall.set(self.loop.time() + self._limits.stalled, self.transport.abort)

    def resume_writing(self) -> None:
        """Notes that the client has taken most of what waited."""
        super().resume_writing()
        self._stall.stop()

    def _follow(self, size: int) -> None:
        is_over = self._is_refused or self.transport.is_closing()
        if is_over or self.transport.get_protocol() is not self:
            return
        phase = self._phase_now()
        if phase is not self._phase:
            self._enter(phase)
        self._received += size
        if phase is _Phase.BODY and self.cycle.response_complete:
            self._unwanted += size
            if self._unwanted > _MOST_UNWANTED:
                self._linger()
                return
        if phase in (_Phase.HEAD, _Phase.REST):
            self._door.rest(self, self._send_off)
        else:
            self._door.wake(self)

    def _phase_now(self) -> _Phase:
        if self.conn.their_state is h11.SEND_BODY:
            return _Phase.BODY
        if self.conn.their_state is not h11.IDLE:
            return _Phase.SERVED
        has_begun = bool(self.conn.trailing_data[0])
        # Uvicorn times the rest between requests, though not the one before the first.
        return _Phase.HEAD if has_begun or self.cycle is None else _Phase.REST

    def _enter(self, phase: _Phase) -> None:
        self._deadline.stop()
        self._phase, self._began, self._received = phase, self.loop.time(), 0
        if phase is _Phase.HEAD:
            self._deadline.set(self.loop.time() + self._limits.head, self._time_out)
        elif phase is _Phase.BODY:
            self._deadline.set(self.loop.time() + self._limits.body, self._look_at_body)

    def _look_at_body(self) -> None:
        """Ends a body that comes too slowly, unless it is we who do not read."""
        now = self.loop.time()
        if self.flow.read_paused:
            self._began, self._received = now, 0
        end = self._began + self._limits.patience(self._received)
        if now < end:
            self._deadline.set(end, self._look_at_body)
        else:
            self._time_out()

    def _time_out(self) -> None:
        if self._phase is _Phase.HEAD and not self.conn.trailing_data[0]:
            self.transport.close()  # there was no request that could be answered
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus) -> None:
        """Answers, unless an answer has begun, and closes."""
        if self.cycle is None or not self.cycle.response_started or self.cycle.response_complete:
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            self.transport.write(f"{head}content-length: 0\r\nconnection: close\r\n\r\n".encode())
        if self.cycle is None or self.cycle.response_complete:
            self._linger()
        else:
            self._let_go()
            self._is_refused = True
            self.transport.close()  # so that whoever waits for the body learns of it

    def _linger(self) -> None:
        """Closes, and takes and throws away what still comes for a while.

        Closed at once, the system would answer that with a reset, and the answer would be lost.
        """
        self._let_go()
        self._is_refused = True
        self._unset_keepalive_if_required()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._stall.set(self.loop.time() + _LINGER, self.transport.abort)

    def _send_off(self) -> None:
        self._let_go()
        self.transport.close()

    def _let_go(self) -> None:
        self._door.leave(self)
        self._deadline.stop()
        self._stall.stop()


class _Framing(h11.Connection):
    """Notes which status a fault of the client's deserves, and refuses two framings at once."""

    fault: int = HTTPStatus.BAD_REQUEST

    def next_event(self) -> Any:  # noqa: ANN401 - as h11 has it
        try:
            event = super().next_event()
            if isinstance(event, h11.Request):
                _check(event)
        except h11.RemoteProtocolError as error:
            self.fault = error.error_status_hint
            raise
        return event


def _check(request: h11.Request) -> None:
    """Accepts a request's head.

    Raises:
        h11.RemoteProtocolError: it is too large, which the library sees only of one that came in
            pieces, or it has two framings.
    """
    fields = [*request.headers, (request.method, request.target)]
    size = sum(len(name) + len(value) + len(": \r\n") for name, value in fields)
    if size > _LARGEST_HEAD or len(fields) > _MOST_FIELDS:
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        raise h11.RemoteProtocolError("too large a head", error_status_hint=status)
    if {b"content-length", b"transfer-encoding"} <= {bytes(name) for name, _ in request.headers}:
        raise h11.RemoteProtocolError("both Content-Length and Transfer-Encoding")
