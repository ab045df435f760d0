"""What is queued to be said: utterances in order, handed out in blocks of 40 ms.

Pure: no event loop, no clock. An utterance that has begun and has no audio ready gives
silence until more arrives (an underrun), so that audio never bursts to catch up.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from server.ingest import SOUND_RATIO, AlignedAudio
from server.pacing import TICK
from server.sound_log import SoundLog
from streaming_model.media import SAMPLES_PER_MOTION_FRAME

BLOCK = SAMPLES_PER_MOTION_FRAME  # 16 kHz samples, 40 ms: one motion frame


@dataclass(frozen=True, slots=True)
class Trigger:
    """Something to be done where a sample of an utterance is heard.

    Attributes:
        at: the sample, counted from the utterance's first one; in a block, from the block's.
        act: is told the sample's media time as soon as that is known, before the model hears it.
    """

    at: int
    act: Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Block:
    """Forty milliseconds of the session's audio.

    Attributes:
        start: media time of its first sample.
        speech: [640] float32, 16 kHz, what the model hears.
        sound: [1920] float32, 48 kHz, what the viewers hear.
        utterance: the utterance it belongs to.
        is_speech: whether it carries an utterance's audio, not silence.
        begins: whether it is the first of its utterance.
        ends: whether it is the last of its utterance.
        texts: subtitles that begin in it.
        length: how many of its samples are the utterance's; the rest, at its end, is padding.
        characters: how many characters of its text have been said after each of its packets of
            20 ms; none where the text is not known.
        triggers: what is to be done in it.
    """

    start: int
    speech: NDArray[np.float32]
    sound: NDArray[np.float32]
    utterance: int
    is_speech: bool = False
    begins: bool = False
    ends: bool = False
    texts: tuple[str, ...] = ()
    length: int = BLOCK
    characters: tuple[int, ...] = ()
    triggers: tuple[Trigger, ...] = ()


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of an utterance's text and where it is heard.

    Attributes:
        text: the piece.
        index: of its first character in the utterance's text.
        start: sample at which its first sound begins.
        end: sample after its last sound, before the pause that follows it.
        sounds: sample after each of its sounds; none where the voice does not tell.
    """

    text: str
    index: int
    start: int
    end: int
    sounds: tuple[int, ...] = ()

    def after(self, samples: int) -> Passage:
        """Returns it where the audio before it is that much longer."""
        return replace(
            self,
            start=self.start + samples,
            end=self.end + samples,
            sounds=tuple(sound + samples for sound in self.sounds),
        )

    def share(self, position: int) -> float:
        """Returns which part of its letters has been said at a sample between start and end."""
        ends = self.sounds or (self.end,)
        done = bisect_right(ends, position)
        if done == len(ends):
            return 1.0
        began = ends[done - 1] if done else self.start
        return (done + (position - began) / (ends[done] - began)) / len(ends)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of an utterance's text to be said in one go.

    Attributes:
        text: the words.
        index: of its first character in the utterance's text.
        pause_ms: silence to follow it, besides the voice's own.
    """

    text: str
    index: int = 0
    pause_ms: int = 0


def characters_said(passages: Sequence[Passage], position: int) -> int:
    """Returns how many characters have been said when `position` samples have been heard.

    Exact between passages; within one, every sound is taken to be as many letters, or where the
    sounds are not known, as long as its letters are many. Only whole words count.
    """
    said = 0
    for passage in passages:
        if position >= passage.end:
            said = passage.index + len(passage.text)
        elif position > passage.start:
            letters = int(passage.share(position) * len(passage.text))
            said = max(said, passage.index + max(passage.text.rfind(" ", 0, letters + 1), 0))
    return said


def silent_block(start: int, utterance: int) -> Block:
    """Returns forty milliseconds of silence at `start`."""
    return Block(
        start=start,
        speech=np.zeros(BLOCK, np.float32),
        sound=np.zeros(BLOCK * SOUND_RATIO, np.float32),
        utterance=utterance,
    )


@dataclass(slots=True)
class _Utterance:
    number: int
    audio: deque[AlignedAudio] = field(default_factory=deque)
    texts: deque[tuple[int, str]] = field(default_factory=deque)  # (sample offset, text)
    passages: list[Passage] = field(default_factory=list)
    triggers: list[Trigger] = field(default_factory=list)
    received: int = 0
    taken: int = 0
    is_complete: bool = False
    log: SoundLog = field(default_factory=SoundLog)

    @property
    def waiting(self) -> int:
        return self.received - self.taken


class SpeechQueue:
    """Utterances that wait to be spoken, in the order they were opened.

    Attributes:
        arrived: instant at which the last sound of the latest block had come; None before.
    """

    def __init__(
        self, on_news: Callable[[], None] = lambda: None, now: Callable[[], int] = lambda: 0
    ) -> None:
        """Takes whom to tell that there is more to say, and whom to ask for the instant."""
        self.arrived: int | None = None
        self._now = now
        self._utterances: deque[_Utterance] = deque()
        self._on_news = on_news

    @property
    def samples(self) -> int:
        """How much audio waits, in 16 kHz samples."""
        return sum(utterance.waiting for utterance in self._utterances)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits and nothing is expected."""
        return not self._utterances

    def holds(self, number: int) -> bool:
        """Whether the utterance waits or is being spoken and may still receive audio."""
        return any(
            utterance.number == number and not utterance.is_complete
            for utterance in self._utterances
        )

    def open(self, number: int) -> None:
        """Puts a new, still empty utterance at the end of the queue."""
        self._utterances.append(_Utterance(number))

    def append(
        self,
        number: int,
        audio: AlignedAudio,
        text: str | None = None,
        *,
        passage: Passage | None = None,
        continues: bool = False,
    ) -> bool:
        """Adds audio, and the subtitle that begins with it, to an open utterance.

        Returns False, and drops both, when the utterance has been interrupted meanwhile.
        `passage` tells where in `audio` which piece of the text is heard. With `continues` it is
        more of the passage before, if that one's voice does not know how long it will be.
        """
        for utterance in self._utterances:
            if utterance.number == number and not utterance.is_complete:
                if text:
                    utterance.texts.append((utterance.received, text))
                if continues and utterance.passages:
                    _lengthen(utterance, len(audio))
                if passage is not None:
                    utterance.passages.append(passage.after(utterance.received))
                if len(audio):
                    utterance.audio.append(audio)
                    utterance.received += len(audio)
                    utterance.log.note(len(audio), self._now())
                self._on_news()
                return True
        return False

    def trigger(self, number: int, trigger: Trigger) -> None:
        """Adds a trigger to an utterance; it is dropped with it."""
        for utterance in self._utterances:
            if utterance.number == number:
                utterance.triggers.append(trigger)

    def complete(self, number: int) -> None:
        """Says that no more audio follows for the utterance."""
        for utterance in self._utterances:
            if utterance.number == number:
                utterance.is_complete = True
                self._on_news()

    def drop_before(self, number: int) -> list[int]:
        """Drops every utterance below `number`; returns those that had not begun."""
        dropped = [utterance for utterance in self._utterances if utterance.number < number]
        self._utterances = deque(item for item in self._utterances if item.number >= number)
        return [utterance.number for utterance in dropped if utterance.taken == 0]

    def waits(self, number: int) -> bool:
        """Whether the utterance is there and has not begun."""
        return any(item.number == number and not item.taken for item in self._utterances)

    def withdraw(self, number: int) -> bool:
        """Drops one utterance if it has not begun; returns whether it was there to drop."""
        waiting = [item for item in self._utterances if item.number == number and not item.taken]
        for utterance in waiting:
            self._utterances.remove(utterance)
        return bool(waiting)

    def can_begin(self, samples: int) -> bool:
        """Whether the next utterance has not begun and has that much audio, or all of it."""
        if not self._utterances or samples <= 0:
            return False
        utterance = self._utterances[0]
        is_enough = utterance.waiting >= samples or utterance.is_complete
        return utterance.taken == 0 and is_enough

    def take(self, start: int) -> Block | None:
        """Returns the next block of speech for media time `start`, or None when none is ready.

        The tail of a complete utterance is padded with silence. A complete utterance without
        any audio (nothing in it could be pronounced) still gives one silent block, so that its
        beginning and end are announced.
        """
        if not self._utterances:
            return None
        utterance = self._utterances[0]
        if utterance.waiting < BLOCK and not utterance.is_complete:
            return None
        before = utterance.taken
        audio = _take_samples(utterance, BLOCK)
        self.arrived = utterance.log.arrival(utterance.waiting)
        ends = utterance.is_complete and utterance.waiting == 0
        texts = _take_texts(utterance)
        if ends:
            self._utterances.popleft()
        padded = audio.padded(BLOCK)
        return Block(
            start=start,
            speech=padded.speech,
            sound=padded.sound,
            utterance=utterance.number,
            is_speech=True,
            begins=before == 0,
            ends=ends,
            texts=texts,
            length=len(audio),
            characters=_said_after_packets(utterance, before),
            triggers=_take_triggers(utterance, before, is_last=ends),
        )


def _lengthen(utterance: _Utterance, samples: int) -> None:
    """Lets the last passage go on, where it seemed to end with the sound that was there."""
    last = utterance.passages[-1]
    if last.end == utterance.received:
        utterance.passages[-1] = replace(last, end=last.end + samples)


def _said_after_packets(utterance: _Utterance, before: int) -> tuple[int, ...]:
    ends = range(before + TICK, before + BLOCK + 1, TICK)
    passages = utterance.passages
    return tuple(characters_said(passages, end) for end in ends) if passages else ()


def _take_triggers(utterance: _Utterance, before: int, *, is_last: bool) -> tuple[Trigger, ...]:
    """Takes out the triggers of the block that began at sample `before`; at the end all others.

    One that came too late for its place acts at the block's beginning.
    """
    if not utterance.triggers:
        return ()
    due = [trigger for trigger in utterance.triggers if is_last or trigger.at < before + BLOCK]
    utterance.triggers = [
        trigger for trigger in utterance.triggers if not is_last and trigger.at >= before + BLOCK
    ]
    due.sort(key=lambda trigger: trigger.at)
    return tuple(Trigger(min(max(trigger.at - before, 0), BLOCK), trigger.act) for trigger in due)


def _take_samples(utterance: _Utterance, count: int) -> AlignedAudio:
    pieces: list[AlignedAudio] = []
    missing = count
    while missing and utterance.audio:
        piece = utterance.audio.popleft()
        if len(piece) > missing:
            utterance.audio.appendleft(piece[missing:])
            piece = piece[:missing]
        pieces.append(piece)
        missing -= len(piece)
    utterance.taken += count - missing
    return AlignedAudio.concatenate(pieces)


def _take_texts(utterance: _Utterance) -> tuple[str, ...]:
    texts = []
    is_over = utterance.is_complete and utterance.waiting == 0
    while utterance.texts and (is_over or utterance.texts[0][0] < utterance.taken):
        texts.append(utterance.texts.popleft()[1])
    return tuple(texts)
