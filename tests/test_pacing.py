"""Pacing is arithmetic: media time to instants, and a frame's fate."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.pacing import (
    MILLISECOND,
    TICK,
    DelayLimits,
    Experience,
    Pace,
    PlayoutDelay,
    Schedule,
    pace,
    to_nanoseconds,
    to_samples,
)

MEDIA_TIMES = st.integers(0, 10**12)


@given(MEDIA_TIMES)
def test_durations_survive_the_way_there_and_back(samples: int) -> None:
    assert to_samples(to_nanoseconds(samples)) == samples


@given(MEDIA_TIMES, st.integers(0, 10**15))
def test_a_schedule_is_a_straight_line(media_time: int, origin: int) -> None:
    schedule = Schedule(origin)
    assert schedule.media_time(schedule.instant(media_time)) == media_time
    assert schedule.later(640).instant(media_time) == schedule.instant(media_time) + 40_000_000


def test_an_hour_is_an_hour() -> None:
    assert Schedule(7).instant(3600 * 16_000) == 7 + 3600 * 10**9


@given(st.integers(0, 10**15), st.sampled_from([640, 1280, 2560]))
def test_schedules_in_step_begin_at_the_next_multiple(origin: int, step: int) -> None:
    begun = Schedule(origin).in_step(step).origin
    assert 0 <= begun - origin < to_nanoseconds(step)
    assert begun % to_nanoseconds(step) == 0


@pytest.mark.parametrize(
    ("start", "position", "expected"),
    [
        (640, 0, Pace.WAIT),
        (640, 320, Pace.WAIT),
        (640, 640, Pace.SEND),
        (640, 960, Pace.SEND),
        (640, 1280, Pace.DROP),
    ],
)
def test_a_frame_waits_for_its_sound_and_never_comes_late(
    start: int, position: int, expected: Pace
) -> None:
    assert pace(media_time=start, position=position) is expected


def delay() -> PlayoutDelay:
    return PlayoutDelay(DelayLimits(least=1280, initial=2240, most=4480))


def test_one_hiccup_does_not_cost_latency() -> None:
    playout = delay()
    for need in [1904] * 100 + [9000] + [1904] * 100:
        playout.observe(need)
        assert playout.correction(is_silent=True) <= 0
    assert playout.samples == 1904 + PlayoutDelay.HEAD_ROOM


@pytest.mark.parametrize("row", [1, 5])
def test_two_hiccups_in_ten_seconds_are_borne_however_many_frames_each_takes(row: int) -> None:
    playout = delay()
    settle(playout, [2000] * 100 + ([3000] * row + [2000] * 45) * 2 + [2000] * 100, is_silent=False)
    assert playout.samples <= 2240


def test_repeated_lateness_grows_the_delay_up_to_its_limit() -> None:
    playout = delay()
    for _ in range(1000):
        playout.observe(9000)
        playout.correction(is_silent=False)
    assert 4480 - TICK < playout.samples <= 4480


def settle(playout: PlayoutDelay, needs: list[int], *, is_silent: bool) -> list[int]:
    """Tells of frames, two packets each; returns the changes."""
    changes = []
    for need in needs:
        playout.observe(need)
        changes += [playout.correction(is_silent=is_silent) for _ in range(2)]
    return changes


def test_it_grows_to_what_the_third_hiccup_needed_too_gently_for_a_jitter_buffer() -> None:
    playout = delay()
    hiccups = ([3000] + [2000] * 24) * 3
    changes = settle(playout, [2000] * 100 + hiccups[:-15] + [2000] * 250, is_silent=False)
    assert playout.samples >= 3000 + PlayoutDelay.HEAD_ROOM - PlayoutDelay.EASING
    grown = np.convolve(np.maximum(changes, 0), np.ones(100))  # in two seconds
    assert grown.max() <= 14 * MILLISECOND


def test_it_grows_at_once_where_frames_are_late_one_after_another() -> None:
    playout = delay()
    settle(playout, [2000] * 100 + [3000] * 20, is_silent=False)
    assert playout.samples == 3000 + PlayoutDelay.HEAD_ROOM


@pytest.mark.parametrize(("is_silent", "seconds"), [(True, 4), (False, 8)])
def test_head_room_is_given_back_within_seconds_and_without_a_burst(
    is_silent: bool, seconds: int
) -> None:
    playout = delay()
    changes = settle(playout, [100] * 25 * seconds, is_silent=is_silent)
    assert playout.samples == 1280
    assert min(changes) == -PlayoutDelay.EASING


def test_less_than_one_frame_of_a_hundred_is_late_while_hiccups_come_regularly() -> None:
    playout, late = delay(), 0
    for index in range(4000):
        need = 4000 if index % 60 == 59 else 2000
        late += index >= 750 and need > playout.samples
        settle(playout, [need], is_silent=False)
    assert late < 20


def test_head_room_above_the_slowest_frame_is_kept() -> None:
    playout = delay()
    settle(playout, [1500] * 1000, is_silent=True)
    least = 1500 + PlayoutDelay.HEAD_ROOM
    assert least <= playout.samples < least + PlayoutDelay.EASING


def test_hiccups_as_they_come_leave_it_alone() -> None:
    """Viewers see each change as jitter: it moves seldom while the machine is as it was."""
    playout = delay()
    chance = random.Random(5)
    needs = [round(chance.gauss(2000, 60)) + 700 * (chance.random() < 0.02) for _ in range(4000)]
    settle(playout, needs[:1000], is_silent=False)
    changes = settle(playout, needs[1000:], is_silent=False)
    assert sum(map(abs, changes)) <= 50 * MILLISECOND, "in two minutes"


def test_a_load_that_goes_is_forgotten_within_a_minute() -> None:
    playout = delay()
    settle(playout, [2000] * 100 + [3500] * 50, is_silent=False)
    assert playout.samples > 3500
    settle(playout, [2000] * 1500, is_silent=False)
    assert playout.samples < 2000 + PlayoutDelay.HEAD_ROOM + 20 * PlayoutDelay.EASING


def test_what_it_grew_by_it_keeps_for_two_minutes() -> None:
    playout = delay()
    settle(playout, [2000] * 100 + [2800] * 20 + [2000] * 25 * 110, is_silent=True)
    assert playout.samples == 2800 + PlayoutDelay.HEAD_ROOM
    settle(playout, [2000] * 25 * 20, is_silent=True)
    assert playout.samples < 2000 + PlayoutDelay.HEAD_ROOM + PlayoutDelay.EASING


@given(st.lists(st.integers(0, 6000), max_size=400), st.booleans())
def test_it_stays_within_its_limits_and_never_jumps(needs: list[int], is_silent: bool) -> None:
    playout = delay()
    changes = settle(playout, needs, is_silent=is_silent)
    assert 1280 <= playout.samples <= 4480
    assert all(-PlayoutDelay.EASING <= change <= TICK for change in changes)


def test_a_new_session_begins_with_what_the_machine_has_shown_in_others() -> None:
    known = Experience()
    hiccups = [2000] * 100 + ([3000] + [2000] * 24) * 12
    first = PlayoutDelay(DelayLimits(least=1280, initial=2240, most=4480), known)
    settle(first, hiccups, is_silent=False)
    deeper = PlayoutDelay(DelayLimits(least=1920, initial=2880, most=5120), known)
    assert deeper.samples == 1920 + (3000 - 1280) + PlayoutDelay.HEAD_ROOM
    changes = settle(deeper, [need + 640 for need in hiccups], is_silent=False)
    assert not any(changes)


def test_what_others_needed_is_forgotten_in_half_a_minute_of_a_session_of_its_own() -> None:
    known = Experience()
    settle(PlayoutDelay(delay().limits, known), [4000] * 1000, is_silent=True)
    calm = PlayoutDelay(delay().limits, known)
    assert calm.samples == 4000 + PlayoutDelay.HEAD_ROOM
    settle(calm, [1904] * 25 * 40, is_silent=True)
    assert calm.samples == 1904 + PlayoutDelay.HEAD_ROOM


def test_seconds_of_another_session_tell_too_little_of_hiccups() -> None:
    known = Experience()
    settle(PlayoutDelay(delay().limits, known), [4000] * 100, is_silent=True)
    assert PlayoutDelay(delay().limits, known).samples == 2240
