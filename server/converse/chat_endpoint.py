"""A brain behind any server that speaks OpenAI's `/v1/chat/completions`.

On httpx, which the server needs anyway: the `openai` package would bring 2.4 MB and half a
second of start for one request, and bounds neither the silence between two tokens nor the size
of a line. The key goes into one header and nowhere else: no error, event or log holds it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from server.converse.brain import BrainError, BrainEvent, FailureCode, Message, Question
from server.converse.completion import CompletionReader
from server.converse.sse import EventStream

Events = AsyncGenerator[BrainEvent, None]
CONNECT_SECONDS = 5.0
FIRST_SECONDS = 20.0
BETWEEN_SECONDS = 10.0
LONGEST_WAIT = 3.0  # seconds of a `Retry-After` that are waited for, once
_MOST_SAID = 200  # characters of a server's own words in an error
_SECRET = re.compile(r"\b(?:sk|key|tok)[-_][\w*-]{6,}|Bearer\s+\S+", re.IGNORECASE)
_FAILURES: dict[int, FailureCode] = {401: "unauthorized", 403: "unauthorized", 429: "rate_limited"}


@dataclass(frozen=True, slots=True)
class ChatServer:
    """Where the brain is.

    Attributes:
        base_url: up to and including `/v1`.
        model: as the server names it.
        key: sent as bearer token unless empty.
        first_seconds: longest wait for the first token.
        between_seconds: longest silence after it.
    """

    base_url: str
    model: str
    key: str = field(default="", repr=False)
    first_seconds: float = FIRST_SECONDS
    between_seconds: float = BETWEEN_SECONDS

    def __post_init__(self) -> None:
        """Checks what httpx would name in full, the key too, when it refuses it.

        Raises:
            ValueError: the address or the key cannot be used.
        """
        if not (self.key.isascii() and self.key.isprintable() and " " not in self.key):
            raise ValueError("the brain's key holds characters that no key has")
        try:
            url = httpx.URL(self.base_url)
        except httpx.InvalidURL:
            raise ValueError("the brain's address is not one") from None
        if url.scheme not in ("http", "https") or not url.host or url.userinfo:
            raise ValueError("the brain's address must be http(s)://host/..., without a password")


class ChatEndpoint:
    """One chat server, for all sessions."""

    def __init__(self, server: ChatServer) -> None:
        self._server = server
        self._url = server.base_url.rstrip("/") + "/chat/completions"
        self._host = httpx.URL(server.base_url).host
        self._client: httpx.AsyncClient | None = None

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def reply(self, question: Question) -> Events:
        """Yields the reply as the server streams it.

        Raises:
            BrainError: the server cannot be reached, refuses, falls silent, breaks off, or says
                what is not the protocol.
        """
        try:
            async for event in self._asked(question, may_wait=True):
                yield event
        except (TimeoutError, httpx.TimeoutException) as error:
            raise self._error("timeout", "took too long to answer") from error
        except httpx.ConnectError as error:
            raise self._error("unreachable", "cannot be reached") from error
        except httpx.DecodingError as error:
            raise self._error("nonsense", "sent an answer that cannot be decoded") from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self._error("broken_off", "broke off") from error

    async def _asked(self, question: Question, *, may_wait: bool) -> Events:
        async with asyncio.timeout(self._server.first_seconds) as limit:
            async with self._open().stream("POST", self._url, json=self._body(question)) as got:
                if got.status_code == httpx.codes.OK:
                    async for event in self._read(got, limit):
                        yield event
                    return
                wait = _retry_after(got)
                refusal = await self._refusal(got, wait)
        if not may_wait or wait is None or wait > LONGEST_WAIT:
            raise refusal
        await asyncio.sleep(wait)
        async for event in self._asked(question, may_wait=False):
            yield event

    async def _read(self, got: httpx.Response, limit: asyncio.Timeout) -> Events:
        kind = got.headers.get("content-type", "").partition(";")[0].strip().lower()
        reader = CompletionReader()
        try:
            if kind == "application/json":  # a server that does not stream
                for event in reader.whole(await _bounded(got)):
                    yield event
                return
            async for data in _events(got):
                for event in reader.push(data):
                    limit.reschedule(None)  # who takes the event may take its time
                    yield event
                    self._allow(limit, self._server.between_seconds)
                if reader.is_over:
                    return
        except ValueError as error:
            raise self._error("nonsense", f"sent {self._clean(str(error))}") from error
        raise self._error("broken_off", "ended its answer in the middle")

    def _allow(self, limit: asyncio.Timeout, seconds: float) -> None:
        limit.reschedule(asyncio.get_running_loop().time() + seconds)

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            key = self._server.key
            self._client = httpx.AsyncClient(
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            )
        return self._client

    def _body(self, question: Question) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": question.model or self._server.model,
            "messages": [_message(message) for message in question.messages],
            "stream": True,
        }
        return body | ({"tools": list(question.tools)} if question.tools else {})

    async def _refusal(self, got: httpx.Response, wait: float | None) -> BrainError:
        said = self._clean(_reason(await _bounded(got)))
        failure = _FAILURES.get(got.status_code, "refused")
        words = f"answered {got.status_code}" + (f": {said}" if said else "")
        return self._error(failure, words, retry_after=wait)

    def _error(
        self, failure: FailureCode, words: str, *, retry_after: float | None = None
    ) -> BrainError:
        sentence = f"The brain at {self._host} {words.rstrip('.')}."
        return BrainError(failure, sentence, retry_after=retry_after)

    def _clean(self, text: str) -> str:
        """Returns a server's words short, on one line and without anything like a key."""
        if self._server.key:
            text = text.replace(self._server.key, "[key]")
        return " ".join(_SECRET.sub("[key]", text).split())[:_MOST_SAID]


async def _events(got: httpx.Response) -> AsyncIterator[str]:
    stream = EventStream()
    async for content in got.aiter_bytes():
        for data in stream.push(content):
            yield data
    for data in stream.finish():
        yield data


async def _bounded(got: httpx.Response) -> bytes:
    content = b""
    async for piece in got.aiter_bytes():
        content += piece
        if len(content) > 1_000_000:
            raise ValueError("an answer of more than a million bytes")
    return content


def _reason(content: bytes) -> str:
    """Returns what an error's body says, in OpenAI's shape or any other."""
    text = content[:4000].decode("utf-8", "replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return text
    error = body.get("error", body) if isinstance(body, dict) else body
    return str(error.get("message", error) if isinstance(error, dict) else error)


def _retry_after(got: httpx.Response) -> float | None:
    """Returns the seconds of `Retry-After`; a date is not taken for one."""
    value = got.headers.get("retry-after", "")
    return float(value) if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", value) else None


def _message(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        body["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        body["tool_call_id"] = message.tool_call_id
    return body
