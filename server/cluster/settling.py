"""ASGI middleware of a worker: nothing is answered before what it depends on is kept.

Answers to calls that change a session wait for the store, and so does every message of a
session's WebSocket. It knows paths, and no route.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.cluster.journal import Journal
from server.cluster.store import StoreError, Superseded
from server.principal import session_in
from server.protocol import ProtocolError, error_body
from server.refusals import status_of

_CHANGELESS: Final = ("GET", "HEAD", "OPTIONS")
_REFUSED: Final = 400  # statuses from here on


class Settling:
    """The middleware."""

    def __init__(self, app: ASGIApp, journal: Journal) -> None:
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves a request, and tells when that is kept."""
        session = session_in(scope["path"]) if scope["type"] != "lifespan" else None
        if session is None or scope.get("method") in _CHANGELESS:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(session, scope, receive, send)
        else:
            await self._converse(session, scope, receive, send)

    async def _answer(self, session: str, scope: Scope, receive: Receive, send: Send) -> None:
        failure: StoreError | ProtocolError | None = None

        async def send_settled(message: Message) -> None:
            nonlocal failure
            if message["type"] == "http.response.start" and message["status"] < _REFUSED:
                self._journal.touch(session)
                try:
                    await self._journal.settle(session)
                except StoreError as error:
                    failure = error
                except Superseded:
                    failure = ProtocolError("worker_lost", "The session moves; try again soon.")
            if failure is None:
                await send(message)

        await self._app(scope, receive, send_settled)
        if failure is not None:
            body = error_body(failure.code, str(failure))
            again = {"Retry-After": "1"}
            await JSONResponse(body, status_of(failure.code), again)(scope, receive, send)

    async def _converse(self, session: str, scope: Scope, receive: Receive, send: Send) -> None:
        is_new = False

        async def receive_noting() -> Message:
            nonlocal is_new
            if is_new:  # what came before has been obeyed by now
                self._journal.touch(session)
            message = await receive()
            is_new = message.get("text") is not None
            return message

        async def send_settled(message: Message) -> None:
            if is_new:
                self._journal.touch(session)
            try:
                await self._journal.settle(session)
            except StoreError:
                self._journal.touch(session)  # again later; events have to go on
            except Superseded:
                pass  # it is about to end here, by which the client comes again
            await send(message)

        await self._app(scope, receive_noting, send_settled)
