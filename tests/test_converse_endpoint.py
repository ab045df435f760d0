"""Chat endpoints over real HTTP: what they stream is understood, and no misbehaviour hurts."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.converse.brain import BrainError, BrainEvent, Message, Question, TextDelta, ToolCall
from server.converse.chat_endpoint import ChatEndpoint, ChatServer
from server.converse.sse import EventStream
from tests.chat_stub import (
    DONE,
    HEAD,
    Behaviour,
    Stub,
    answers,
    calls,
    chat_stub,
    event,
    sends,
    writes,
)

KEY = "sk-very-secret-1234567890"
LONG, SHORT = 30.0, 1.0  # seconds of patience: where nothing hangs, and where something does


async def ask(
    stub: Stub, question: Question | None = None, *, patience: float = LONG
) -> list[BrainEvent]:
    endpoint = ChatEndpoint(
        ChatServer(stub.url, "tiny", KEY, first_seconds=patience, between_seconds=patience)
    )
    question = question or Question([Message("user", "Hello?")])
    try:
        return [found async for found in endpoint.reply(question)]
    finally:
        await endpoint.aclose()


def text(events: Iterable[BrainEvent]) -> str:
    return "".join(found.text for found in events if isinstance(found, TextDelta))


async def test_a_streamed_reply_arrives_in_its_pieces() -> None:
    async with chat_stub(writes("Good day. 日本 and on.")) as stub:
        events = await ask(stub, Question([Message("system", "Be."), Message("user", "Hi")]))
    assert text(events) == "Good day. 日本 and on."
    assert len(events) > 3
    assert stub.requests[0] == {
        "model": "tiny",
        "messages": [{"role": "system", "content": "Be."}, {"role": "user", "content": "Hi"}],
        "stream": True,
    }
    assert stub.headers[0]["authorization"] == f"Bearer {KEY}"


async def test_events_may_be_cut_anywhere_and_end_their_lines_anyhow() -> None:
    whole = HEAD + b"".join(event(content=word) for word in ("One ", "zwölf ", "日本."))
    whole = whole.replace(b"}\n\n", b"}\r\n\r\n") + DONE
    async with chat_stub(sends(*(whole[at : at + 1] for at in range(len(whole))))) as stub:
        assert text(await ask(stub)) == "One zwölf 日本."


async def test_a_server_that_does_not_stream_is_understood() -> None:
    body = '{"choices":[{"message":{"role":"assistant","content":"All at once."}}]}'
    async with chat_stub(answers(200, body)) as stub:
        assert text(await ask(stub)) == "All at once."


async def test_a_tool_call_comes_whole_and_its_result_goes_back() -> None:
    call = ToolCall("call_7", "weather", '{"city": "Florence"}')
    messages = [
        Message("user", "Weather?"),
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", "sunny", tool_call_id="call_7"),
    ]
    tools = [{"type": "function", "function": {"name": "weather"}}]
    async with chat_stub(calls(call.name, call.arguments)) as stub:
        assert await ask(stub, Question(messages, model="big", tools=tools)) == [call]
    assert stub.requests[0]["model"] == "big"
    assert stub.requests[0]["tools"] == tools
    assert stub.requests[0]["messages"][1:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": "call_7",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "Florence"}'},
                }
            ],
        },
        {"role": "tool", "content": "sunny", "tool_call_id": "call_7"},
    ]


REFUSAL = '{"error": {"message": "Incorrect API key provided: ' + KEY + '."}}'
BAD: list[tuple[Behaviour, str]] = [
    (answers(401, REFUSAL), "unauthorized"),
    (answers(403, "<html>no</html>"), "unauthorized"),
    (answers(404, '{"error": "no such model"}'), "refused"),
    (answers(500, ""), "refused"),
    (answers(429, "{}", ["Retry-After: 20"]), "rate_limited"),
    (sends(hangs=True), "timeout"),
    (sends(HEAD, hangs=True), "timeout"),
    (sends(HEAD, *[b": still here\n\n"] * 3, hangs=True), "timeout"),
    (sends(HEAD, event(content="Well, "), hangs=True), "timeout"),
    (sends(HEAD, event(content="Well, ")), "broken_off"),
    (sends(b"HTTP/1.1 200 OK\r\nContent-Le"), "broken_off"),
    (sends(HEAD, b"data: {not json\n\n"), "nonsense"),
    (sends(HEAD, b"data: [1, 2]\n\n"), "nonsense"),
    (sends(HEAD, b'data: {"choices": 7}\n\n'), "nonsense"),
    (sends(HEAD, b'data: {"choices": [{"delta": {"tool_calls": [7]}}]}\n\n'), "nonsense"),
    (sends(HEAD, b'data: {"error": {"message": "out of memory"}}\n\n'), "nonsense"),
    (sends(HEAD, b"data: " + b"x" * 2_000_000), "nonsense"),
    (sends(HEAD, b"\xff\xfe" * 500, DONE[:4]), "broken_off"),
    (answers(200, "{}"), "nonsense"),
]


@pytest.mark.parametrize(("behaviour", "failure"), BAD)
async def test_a_bad_endpoint_is_one_sentence_without_the_key(
    behaviour: Behaviour, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with chat_stub(behaviour) as stub:
        with pytest.raises(BrainError) as caught:
            await ask(stub, patience=SHORT if failure == "timeout" else LONG)
    assert caught.value.failure == failure
    sentence = str(caught.value)
    assert sentence.startswith("The brain at 127.0.0.1 ")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 300
    assert KEY not in sentence + repr(caught.value) + caplog.text
    assert caught.value.retry_after == (20 if failure == "rate_limited" else None)


async def test_nobody_listening_is_one_sentence() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(BrainError, match="cannot be reached") as caught:
        await ask(Stub(url=url))
    assert caught.value.failure == "unreachable"


async def test_a_short_retry_after_is_waited_for_once() -> None:
    busy = answers(429, "{}", ["Retry-After: 0.05"])
    async with chat_stub(busy, writes("Now.")) as stub:
        assert text(await ask(stub)) == "Now."
        assert len(stub.requests) == 2
    async with chat_stub(busy) as stub:
        with pytest.raises(BrainError):
            await ask(stub)
        assert len(stub.requests) == 2


async def test_what_came_before_the_stream_broke_is_not_lost() -> None:
    got: list[BrainEvent] = []
    async with chat_stub(sends(HEAD, event(content="Well, "), event(content="you"))) as stub:
        endpoint = ChatEndpoint(ChatServer(stub.url, "tiny"))
        with pytest.raises(BrainError):
            async for found in endpoint.reply(Question([Message("user", "Hm?")])):
                got.append(found)
        await endpoint.aclose()
    assert text(got) == "Well, you"
    assert "authorization" not in stub.headers[0]


async def test_who_takes_the_reply_slowly_is_no_silence_of_the_server() -> None:
    async with chat_stub(writes("Take your time.", size=8)) as stub:
        endpoint = ChatEndpoint(ChatServer(stub.url, "tiny", between_seconds=0.1))
        taken = []
        async for found in endpoint.reply(Question([Message("user", "Hm?")])):
            await asyncio.sleep(0.15)
            taken.append(found)
        await endpoint.aclose()
    assert text(taken) == "Take your time."


@pytest.mark.parametrize(
    ("url", "key"),
    [("http://host/v1", "sk-ümlaut"), ("http://host/v1", "two words"), ("ftp://host/v1", ""),
     ("http://u:hidden@host/v1", ""), ("nonsense", "")],
)  # fmt: skip
def test_an_impossible_server_is_refused_without_its_secrets(url: str, key: str) -> None:
    with pytest.raises(ValueError, match="brain") as caught:
        ChatServer(url, "tiny", key)
    assert "hidden" not in str(caught.value)
    assert not key or key not in str(caught.value)


@given(st.lists(st.text(min_size=1), max_size=5), st.integers(1, 7))
def test_event_data_survives_any_cut(words: list[str], size: int) -> None:
    lines = ["".join(char for char in word if char not in "\r\n") for word in words]
    sent = "".join(f"id: 1\ndata: {line}\n\n" for line in lines).encode()
    stream, got = EventStream(), []
    for start in range(0, len(sent), size):
        got += stream.push(sent[start : start + size])
    assert got + stream.finish() == [line.encode().decode("utf-8", "replace") for line in lines]
