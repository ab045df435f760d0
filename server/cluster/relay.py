"""A WebSocket between a client and a worker: messages both ways, and signs of the worker's life.

Each side is read no faster than the other takes: what waits here is sixteen messages and what the
connections' buffers hold, and the worker notices a slow client as it does its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

_ABNORMAL: Final = 1006  # no close frame came, RFC 6455, section 7.1.5
_GOING_AWAY: Final = 1012  # "service restart", IANA's registry of close codes
_COME_AGAIN: Final = "come again"


class Relay:
    """Joins two WebSockets.

    Args:
        worker: its connection, without signs of life of its own.
        client: accepted.
        beat: seconds between signs of life of the worker, which may take twice that.
        is_alive: asks the worker beside this connection.
    """

    def __init__(
        self,
        worker: ClientConnection,
        client: WebSocket,
        *,
        beat: float,
        is_alive: Callable[[], Awaitable[bool]],
    ) -> None:
        self._worker = worker
        self._client = client
        self._beat = beat
        self._is_alive = is_alive
        self._waiting = 0  # messages that the other side does not take yet

    async def run(self) -> bool:
        """Passes messages on until one of the two ends; returns False if the worker broke off.

        The client is told of an end, but not that the worker broke off.
        """
        async with asyncio.TaskGroup() as group:
            ends = [
                group.create_task(self._from_worker()),
                group.create_task(self._from_client()),
                group.create_task(self._watch()),
            ]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
        return self._worker.close_code != _ABNORMAL

    async def _from_worker(self) -> None:
        """Passes messages to the client, and why the worker ends it; not that it broke off."""
        code, reason = _GOING_AWAY, _COME_AGAIN
        with contextlib.suppress(WebSocketDisconnect):
            try:
                async for message in self._worker:
                    with self._held():
                        if isinstance(message, str):
                            await self._client.send_text(message)
                        else:
                            await self._client.send_bytes(message)
                code = self._worker.close_code or code
                reason = self._worker.close_reason or reason
            except ConnectionClosed as end:
                if end.rcvd is None:
                    return
                code, reason = end.rcvd.code, end.rcvd.reason
            await self._client.close(code=code, reason=reason)

    async def _from_client(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                message = await self._client.receive()
                if message["type"] == "websocket.disconnect":
                    await self._worker.close(code=1001)
                    return
                text = message.get("text")
                with self._held():
                    await self._worker.send(message["bytes"] if text is None else text)
        await asyncio.Event().wait()  # what the worker has sent before its end is passed on still

    async def _watch(self) -> None:
        """Breaks off from a worker that gives no sign of life.

        A process that is killed keeps its sockets until the last of its threads has run once more
        and given its memory back: of low priority, that takes seconds.
        """
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(self._beat)
                answer = group.create_task(self._ask())
                while not await self._has_come(answer):
                    # Behind what the client does not take, or the worker not yet, an answer
                    # cannot arrive, and that it is missing tells nothing.
                    if not (self._waiting and await self._is_alive()):
                        answer.cancel()
                        self._worker.transport.abort()
                        await self._worker.wait_closed()
                        return

    async def _has_come(self, answer: asyncio.Task[None]) -> bool:
        """Returns whether an answer has come in two beats, in which we were not late ourselves."""
        loop, late = asyncio.get_running_loop(), True
        while late and not answer.done():
            began = loop.time()
            await asyncio.wait([answer], timeout=2 * self._beat)
            late = loop.time() - began > 3 * self._beat
        return answer.done()

    async def _ask(self) -> None:
        """Returns once the worker has answered, or its connection is over."""
        with contextlib.suppress(ConnectionClosed):
            await (await self._worker.ping())

    @contextmanager
    def _held(self) -> Iterator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1


async def send_away(client: WebSocket) -> None:
    """Tells a client whose worker has gone to come again."""
    with contextlib.suppress(WebSocketDisconnect):
        await client.close(code=_GOING_AWAY, reason=_COME_AGAIN)
