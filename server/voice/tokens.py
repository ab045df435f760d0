"""What is read aloud, word by word: the common form between text and phonemes."""

from __future__ import annotations

from dataclasses import dataclass

PAUSES = frozenset(",.!?;:—…")


@dataclass(frozen=True, slots=True)
class Token:
    """A word, letters to be spelled, or a mark of punctuation.

    Attributes:
        text: the word in ASCII letters, apostrophes and hyphens; the letters; or one of `PAUSES`.
        kind: `word`, `letters` or `pause`.
    """

    text: str
    kind: str = "word"
