"""Whose turn it is: numbers utterances, and turns what happened into events.

Pure: it is told what became audible, what the microphone heard and what was asked for, and
returns the events to send. It knows no clock, queue or socket.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from server.protocol import (
    ServerEvent,
    SpeakEnded,
    SpeakStarted,
    State,
    StateUpdated,
    SubtitleDelta,
    UserSpeechStarted,
    UserSpeechStopped,
)
from server.timeline import Mark, Spoken

NOTHING = Spoken(0, 0)
_MILLISECOND = 16  # samples


class Heard(Enum):
    """An edge found by the speech detector."""

    STARTED = "speech began"
    STOPPED = "speech ended"


class Turns:
    """The turn-taking of one session.

    Attributes:
        utterance: the highest utterance number given out.
        speaking: the utterance that is audible now, or None.
    """

    def __init__(self) -> None:
        self.utterance = 0
        self.speaking: int | None = None
        self._user_is_speaking = False
        self._is_thinking = False
        self._state: State = "idle"

    @property
    def state(self) -> State:
        """What the portrait does."""
        return self._state

    def open(self) -> int:
        """Returns the number of a new utterance."""
        self.utterance += 1
        return self.utterance

    def go_on(self, utterance: int) -> None:
        """Lets numbers follow on one that was given out elsewhere."""
        self.utterance = max(self.utterance, utterance)

    def audible(self, marks: Iterable[Mark], media_time: int) -> list[ServerEvent]:
        """Notes what became audible at `media_time`."""
        events: list[ServerEvent] = []
        for mark in marks:
            if mark.begins:
                self.speaking = mark.utterance
                events.append(SpeakStarted(mark.utterance, media_time))
            events += [SubtitleDelta(mark.utterance, text, media_time) for text in mark.texts]
            if mark.ends:
                self.speaking = None
                events.append(_ended(mark.utterance, media_time, mark.spoken, interrupted=False))
        return self._with_state(events, media_time)

    def interrupted(
        self, unheard: Iterable[int], media_time: int, spoken: Spoken = NOTHING
    ) -> list[ServerEvent]:
        """Notes that everything up to now was interrupted.

        Args:
            unheard: utterances that were dropped before they began.
            media_time: when the last audio leaves.
            spoken: how much has left of the utterance that is audible.
        """
        numbers = [*([] if self.speaking is None else [self.speaking]), *unheard]
        events: list[ServerEvent] = []
        for number in numbers:
            part = spoken if number == self.speaking else NOTHING
            events.append(_ended(number, media_time, part, interrupted=True))
        self.speaking = None
        return self._with_state(events, media_time)

    def withdrawn(self, numbers: Iterable[int], media_time: int) -> list[ServerEvent]:
        """Notes that utterances were dropped before they began, and others go on."""
        return [_ended(number, media_time, NOTHING, interrupted=True) for number in numbers]

    def heard(self, edge: Heard, media_time: int) -> list[ServerEvent]:
        """Notes an edge of the user's speech."""
        self._user_is_speaking = edge is Heard.STARTED
        event = (
            UserSpeechStarted(media_time)
            if edge is Heard.STARTED
            else UserSpeechStopped(media_time)
        )
        return self._with_state([event], media_time)

    def think(self, media_time: int, *, is_thinking: bool) -> list[ServerEvent]:
        """Notes that an answer is being thought of, or no more."""
        self._is_thinking = is_thinking
        return self._with_state([], media_time)

    def _with_state(self, events: list[ServerEvent], media_time: int) -> list[ServerEvent]:
        state: State = "idle"
        if self.speaking is not None:
            state = "speaking"
        elif self._user_is_speaking:
            state = "listening"
        elif self._is_thinking:
            state = "thinking"
        if state != self._state:
            self._state = state
            events.append(StateUpdated(state, media_time))
        return events


def _ended(number: int, media_time: int, spoken: Spoken, *, interrupted: bool) -> SpeakEnded:
    return SpeakEnded(
        number,
        media_time,
        interrupted=interrupted,
        spoken_ms=spoken.samples // _MILLISECOND,
        spoken_characters=spoken.characters,
    )
