"""What clients of the Realtime API send, and what they are told when it cannot be done.

Pure: it knows the shape of events and no session. Fields that it does not know are passed over,
as clients send more than a portrait has use for.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from server.protocol import fault
from streaming_model.errors import VivantError

BYTES_PER_SECOND = 48_000  # of PCM16 at 24 kHz, mono
MOST_EVENT = 16 * 2**20  # characters of one event: 15 MiB of audio, as OpenAI takes them


class EventError(VivantError):
    """A client's event that cannot be obeyed; the connection lives.

    Attributes:
        kind: `invalid_request_error`, or `server_error` where the client is not to blame.
        code: OpenAI's where there is one.
        param: the field in question.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        param: str | None = None,
        kind: Literal["invalid_request_error", "server_error"] = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.code = code
        self.param = param

    def describe(self, event_id: str | None) -> dict[str, Any]:
        """Returns the `error` of an `error` event; `event_id` is of the client's event."""
        return {
            "type": self.kind,
            "code": self.code,
            "message": str(self),
            "param": self.param,
            "event_id": event_id,
        }


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    event_id: str | None = None


class SessionUpdate(_Event):
    """Change the configuration; what it leaves out stays."""

    type: Literal["session.update"]
    session: dict[str, Any]


class AudioAppend(_Event):
    """More of what the user says."""

    type: Literal["input_audio_buffer.append"]
    audio: str

    def pcm(self) -> bytes:
        """Returns the samples.

        Raises:
            EventError: it is not Base64.
        """
        try:
            return base64.b64decode(self.audio, validate=True)
        except (binascii.Error, ValueError):
            message = f"'audio' is not Base64: {self.audio[:20]!r}."
            raise EventError("invalid_value", message, param="audio") from None


class AudioCommit(_Event):
    """What was appended is all that the user says now."""

    type: Literal["input_audio_buffer.commit"]


class AudioClear(_Event):
    """Forget what was appended."""

    type: Literal["input_audio_buffer.clear"]


class Part(BaseModel):
    """A part of a message."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    type: str = "input_text"
    text: str | None = None


class NewItem(BaseModel):
    """An item that a client adds."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    type: Literal["message", "function_call", "function_call_output"]
    id: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    role: Literal["system", "user", "assistant"] | None = None
    content: list[Part] = []
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | None = None


class ItemCreate(_Event):
    """Add to the conversation."""

    type: Literal["conversation.item.create"]
    item: NewItem
    previous_item_id: str | None = None


class ItemDelete(_Event):
    """Take out of the conversation."""

    type: Literal["conversation.item.delete"]
    item_id: str


class ItemRetrieve(_Event):
    """Tell what an item is."""

    type: Literal["conversation.item.retrieve"]
    item_id: str


class ItemTruncate(_Event):
    """Of an answer only so much was heard."""

    type: Literal["conversation.item.truncate"]
    item_id: str
    content_index: int = 0
    audio_end_ms: Annotated[int, Field(ge=0)]


class ResponseCreate(_Event):
    """Answer now."""

    type: Literal["response.create"]
    response: dict[str, Any] | None = None


class ResponseCancel(_Event):
    """Stop answering."""

    type: Literal["response.cancel"]
    response_id: str | None = None


ClientEvent = (
    SessionUpdate
    | AudioAppend
    | AudioCommit
    | AudioClear
    | ItemCreate
    | ItemDelete
    | ItemRetrieve
    | ItemTruncate
    | ResponseCreate
    | ResponseCancel
)
_PARSER: TypeAdapter[ClientEvent] = TypeAdapter(Annotated[ClientEvent, Field(discriminator="type")])


def read_json(text: str) -> dict[str, Any]:
    """Returns the fields of an event.

    Raises:
        EventError: it is not a JSON object, or too long.
    """
    if len(text) > MOST_EVENT:
        raise EventError("invalid_event", f"The event is longer than {MOST_EVENT:,} characters.")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise EventError("invalid_json", f"The event is not JSON: {text[:40]!r}.") from None
    if not isinstance(fields, dict):
        raise EventError("invalid_json", f"The event is not a JSON object: {text[:40]!r}.")
    return fields


def read_event(fields: dict[str, Any]) -> ClientEvent:
    """Returns the event.

    Raises:
        EventError: there is none of that type, or a field is wrong.
    """
    try:
        return _PARSER.validate_python(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"].startswith("union_tag"):
            kind = str(fields.get("type"))[:60]
            message = f"There is no event of type {kind!r} here."
            raise EventError("invalid_value", message, param="type") from None
        raise field_error(error, skip=1) from None


def field_error(error: ValidationError, *, skip: int = 0, within: str = "") -> EventError:
    """Returns what is wrong with the first bad field, `within` the field that holds it.

    `skip` parts of its path are pydantic's own and no field.
    """
    first = error.errors(include_url=False)[0]
    path = ".".join([*([within] if within else []), *(str(part) for part in first["loc"][skip:])])
    code = "missing_required_parameter" if first["type"] == "missing" else "invalid_value"
    return EventError(code, f"Field {path[:80]!r}: {fault(first)}.", param=path)
