"""One request that was let in, for as long as it would be let in again."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.access.presence import Presences
from server.principal import PRINCIPAL

REVOKED: Final = 1008  # RFC 6455: the policy has changed


class Visit:
    """Serves it, and ends it when its key is revoked, has expired, or its login is over.

    A WebSocket is closed with 1008, a stream ends. What has a length, as a film has, is sent to
    its end.

    Args:
        app: answers.
        presences: tell when it is over.
        refusal: of a request that has no answer yet.
    """

    def __init__(self, app: ASGIApp, presences: Presences, refusal: Response) -> None:
        self._app = app
        self._presences = presences
        self._refusal = refusal
        self._has_begun = self._has_length = self._is_over = False

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers."""

        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as limit:

                async def watched(message: Message) -> None:
                    self._note(message)
                    if self._may_finish and limit.when() is not None and not limit.expired():
                        limit.reschedule(None)  # it began between the verdict and its execution
                    await send(message)

                def end() -> None:
                    if not self._may_finish:
                        limit.reschedule(loop.time())

                with self._presences.of(scope[PRINCIPAL], end):
                    await self._app(scope, receive, watched)
        except TimeoutError:
            if not limit.expired():
                raise
            await self._leave(scope, receive, send)

    @property
    def _may_finish(self) -> bool:
        return self._has_length or self._is_over

    def _note(self, message: Message) -> None:
        match message["type"]:
            case "http.response.start":
                self._has_begun = True
                self._has_length = "content-length" in Headers(raw=message["headers"])
            case "websocket.accept":
                self._has_begun = True
            case "http.response.body":
                self._is_over = not message.get("more_body", False)
            case "websocket.close" | "websocket.http.response.start":
                self._is_over = True

    async def _leave(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_over:
            return
        if scope["type"] == "websocket":
            reason = "The key or the login is valid no more."
            await send({"type": "websocket.close", "code": REVOKED, "reason": reason})
        elif self._has_begun:
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._refusal(scope, receive, send)
