"""What one client's connection may take of the server: time, places, memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Of HTTP and WebSockets; docs/security.md has the table.

    Attributes:
        most: connections at once.
        most_of_address: of one address (IPv6: of one /64); those of this machine are not counted.
        head: seconds for the handshake of TLS, and for a request's line and headers.
        body: seconds that a body, or one message, may take beside what `least_rate` allows for.
        least_rate: bytes a second that a body, or one message, must come with.
        stalled: seconds that a client may take nothing of what waits for it.
        messages: that are read from a WebSocket in a second; what comes faster waits.
        ping: seconds between signs of life on a WebSocket, and the wait for their answers.
    """

    most: int = 1_000
    most_of_address: int = 100
    head: float = 10.0
    body: float = 20.0
    least_rate: float = 4_000.0
    stalled: float = 30.0
    messages: float = 1_000.0
    ping: float = 5.0

    def patience(self, received: int) -> float:
        """Returns the seconds that may have passed since the first of so many bytes."""
        return self.body + received / self.least_rate
