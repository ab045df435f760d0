"""What can go wrong for a client, each with one sentence, the server's own where it said one.

ClientError
+-- UnreachableError      no answer, or none in time
+-- RefusedError          the server said no: `code`, `status`
|   +-- NoRoomError       all places and the line are full: `retry_after`
+-- SessionEndedError     the session is over, or its connection is: `reason`
"""

from __future__ import annotations

from streaming_model.errors import VivantError


class ClientError(VivantError):
    """Something a client asked for did not happen."""

    code = "client"


class UnreachableError(ClientError):
    """The server cannot be reached, or does not answer in time."""

    code = "unreachable"


class RefusedError(ClientError):
    """The server answered and said no.

    Attributes:
        code: one of docs/protocol.md.
        status: of HTTP; None where the refusal came over the WebSocket.
    """

    def __init__(self, code: str, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class NoRoomError(RefusedError):
    """There is no place, nor one in the line.

    Attributes:
        retry_after: seconds after which it may be worth to come again.
    """

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__("capacity", message, status=503)
        self.retry_after = retry_after


class SessionEndedError(ClientError):
    """Nothing more comes from the session.

    Attributes:
        reason: the server's (docs/protocol.md), or `lost` when the connection broke; only then
            it may be resumed.
    """

    code = "session_ended"

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
