"""A session's speech for others to carry: the very packets that its viewers hear, as they leave.

It tells at once and keeps nothing; it knows no transport.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class SpokenSound(NamedTuple):
    """Twenty milliseconds of an utterance.

    Attributes:
        utterance: its number.
        start: media time of the first sample.
        sound: [960] float32, 48 kHz.
        characters: how much of the utterance's text has been said after it; None where it has
            no text.
    """

    utterance: int
    start: int
    sound: NDArray[np.float32]
    characters: int | None


class SpeechOutput:
    """What one session says, handed to all who listen."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[SpokenSound], None]] = []

    def leave(self, spoken: SpokenSound) -> None:
        """Hands on what leaves now."""
        for listener in tuple(self._listeners):
            listener(spoken)

    @contextmanager
    def heard_by(self, listener: Callable[[SpokenSound], None]) -> Iterator[None]:
        """Tells `listener` of all speech while it is entered, before its end is announced."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)
