"""Which of a session's sounds are the bot's words, and what is due between them.

A session sends sound all the time, and tells by events where an utterance begins and ends; a
bot's pipeline wants the words alone, and its other frames where they belong among them. Pure.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from server.protocol import SpeakEnded, SpeakStarted
from vivant_client.media import MEDIA_RATE, Sound

SOUND_RATE: Final = 48_000  # Hz
_RATIO: Final = SOUND_RATE // MEDIA_RATE
_PACKET: Final = 320  # media samples of a `Sound`
_BLOCK: Final = 1920  # sound samples; an utterance's last block is filled up with silence
_REMEMBERED: Final = 25  # packets that an event about them may be late: half a second
_LONGEST_GAP: Final = MEDIA_RATE // 2  # lost packets in a row that silence makes up for
_LONGEST_HIDING: Final = MEDIA_RATE // 2
_PICTURE: Final = MEDIA_RATE // 25  # the server may have encoded the next one when it stopped
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Words:
    """Sound of an answer.

    Attributes:
        media_time: of its first sample, in 16 kHz samples.
        samples: [n] float32, 48 kHz.
        context: the answer's.
        is_first: whether the answer begins with it.
        given_at: instant at which the answer was opened.
    """

    media_time: int
    samples: NDArray[np.float32]
    context: str | None
    is_first: bool
    given_at: int


@dataclass(eq=False)
class _Answer(Generic[ItemT]):
    context: str | None
    rate: int
    given_at: int
    frames: int = 0  # given so far, at `rate`
    utterance: int | None = None
    start: int | None = None  # media time of its first packet
    end: int | None = None  # media time of its last packet
    position: int = 0  # media time of the packet to be heard next
    is_complete: bool = False
    items: deque[tuple[int, ItemT]] = field(default_factory=deque)  # (after sound samples, item)

    @property
    def length(self) -> int:
        """How much was given, in sound samples."""
        return self.frames * SOUND_RATE // self.rate


class Answers(Generic[ItemT]):
    """What was given to one session to be said, oldest first."""

    def __init__(self) -> None:
        self._answers: deque[_Answer[ItemT]] = deque()
        self._recent: deque[Sound] = deque(maxlen=_REMEMBERED)
        self._heard = 0  # media time up to which sound has come
        self._floor: int | None = 0  # utterances below it are past; None while that is not known
        self._hides = False
        self._shown_after: int | None = None
        self._first_hidden: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether all that was given has been heard."""
        return not self._answers

    @property
    def seconds_left(self) -> float:
        """How long the rest of what was given takes, at most."""
        return sum(answer.length for answer in self._answers) / SOUND_RATE

    def open(self, context: str | None, rate: int, *, given_at: int) -> None:
        """Begins an answer, whose sound of that rate is given from that instant on."""
        self._answers.append(_Answer(context, rate, given_at))

    def give(self, frames: int) -> None:
        """Notes that more sound of the latest answer was given."""
        if self._answers:
            self._answers[-1].frames += frames

    def complete(self) -> None:
        """Notes that all of the latest answer was given."""
        if self._answers:
            self._answers[-1].is_complete = True

    def hold(self, item: ItemT) -> bool:
        """Keeps an item until what was given so far is heard; False if nothing is left of that."""
        if not self._answers:
            return False
        answer = self._answers[-1]
        answer.items.append((answer.length, item))
        return True

    def started(self, event: SpeakStarted) -> list[Words | ItemT]:
        """Notes where an utterance begins; returns what of it has come before the event."""
        if self._floor is None or event.utterance < self._floor:
            return []
        answer = next((each for each in self._answers if each.start is None), None)
        if answer is None:
            return []  # somebody else lets the session speak
        answer.utterance = event.utterance
        answer.start = answer.position = event.media_time
        recent, due = [*self._recent], []
        self._recent.clear()
        for sound in recent:
            due += self.hear(sound)
        return due

    def ended(self, event: SpeakEnded) -> list[Words | ItemT]:
        """Notes where an utterance ends; returns what has become due by it."""
        if self._floor is None or event.utterance < self._floor:
            if event.interrupted:
                self._shown_after = event.media_time
            return []
        for answer in self._answers:
            if answer.utterance == event.utterance or answer.utterance is None:
                answer.end = event.media_time
                break
        return [*self._finish(before=self._heard)]

    def hear(self, sound: Sound) -> list[Words | ItemT]:
        """Returns the words in a sound, and the items that are due by then."""
        self._heard = max(self._heard, sound.media_time + _PACKET)
        due: list[Words | ItemT] = [*self._finish(before=sound.media_time)]
        answer = self._answers[0] if self._answers else None
        if answer is None or answer.start is None or sound.media_time < answer.position:
            self._recent.append(sound)
            return due
        due.append(_words(answer, sound))
        return [*due, *_passed(answer), *self._finish(before=answer.position)]

    def may_show(self, media_time: int) -> bool:
        """Whether a picture is none of an answer that was cut off."""
        if not self._hides:
            return True
        self._first_hidden = media_time if self._first_hidden is None else self._first_hidden
        is_past = self._shown_after is not None and media_time > self._shown_after + _PICTURE
        if is_past or media_time - self._first_hidden >= _LONGEST_HIDING:
            self._hides = False
        return not self._hides

    def interrupt(self) -> list[ItemT]:
        """Forgets every answer; returns the items that were kept.

        Until `go_on` whatever the session says is of the past.
        """
        kept = [item for answer in self._answers for _, item in answer.items]
        if self._answers:
            self._hides, self._shown_after, self._first_hidden = True, None, None
        self._answers.clear()
        self._recent.clear()
        self._floor = None
        return kept

    def go_on(self, floor: int) -> None:
        """Lets utterances from that number on be heard."""
        self._floor = floor

    def _finish(self, *, before: int) -> list[ItemT]:
        """Takes out answers whose last packet is before a media time; returns their items."""
        rest: list[ItemT] = []
        while self._answers and (end := self._answers[0].end) is not None and end < before:
            rest += [item for _, item in self._answers.popleft().items]
        return rest


def _words(answer: _Answer[ItemT], sound: Sound) -> Words:
    """Returns a sound that is an answer's, after silence for what was lost before it."""
    assert answer.start is not None
    is_first = answer.position == answer.start
    missing = min(sound.media_time - answer.position, _LONGEST_GAP)
    lost = np.zeros(missing * _RATIO, np.float32)
    answer.position = sound.media_time + _PACKET
    heard = (answer.position - answer.start) * _RATIO
    filling = heard - answer.length if answer.end == sound.media_time else 0
    is_filled = answer.is_complete and 0 < filling < _BLOCK
    told = sound.samples[: max(0, len(sound.samples) - filling)] if is_filled else sound.samples
    samples = np.concatenate([lost, told])
    return Words(sound.media_time - missing, samples, answer.context, is_first, answer.given_at)


def _passed(answer: _Answer[ItemT]) -> list[ItemT]:
    """Takes out the items that are due by now.

    What comes last waits for the answer's end: where a voice pauses, more is heard than given.
    """
    assert answer.start is not None
    heard = (answer.position - answer.start) * _RATIO
    due = []
    while answer.items and answer.items[0][0] <= heard and answer.items[0][0] < answer.length:
        due.append(answer.items.popleft()[1])
    return due
