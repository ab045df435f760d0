"""A worker as an application: requests and WebSockets are passed on to it by HTTP, as they came.

Bodies stream both ways. Where the worker lets nobody in, nothing of the request has been read,
and `Unreachable` lets the caller ask another.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import httpx
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from server.cluster.port import (
    ALIVE,
    ASK,
    CLIENT_HEADER,
    FIGURES,
    PLACE_HEADER,
    ROOM,
    SCHEME_HEADER,
    SECRET_HEADER,
    Broken,
    Report,
    Unreachable,
)
from server.cluster.relay import Relay, send_away
from server.protocol import error_body
from server.refusals import status_of

_LOG = logging.getLogger(__name__)
_CONNECT: Final = 1.0  # seconds; a machine that has gone answers nothing at all
_OPEN: Final = "/v1/sessions"
_OURS: Final = b"x-vivant-"  # what begins headers that gateways alone may send
_HOP: Final = {  # of one connection, RFC 9110, section 7.6.1
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding",
    b"upgrade",
}  # fmt: skip
BEAT: Final = 0.2  # seconds between signs of life of a worker that has a session's WebSocket
_PREFIX: Final = b"sec-websocket-"
_ANSWERED: Final = (b"host", b"origin")  # whether the page may do this, the gateway has judged


class Forwarder:
    """Calls workers; one client for all, so that connections are used again."""

    def __init__(self, secret: str, *, beat: float = BEAT) -> None:
        self._secret = secret.encode()
        self._beat = beat
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=_CONNECT),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            trust_env=False,  # workers are on our own network, behind no proxy
        )

    async def aclose(self) -> None:
        """Lets all connections go."""
        await self._client.aclose()

    def __call__(self, report: Report) -> _Remote:
        """Returns a worker as an application."""
        return _Remote(report.address, self._client, self._secret, self._beat)

    async def post(self, report: Report, path: str, body: dict[str, Any]) -> httpx.Response:
        """Asks a worker something of our own.

        Raises:
            Unreachable: it has gone.
        """
        headers = {SECRET_HEADER.decode(): self._secret.decode()}
        try:
            return await self._client.post(report.address + path, json=body, headers=headers)
        except httpx.TransportError as error:
            raise Unreachable(str(error)) from None

    def headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        """Returns the headers that a client's request has at a worker, without our secret."""
        return _headers(scope)

    async def open(
        self,
        report: Report,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        *,
        place: str | None = None,
    ) -> httpx.Response:
        """Asks a worker to open a session.

        Args:
            report: of the worker.
            headers: of the client.
            body: of the client.
            place: `VOUCH`, or the session's id; None to ask, and to be vouched for if it is full.

        Raises:
            Unreachable: it has gone; nobody can tell whether it has opened one, whose client then
                never comes.
        """
        ours = [(SECRET_HEADER, self._secret), (PLACE_HEADER, (place or ASK).encode())]
        try:
            return await self._client.post(
                report.address + _OPEN, content=body, headers=[*headers, *ours]
            )
        except httpx.TransportError as error:
            raise Unreachable(str(error)) from None

    async def is_alive(self, report: Report) -> bool:
        """Returns whether a worker answers within two beats."""
        return await self(report).is_alive()

    async def figures(self, report: Report) -> str | None:
        """Returns a worker's page for Prometheus; None where it does not answer in time."""
        try:
            return await self._get(report, FIGURES)
        except (httpx.TransportError, TimeoutError) as error:
            _LOG.warning("worker %s tells no figures: %s", report.name or report.worker, error)
            return None

    async def room(self, report: Report) -> dict[str, Any] | None:
        """Returns what `GET /v1/capacity` tells of a worker; None as above."""
        try:
            told: dict[str, Any] = json.loads(await self._get(report, ROOM))
        except (httpx.TransportError, TimeoutError) as error:
            _LOG.warning("worker %s tells no room: %s", report.name or report.worker, error)
            return None
        return told

    async def _get(self, report: Report, path: str) -> str:
        headers = {SECRET_HEADER.decode(): self._secret.decode()}
        async with asyncio.timeout(_CONNECT * 2):
            answer = await self._client.get(report.address + path, headers=headers)
        return answer.text


class _Remote:
    def __init__(self, address: str, client: httpx.AsyncClient, secret: bytes, beat: float) -> None:
        self._beat = beat
        self._address = address
        self._client = client
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on.

        Raises:
            Unreachable: nothing of it has been done.
            Broken: a WebSocket broke off; the client is not told yet.
        """
        if scope["type"] == "websocket":
            await self._converse(scope, receive, send)
        else:
            await self._ask(scope, receive, send)

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = self._client.build_request(
            scope["method"],
            self._address + _target(scope),
            headers=self._headers(scope),
            content=_body(receive) if _has_body(scope) else None,
        )
        try:
            answer = await self._client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Unreachable(str(error)) from None
        except httpx.TransportError:
            await _lost()(scope, receive, send)
            return
        try:
            await _pass_on(answer, send)
        except httpx.TransportError as error:  # it died while it answered: so does the answer
            _LOG.warning("a worker broke off: %s", error)
        finally:
            await answer.aclose()

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = WebSocket(scope, receive, send)
        try:
            worker = await self._connect(scope)
        except InvalidStatus as refusal:
            answer = refusal.response
            refused = JSONResponse(None, answer.status_code)
            refused.body = bytes(answer.body or b"")
            refused.init_headers({"content-type": "application/json"})
            await client.send_denial_response(refused)
            return
        await client.accept(subprotocol=worker.subprotocol)
        if not await self._relay(worker, client).run():
            raise Broken(client)

    async def attend(self, client: WebSocket, scope: Scope) -> None:
        """Joins a client whose WebSocket was accepted before.

        Raises:
            Unreachable: the worker has gone, or lets it not in.
        """
        try:
            worker = await self._connect(scope)
        except InvalidStatus as refusal:
            raise Unreachable(str(refusal)) from None
        if not await self._relay(worker, client).run():
            await send_away(client)

    async def is_alive(self) -> bool:
        """Returns whether the worker answers within two beats."""
        headers = {SECRET_HEADER.decode(): self._secret.decode()}
        try:
            async with asyncio.timeout(2 * self._beat):
                await self._client.get(self._address + ALIVE, headers=headers)
        except (httpx.TransportError, TimeoutError):
            return False
        return True

    def _relay(self, worker: ClientConnection, client: WebSocket) -> Relay:
        return Relay(worker, client, beat=self._beat, is_alive=self.is_alive)

    async def _connect(self, scope: Scope) -> ClientConnection:
        try:
            return await connect(
                "ws" + self._address.removeprefix("http") + _target(scope),
                additional_headers=[
                    (name.decode("latin-1"), value.decode("latin-1"))
                    for name, value in self._headers(scope)
                    if not name.startswith(_PREFIX) and name not in _ANSWERED
                ],
                subprotocols=[Subprotocol(each) for each in scope["subprotocols"]] or None,
                compression=None,
                max_size=None,
                open_timeout=_CONNECT * 5,
                ping_interval=None,  # the relay asks, which knows what is in an answer's way
                close_timeout=self._beat,
                proxy=None,
                user_agent_header=None,
            )
        except (OSError, InvalidMessage) as error:  # the latter of one that dies just then
            raise Unreachable(str(error)) from None

    def _headers(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        return [*_headers(scope), (SECRET_HEADER, self._secret)]


def _headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    kept = [
        pair for pair in scope["headers"] if pair[0] not in _HOP and not pair[0].startswith(_OURS)
    ]
    secure = scope["scheme"] in ("https", "wss")
    return [
        *kept,
        (CLIENT_HEADER, str((scope.get("client") or ("",))[0]).encode()),
        (SCHEME_HEADER, b"https" if secure else b"http"),
    ]


async def _pass_on(answer: httpx.Response, send: Send) -> None:
    headers = [(name.lower(), value) for name, value in answer.headers.raw]
    kept = [pair for pair in headers if pair[0] not in _HOP]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": kept})
    async for piece in answer.aiter_raw():
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise httpx.WriteError("the client has gone")
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def _has_body(scope: Scope) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


def _target(scope: Scope) -> str:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope.get("query_string", b"")
    return (path + (b"?" + query if query else b"")).decode("latin-1")


def _lost() -> JSONResponse:
    sentence = "The worker died over this: nobody can tell whether it was done."
    code = "worker_lost"
    return JSONResponse(error_body(code, sentence), status_of(code), {"Retry-After": "1"})
