"""What turns a user's speech into text. One port for every kind."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streaming_model.errors import VivantError


class TranscriptionError(VivantError):
    """What was said could not be turned into text."""

    code = "transcription_failed"


class Hearing(Protocol):
    """One utterance of a user, on its way to text."""

    def push(self, speech: NDArray[np.float32]) -> None:
        """Takes [n] float32, 16 kHz."""
        ...

    async def finish(self) -> str:
        """Returns what was said; empty if nothing was understood.

        Raises:
            TranscriptionError: it could not be turned into text.
        """
        ...

    def drop(self) -> None:
        """Forgets it."""
        ...


class Transcriber(Protocol):
    """Turns speech into text."""

    def open(self) -> Hearing:
        """Begins an utterance."""
        ...

    async def aclose(self) -> None:
        """Ends what it runs."""
        ...
