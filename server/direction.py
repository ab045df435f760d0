"""How a session's portrait is told to move: its style, each utterance's own, and what is added.

Pure: no clock and no event loop. It reads the style of a message, remembers who asked for
what, and tells for each block of audio which style it wants.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from server.live_motion import LiveMotion
from server.protocol import Mode, ProtocolError, Style
from server.speech import BLOCK, Block
from streaming_model.media import SAMPLE_RATE
from streaming_model.motion.additive import Additions, Gesture
from streaming_model.motion.style import MotionStyle

_MOST_STYLES = 200  # utterances whose own style is remembered
_MOST_GESTURES = 20  # at once
_MOST_TURNS = 50  # that are remembered, for a model that hears its latest sound again


# What the protocol calls otherwise than the model does.
_FIELDS = {"gaze": "gaze_target", "glances": "gaze"}


def with_changes(style: MotionStyle, change: Style) -> MotionStyle:
    """Returns a style with what a message changes.

    Raises:
        ProtocolError: `bad_request`, a value is impossible.
    """
    given = change.model_dump(exclude_none=True)
    try:
        return dataclasses.replace(
            style, **{_FIELDS.get(name, name): value for name, value in given.items()}
        )
    except ValueError as error:
        # "gaze" is what the model calls the glances.
        reason = str(error).replace("gaze must", "glances must")
        raise ProtocolError("bad_request", f"In the style, {reason}.") from None


@lru_cache(maxsize=256)
def _changed(style: MotionStyle, change: Style) -> MotionStyle:
    return with_changes(style, change)


def describe_style(style: MotionStyle) -> dict[str, Any]:
    """Returns the style as the protocol tells it."""
    return {name: getattr(style, _FIELDS.get(name, name)) for name in Style.model_fields}


@dataclass(frozen=True, slots=True)
class Cue:
    """What happens when an utterance has come to a place in its text.

    Attributes:
        index: characters said before it.
        style: from here on, for the rest of the utterance.
        gesture: made here, of that strength.
    """

    index: int
    style: MotionStyle | None = None
    gesture: str | None = None
    strength: float = 1.0


class Direction:
    """What one session's portrait was told.

    Attributes:
        style: the session's style.
        pose: changes the style while nothing is said, as in a listener.
        additions: gestures under way and to come, and a live stream.
        live: the live stream as it comes in.
    """

    def __init__(self, style: MotionStyle) -> None:
        self.style = style
        self.pose: Callable[[MotionStyle], MotionStyle] = lambda unposed: unposed
        self.additions = Additions()
        self.live = LiveMotion()
        self._own: dict[int, MotionStyle] = {}
        self._cues: dict[int, deque[Cue]] = {}
        self._turns: list[tuple[int, Style | None]] = []  # (media time, what it changes from then)
        self._cued: list[Gesture] = []

    def change(self, change: Style) -> None:
        """Changes the session's style from the next block on.

        Raises:
            ProtocolError: `bad_request`, a value is impossible.
        """
        self.style = with_changes(self.style, change)

    def give(self, utterance: int, style: MotionStyle) -> None:
        """Lets one utterance be said in a style of its own."""
        self._own[utterance] = style
        while len(self._own) > _MOST_STYLES:
            del self._own[next(iter(self._own))]

    def own(self, utterance: int) -> MotionStyle | None:
        """Returns the style that an utterance was given of its own."""
        return self._own.get(utterance)

    def style_of(self, block: Block) -> MotionStyle:
        """Returns the style of a block: its utterance's own while that is spoken."""
        turned = self._turned(block.start + BLOCK)
        return self._own.get(block.utterance, turned) if block.is_speech else self.pose(turned)

    def turn(self, at: int, change: Style | None) -> None:
        """Changes the session's style by this from a media time on; None ends such changes.

        It holds in speech and silence until the next turn, and does not add to the one before.
        """
        self._turns = [turn for turn in self._turns if turn[0] <= at][-_MOST_TURNS:]
        self._turns.append((at, change))

    def cue_gesture(self, name: str, *, at: int, **options: Any) -> None:  # noqa: ANN401
        """Adds a gesture as `gesture` does; it is taken back with the speech it belongs to."""
        gesture = self.gesture(name, at=at, **options)
        self._cued = [other for other in self._cued if other.end > at - SAMPLE_RATE]
        self._cued.append(gesture)

    def take_back(self, at: int) -> None:
        """Takes back the turns and cued gestures from a media time on: their speech was cut."""
        self._turns = [turn for turn in self._turns if turn[0] < at]
        void = [gesture for gesture in self._cued if gesture.start >= at]
        kept = tuple(item for item in self.additions.gestures if item not in void)
        self.additions = dataclasses.replace(self.additions, gestures=kept)

    def _turned(self, until: int) -> MotionStyle:
        """Returns the style before a media time."""
        change = next((change for at, change in reversed(self._turns) if at < until), None)
        return self.style if change is None else _changed(self.style, change)

    def plan(self, utterance: int, cue: Cue) -> None:
        """Lets something happen at a place in an utterance's text, after those planned before."""
        self._cues.setdefault(utterance, deque()).append(cue)
        while len(self._cues) > _MOST_STYLES:
            del self._cues[next(iter(self._cues))]

    def reach(self, block: Block) -> None:
        """Does what was planned for the places in the text that a block of speech reaches.

        Gestures beyond the twenty that may be under way are left out.
        """
        cues = self._cues.get(block.utterance) if block.is_speech else None
        said = block.characters[0] if block.characters else 0
        while cues and cues[0].index <= said:
            cue = cues.popleft()
            if cue.style is not None:
                self.give(block.utterance, cue.style)
            under_way = self.additions.since(block.start).gestures
            if cue.gesture is not None and len(under_way) < _MOST_GESTURES:
                self.cue_gesture(cue.gesture, at=block.start, strength=cue.strength, seed=cue.index)

    def gesture(self, name: str, *, at: int, **options: Any) -> Gesture:  # noqa: ANN401
        """Adds a gesture at a media time; the options are those of `Gesture`.

        Raises:
            ProtocolError: `bad_request`, there is none of that name or a number is impossible;
                `capacity`, twenty are under way.
        """
        try:
            gesture = Gesture(name, at, **options)
        except ValueError as error:
            raise ProtocolError("bad_request", _sentence(error)) from None
        under_way = self.additions.since(at).gestures
        if len(under_way) >= _MOST_GESTURES:
            raise ProtocolError("capacity", f"{_MOST_GESTURES} gestures are under way already.")
        self.additions = dataclasses.replace(self.additions, gestures=(*under_way, gesture))
        return gesture

    def follow(
        self,
        coefficients: Mapping[str, float],
        *,
        at: int,
        weight: float,
        mode: Mode,
        t: float | None = None,
    ) -> None:
        """Adds one frame of a live stream; the rest are `LiveMotion.hear`'s.

        Raises:
            ProtocolError: `bad_request`, a name is unknown or a number impossible.
        """
        try:
            live = self.live.hear(coefficients, at=at, t=t, weight=weight, mode=mode)
        except ValueError as error:
            raise ProtocolError("bad_request", _sentence(error)) from None
        self.additions = dataclasses.replace(self.additions, live=live)


def _sentence(error: ValueError) -> str:
    text = str(error)
    return f"{text[0].upper()}{text[1:]}."
