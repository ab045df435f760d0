"""RTVI, the messages between Pipecat's clients and bots, for a session of ours.

The shapes are those of the protocol's version 2.1 as `@pipecat-ai/client-js` 1.13 reads and writes
them. What RTVI has no word for goes through as a `server-message` with our own event in it, and a
`client-message` may carry any of our own messages.
"""

from __future__ import annotations

import importlib.metadata
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from server import protocol
from server.desk import Desk
from server.motion_output import MotionFeed
from server.protocol import ServerEvent

VERSION: Final = "2.1.0"
_LABEL: Final = "rtvi-ai"
_PING: Final = "ping"  # sent each second, as plain text
_ID_BYTES: Final = 6
_QUIET: Final = ("session.state_updated", "motion.frame", "pong", "session.expiring")


class Rtvi:
    """One client's side of a session, in RTVI's words.

    Args:
        desk: obeys.
        leave: is called when the client sends the bot away.
    """

    label: ClassVar[str] = "chat"
    tells_origin: ClassVar[bool] = False

    def __init__(self, desk: Desk, *, leave: Callable[[], None]) -> None:
        self._desk = desk
        self._leave = leave
        self._answering: int | None = None  # the utterance whose text is being written

    @property
    def motion(self) -> MotionFeed:
        """The motion that the client asked for."""
        return self._desk.motion

    def tell(self, event: ServerEvent) -> list[str]:
        """Returns the messages that tell of an event, perhaps none."""
        told = self._of_the_user(event)
        told = self._of_the_bot(event) if told is None else told
        told = _of_the_session(event) if told is None else told
        if told is None:
            told = [_message("server-message", {"type": event.type, **asdict(event)})]
        return told

    async def take(self, text: str) -> list[str]:
        """Obeys a message; returns what to answer."""
        if text.startswith(_PING):
            return []
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            return [_message("error", {"error": "The message is not JSON.", "fatal": False})]
        if not isinstance(message, dict) or message.get("label") != _LABEL:
            return []  # the transport's own, as that a track is muted
        data = message.get("data")
        known = data if isinstance(data, dict) else {}
        return await self._obey(str(message.get("type")), known, message.get("id"))

    async def _obey(self, kind: str, data: Mapping[str, Any], number: object) -> list[str]:
        match kind:
            case "client-ready":
                about = {
                    "library": "vivant",
                    "library_version": importlib.metadata.version("vivant"),
                }
                return [_message("bot-ready", {"version": VERSION, "about": about}, number)]
            case "send-text":
                ours = {"type": "user.text", "text": data.get("content")}
                return await self._pass_on(ours, number)
            case "llm-function-call-result":
                result = data.get("result")
                content = result if isinstance(result, str) else json.dumps(result)
                call = data.get("tool_call_id")
                ours = {"type": "brain.tool_result", "call_id": call, "content": content}
                return await self._pass_on(ours, number)
            case "client-message":
                given = data.get("d")
                fields = given if isinstance(given, dict) else {}
                name = data.get("t")
                refused = await self._pass_on({**fields, "type": name}, number)
                return refused or [_message("server-response", {"t": name, "d": {}}, number)]
            case "disconnect-bot":
                self._leave()
                return []
        sentence = f"This bot does not know {kind[:60]!r}."
        return [_message("error-response", {"error": sentence}, number)]

    async def _pass_on(self, ours: Mapping[str, Any], number: object) -> list[str]:
        """Hands on a message of ours; returns the refusal, if it is refused."""
        answers = await self._desk.take_text(json.dumps(ours))
        failures = [each.message for each in answers if isinstance(each, protocol.Failed)]
        return [_message("error-response", {"error": each}, number) for each in failures]

    def _of_the_user(self, event: ServerEvent) -> list[str] | None:
        match event:
            case protocol.UserSpeechStarted():
                return [_message("user-started-speaking")]
            case protocol.UserSpeechStopped():
                return [_message("user-stopped-speaking")]
            case protocol.UserTranscript(text=text):
                return _user_said(text)
        return None

    def _of_the_bot(self, event: ServerEvent) -> list[str] | None:
        match event:
            case protocol.ReplyDelta(utterance=utterance, text=text):
                return self._written(utterance, text)
            case protocol.SpeakStarted():
                return [_message("bot-started-speaking"), _message("bot-tts-started")]
            case protocol.SubtitleDelta(text=text):
                return _said(text)
            case protocol.SpeakEnded(utterance=utterance):
                return self._ended(utterance)
            case protocol.BrainToolCall():
                return [_tool_call(event)]
        return None

    def _written(self, utterance: int, text: str) -> list[str]:
        begun = [] if self._answering == utterance else [_message("bot-llm-started")]
        self._answering = utterance
        return [*begun, _message("bot-llm-text", {"text": text})]

    def _ended(self, utterance: int) -> list[str]:
        ended = [_message("bot-tts-stopped"), _message("bot-stopped-speaking")]
        if self._answering == utterance:
            self._answering = None
            ended.insert(0, _message("bot-llm-stopped"))
        return ended


def _of_the_session(event: ServerEvent) -> list[str] | None:
    match event:
        case protocol.Failed(message=message) | protocol.BrainFailed(message=message):
            return [_message("error", {"error": message, "message": message, "fatal": False})]
        case protocol.Metrics():
            seconds = [("render", event.render_ms / 1000), ("latency", event.latency_ms / 1000)]
            figures = [{"processor": name, "value": value} for name, value in seconds]
            return [_message("metrics", {"processing": figures})]
        case protocol.SessionClosed():
            return [_text({"type": "signalling", "message": {"type": "peerLeft"}})]
    return [] if event.type in _QUIET else None


def _user_said(text: str) -> list[str]:
    now = datetime.now(UTC).isoformat()
    transcript = {"text": text, "final": True, "timestamp": now, "user_id": ""}
    return [_message("user-transcription", transcript), _message("user-llm-text", {"text": text})]


def _said(text: str) -> list[str]:
    """Returns what tells of a clause that begins to be heard."""
    output = {
        "text": text,
        "aggregated_by": "sentence",
        "spoken": True,
        "will_be_spoken": True,
        "spoken_status": "in-progress",
    }
    return [
        _message("bot-output", output),
        _message("bot-transcription", {"text": text}),
        _message("bot-tts-text", {"text": text}),
    ]


def _tool_call(call: protocol.BrainToolCall) -> str:
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        arguments = {}  # as the model wrote it, it is no JSON
    wanted = {
        "function_name": call.name,
        "tool_call_id": call.call_id,
        "arguments": arguments if isinstance(arguments, dict) else {},
    }
    return _message("llm-function-call-in-progress", wanted)


def _message(kind: str, data: Mapping[str, Any] | None = None, number: object = None) -> str:
    name = number if isinstance(number, str) else secrets.token_hex(_ID_BYTES)
    return _text({"label": _LABEL, "type": kind, "id": name, "data": data or {}})


def _text(message: Mapping[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))
