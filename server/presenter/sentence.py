"""A sentence of a script: what is said, where it stands, and the marks before and in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from server.presenter.marks import Emotion, Gaze, Mark, Pause, VoiceChange
from server.presenter.recording import Clip


@dataclass(frozen=True, slots=True)
class Placed:
    """A mark in a sentence.

    Attributes:
        at: how many characters of the sentence's text come before it.
        start: index of its first character in the source.
        end: index after its last one.
        mark: what it asks for.
    """

    at: int
    start: int
    end: int
    mark: Mark


@dataclass(frozen=True, slots=True)
class Mood:
    """What earlier marks have set, None where none has."""

    emotion: Emotion | None = None
    gaze: Gaze | None = None
    voice: str | None = None

    def after(self, mark: Mark) -> Mood:
        """Returns the mood from a mark on."""
        match mark:
            case Emotion():
                return replace(self, emotion=mark)
            case Gaze():
                return replace(self, gaze=mark)
            case VoiceChange(name=name):
                return replace(self, voice=name)
        return self


@dataclass(frozen=True, slots=True)
class Sentence:
    """What is said in one go.

    Attributes:
        start: index of its first character in the source, its marks included.
        end: index after its last one.
        text: what is said.
        marks: in order.
        mood: as it is before its first mark.
        rest: milliseconds of silence after it besides the voice's own.
        not_before: milliseconds after the script's beginning before which it is not spoken.
        clip: the part of a recording that it is, if it is not made by a voice.
    """

    start: int
    end: int
    text: str
    marks: tuple[Placed, ...] = ()
    mood: Mood = Mood()
    rest: int = 0
    not_before: int | None = None
    clip: Clip | None = None

    @property
    def sound(self) -> tuple[object, ...]:
        """What it is heard by: two sentences with the same are the same, wherever they stand."""
        marks = tuple((placed.at, placed.mark) for placed in self.marks)
        return (self.text, marks, self.mood, self.not_before, self.clip)


def begins_with_pause(sentence: Sentence) -> bool:
    """Whether silence comes before its first word."""
    return any(placed.at == 0 and isinstance(placed.mark, Pause) for placed in sentence.marks)
