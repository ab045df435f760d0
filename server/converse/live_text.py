"""An utterance whose text is still being written: deltas in, pieces for the voice out.

It takes out what is not said and puts emotions and gestures at their places; it knows neither
who writes nor who speaks.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence

from server.clock import Clock, sleep_until_or
from server.converse.cutter import Cutter
from server.converse.marks import Unmoved
from server.converse.spoken import Placed, SpokenText
from server.direction import Cue, Direction
from server.presenter.marks import Emotion, Gesture, Pause
from server.protocol import MAX_TEXT
from server.speech import Piece
from streaming_model.motion.style import MotionStyle

_LOOK_AGAIN = 50_000_000  # ns
_STILL = 250_000_000  # ns without a new word, after which a sentence is taken for complete
_MOST_MARKS = 500  # in one text; more are passed over


class LiveText:
    """One utterance.

    Attributes:
        number: the utterance's.
        spoken: what was written, and what is said of it.
        is_finished: whether it is complete.
    """

    def __init__(
        self, number: int, *, style: MotionStyle, direction: Direction, clock: Clock
    ) -> None:
        """Takes the style that emotions change, and whom to tell of them."""
        self.number = number
        self.spoken = SpokenText()
        self._style = style
        self._direction = direction
        self._clock = clock
        self._cutter = Cutter()
        self._news = asyncio.Event()
        self._grew_at = clock.now()
        self._given = 0  # characters of what is said that the cutter has
        self._marks = 0
        self.is_finished = False

    @property
    def text(self) -> str:
        """What is said of it so far."""
        return self.spoken.text

    @property
    def is_full(self) -> bool:
        """Whether it is longer than any text may be, and its rest was left out."""
        return len(self.spoken.raw) > MAX_TEXT

    def add(self, delta: str) -> str:
        """Takes more text; returns what is said of it."""
        if self.is_finished:
            return ""
        room = MAX_TEXT + 1 - len(self.spoken.raw)
        return self._grow(self.spoken.push(delta[:room]))

    def finish(self) -> str:
        """Says that no more follows; returns what is said of what was undecided."""
        if self.is_finished:
            return ""
        self.is_finished = True
        grown = self._grow(self.spoken.finish())
        self._cutter.finish()
        return grown

    async def next(
        self, *, is_hungry: Callable[[], bool], is_wanted: Callable[[], bool]
    ) -> Piece | None:
        """Returns what to say next, once it is there; None at its end, or when nobody wants it."""
        while is_wanted() and not self._cutter.is_done:
            self._news.clear()
            is_waiting = self._clock.now() - self._grew_at >= _STILL
            piece = self._cutter.cut(is_hungry=is_hungry(), is_waiting=is_waiting)
            if piece is None:
                await self._wait()
            elif any(map(str.isalnum, piece.text)) or piece.pause_ms:
                return piece
        return None

    async def _wait(self) -> None:
        """Returns when there is news, or soon: who listens may have become hungry."""
        await sleep_until_or(self._clock, self._clock.now() + _LOOK_AGAIN, self._news)

    def _grow(self, marks: Sequence[Placed]) -> str:
        began = self._given
        for placed in marks:
            self._give(placed.index)
            if self._marks < _MOST_MARKS:
                self._marks += 1
                self._place(placed)
        self._give(len(self.text))
        self._grew_at = self._clock.now()
        self._news.set()
        return self.text[began:]

    def _give(self, end: int) -> None:
        self._cutter.push(self.text[self._given : end])
        self._given = end

    def _place(self, placed: Placed) -> None:
        # Where all words before it have been said; the gap before the next word is not one.
        index = len(self.text[: placed.index].rstrip())
        match placed.mark:
            case Pause(milliseconds):
                self._cutter.pause(milliseconds)
            case Gesture(name, strength):
                self._direction.plan(self.number, Cue(index, gesture=name, strength=strength))
            case Unmoved():
                self._direction.plan(self.number, Cue(index, style=self._style))
            case Emotion(name, intensity):
                strength = self._style.intensity if intensity is None else intensity
                style = dataclasses.replace(self._style, emotion=name, intensity=strength)
                self._direction.plan(self.number, Cue(index, style=style))
