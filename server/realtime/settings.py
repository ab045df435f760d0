"""How a realtime client wants its session: OpenAI's configuration, as far as a portrait has it.

Pure. What a client asks for and cannot have is refused with the value; what only tunes OpenAI's
own models is passed over, and is not in the configuration that the client is told.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.realtime.events import EventError, field_error

RATE = 24_000  # Hz
_FORMAT = {"type": "audio/pcm", "rate": RATE}
_PREFIX_MS, _SILENCE_MS = 300, 600  # of server.converse.ear and server.vad
_MOST_TOOLS = 64_000  # characters of JSON
_THRESHOLD = 0.5  # nothing is tuned by it


class _Wish(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Format(_Wish):
    type: str = "audio/pcm"
    rate: int | None = RATE


class _TurnDetection(_Wish):
    type: Literal["server_vad", "semantic_vad"]
    create_response: bool | None = None
    interrupt_response: bool | None = None


class _Transcription(_Wish):
    model: str | None = None
    language: str | None = None


class _Input(_Wish):
    format: _Format | None = None
    transcription: _Transcription | None = None
    turn_detection: _TurnDetection | None = None


class _VoiceId(_Wish):
    id: str


class _Output(_Wish):
    format: _Format | None = None
    voice: str | _VoiceId | None = None


class _Audio(_Wish):
    input: _Input | None = None
    output: _Output | None = None


class _Tool(_Wish):
    type: str
    name: str | None = Field(default=None, max_length=200)
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ResponseWish(_Wish):
    """What one response is to be; what it leaves out is as the session has it."""

    instructions: str | None = Field(default=None, max_length=20_000)
    tools: list[_Tool] | None = None
    tool_choice: Any = None
    output_modalities: list[str] | None = None
    metadata: dict[str, str] | None = None
    audio: _Audio | None = None
    conversation: str | None = None
    input: list[Any] | None = None


class _SessionWish(_Wish):
    type: str
    instructions: str | None = Field(default=None, max_length=20_000)
    tools: list[_Tool] | None = None
    tool_choice: Any = None
    output_modalities: list[str] | None = None
    audio: _Audio | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """A session's configuration.

    Attributes:
        instructions: the system prompt.
        tools: that the brain may call, in OpenAI's realtime shape.
        may_call: whether it may, now.
        detects_turns: whether the server decides when the user has finished.
        answers_turns: whether it answers then.
        interrupts: whether the user's voice cuts an answer off.
        transcription: what was asked for; None while transcripts are not told.
    """

    instructions: str
    tools: tuple[dict[str, Any], ...] = ()
    may_call: bool = True
    detects_turns: bool = True
    answers_turns: bool = True
    interrupts: bool = True
    transcription: dict[str, Any] | None = field(default=None)

    def describe(self, *, session_id: str, model: str, voice: str) -> dict[str, Any]:
        """Returns the whole configuration, as `session.created` tells it."""
        detection = {
            "type": "server_vad",
            "threshold": _THRESHOLD,
            "prefix_padding_ms": _PREFIX_MS,
            "silence_duration_ms": _SILENCE_MS,
            "create_response": self.answers_turns,
            "interrupt_response": self.interrupts,
        }
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": model,
            "output_modalities": ["audio"],
            "instructions": self.instructions,
            "tools": list(self.tools),
            "tool_choice": "auto" if self.may_call else "none",
            "max_output_tokens": "inf",
            "audio": {
                "input": {
                    "format": _FORMAT,
                    "transcription": self.transcription,
                    "noise_reduction": None,
                    "turn_detection": detection if self.detects_turns else None,
                },
                "output": {"format": _FORMAT, "voice": voice, "speed": 1.0},
            },
        }

    def chat_tools(self) -> tuple[dict[str, Any], ...]:
        """Returns the tools as `/v1/chat/completions` takes them."""
        if not self.may_call:
            return ()
        shapes = ({k: v for k, v in tool.items() if k != "type"} for tool in self.tools)
        return tuple({"type": "function", "function": shape} for shape in shapes)


def changed(settings: Settings, wanted: dict[str, Any]) -> tuple[Settings, str | None]:
    """Returns the configuration as `session.update` wants it, and the voice, if it names one.

    Raises:
        EventError: something in it cannot be had; then nothing changes.
    """
    try:
        wish = _SessionWish.model_validate(wanted)
    except ValidationError as error:
        raise field_error(error, within="session") from None
    if wish.type != "realtime":
        message = f"Sessions are of type 'realtime' here, not {wish.type[:40]!r}."
        raise EventError("invalid_value", message, param="session.type")
    _check(wish.output_modalities, wish.audio, within="session")
    settings = _with_tools(settings, wish.tools, wish.tool_choice, within="session")
    if wish.instructions is not None:
        settings = replace(settings, instructions=wish.instructions)
    heard = wish.audio.input if wish.audio is not None else None
    if heard is not None:
        settings = _with_input(settings, heard)
    return settings, _voice(wish.audio)


def for_response(settings: Settings, wanted: dict[str, Any] | None) -> tuple[Settings, Any]:
    """Returns the configuration of one response, and its metadata.

    Raises:
        EventError: something in it cannot be had.
    """
    try:
        wish = ResponseWish.model_validate(wanted or {})
    except ValidationError as error:
        raise field_error(error, within="response") from None
    _check(wish.output_modalities, wish.audio, within="response")
    if wish.conversation not in (None, "auto") or wish.input is not None:
        shown = f"{wish.conversation!r:.42} with {len(wish.input or [])} items of its own"
        message = f"A response answers the conversation, 'auto', not {shown}."
        raise EventError("invalid_value", message, param="response.conversation")
    settings = _with_tools(settings, wish.tools, wish.tool_choice, within="response")
    if wish.instructions is not None:
        settings = replace(settings, instructions=wish.instructions)
    return settings, wish.metadata


def _check(modalities: list[str] | None, audio: _Audio | None, *, within: str) -> None:
    if modalities not in (None, ["audio"]):
        message = f"A portrait speaks: 'output_modalities' is ['audio'], not {modalities!r:.60}."
        raise EventError("invalid_value", message, param=f"{within}.output_modalities")
    for name, part in (("input", audio and audio.input), ("output", audio and audio.output)):
        wanted = part.format if part else None
        if wanted is not None and (wanted.type, wanted.rate or RATE) != ("audio/pcm", RATE):
            shown = f"{wanted.type[:40]!r} at {wanted.rate} Hz"
            message = f"Audio is 'audio/pcm' at {RATE} Hz here, not {shown}."
            raise EventError("invalid_value", message, param=f"{within}.audio.{name}.format")


def _with_tools(
    settings: Settings, tools: list[_Tool] | None, choice: object, *, within: str
) -> Settings:
    for index, tool in enumerate(tools or []):
        if tool.type != "function" or not tool.name:
            message = f"A tool is a 'function' with a name, not {tool.type[:40]!r} {tool.name!r}."
            raise EventError("invalid_value", message, param=f"{within}.tools[{index}]")
    told = tuple(tool.model_dump(exclude_none=True) for tool in tools or ())
    size = len(json.dumps(told))
    if size > _MOST_TOOLS:
        message = f"The tools are {size:,} characters of JSON; at most {_MOST_TOOLS:,}."
        raise EventError("invalid_value", message, param=f"{within}.tools")
    if choice not in (None, "auto", "none"):
        message = f"'tool_choice' is 'auto' or 'none' here, not {choice!r:.60}."
        raise EventError("invalid_value", message, param=f"{within}.tool_choice")
    if tools is not None:
        settings = replace(settings, tools=told)
    return settings if choice is None else replace(settings, may_call=choice == "auto")


def _with_input(settings: Settings, heard: _Input) -> Settings:
    if "transcription" in heard.model_fields_set:
        wish = heard.transcription
        told = None if wish is None else wish.model_dump(exclude_none=True)
        settings = replace(settings, transcription=told)
    if "turn_detection" not in heard.model_fields_set:
        return settings
    detection = heard.turn_detection
    if detection is None:
        return replace(settings, detects_turns=False)
    return replace(
        settings,
        detects_turns=True,
        answers_turns=detection.create_response is not False,
        interrupts=detection.interrupt_response is not False,
    )


def _voice(audio: _Audio | None) -> str | None:
    voice = audio.output.voice if audio is not None and audio.output is not None else None
    return voice.id if isinstance(voice, _VoiceId) else voice
