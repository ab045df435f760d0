"""One utterance of a script as it grows: exact silences, stress, triggers and captions in place.

Sound is appended in order. Silence is counted from the last sound that can be heard to the
next one, so what voices leave around their words is part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from server.ingest import SOUND_RATIO, AlignedAudio
from server.pacing import MILLISECOND
from server.speech import BLOCK, Passage, SpeechQueue, Trigger

_QUIET = 0.003  # -50 dBFS; less is silence
_STRESS = 10 ** (3 / 20)  # stressed words are 3 dB louder
_LOUDEST = 0.98
_EDGE = 30 * MILLISECOND  # over which stress comes and goes

_NONE = AlignedAudio.concatenate([])


@dataclass(frozen=True, slots=True)
class _Clause:
    """Where the latest clause's text is heard; its end may not have been made yet."""

    index: int
    length: int
    start: int
    end: int

    def sample(self, character: int) -> int:
        """Returns the sample at which a character is heard; letters share the sound evenly."""
        share = min(max((character - self.index) / max(self.length, 1), 0.0), 1.0)
        return self.start + int(share * (self.end - self.start))


@dataclass(slots=True)
class Take:
    """One utterance of the queue.

    Attributes:
        number: the utterance's.
        queue: what it grows in.
        length: samples appended so far.
        quiet: samples of silence that came before it without a break.
    """

    number: int
    queue: SpeechQueue
    quiet: int = 0
    length: int = 0
    _tail: AlignedAudio = _NONE
    _owed: int | None = None
    _clause: _Clause | None = None
    _stress: list[tuple[int, int]] = field(default_factory=list)  # characters

    @property
    def is_wanted(self) -> bool:
        """Whether the utterance still takes sound."""
        return self.queue.holds(self.number)

    @property
    def end(self) -> int:
        """Samples given so far, with silence that is not appended yet."""
        return self.length + len(self._tail)

    def place(self, character: int) -> int:
        """Returns the sample at which a character of the latest clause is heard."""
        return self.length if self._clause is None else self._clause.sample(character)

    def silence(self, samples: int) -> None:
        """Lets at least so much silence be between the sound before and the next."""
        self._owed = (self._owed or 0) + samples

    def stress(self, start: int, end: int) -> None:
        """Lets characters of the text be louder."""
        self._stress.append((start, end))

    def cue(self, act: Callable[[int], None], *, at: int | None = None, early: int = 0) -> None:
        """Adds a cue at a character of the latest clause, or at the end of the sound so far."""
        sample = self.length if at is None else self.place(at)
        self.queue.trigger(self.number, Trigger(max(sample - early, 0), act))

    def add(self, audio: AlignedAudio, text: str | None = None) -> None:
        """Appends sound, and the caption that begins with it."""
        self._add(audio, text, None)

    def add_clause(
        self, audio: AlignedAudio, text: str, passage: Passage | None, *, begin: int
    ) -> None:
        """Appends the sound of a clause or, without a passage, more of the one before.

        Args:
            audio: its sound.
            text: its caption.
            passage: where in `audio` which characters are heard; its index counts from `begin`.
            begin: index in the utterance's text of what the voice was given.
        """
        if passage is not None:
            passage = replace(passage, index=begin + passage.index)
        self._add(audio, text or None, passage)

    def finish(self, *, rest: int, trims: bool) -> int:
        """Appends the silence after the last sound; returns how much silence it ends with.

        Args:
            rest: samples of silence after what the voice leaves.
            trims: whether a pause follows that counts from the last sound.
        """
        tail = _NONE if trims else self._tail.padded(len(self._tail) + rest)
        if self._owed is not None:
            tail = self._tail[: self._owed].padded(self._owed)
        self._append(tail, None, None)
        self._tail, self._owed = _NONE, None
        if not self.length:
            return 0
        padding = -self.length % BLOCK
        return len(tail) + padding

    def _add(self, audio: AlignedAudio, text: str | None, passage: Passage | None) -> None:
        lead, loud = _silences(audio)
        if loud == 0 and text is None and passage is None:
            self._tail = AlignedAudio.concatenate([self._tail, audio])
            return
        before = AlignedAudio.concatenate([self._tail, audio[:lead]])
        if self._owed is not None:
            wanted = max(self._owed - self.quiet, 0)
            before = self._tail[:wanted].padded(wanted)
        # The caption comes with what is heard, not with the silence that voices begin with.
        audio, loud = audio[lead:], loud - lead
        passage = passage.after(-lead) if passage is not None else None
        self._owed, self.quiet = None, 0
        self._append(before, None, None)
        self._tail = audio[loud:]
        self._append(audio[:loud], text, passage)

    def _append(self, audio: AlignedAudio, text: str | None, passage: Passage | None) -> None:
        if passage is not None:
            start, end = self.length + passage.start, self.length + passage.end
            self._clause = _Clause(passage.index, len(passage.text), start, end)
        if len(audio) or text:
            audio = self._stressed(audio)
            self.queue.append(self.number, audio, text, passage=passage)
            self.length += len(audio)

    def _stressed(self, audio: AlignedAudio) -> AlignedAudio:
        clause = self._clause
        spans = (
            []
            if clause is None
            else [
                (clause.sample(start) - self.length, clause.sample(end) - self.length)
                for start, end in self._stress
                if start < clause.index + clause.length and end > clause.index
            ]
        )
        for start, end in spans:
            audio = _louder(audio, start, end)
        return audio


def place_in(passage: Passage, character: int) -> int:
    """Returns the sample at which a character of a passage is heard."""
    clause = _Clause(passage.index, len(passage.text), passage.start, passage.end)
    return clause.sample(character)


def _silences(audio: AlignedAudio) -> tuple[int, int]:
    """Returns how many samples come before the first sound, and up to the end of the last."""
    heard = np.flatnonzero(np.abs(audio.speech) >= _QUIET)
    return (int(heard[0]), int(heard[-1]) + 1) if len(heard) else (0, 0)


def _louder(audio: AlignedAudio, start: int, end: int) -> AlignedAudio:
    """Returns it with the samples from `start` to `end` stressed, as far as there is room."""
    if end <= 0 or start >= len(audio) or start >= end:
        return audio
    peak = float(np.abs(audio.sound[max(start, 0) * SOUND_RATIO : end * SOUND_RATIO]).max())
    gain = min(_STRESS, max(_LOUDEST / peak, 1.0)) if peak else 1.0
    places = np.arange(len(audio) * SOUND_RATIO) / SOUND_RATIO
    edge = min(_EDGE, (end - start) // 2) or 1
    shape = np.clip(np.minimum(places - start, end - places) / edge, 0.0, 1.0)
    curve = (1.0 + (gain - 1.0) * shape).astype(np.float32)
    return AlignedAudio(audio.speech * curve[::SOUND_RATIO], audio.sound * curve)
