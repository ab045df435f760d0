"""What of a session's stream is a bot's answer, and what is due when. No network, no clock."""

from __future__ import annotations

import av
import numpy as np

from server.protocol import SpeakEnded, SpeakStarted
from vivant_client.media import Frame, Sound
from vivant_client.pipecat.answers import Answers, Words
from vivant_client.pipecat.lockstep import Lockstep

RATE = 24_000


def sound(packet: int) -> Sound:
    """Returns the packet of that number, every sample of which is that number."""
    return Sound(packet * 320, np.full(960, packet, np.float32))


def picture(number: int) -> Frame:
    return Frame(number * 640, av.VideoFrame(16, 16, "yuv420p"))


def given(answers: Answers[str], seconds: float, context: str = "a") -> None:
    answers.open(context, RATE, given_at=0)
    answers.give(int(seconds * RATE))
    answers.complete()


def numbers(due: list[Words | str]) -> list[str]:
    """Returns items, and the packets of words."""
    told = []
    for item in due:
        told += [item] if isinstance(item, str) else [str(int(item.samples[0]))]
    return told


def test_what_is_heard_between_an_utterance_s_ends_is_the_answer() -> None:
    answers: Answers[str] = Answers()
    given(answers, 0.08)
    answers.hold("stopped")
    assert answers.hear(sound(1)) == []
    assert answers.started(SpeakStarted(1, 2 * 320)) == []
    assert numbers(answers.hear(sound(2))) == ["2"]
    assert numbers(answers.hear(sound(3)) + answers.hear(sound(4))) == ["3", "4"]
    assert answers.ended(SpeakEnded(1, 5 * 320, interrupted=False)) == []
    assert not answers.is_empty
    (words, stopped) = answers.hear(sound(5))
    assert isinstance(words, Words) and (words.context, words.media_time) == ("a", 5 * 320)
    assert stopped == "stopped"
    assert answers.is_empty
    assert answers.hear(sound(6)) == []


def test_an_event_that_comes_after_its_sound_loses_nothing() -> None:
    answers: Answers[str] = Answers()
    given(answers, 0.08)
    answers.hold("stopped")
    assert [answers.hear(sound(number)) for number in range(1, 6)] == 5 * [[]]
    assert numbers(answers.started(SpeakStarted(1, 2 * 320))) == ["2", "3", "4", "5"]
    assert numbers(answers.ended(SpeakEnded(1, 5 * 320, interrupted=False))) == ["stopped"]


def test_the_silence_that_fills_the_last_block_is_left_out() -> None:
    answers: Answers[str] = Answers()
    given(answers, 0.05)  # 50 ms, which the server fills up to 80
    answers.started(SpeakStarted(1, 0))
    answers.ended(SpeakEnded(1, 2 * 320, interrupted=False))
    heard = [item for number in range(3) for item in answers.hear(sound(number))]
    assert [len(item.samples) for item in heard if isinstance(item, Words)] == [960, 960, 480]


def test_silence_takes_the_place_of_lost_packets() -> None:
    answers: Answers[str] = Answers()
    given(answers, 1.0)
    answers.started(SpeakStarted(1, 320))
    answers.hear(sound(1))
    (words,) = answers.hear(sound(4))
    assert isinstance(words, Words)
    assert words.media_time == 2 * 320
    assert len(words.samples) == 3 * 960
    assert not words.samples[: 2 * 960].any() and words.samples[-1] == 4
    assert answers.hear(sound(3)) == []  # too late, and made up for


def test_items_come_out_where_they_came_in() -> None:
    answers: Answers[str] = Answers()
    assert not answers.hold("nothing to wait for")
    answers.open("a", RATE, given_at=0)
    answers.give(480)  # 20 ms
    assert answers.hold("after one")
    answers.give(480)
    assert answers.hold("at the end")
    answers.complete()
    answers.open("b", RATE, given_at=0)
    answers.give(480)
    assert answers.hold("after both")
    answers.complete()
    answers.started(SpeakStarted(1, 0))
    assert numbers(answers.hear(sound(0))) == ["0", "after one"]
    assert numbers(answers.hear(sound(1))) == ["1"]
    answers.ended(SpeakEnded(1, 320, interrupted=False))
    answers.started(SpeakStarted(2, 3 * 320))
    answers.ended(SpeakEnded(2, 3 * 320, interrupted=False))
    assert numbers(answers.hear(sound(2))) == []
    assert numbers(answers.hear(sound(3))) == ["3", "after both"]


def test_where_a_voice_pauses_its_end_waits() -> None:
    answers: Answers[str] = Answers()
    given(answers, 0.04)
    answers.hold("stopped")
    answers.started(SpeakStarted(1, 0))
    heard = [item for number in range(4) for item in answers.hear(sound(number))]
    assert numbers(heard) == ["0", "1", "2", "3"]  # 40 ms of it were silence
    answers.ended(SpeakEnded(1, 4 * 320, interrupted=False))
    assert numbers(answers.hear(sound(4))) == ["4", "stopped"]


def test_nothing_follows_an_interruption_but_what_is_said_after_it() -> None:
    answers: Answers[str] = Answers()
    given(answers, 1.0)
    answers.hold("stopped")
    answers.started(SpeakStarted(1, 0))
    answers.hear(sound(0))
    assert answers.interrupt() == ["stopped"]
    assert answers.hear(sound(1)) == []
    assert not answers.may_show(640)
    assert answers.started(SpeakStarted(2, 640)) == []  # of the past as well
    assert answers.ended(SpeakEnded(1, 700, interrupted=True)) == []
    assert not answers.may_show(640)
    assert not answers.may_show(1280)  # which the server may have encoded before it stopped
    assert answers.may_show(1920)
    answers.go_on(3)
    given(answers, 0.04, "b")
    answers.started(SpeakStarted(3, 2 * 640))
    (words,) = answers.hear(sound(4))
    assert isinstance(words, Words) and words.context == "b"


def test_pictures_come_back_though_the_server_does_not_say_where_it_stopped() -> None:
    answers: Answers[str] = Answers()
    given(answers, 1.0)
    answers.interrupt()
    shown = [answers.may_show(number * 640) for number in range(1, 20)]
    assert shown == 13 * [False] + 6 * [True]


def test_what_the_server_dropped_unheard_is_over() -> None:
    answers: Answers[str] = Answers()
    given(answers, 1.0)
    answers.hold("stopped")
    answers.hear(sound(3))
    assert answers.ended(SpeakEnded(1, 320, interrupted=True)) == ["stopped"]
    assert answers.is_empty


def test_the_streams_are_merged_by_media_time() -> None:
    lockstep = Lockstep()
    came: list[Frame | Sound] = [sound(0), sound(1), picture(0), sound(2), picture(1), sound(3)]
    due = [[each.media_time for each in lockstep.add(item)] for item in came]
    assert due == [[], [], [0, 0, 320], [], [640, 640], [960]]


def test_neither_stream_waits_long_for_the_other() -> None:
    sounds = Lockstep()
    due = [[each.media_time // 320 for each in sounds.add(sound(number))] for number in range(1, 8)]
    assert due == [[], [], [], [], [1], [2], [3]]  # 80 ms later
    late = sounds.add(picture(1))
    assert [type(item) for item in late] == [Frame]
    pictures = Lockstep()
    shown = [[each.media_time // 640 for each in pictures.add(picture(n))] for n in range(1, 5)]
    assert shown == [[], [], [1], [2]]
