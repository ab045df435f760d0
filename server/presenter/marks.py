"""The marks of a script: what `[sad 0.5]` or `<break time="1s"/>` ask for.

Pure: one mark's words in, its meaning out. It knows neither where marks stand nor who obeys them.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from streaming_model.motion.additive import STRENGTH_RANGE
from streaming_model.motion.gestures import GESTURES
from streaming_model.motion.style import EMOTION_CHOICES, GazeTarget, MotionStyle

LONGEST_PAUSE = 60_000  # ms
USUAL_PAUSE = 500  # ms, of a `[pause]` that does not say
# How long SSML's strengths of a break are is left to the reader (SSML 1.1, 3.2.3).
BREAK_STRENGTHS = {
    "none": 0, "x-weak": 100, "weak": 250, "medium": 500, "strong": 800, "x-strong": 1200,
}  # fmt: skip
EMPHASIS_LEVELS = {"strong": True, "moderate": True, "reduced": False, "none": False}
NAMES = (*EMOTION_CHOICES, *GESTURES, "pause", "emphasis", "gaze", "voice")
# Elements that only structure a text, and those that only look: passed over without a word.
PASSED_OVER = frozenset({
    "speak", "p", "s", "i", "em", "u", "font", "span", "br", "small", "sub", "sup", "a", "div",
})  # fmt: skip
BOLD = frozenset({"b", "strong"})

_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s)")
_NUMBER = re.compile(r"[+-]?\d{1,9}(?:\.\d{1,9})?")


class MarkError(ValueError):
    """A mark that cannot be understood; the message is a clause that says why."""


@dataclass(frozen=True, slots=True)
class Emotion:
    """From here on the face shows this; without an intensity, by the session's own."""

    name: str
    intensity: float | None = None


@dataclass(frozen=True, slots=True)
class Gesture:
    """A gesture made here."""

    name: str
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence of exactly that many milliseconds."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class Emphasis:
    """The next `length` characters are stressed."""

    length: int


@dataclass(frozen=True, slots=True)
class Gaze:
    """From here on the eyes look there: `viewer`, `away` or degrees to the right and up."""

    target: GazeTarget


@dataclass(frozen=True, slots=True)
class VoiceChange:
    """From here on this voice speaks; None is the session's own again."""

    name: str | None


@dataclass(frozen=True, slots=True)
class EmphasisEdge:
    """Where emphasis begins or ends, before the two are paired."""

    begins: bool
    is_heard: bool = True


Mark = Emotion | Gesture | Pause | Emphasis | Gaze | VoiceChange


def read_bracket(words: list[str], *, closes: bool) -> Mark | EmphasisEdge:
    """Returns what a mark in brackets means.

    Args:
        words: what stands between the brackets, the first one being a member of `NAMES`.
        closes: whether it began with a slash.

    Raises:
        MarkError: it is broken.
    """
    name, arguments = words[0].lower(), words[1:]
    if closes:
        if name != "emphasis":
            raise MarkError(f"'[/{name}]' closes nothing; '[{name}]' holds until the next one")
        return EmphasisEdge(begins=False)
    if name in EMOTION_CHOICES:
        return Emotion(name, _one_number(name, arguments, 0.0, 1.0))
    if name in GESTURES:
        strength = _one_number(name, arguments, *STRENGTH_RANGE)
        return Gesture(name) if strength is None else Gesture(name, strength)
    if name == "pause":
        return Pause(_pause(arguments))
    if name == "gaze":
        return Gaze(_gaze(arguments))
    if name == "voice":
        if len(arguments) != 1:
            raise MarkError("'voice' needs one name, as in '[voice joe]'")
        return VoiceChange(None if arguments[0].lower() == "default" else arguments[0])
    return EmphasisEdge(begins=True, is_heard=_level(arguments[0] if arguments else "moderate"))


def read_element(
    name: str, attributes: dict[str, str], *, closes: bool
) -> Pause | EmphasisEdge | None:
    """Returns what an element of SSML or HTML means, None for one that is passed over.

    Raises:
        MarkError: there is no such element here, or it is broken.
    """
    if name in PASSED_OVER or (name == "break" and closes):
        return None
    if name in BOLD:
        return EmphasisEdge(begins=not closes)
    if name == "emphasis":
        return EmphasisEdge(not closes, closes or _level(attributes.get("level", "moderate")))
    if name != "break":
        raise MarkError(f"the element <{name[:40]}> has no meaning here")
    if "time" in attributes:
        return Pause(_milliseconds(attributes["time"].strip()))
    strength = attributes.get("strength", "medium").strip()
    if strength not in BREAK_STRENGTHS:
        known = ", ".join(BREAK_STRENGTHS)
        raise MarkError(f"a break's strength is one of {known}, not '{strength[:40]}'")
    return Pause(BREAK_STRENGTHS[strength])


def nearest(word: str) -> str | None:
    """Returns the mark that a misspelt word was probably meant to be."""
    return next(iter(difflib.get_close_matches(word.lower(), NAMES, n=1, cutoff=0.75)), None)


def _one_number(name: str, arguments: list[str], low: float, high: float) -> float | None:
    if not arguments:
        return None
    given = " ".join(arguments)[:40]
    value = float(given) if _NUMBER.fullmatch(given) else None
    if value is None or not low <= value <= high:
        raise MarkError(f"'{name}' takes a number from {low:g} to {high:g}, not '{given}'")
    return value


def _pause(arguments: list[str]) -> int:
    return _milliseconds("".join(arguments)) if arguments else USUAL_PAUSE


def _milliseconds(text: str) -> int:
    match = _TIME.fullmatch(text)
    if match is None:
        raise MarkError(f"a pause lasts as long as '600ms' or '1.2s', not '{text[:40]}'")
    length = round(float(match[1]) * (1 if match[2] == "ms" else 1000))
    if length > LONGEST_PAUSE:
        raise MarkError(f"a pause lasts at most {LONGEST_PAUSE // 1000} s, not '{text[:40]}'")
    return length


def _gaze(arguments: list[str]) -> GazeTarget:
    given = " ".join(arguments)[:60]
    numbers = re.split(r"[,\s]+", given)
    target: GazeTarget = given.lower()
    if len(numbers) == 2 and all(_NUMBER.fullmatch(number) for number in numbers):
        target = (float(numbers[0]), float(numbers[1]))
    try:
        return MotionStyle(gaze_target=target).gaze_target
    except ValueError:
        raise MarkError(
            "'gaze' takes 'viewer', 'away' or degrees to the right (30 at most) and up (20),"
            f" not '{given}'"
        ) from None


def _level(level: str) -> bool:
    if level.strip().lower() not in EMPHASIS_LEVELS:
        known = ", ".join(EMPHASIS_LEVELS)
        raise MarkError(f"emphasis is one of {known}, not '{level[:40]}'")
    return EMPHASIS_LEVELS[level.strip().lower()]
