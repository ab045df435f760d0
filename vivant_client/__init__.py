"""A client of Vivant's server for Python programs: open a session, speak, watch, listen.

    async with vivant_client.connect("http://127.0.0.1:8080") as session:
        await session.speak("Hello there.")
        async for frame in session.frames():
            ...

docs/client.md shows the rest. It knows the server's protocol and nothing else of the server.
"""

from server.protocol import (
    AiDisclosure,
    BrainFailed,
    BrainToolCall,
    MediaOrigin,
    Metrics,
    Queued,
    RateUpdated,
    ReplyDelta,
    ScriptPosition,
    ScriptUpdated,
    ServerEvent,
    SessionClosed,
    SessionReady,
    SpeakEnded,
    SpeakStarted,
    StateUpdated,
    SubtitleDelta,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
    Warned,
)
from vivant_client.errors import (
    ClientError,
    NoRoomError,
    RefusedError,
    SessionEndedError,
    UnreachableError,
)
from vivant_client.events import UnknownEvent
from vivant_client.media import Frame, Sound
from vivant_client.opening import connect, join, resume
from vivant_client.portraits import Portrait, Portraits, Preview
from vivant_client.session import Session

__all__ = [
    "AiDisclosure",
    "BrainFailed",
    "BrainToolCall",
    "ClientError",
    "Frame",
    "MediaOrigin",
    "Metrics",
    "NoRoomError",
    "Portrait",
    "Portraits",
    "Preview",
    "Queued",
    "RateUpdated",
    "RefusedError",
    "ReplyDelta",
    "ScriptPosition",
    "ScriptUpdated",
    "ServerEvent",
    "Session",
    "SessionClosed",
    "SessionEndedError",
    "SessionReady",
    "Sound",
    "SpeakEnded",
    "SpeakStarted",
    "StateUpdated",
    "SubtitleDelta",
    "UnknownEvent",
    "UnreachableError",
    "UserSpeechStarted",
    "UserSpeechStopped",
    "UserTranscript",
    "Warned",
    "connect",
    "join",
    "resume",
]
