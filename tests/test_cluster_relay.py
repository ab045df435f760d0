"""A gateway between a client and a worker of which one is slow: nothing piles up, nobody is cut."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import pytest
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_socket
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from server.cluster.forward import Forwarder
from server.cluster.port import ALIVE, Broken, Report
from server.cluster.relay import send_away
from tests.cluster_rig import Uvicorn

BEAT = 0.1
PIECE = 64 * 1024
MOST = 24 * 2**20  # bytes: what the system's buffers of two connections take at the most
Handler = Callable[[ServerConnection], Awaitable[None]]


@dataclass
class Stub:
    """A worker of one WebSocket; one that is stuck answers nothing."""

    sent: int = 0
    is_stuck: bool = False
    is_over: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path != ALIVE:
            return None
        if self.is_stuck:
            await self.is_over.wait()
        return connection.respond(HTTPStatus.NO_CONTENT, "")


@asynccontextmanager
async def joined(handler: Handler, stub: Stub) -> AsyncIterator[ClientConnection]:
    """Yields a client's WebSocket through a gateway to such a worker."""
    async with (
        serve(
            handler,
            "127.0.0.1",
            0,
            process_request=stub.ask,
            compression=None,
            ping_interval=None,
            max_size=None,
        ) as worker,
        asyncio.TaskGroup() as group,
    ):
        port = worker.sockets[0].getsockname()[1]
        report = Report("w", f"http://127.0.0.1:{port}", 1, 0, 0, 0, frozenset())
        forwarder = Forwarder("secret", beat=BEAT)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "websocket":
                try:
                    await forwarder(report)(scope, receive, send)
                except Broken as broken:
                    await send_away(broken.client)

        gateway = Uvicorn(app)
        serving = group.create_task(gateway.serve())
        await gateway.until_started()
        with socket.create_connection(("127.0.0.1", gateway.port)) as own:
            own.setblocking(False)
            async with connect_socket(
                f"ws://127.0.0.1:{gateway.port}/x",
                sock=own,
                compression=None,
                max_size=None,
                ping_interval=None,
            ) as client:
                yield client
        gateway.should_exit = True
        await serving
        await forwarder.aclose()


def piece(number: int) -> bytes:
    return number.to_bytes(4, "big") * (PIECE // 4)


async def until_still(amount: Callable[[], int]) -> int:
    """Returns an amount once it has not grown for ten beats."""
    before = -1
    while amount() != before:
        before = amount()
        await asyncio.sleep(10 * BEAT)
    return before


async def test_a_worker_waits_for_a_client_that_takes_nothing_and_keeps_it() -> None:
    stub = Stub()

    async def talk(socket: ServerConnection) -> None:
        while not stub.is_over.is_set():
            await socket.send(piece(stub.sent))
            stub.sent += 1
        await socket.close()

    async with asyncio.timeout(60), joined(talk, stub) as client:
        sent = await until_still(lambda: stub.sent)
        assert 0 < sent * PIECE < MOST
        assert [await client.recv() for _ in range(sent + 50)] == [
            piece(number) for number in range(sent + 50)
        ]
        stub.is_over.set()
        async for _ in client:
            pass


async def test_a_client_waits_for_a_worker_that_takes_nothing_and_keeps_it() -> None:
    stub, taking, taken = Stub(), asyncio.Event(), asyncio.Queue[str | bytes]()
    sent = 0

    async def listen(socket: ServerConnection) -> None:
        await taking.wait()
        async for message in socket:
            taken.put_nowait(message)

    async with asyncio.timeout(60), joined(listen, stub) as client, asyncio.TaskGroup() as group:

        async def talk() -> None:
            nonlocal sent
            while not stub.is_over.is_set():
                await client.send(piece(sent))
                sent += 1

        group.create_task(talk())
        waiting = await until_still(lambda: sent)
        assert 0 < waiting * PIECE < MOST
        taking.set()
        assert [await taken.get() for _ in range(waiting + 50)] == [
            piece(number) for number in range(waiting + 50)
        ]
        stub.is_over.set()


@pytest.mark.parametrize("is_taking", [True, False])
async def test_a_client_is_sent_away_from_a_worker_that_is_stuck(is_taking: bool) -> None:
    stub = Stub()

    async def talk(socket: ServerConnection) -> None:
        if is_taking:
            await socket.send(piece(stub.sent))
        else:
            with contextlib.suppress(TimeoutError):
                while True:
                    async with asyncio.timeout(10 * BEAT):
                        await socket.send(piece(stub.sent))
                    stub.sent += 1
        stub.is_stuck = True
        socket.transport.pause_reading()
        await stub.is_over.wait()
        socket.transport.abort()

    async with asyncio.timeout(60), joined(talk, stub) as client:
        if not is_taking:
            while not stub.is_stuck:  # noqa: ASYNC110
                await asyncio.sleep(BEAT)
            await asyncio.sleep(10 * BEAT)  # it takes some of it when the worker is left already
        with pytest.raises(ConnectionClosed) as end:
            while True:
                await client.recv()
        stub.is_over.set()
        assert end.value.rcvd is not None
        assert (end.value.rcvd.code, end.value.rcvd.reason) == (1012, "come again")
