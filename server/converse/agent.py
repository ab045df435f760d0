"""What answers in a session in its brain's place, from within the server."""

from __future__ import annotations

from typing import Protocol


class Agent(Protocol):
    """Hears what the user says; for every `user.speech_stopped` one of these is called."""

    def understood(self, text: str) -> None:
        """Takes what was said by voice."""
        ...

    def heard_nothing(self) -> None:
        """Notes that what was said by voice was not understood."""
        ...
