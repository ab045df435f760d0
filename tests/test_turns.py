"""Turn-taking: numbers, events and the state they add up to."""

from __future__ import annotations

from server.protocol import (
    SpeakEnded,
    SpeakStarted,
    StateUpdated,
    SubtitleDelta,
    UserSpeechStarted,
    UserSpeechStopped,
)
from server.timeline import Mark, Spoken
from server.turns import Heard, Turns


def test_an_utterance_is_told_from_its_first_to_its_last_sound() -> None:
    turns = Turns()
    number = turns.open()
    assert turns.audible([Mark(number, begins=True, texts=("Hello",))], 640) == [
        SpeakStarted(1, 640),
        SubtitleDelta(1, "Hello", 640),
        StateUpdated("speaking", 640),
    ]
    assert turns.speaking == 1
    assert turns.audible([Mark(number, ends=True)], 1280) == [
        SpeakEnded(1, 1280, interrupted=False),
        StateUpdated("idle", 1280),
    ]
    assert turns.speaking is None


def test_numbers_rise() -> None:
    turns = Turns()
    assert [turns.open(), turns.open()] == [1, 2]
    assert turns.utterance == 2


def test_an_interruption_ends_what_is_heard_and_what_waited() -> None:
    turns = Turns()
    first, second = turns.open(), turns.open()
    turns.audible([Mark(first, begins=True)], 0)
    assert turns.interrupted([second], 320, Spoken(3_200, 7)) == [
        SpeakEnded(1, 320, interrupted=True, spoken_ms=200, spoken_characters=7),
        SpeakEnded(2, 320, interrupted=True, spoken_ms=0, spoken_characters=0),
        StateUpdated("idle", 320),
    ]


def test_the_portrait_listens_while_the_user_speaks() -> None:
    turns = Turns()
    assert turns.heard(Heard.STARTED, 10) == [UserSpeechStarted(10), StateUpdated("listening", 10)]
    turns.audible([Mark(turns.open(), begins=True)], 20)
    assert turns.state == "speaking"
    assert turns.heard(Heard.STOPPED, 30) == [UserSpeechStopped(30)]
    assert turns.audible([Mark(1, ends=True)], 40)[-1] == StateUpdated("idle", 40)
