"""The timeline: sound and its picture leave together, late pictures and old speech do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.pacing import TICK, Pace
from server.speech import BLOCK, Block, silent_block
from server.timeline import CODER_DELAY, Departure, Timeline


def speech(start: int, utterance: int, *, begins: bool = False, ends: bool = False) -> Block:
    return Block(
        start=start,
        speech=np.full(BLOCK, 0.5, np.float32),
        sound=np.full(3 * BLOCK, 0.5, np.float32),
        utterance=utterance,
        is_speech=True,
        begins=begins,
        ends=ends,
        texts=("words",) if begins else (),
    )


def leave_all(timeline: Timeline[str]) -> list[Departure[str]]:
    departures = []
    while (departure := timeline.depart()) is not None:
        departures.append(departure)
    return departures


def test_a_block_leaves_as_two_packets_and_its_picture_with_the_first() -> None:
    timeline: Timeline[str] = Timeline()
    timeline.add_audio(speech(0, 1, begins=True, ends=True))
    assert timeline.add_frame(0, "a") is Pace.SEND
    first, second = leave_all(timeline)
    assert (first.start, second.start) == (0, TICK)
    assert first.frames == ((0, "a"),)
    assert second.frames == ()
    assert [mark.begins for mark in first.marks] == [True]
    assert first.marks[0].texts == ("words",)
    assert [mark.ends for mark in second.marks] == [True]


def test_audio_must_be_continuous() -> None:
    timeline: Timeline[str] = Timeline()
    timeline.add_audio(silent_block(0, 0))
    with pytest.raises(ValueError, match="1280"):
        timeline.add_audio(silent_block(1280, 0))


def test_a_late_picture_is_dropped_and_counted() -> None:
    timeline: Timeline[str] = Timeline()
    timeline.add_audio(silent_block(0, 0))
    timeline.add_audio(silent_block(BLOCK, 0))
    leave_all(timeline)
    assert timeline.add_frame(0, "late") is Pace.DROP
    assert timeline.late_frames == 1


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40))
def test_no_picture_leaves_before_its_sound_or_out_of_order(steps: list[int]) -> None:
    timeline: Timeline[int] = Timeline()
    seen: list[int] = []
    for index, step in enumerate(steps):
        timeline.add_audio(silent_block(index * BLOCK, 0))
        timeline.add_frame(index * BLOCK, index)
        for _ in range(step):
            departure = timeline.depart()
            if departure is not None:
                assert all(start < departure.start + TICK for start, _ in departure.frames)
                seen += [frame for _, frame in departure.frames]
    assert seen == sorted(set(seen))


def test_an_interruption_leaves_at_most_five_milliseconds_of_old_sound() -> None:
    timeline: Timeline[str] = Timeline()
    for index in range(6):
        timeline.add_audio(speech(index * BLOCK, 1))
    assert timeline.holds_speech
    timeline.interrupt(2)
    departures = leave_all(timeline)
    sound = np.concatenate([departure.sound for departure in departures])
    assert np.flatnonzero(sound).max() < 240
    assert np.abs(np.diff(sound)).max() < 0.01  # it fades: no click
    assert not timeline.holds_speech


def test_a_fade_begins_after_what_the_coder_was_given_already() -> None:
    timeline: Timeline[str] = Timeline()
    for index in range(6):
        timeline.add_audio(speech(index * BLOCK, 1))
    first = timeline.depart()
    assert first is not None
    timeline.interrupt(2)
    rest = np.concatenate([departure.sound for departure in leave_all(timeline)])
    assert (rest[:CODER_DELAY] == first.ahead).all()
    assert np.flatnonzero(rest).max() < CODER_DELAY + 240
    told = np.concatenate([first.sound, rest])
    assert np.abs(np.diff(told)).max() < 0.01


def test_a_frame_that_goes_back_in_time_replaces_those_after_it() -> None:
    timeline: Timeline[str] = Timeline()
    for index in range(3):
        timeline.add_audio(silent_block(index * BLOCK, 0))
        timeline.add_frame(index * BLOCK, f"old {index}")
    timeline.add_frame(BLOCK, "new 1")
    timeline.add_frame(2 * BLOCK, "new 2")
    frames = [frame for departure in leave_all(timeline) for _, frame in departure.frames]
    assert frames == ["old 0", "new 1", "new 2"]


def test_new_speech_is_untouched_by_an_interruption() -> None:
    timeline: Timeline[str] = Timeline()
    timeline.add_audio(speech(0, 1))
    timeline.add_audio(speech(BLOCK, 2, begins=True))
    timeline.interrupt(2)
    departures = leave_all(timeline)
    assert departures[2].sound.min() == 0.5
    assert departures[2].marks[0].begins


def test_a_picture_is_taken_ahead_of_its_sound() -> None:
    timeline = Timeline[str](frames_ahead=TICK)
    for start in (0, 640):
        timeline.add_audio(silent_block(start, 0))
        timeline.add_frame(start, f"picture {start}")
    frames = [departure.frames for departure in leave_all(timeline)]
    assert frames == [((0, "picture 0"),), ((640, "picture 640"),), (), ()]


def test_a_picture_in_doubt_is_not_taken_ahead() -> None:
    timeline = Timeline[str](frames_ahead=TICK)
    for start in (0, 640):
        timeline.add_audio(silent_block(start, 0))
        timeline.add_frame(start, "old")
    timeline.depart()
    timeline.doubt(640)
    departure = timeline.depart()
    assert departure is not None
    assert departure.frames == ()
    timeline.add_frame(640, "new")
    assert timeline.take_frames() == ((640, "new"),)


def test_a_picture_in_doubt_is_shown_if_no_other_comes() -> None:
    timeline = Timeline[str](frames_ahead=TICK)
    timeline.add_audio(silent_block(0, 0))
    timeline.add_frame(0, "old")
    timeline.doubt(0)
    assert timeline.take_frames() == ()
    departure = timeline.depart()
    assert departure is not None
    assert departure.frames == ((0, "old"),)


def test_a_picture_that_was_taken_is_not_made_twice() -> None:
    replaced: list[str] = []
    timeline = Timeline(replaced.append, frames_ahead=TICK)
    for start in (0, 640):
        timeline.add_audio(silent_block(start, 0))
        timeline.add_frame(start, "old")
    timeline.depart()
    timeline.depart()
    assert timeline.open_from == 641
    timeline.add_frame(640, "new")
    assert replaced == ["new"]
    assert timeline.take_frames() == ()
