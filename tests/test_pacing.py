"""Pacing is arithmetic: media time to instants, and a frame's fate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.pacing import (
    TICK,
    DelayLimits,
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
    for need in [2000] * 100 + [9000] + [2000] * 100:
        playout.observe(need)
        assert playout.correction(is_silent=True) == 0
    assert playout.samples == 2240


def test_repeated_lateness_grows_the_delay_up_to_its_limit() -> None:
    playout = delay()
    for _ in range(1000):
        playout.observe(9000)
        playout.correction(is_silent=False)
    assert 4480 - TICK < playout.samples <= 4480


def test_head_room_is_given_back_in_silence_only() -> None:
    playout = delay()
    for _ in range(PlayoutDelay.WINDOW):
        playout.observe(100)
    assert playout.correction(is_silent=False) == 0
    assert playout.correction(is_silent=True) == -PlayoutDelay.MOST_SHRINKING
    for _ in range(100 * PlayoutDelay.WINDOW):
        playout.observe(100)
        playout.correction(is_silent=True)
    assert 1280 <= playout.samples < 1280 + TICK


def test_head_room_above_the_slowest_frame_is_kept() -> None:
    playout = delay()
    for _ in range(100 * PlayoutDelay.WINDOW):
        playout.observe(1500)
        playout.correction(is_silent=True)
    assert 1500 + PlayoutDelay.HEAD_ROOM <= playout.samples < 1500 + PlayoutDelay.HEAD_ROOM + TICK
