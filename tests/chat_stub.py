"""A chat server on this machine: real HTTP and server-sent events, and every misbehaviour."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


@dataclass
class Stub:
    """What was asked, and what to do next; the last behaviour is repeated.

    Attributes:
        requests: bodies, oldest first.
        headers: of the same, names in lower case.
        behaviours: for one request each.
    """

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    behaviours: list[Behaviour] = field(default_factory=list)
    serving: set[asyncio.Task[Any]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            pairs = (line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
            headers = {name.lower(): value for name, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.headers.append(headers)
            self.requests.append(json.loads(body))
            behaviour = self.behaviours[0]
            if len(self.behaviours) > 1:
                del self.behaviours[0]
            await behaviour(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client went away
        except asyncio.CancelledError:
            return  # the test is over; asyncio's own server does not expect a cancelled task
        finally:
            self.serving.discard(task)
            writer.close()


@asynccontextmanager
async def chat_stub(*behaviours: Behaviour) -> AsyncIterator[Stub]:
    stub = Stub(behaviours=list(behaviours))
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
    stub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield stub
    finally:
        server.close()
        for task in stub.serving:
            task.cancel()
        await asyncio.gather(*stub.serving, return_exceptions=True)


def event(**delta: object) -> bytes:
    chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta}]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def writes(text: str, *, every: float = 0.0, size: int = 4) -> Behaviour:
    """Returns what streams a text in tokens of `size` characters."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b": hello\n\n" + event(role="assistant", content=""))
        for start in range(0, len(text), size):
            writer.write(event(content=text[start : start + size]))
            await writer.drain()
            await asyncio.sleep(every)
        writer.write(DONE)

    return behave


def sends(*pieces: bytes, hangs: bool = False) -> Behaviour:
    """Returns what sends these bytes, and then nothing more."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if hangs:
            await asyncio.sleep(30)

    return behave


def answers(status: int, body: str, headers: Iterable[str] = ()) -> Behaviour:
    """Returns what answers with a status."""
    lines = [f"HTTP/1.1 {status} Whatever", "Content-Type: application/json", *headers]
    content = body.encode()
    head = "\r\n".join([*lines, f"Content-Length: {len(content)}", "Connection: close", "", ""])
    return sends(head.encode() + content)


def calls(name: str, arguments: str, call_id: str = "call_7") -> Behaviour:
    """Returns what calls a tool, its arguments in two pieces."""
    middle = len(arguments) // 2
    first = {"index": 0, "id": call_id, "type": "function"}
    return sends(
        HEAD,
        event(tool_calls=[first | {"function": {"name": name, "arguments": arguments[:middle]}}]),
        event(tool_calls=[{"index": 0, "function": {"arguments": arguments[middle:]}}]),
        DONE,
    )
