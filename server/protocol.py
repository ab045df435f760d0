"""The messages of docs/protocol.md: parse what clients send, write what the server says.

Pure: no I/O and no session state. A message that cannot be understood raises a
`ProtocolError` whose code and sentence go back to the client as an `error` event.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from streaming_model.errors import VivantError, printable

MAX_TEXT = 10_000  # characters in one `speak`
RETRY_AFTER = 5  # seconds, told to clients that are turned away
MAX_MESSAGE = 256 * 1024  # characters in one JSON message


BargeIn = Literal["on", "off"] | int  # whether a voice interrupts, or after how many ms of it


class ProtocolError(VivantError):
    """A request that breaks the protocol. `code` is one of docs/protocol.md."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        """Returns what another process makes the same of; it may be that one's answer."""
        return Exception.__new__, (type(self), *self.args), self.__dict__


class CapacityError(ProtocolError):
    """There is no place, nor one in the line.

    Attributes:
        retry_after: seconds after which it may be worth to come again.
    """

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__("capacity", message)
        self.retry_after = retry_after


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Style(BaseModel):
    """The part of a style that a message names; what it leaves out stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    emotion: str | None = None
    intensity: float | None = None
    articulation: float | None = None
    head_motion: float | None = None
    expressiveness: float | None = None
    blink_rate: float | None = None
    gaze: str | tuple[float, float] | None = None
    glances: float | None = None
    whisper: float | None = None


class Speak(_Message):
    """Say `text` after what is already queued; a style is this utterance's alone."""

    type: Literal["speak"] = "speak"
    text: str
    voice: str | None = None
    style: Style | None = None


class SpeakStart(_Message):
    """Text follows bit by bit; it is said while it comes. A style is this utterance's alone."""

    type: Literal["speak.start"] = "speak.start"
    voice: str | None = None
    style: Style | None = None


class SpeakDelta(_Message):
    """The next bit of the text begun by `speak.start`."""

    type: Literal["speak.delta"] = "speak.delta"
    text: str


class SpeakEnd(_Message):
    """The text begun by `speak.start` is complete."""

    type: Literal["speak.end"] = "speak.end"


class UserText(_Message):
    """What the user said, typed or understood by the client; it is answered."""

    type: Literal["user.text"] = "user.text"
    text: str
    source: Literal["text", "voice"] = "text"


class ToolResult(_Message):
    """What came of a `brain.tool_call`."""

    type: Literal["brain.tool_result"] = "brain.tool_result"
    call_id: str
    content: str


class Interrupt(_Message):
    """Stop at once; old audio is dropped."""

    type: Literal["interrupt"] = "interrupt"


class Microphone(_Message):
    """What the viewer's audio track is for."""

    type: Literal["microphone"] = "microphone"
    mode: Literal["puppet", "listen", "off"]
    barge_in: Literal["on", "off"] | Annotated[int, Field(ge=0, le=10_000)] | None = None


class AudioStart(_Message):
    """PCM16 little endian follows in binary frames."""

    type: Literal["audio.start"] = "audio.start"
    sample_rate: int
    channels: int = 1
    style: Style | None = None


class AudioEnd(_Message):
    """The utterance begun by `audio.start` is complete."""

    type: Literal["audio.end"] = "audio.end"


class SessionUpdate(_Message):
    """Change the portrait, the voice, the background or the style while running."""

    type: Literal["session.update"] = "session.update"
    portrait: str | None = None
    voice: str | None = None
    background: str | None = None
    style: Style | None = None


Mode = Literal["add", "replace"]


class Gesture(_Message):
    """Make a gesture now, over whatever else is done."""

    type: Literal["gesture"] = "gesture"
    name: str
    strength: float = 1.0
    duration: float | None = None
    mode: Mode = "add"


class Motion(_Message):
    """One frame of live motion, blended with what speech generates."""

    type: Literal["motion"] = "motion"
    coefficients: dict[str, float]
    weight: float = 1.0
    mode: Mode = "add"
    t: Annotated[float, Field(allow_inf_nan=False)] | None = None


Part = Literal["mouth", "eyes", "brows", "cheeks", "head"]
PartMode = Literal["add", "replace", "off"]


class MotionConfigure(_Message):
    """How live motion is mixed and smoothed; what it leaves out stays as it is."""

    type: Literal["motion.configure"] = "motion.configure"
    parts: dict[Part, PartMode] | None = None
    smoothing: Annotated[float, Field(ge=0, le=1)] | None = None


class MotionCalibrate(_Message):
    """The face of live motion's last half second is the neutral one; or none is again."""

    type: Literal["motion.calibrate"] = "motion.calibrate"
    reset: bool = False


class MotionSubscribe(_Message):
    """Send this connection the motion that the pictures are drawn from, or no more."""

    type: Literal["motion.subscribe"] = "motion.subscribe"
    active: bool = True


ScriptFormat = Literal["text", "markdown", "srt"]


class ScriptUpdate(_Message):
    """Take a script, or another text from one of its sentences on."""

    type: Literal["script.update"] = "script.update"
    text: str
    format: ScriptFormat | None = None
    sentence: Annotated[int, Field(ge=0)] | None = None


class ScriptPlay(_Message):
    """Read the script, from a sentence or from where it is."""

    type: Literal["script.play"] = "script.play"
    sentence: Annotated[int, Field(ge=0)] | None = None


class ScriptPause(_Message):
    """Stop reading."""

    type: Literal["script.pause"] = "script.pause"
    at: Literal["now", "sentence_end"] = "now"


class ScriptSeek(_Message):
    """Go to the beginning of a sentence."""

    type: Literal["script.seek"] = "script.seek"
    sentence: Annotated[int, Field(ge=0)]


class KeepAlive(_Message):
    """Somebody is there, though nothing is said."""

    type: Literal["session.keep_alive"] = "session.keep_alive"


class Ping(_Message):
    """Answered by `Pong` with the same `t`."""

    type: Literal["ping"] = "ping"
    t: Annotated[float, Field(allow_inf_nan=False)] | int | str  # JSON has no NaN to answer with


ClientMessage = (
    Speak
    | SpeakStart
    | SpeakDelta
    | SpeakEnd
    | UserText
    | ToolResult
    | Interrupt
    | Microphone
    | AudioStart
    | AudioEnd
    | SessionUpdate
    | Gesture
    | Motion
    | MotionConfigure
    | MotionCalibrate
    | MotionSubscribe
    | ScriptUpdate
    | ScriptPlay
    | ScriptPause
    | ScriptSeek
    | KeepAlive
    | Ping
)
_PARSER: TypeAdapter[ClientMessage] = TypeAdapter(
    Annotated[ClientMessage, Field(discriminator="type")]
)


def parse_message(text: str) -> ClientMessage:
    """Reads one JSON message from a client.

    Raises:
        ProtocolError: `bad_request` when it is not a JSON object or a field is wrong,
            `unknown_message` for a type that does not exist, `text_too_long` for `speak`.
    """
    if len(text) > MAX_MESSAGE:
        raise ProtocolError("bad_request", f"The message is longer than {MAX_MESSAGE} characters.")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("bad_request", "The message is not valid JSON.") from None
    if not isinstance(fields, dict):
        raise ProtocolError("bad_request", "The message is not a JSON object.")
    try:
        message = _PARSER.validate_python(fields)
    except ValidationError as error:
        raise _as_protocol_error(fields.get("type"), error) from None
    if isinstance(message, Speak):
        check_text(message.text)
    return message


def check_text(text: str) -> None:
    """Accepts text that can be spoken.

    Raises:
        ProtocolError: it is blank, or longer than 10,000 characters.
    """
    if len(text) > MAX_TEXT:
        raise ProtocolError(
            "text_too_long",
            f"The text has {len(text):,} characters; at most {MAX_TEXT:,} can be spoken at once.",
        )
    if not text.strip():
        raise ProtocolError("bad_request", "There is no text to speak.")


def _as_protocol_error(kind: object, error: ValidationError) -> ProtocolError:
    first = error.errors(include_url=False)[0]
    if first["type"].startswith("union_tag"):
        shown = str(kind)[:60]
        return ProtocolError("unknown_message", f"There is no message of type {shown!r}.")
    field_name = ".".join(str(part)[:40] for part in first["loc"][1:3])  # after the message's type
    return ProtocolError("bad_request", f"In {str(kind)!r}, field {field_name!r}: {fault(first)}.")


def fault(error: ErrorDetails) -> str:
    """Returns what is wrong with a field, with the value if it is short."""
    value = error["input"]
    is_short = isinstance(value, (str, int, float, bool)) and len(str(value)) <= 40
    if error["type"] == "extra_forbidden":  # of a field that is unknown here, the name will do
        is_short = False
    return f"{error['msg']}, not {value!r}" if is_short else str(error["msg"])


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """Something the server tells its clients; the fields are the message's."""

    type: ClassVar[str] = ""

    def to_json(self) -> str:
        """Returns the message as it goes over the wire."""
        return json.dumps({"type": self.type, **asdict(self)}, separators=(",", ":"))


Layout = Literal["plain", "packed"]  # packed: the colours above the matte, twice as high


@dataclass(frozen=True, slots=True)
class SessionReady(ServerEvent):
    """The first message on every connection."""

    type: ClassVar[str] = "session.ready"
    session_id: str
    fps: int
    size: int
    portrait: str
    voice: str
    background: str
    layout: Layout
    style: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EventsAttached(ServerEvent):
    """Events are told from here on; for who connects with `after`.

    Attributes:
        seq: the number of the event before those that follow.
        missed: how many follow that came since `after`.
        lost: how many came between, which nobody has any more; None where another worker has the
            session, so that nobody can tell, and media has to be connected anew.
    """

    type: ClassVar[str] = "events.attached"
    seq: int
    missed: int
    lost: int | None


@dataclass(frozen=True, slots=True)
class SessionResumed(ServerEvent):
    """The session goes on elsewhere than where it began; told after `session.ready`.

    Attributes:
        utterance: what broke off and is said on; None where nothing was being said.
        from_character: of its text, where it is said on: a sentence begins there.
        repeated_characters: how many from there on had been heard before.
        lost: utterances of pushed sound or of a recorded script, of which no more will be heard.
        sentence: of the script, if `utterance` reads that; `from_character` counts in it.
        outputs: streams that are pushed again, under their ids.
        recordings: what broke off; each film ends there.
        continued: recordings that were begun in their place.
    """

    type: ClassVar[str] = "session.resumed"
    utterance: int | None
    from_character: int
    repeated_characters: int
    lost: tuple[int, ...] = ()
    sentence: int | None = None
    outputs: tuple[str, ...] = ()
    recordings: tuple[str, ...] = ()
    continued: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AiDisclosure(ServerEvent):
    """Pictures and sound are AI-generated; told on every connection after `session.ready`.

    Attributes:
        media: what is generated.
        badge: what the badge in the pictures says; None where there is none.
        watermark: the session's tag, which the watermark in the pictures tells; None without one.
    """

    type: ClassVar[str] = "ai_disclosure"
    media: tuple[Literal["audio", "video"], ...]
    badge: str | None
    watermark: str | None


@dataclass(frozen=True, slots=True)
class MediaOrigin(ServerEvent):
    """The RTP time stamps of media time 0 in one connection's two streams.

    Attributes:
        picture: of 90 kHz, modulo 2^32.
        sound: of 48 kHz, modulo 2^32.
    """

    type: ClassVar[str] = "media.origin"
    picture: int
    sound: int


@dataclass(frozen=True, slots=True)
class Queued(ServerEvent):
    """All places are taken and the client waits for one."""

    type: ClassVar[str] = "session.queued"
    position: int
    wait_s: int | None


State = Literal["idle", "listening", "thinking", "speaking"]


@dataclass(frozen=True, slots=True)
class StateUpdated(ServerEvent):
    """What the portrait does from `media_time` on."""

    type: ClassVar[str] = "session.state_updated"
    state: State
    media_time: int


@dataclass(frozen=True, slots=True)
class SpeakStarted(ServerEvent):
    """The first audio of an utterance leaves."""

    type: ClassVar[str] = "agent.speak_started"
    utterance: int
    media_time: int


@dataclass(frozen=True, slots=True)
class SpeakEnded(ServerEvent):
    """The last audio of an utterance has left, or it was interrupted.

    Attributes:
        utterance: its number.
        media_time: when its last audio left.
        interrupted: whether some of it was dropped.
        spoken_ms: milliseconds of it that have left.
        spoken_characters: characters of its text said by then; None where it had no text.
    """

    type: ClassVar[str] = "agent.speak_ended"
    utterance: int
    media_time: int
    interrupted: bool
    spoken_ms: int = 0
    spoken_characters: int | None = None


@dataclass(frozen=True, slots=True)
class ReplyDelta(ServerEvent):
    """More of an utterance's text is known; marks, Markdown and code are taken out of it."""

    type: ClassVar[str] = "agent.reply.delta"
    utterance: int
    text: str


@dataclass(frozen=True, slots=True)
class UserTranscript(ServerEvent):
    """The user's words; several of one turn are answered together."""

    type: ClassVar[str] = "user.transcript"
    turn: int
    text: str
    source: Literal["text", "voice"]


@dataclass(frozen=True, slots=True)
class BrainToolCall(ServerEvent):
    """The brain wants something done, and waits for `brain.tool_result`."""

    type: ClassVar[str] = "brain.tool_call"
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class BrainFailed(ServerEvent):
    """The brain did not answer, or not to the end; the session lives."""

    type: ClassVar[str] = "brain.failed"
    code: str
    message: str
    retry_after_s: float | None


@dataclass(frozen=True, slots=True)
class SubtitleDelta(ServerEvent):
    """Words whose audio begins at `media_time`."""

    type: ClassVar[str] = "subtitle.delta"
    utterance: int
    text: str
    media_time: int


@dataclass(frozen=True, slots=True)
class UserSpeechStarted(ServerEvent):
    """The viewer's microphone begins to carry speech."""

    type: ClassVar[str] = "user.speech_started"
    media_time: int


@dataclass(frozen=True, slots=True)
class UserSpeechStopped(ServerEvent):
    """The viewer's microphone carries speech no more."""

    type: ClassVar[str] = "user.speech_stopped"
    media_time: int


@dataclass(frozen=True, slots=True)
class Warned(ServerEvent):
    """Something was skipped; the session goes on."""

    type: ClassVar[str] = "warning"
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Failed(ServerEvent):
    """A request could not be carried out; the session lives."""

    type: ClassVar[str] = "error"
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Metrics(ServerEvent):
    """Figures of the last second."""

    type: ClassVar[str] = "metrics"
    fps: float = 0.0
    render_ms: float = 0.0
    latency_ms: float = 0.0
    late_frames: int = 0
    bitrate_kbps: float = 0.0


@dataclass(frozen=True, slots=True)
class MotionFrame(ServerEvent):
    """Forty milliseconds of motion, which leave with their sound; zeros are left out."""

    type: ClassVar[str] = "motion.frame"
    media_time: int
    utterance: int
    coefficients: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RateUpdated(ServerEvent):
    """From `media_time` on as many pictures are made; fewer while the server is overloaded."""

    type: ClassVar[str] = "session.rate_updated"
    fps: float
    media_time: int


RecordingState = Literal["waiting", "recording", "closed", "failed"]


@dataclass(frozen=True, slots=True)
class RecordingUpdated(ServerEvent):
    """A recording began or ended.

    Attributes:
        recording: its id.
        state: `waiting` for the first picture; `closed` with a whole film, `failed` without.
        reason: why it ended; None while it goes on.
        seconds: its length.
        bytes: its size.
    """

    type: ClassVar[str] = "recording.updated"
    recording: str
    state: RecordingState
    reason: str | None
    seconds: float
    bytes: int


OutputState = Literal["connecting", "live", "retrying", "failed", "closed"]


@dataclass(frozen=True, slots=True)
class OutputUpdated(ServerEvent):
    """A stream that is pushed to a server elsewhere changed its state.

    Attributes:
        output: its id.
        url: where it goes, without secrets.
        state: what it does.
        message: what went wrong; None where nothing did.
        retry_s: seconds until the next attempt; None where there is none.
    """

    type: ClassVar[str] = "output.updated"
    output: str
    url: str
    state: OutputState
    message: str | None
    retry_s: float | None


@dataclass(frozen=True, slots=True)
class Pong(ServerEvent):
    """The answer to a `ping`."""

    type: ClassVar[str] = "pong"
    t: float | int | str


ScriptState = Literal["empty", "ready", "playing", "pausing", "paused", "ended"]


@dataclass(frozen=True, slots=True)
class ScriptUpdated(ServerEvent):
    """The script, or what is done with it, has changed.

    Attributes:
        state: what is done with it.
        revision: raised with every change of the text.
        sentence: the one that is heard, or is heard next.
        sentences: how many there are.
        warnings: how many places of it are not understood.
        media_time: when.
    """

    type: ClassVar[str] = "script.updated"
    state: ScriptState
    revision: int
    sentence: int
    sentences: int
    warnings: int
    media_time: int


@dataclass(frozen=True, slots=True)
class ScriptPosition(ServerEvent):
    """A sentence of the script begins to be heard.

    Attributes:
        sentence: which, counted from 0.
        start: index of its first character in the script.
        end: index after its last one.
        media_time: when its sound leaves.
    """

    type: ClassVar[str] = "script.position"
    sentence: int
    start: int
    end: int
    media_time: int


CloseReason = Literal["client", "idle", "time", "lost", "revoked", "shutdown", "failed"]


@dataclass(frozen=True, slots=True)
class Expiring(ServerEvent):
    """The session ends for `reason` in `seconds`; null when somebody has renewed it."""

    type: ClassVar[str] = "session.expiring"
    reason: CloseReason
    seconds: int | None


@dataclass(frozen=True, slots=True)
class SessionClosed(ServerEvent):
    """The last message of a session."""

    type: ClassVar[str] = "session.closed"
    reason: CloseReason


def error_body(code: str, message: str) -> dict[str, Any]:
    """Returns the JSON body of every refused REST call."""
    return {"error": {"code": code, "message": printable(message)}}
