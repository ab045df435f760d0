"""Harnesses of JSON: what clients send, what brains and voices' servers answer. No session."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import httpx
from pydantic import ValidationError

from server import protocol
from server.converse import chat_endpoint, transcription_endpoint
from server.converse.completion import CompletionReader
from server.converse.sse import EventStream, EventStreamError
from server.converse.transcriber import TranscriptionError
from server.livekit.routes import LiveKitRequest
from server.pipecat import rtvi
from server.pipecat.routes import Candidates, PipecatOffer, Start
from server.realtime.events import EventError, read_event, read_json
from server.realtime.settings import Settings, changed, for_response
from tools.fuzz.harness import Harness
from tools.fuzz.mutate import mutate_json
from vivant_client.events import read_event as read_server_event

_STYLE: Final = {"emotion": "happy", "intensity": 0.5, "gaze": [10, -5], "blink_rate": 12}
MESSAGES: Final[tuple[dict[str, Any], ...]] = (
    {"type": "speak", "text": "Hello there.", "voice": None, "style": _STYLE},
    {"type": "speak.start", "voice": None, "style": None},
    {"type": "speak.delta", "text": "One, two [smile] three."},
    {"type": "speak.end"},
    {"type": "user.text", "text": "Who are you?", "source": "voice"},
    {"type": "brain.tool_result", "call_id": "c1", "content": "{}"},
    {"type": "interrupt"},
    {"type": "microphone", "mode": "listen", "barge_in": 300},
    {"type": "audio.start", "sample_rate": 16000, "channels": 1, "style": _STYLE},
    {"type": "audio.end"},
    {"type": "session.update", "background": "green", "style": _STYLE},
    {"type": "gesture", "name": "nod", "strength": 0.5, "duration": 1.5, "mode": "replace"},
    {"type": "motion", "coefficients": {"jawOpen": 0.5, "headYaw": 0.1}, "weight": 1, "t": 1.5},
    {"type": "motion.configure", "parts": {"mouth": "replace", "head": "off"}, "smoothing": 0.5},
    {"type": "motion.calibrate", "reset": False},
    {"type": "motion.subscribe", "active": True},
    {"type": "script.update", "text": "One. Two.", "format": "markdown", "sentence": None},
    {"type": "script.update", "text": "Three.", "sentence": 1},
    {"type": "script.play", "sentence": 0},
    {"type": "script.pause", "at": "sentence_end"},
    {"type": "script.seek", "sentence": 1},
    {"type": "session.keep_alive"},
    {"type": "ping", "t": 1},
)
_FORMAT: Final = {"type": "audio/pcm", "rate": 24000}
_TURNS: Final = {"type": "server_vad", "threshold": 0.5, "interrupt_response": True}
REALTIME: Final[tuple[dict[str, Any], ...]] = (
    {
        "type": "session.update",
        "session": {
            "type": "realtime",
            "instructions": "Be brief.",
            "output_modalities": ["audio"],
            "audio": {
                "input": {"format": _FORMAT, "turn_detection": _TURNS},
                "output": {"format": _FORMAT, "voice": "hum", "speed": 1.0},
            },
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
        },
    },
    {"type": "session.update", "session": {"modalities": ["text"], "turn_detection": None}},
    {"type": "input_audio_buffer.append", "audio": "AAAAAAEA/38AgAAA"},
    {"type": "input_audio_buffer.commit", "event_id": "e1"},
    {"type": "input_audio_buffer.clear"},
    {
        "type": "conversation.item.create",
        "previous_item_id": "root",
        "item": {
            "type": "message",
            "id": "i1",
            "role": "user",
            "content": [{"type": "input_text", "text": "Hello."}],
        },
    },
    {
        "type": "conversation.item.create",
        "item": {"type": "function_call_output", "call_id": "c1", "output": "{}"},
    },
    {"type": "conversation.item.retrieve", "item_id": "i1"},
    {"type": "conversation.item.truncate", "item_id": "i1", "audio_end_ms": 100},
    {"type": "conversation.item.delete", "item_id": "i1"},
    {
        "type": "response.create",
        "response": {"instructions": "x", "metadata": {"a": "b"}, "conversation": "none"},
    },
    {"type": "response.cancel", "response_id": None},
)
_CHUNK: Final = {
    "id": "x",
    "choices": [
        {
            "index": 0,
            "delta": {
                "role": "assistant",
                "content": "Hello",
                "tool_calls": [
                    {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            "finish_reason": None,
        }
    ],
}
_LIVEKIT: Final = {
    "livekit_url": "wss://example.org",
    "livekit_token": "abc",
    "room_name": "room",
    "avatar_id": "mona_lisa",
    "avatar_image": "data:image/png;base64,iVBORw0KGgo=",
    "async_mode": True,
}


def take_message(data: bytes) -> None:
    """Reads a message of our protocol, as a WebSocket or a data channel brings it."""
    message = protocol.parse_message(data.decode("utf-8", "replace"))
    text = protocol.Pong(message.t).to_json() if isinstance(message, protocol.Ping) else "{}"
    assert "NaN" not in text
    assert "Infinity" not in text


def take_realtime(data: bytes) -> None:
    """Reads an event of OpenAI's Realtime API, and what it asks of a session."""
    event = read_event(read_json(data.decode("utf-8", "replace")))
    settings = Settings(instructions="Be brief.")
    match event.type:
        case "session.update":
            settings, _ = changed(settings, event.session)
            json.dumps(settings.chat_tools())
        case "response.create":
            settings, _ = for_response(settings, event.response)
        case "input_audio_buffer.append":
            event.pcm()


def take_completion(data: bytes) -> None:
    """Reads what the servers of a brain and of a transcriber answer, cut anywhere."""
    pieces = [data[start : start + 97] for start in range(0, len(data), 97)]
    chat_endpoint._reason(data)
    answer = httpx.Response(200, content=data)
    for read in (
        lambda: _stream(pieces),
        lambda: list(CompletionReader().whole(data)),
        lambda: transcription_endpoint._text(answer, "example.org"),
    ):
        try:
            read()
        except (EventStreamError, TranscriptionError):
            continue
        except ValueError as error:
            if type(error) is not ValueError:  # a subclass is a fault of ours
                raise TypeError(repr(error)) from error


def take_call(data: bytes) -> None:
    """Tells Pipecat's clients of a tool call whose arguments a brain wrote."""
    call = protocol.BrainToolCall("c", "f", data.decode("utf-8", "replace"))
    assert json.loads(rtvi._tool_call(call))


def take_body(data: bytes) -> None:
    """Reads the bodies that other programs' clients post."""
    for kind in (LiveKitRequest, PipecatOffer, Candidates, Start):
        try:
            kind.model_validate_json(data)
        except ValidationError as error:
            protocol.fault(error.errors()[0])


def take_told(data: bytes) -> None:
    """Reads, as our own client, what a server says."""
    event = read_server_event(data.decode("utf-8", "replace"))
    assert event is None or isinstance(event.type, str)


def _stream(pieces: Sequence[bytes]) -> None:
    stream, reader = EventStream(), CompletionReader()
    for event in [each for piece in pieces for each in stream.push(piece)]:
        list(reader.push(event))
    for event in stream.finish():
        list(reader.push(event))


def _lines(items: Sequence[Any]) -> list[bytes]:
    return [json.dumps(item).encode() for item in items]


def _completions() -> list[bytes]:
    chunk = json.dumps(_CHUNK).encode()
    whole = chunk.replace(b'"delta"', b'"message"')
    stream = b"data: " + chunk + b"\n\ndata: [DONE]\n\n"
    return [chunk, whole, stream, b'{"error": {"message": "no"}}', b'{"text": "hello"}']


def _told() -> list[bytes]:
    return _lines(
        [
            {"type": "session.state_updated", "state": "idle", "media_time": 0},
            {"type": "subtitle.delta", "utterance": 1, "text": "a", "media_time": 5},
            {"type": "motion.frame", "media_time": 0, "coefficients": {"jawOpen": 1}},
            {"type": "error", "code": "bad_request", "message": "No."},
        ]
    )


def _bodies() -> list[bytes]:
    candidate = {"candidate": "candidate:1 1 udp 1 192.168.1.2 5000 typ host", "sdp_mid": "0"}
    offer = {"sdp": "v=0", "type": "offer", "pc_id": None, "requestData": {"mode": "present"}}
    return _lines(
        [
            _LIVEKIT,
            offer,
            {"pc_id": "a.b", "candidates": [candidate]},
            {"transport": "webrtc", "body": {"mode": "converse", "seed": 1}},
        ]
    )


MESSAGE: Final = Harness(take_message, lambda: _lines(MESSAGES), mutate_json, longest=300_000)
REALTIME_EVENT: Final = Harness(
    take_realtime, lambda: _lines(REALTIME), mutate_json, (EventError,), longest=300_000
)
COMPLETION: Final = Harness(take_completion, _completions, mutate_json, (), longest=300_000)
TOOL_CALL: Final = Harness(take_call, lambda: [b'{"city": "Bern", "n": [1]}'], mutate_json, ())
BODY: Final = Harness(take_body, _bodies, mutate_json, (), longest=300_000)
TOLD: Final = Harness(take_told, _told, mutate_json, (), longest=300_000)
