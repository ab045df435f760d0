"""Decides how much of a text that is still being written is handed to the voice next.

While somebody waits for sound it gives the first clause that is long enough; while enough
sound waits, whole sentences, which sound better. Pure: no clock and no voice.
"""

from __future__ import annotations

from collections import deque

from server.speech import Piece
from server.voice.clauses import COMMA, CONJUNCTION, LIMITS, SENTENCE, SHORTEST_FIRST, find_breaks

_SHORT = LIMITS[0]  # characters after which a hungry listener gets words without any break
_LONG = LIMITS[-1]  # characters that are handed on at the latest


class Cutter:
    """The part of one text that no voice has got yet."""

    def __init__(self) -> None:
        self._text = ""
        self._index = 0  # of its first character in the whole text
        self._pauses: deque[tuple[int, int]] = deque()  # (index in the whole text, ms)
        self._is_complete = False

    @property
    def is_done(self) -> bool:
        """Whether the text is complete and all of it was cut."""
        return self._is_complete and not self._text and not self._pauses

    @property
    def ends_sentence(self) -> bool:
        """Whether what waits could end here, by its last character."""
        return self._text.rstrip()[-1:] in (".", "!", "?", "…", "。", "！", "？")

    def push(self, text: str) -> None:
        """Adds what is to be said next."""
        self._text += text

    def pause(self, milliseconds: int) -> None:
        """Asks for silence after what was added so far."""
        self._pauses.append((self._index + len(self._text), milliseconds))

    def finish(self) -> None:
        """Says that no more follows."""
        self._is_complete = True

    def cut(self, *, is_hungry: bool, is_waiting: bool = False) -> Piece | None:
        """Returns the next piece, or None while it is better to wait for more text.

        Args:
            is_hungry: whether little sound is left, so that a short piece is welcome.
            is_waiting: whether the text has not grown for a while.
        """
        if self._pauses:
            stop, milliseconds = self._pauses[0]
            if (length := self._length(stop - self._index, is_hungry, is_final=True)) is None:
                self._pauses.popleft()
                return Piece("", self._index, milliseconds)
            return self._take(length)
        is_final = self._is_complete or (is_waiting and self.ends_sentence)
        length = self._length(len(self._text), is_hungry, is_final=is_final)
        return None if length is None else self._take(length)

    def _take(self, length: int) -> Piece:
        pause = 0
        if self._pauses and self._pauses[0][0] == self._index + length:
            pause = self._pauses.popleft()[1]
        piece = Piece(self._text[:length], self._index, pause)
        self._text = self._text[length:]
        self._index += length
        return piece

    def _length(self, most: int, is_hungry: bool, *, is_final: bool) -> int | None:
        """Returns how many of the first `most` characters to say, or None for none yet."""
        text = self._text[:most]
        found = find_breaks(text)
        known = found if is_final else found[:-1]  # a last break may be none
        ends = [end for end, rank in known if rank <= COMMA]
        if is_hungry:
            chosen = next((end for end in ends if end >= SHORTEST_FIRST), None)
            if chosen is None and len(text) > 2 * _SHORT:
                chosen = next((e for e, rank in known if rank <= CONJUNCTION and e >= _SHORT), None)
                chosen = chosen or next((e for e, _ in known if e >= _SHORT), None)
        else:
            sentences = [end for end, rank in known if rank <= SENTENCE and end <= _LONG]
            chosen = sentences[-1] if sentences else None
            if chosen is None and len(text) > _LONG:
                chosen = max((e for e in ends if e <= _LONG), default=_before(known, _LONG))
        if chosen is not None and chosen < len(text.rstrip()):
            return chosen
        return most if is_final and text else chosen


def _before(known: list[tuple[int, int]], limit: int) -> int | None:
    return max((end for end, _ in known if end <= limit), default=known[0][0] if known else None)
