"""The media clock follows a live voice: early, late and jittering blocks."""

from __future__ import annotations

import random

import pytest

from server.arrivals import Arrivals
from server.pacing import MILLISECOND

_MS = 1_000_000  # ns
_BLOCK = 40 * _MS


def follow(early: list[float], *, rate: float = 0.0) -> list[int]:
    """Returns the clock's shifts when blocks are complete that many ms before they are due.

    `rate` is by how much the microphone's clock is slower than ours, parts of one.
    """
    arrivals, shifts, moved = Arrivals(), [], 0
    for index, ahead in enumerate(early):
        due = index * _BLOCK + moved * _MS // MILLISECOND
        complete = int(index * _BLOCK * (1 + rate) - ahead * _MS)
        arrivals.complete(complete)
        arrivals.taken(due, max(due, complete))
        shifts.append(arrivals.shift())
        moved += shifts[-1]
    return shifts


def test_a_voice_that_is_always_early_is_taken_earlier_and_in_small_steps() -> None:
    shifts = follow([17.0] * 100)
    assert min(shifts) >= -MILLISECOND
    assert -sum(shifts) / MILLISECOND == pytest.approx(15, abs=0.1)
    assert shifts[-1] == 0


def test_a_voice_that_is_always_late_is_taken_later() -> None:
    shifts = follow([-8.0] * 100)
    assert max(shifts) <= MILLISECOND
    assert sum(shifts) / MILLISECOND == pytest.approx(8, abs=0.1)


def test_jitter_moves_the_clock_once_and_not_again() -> None:
    chance = random.Random(1)
    shifts = follow([chance.uniform(-20, 10) for _ in range(1000)])
    assert shifts == [0] * 1000


@pytest.mark.parametrize("rate", [300e-6, -300e-6])
def test_the_clock_keeps_up_with_a_microphone_whose_clock_is_off(rate: float) -> None:
    shifts = follow([1.0] * 2500, rate=rate)  # 100 s, 30 ms
    assert sum(shifts) / MILLISECOND == pytest.approx(100_000 * rate, abs=3)
    assert max(map(abs, shifts)) <= MILLISECOND


def test_after_a_stall_the_clock_catches_up_within_seconds_and_no_faster_than_a_tenth() -> None:
    arrivals, backlog, shifts = Arrivals(), 4800, []  # 300 ms wait
    for index in range(150):  # 6 s
        due = index * _BLOCK
        arrivals.complete(due)
        arrivals.taken(due, due, left_over=max(backlog, 0))
        shifts.append(arrivals.shift())
        backlog += shifts[-1]
    assert min(shifts) >= -4 * MILLISECOND
    assert backlog <= 60 * MILLISECOND
