"""What a session was asked to say and that has not been heard to its end.

Whoever takes the session up elsewhere begins there, with the sentence that broke off. Pure but
for the texts that are still being written, which it only holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from server.converse.live_text import LiveText
from server.protocol import ServerEvent, SpeakEnded, SpeakStarted
from server.speech import Piece
from server.voice.clauses import split_sentences
from streaming_model.motion.style import MotionStyle


@dataclass(frozen=True, slots=True)
class Asked:
    """One utterance.

    Attributes:
        number: its own.
        text: what is to be said; None for sound that a client pushes.
        voice: name of the voice.
        style: its own; None for the session's.
        heard: characters that had been heard when the session was taken up.
    """

    number: int
    text: str | LiveText | None
    voice: str = ""
    style: MotionStyle | None = None
    heard: int = 0


class Unheard:
    """One session's utterances, in order; none is longer in it than it is of use."""

    def __init__(self) -> None:
        self._asked: dict[int, Asked] = {}

    def __iter__(self) -> Iterator[Asked]:
        return iter(tuple(self._asked.values()))

    def add(self, asked: Asked) -> None:
        """Notes what is to be said."""
        self._asked[asked.number] = asked

    def heed(self, event: ServerEvent) -> None:
        """Forgets what has ended; utterances are said in their order."""
        if isinstance(event, SpeakStarted):
            self._forget(lambda number: number < event.utterance)
        elif isinstance(event, SpeakEnded):
            self._forget(lambda number: number == event.utterance)

    def _forget(self, is_over: Callable[[int], bool]) -> None:
        self._asked = {number: each for number, each in self._asked.items() if not is_over(number)}


@dataclass
class Rest:
    """A text source: another, or a text, from one of its characters on.

    Args:
        text: the whole.
        start: index of the first character that is said.
    """

    text: str | LiveText
    start: int
    _is_given: bool = field(default=False, init=False)

    async def next(
        self, *, is_hungry: Callable[[], bool], is_wanted: Callable[[], bool]
    ) -> Piece | None:
        """Returns what to say next; None at its end, or when nobody wants it."""
        if isinstance(self.text, str):
            return self._give_once(self.text)
        while True:
            piece = await self.text.next(is_hungry=is_hungry, is_wanted=is_wanted)
            if piece is None or (rest := from_character(piece, self.start)) is not None:
                return piece if piece is None else rest

    def _give_once(self, text: str) -> Piece | None:
        if self._is_given or not text[self.start :].strip():
            return None
        self._is_given = True
        return Piece(text[self.start :], self.start)


def from_character(piece: Piece, start: int) -> Piece | None:
    """Returns what of a piece is from a character of the whole text on; None for nothing.

    >>> from_character(Piece("One. Two.", index=10), 15)
    Piece(text='Two.', index=15, pause_ms=0)
    """
    if piece.index >= start:
        return piece
    rest = piece.text[start - piece.index :]
    return Piece(rest, start, piece.pause_ms) if rest.strip() else None


def sentence_at(text: str, heard: int) -> int:
    """Returns where the sentence begins that broke off after so many characters.

    A sentence of which only marks are left has been heard. Nothing left gives the text's length.

    >>> sentence_at("One two. Three four.", 3), sentence_at("One two. Three four.", 7)
    (0, 9)
    """
    for start, end in split_sentences(text):
        if any(map(str.isalnum, text[max(start, heard) : end])):
            return start
    return len(text)
