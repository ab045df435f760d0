"""What is done one after the other to say a sentence: stretches of speech, silences, cues.

Pure: a sentence and where in it to begin go in; it knows no sound.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from server.pacing import MILLISECOND
from server.presenter.marks import Emotion, Emphasis, Gaze, Gesture, Pause, VoiceChange
from server.presenter.sentence import Mood, Placed, Sentence


@dataclass(frozen=True, slots=True)
class Speech:
    """A stretch of the sentence's text in one voice.

    Attributes:
        start: index of its first character in the sentence's text.
        text: the words.
        voice: None for the session's own.
        cues: marks within it: emotions, gestures, gazes and stress.
    """

    start: int
    text: str
    voice: str | None
    cues: tuple[Placed, ...]


@dataclass(frozen=True, slots=True)
class Silence:
    """Exactly so many samples between one sound and the next.

    Attributes:
        samples: how many.
        cues: marks at its beginning.
    """

    samples: int
    cues: tuple[Placed, ...] = ()


Step = Speech | Silence


def steps_of(sentence: Sentence, skip: int = 0) -> list[Step]:
    """Returns the steps from the character `skip` on."""
    return list(_Steps(sentence, skip).steps())


def mood_at(sentence: Sentence, skip: int = 0) -> Mood:
    """Returns what marks have set when the character `skip` is reached."""
    mood = sentence.mood
    for placed in sentence.marks:
        if placed.at < skip:
            mood = mood.after(placed.mark)
    return mood


class _Steps:
    def __init__(self, sentence: Sentence, skip: int) -> None:
        self._sentence = sentence
        self._position = skip
        self._voice = mood_at(sentence, skip).voice
        self._cues: list[Placed] = []
        self._skip = skip

    def steps(self) -> Iterator[Step]:
        for placed in self._sentence.marks:
            end = placed.at + (placed.mark.length if isinstance(placed.mark, Emphasis) else 0)
            if max(placed.at, end - 1) < self._skip:
                continue
            match placed.mark:
                case Pause(milliseconds=milliseconds):
                    yield from self._speech(placed.at)
                    yield Silence(milliseconds * MILLISECOND, self._taken())
                case VoiceChange(name=name):
                    yield from self._speech(placed.at)
                    self._voice = name
                case Emotion() | Gesture() | Gaze() | Emphasis():
                    self._cues.append(placed)
        yield from self._speech(len(self._sentence.text))
        if self._cues:
            yield Silence(0, self._taken())

    def _speech(self, end: int) -> Iterator[Step]:
        """Yields what is said up to the character `end`."""
        text = self._sentence.text[self._position : end]
        if any(letter.isalnum() for letter in text):
            indent = len(text) - len(text.lstrip())
            early = tuple(cue for cue in self._cues if cue.at < end)
            self._cues = self._cues[len(early) :]
            yield Speech(self._position + indent, text.strip(), self._voice, early)
        self._position = max(self._position, end)

    def _taken(self) -> tuple[Placed, ...]:
        cues, self._cues = tuple(self._cues), []
        return cues
