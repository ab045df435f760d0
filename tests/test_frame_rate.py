"""The steps of the frame rate: instants and late pictures in, a stride out."""

from __future__ import annotations

import pytest

from server.frame_rate import FrameRate

SECOND = 1_000_000_000  # ns
CHEAP, DEAR = 100, 600  # samples; 640 are a motion frame


class Machine:
    """Tells a frame rate of its pictures as they are due."""

    def __init__(self, fps: int = 25) -> None:
        self.rate = FrameRate(fps)
        self.now = 0

    def run(self, seconds: float, *, late: float = 0.0, cost: int = CHEAP) -> None:
        end, owed = self.now + int(seconds * SECOND), 0.0
        while self.now < end:
            self.now += int(SECOND / self.rate.pictures_per_second)
            owed += late
            self.rate.note(self.now, is_late=owed >= 1, draw_cost=cost)
            owed -= owed >= 1


def test_all_motion_frames_are_drawn_at_first() -> None:
    machine = Machine()
    machine.run(60)
    assert machine.rate.stride == 1
    assert machine.rate.pictures_per_second == 25
    assert all(machine.rate.includes(640 * index) for index in range(8))


def test_a_few_late_pictures_change_nothing() -> None:
    machine = Machine()
    machine.run(300, late=0.06)
    assert not machine.rate.is_reduced


def test_many_late_pictures_halve_the_rate_within_two_seconds_and_again() -> None:
    machine = Machine()
    machine.run(1.5, late=0.5)
    assert machine.rate.pictures_per_second == 12.5
    assert [machine.rate.includes(640 * index) for index in range(4)] == [True, False] * 2
    machine.run(2.5, late=0.5)
    assert machine.rate.pictures_per_second == 6.25
    machine.run(60, late=1.0)
    assert machine.rate.pictures_per_second == 6.25


def test_a_little_too_late_again_and_again_halves_the_rate_within_four_seconds() -> None:
    machine = Machine()
    machine.run(4, late=0.12)
    assert machine.rate.pictures_per_second == 12.5


def test_calm_brings_the_rate_back_step_by_step() -> None:
    machine = Machine()
    machine.run(4, late=0.6)
    assert machine.rate.stride == 4
    machine.run(7)
    assert machine.rate.stride == 4
    machine.run(4)
    assert machine.rate.stride == 2
    machine.run(12)
    assert machine.rate.stride == 1


def test_it_does_not_go_up_while_drawing_would_not_fit() -> None:
    machine = Machine()
    machine.run(2, late=0.6)
    assert machine.rate.stride == 2
    machine.run(600, cost=DEAR)
    assert machine.rate.stride == 2
    machine.run(1)
    assert machine.rate.stride == 1


def test_it_is_tried_less_often_where_it_proved_wrong() -> None:
    machine = Machine()
    tries = 0
    for _ in range(600):
        before = machine.rate.stride
        machine.run(1, late=0.5 if machine.rate.stride == 1 else 0.0)
        tries += machine.rate.stride < before
    assert 3 <= tries <= 8


@pytest.mark.parametrize(
    ("fps", "rates"), [(50, [50, 12.5, 6.25]), (20, [20, 12.5, 6.25]), (12, [12, 6.25])]
)
def test_every_step_leaves_something_out(fps: int, rates: list[float]) -> None:
    machine = Machine(fps)
    seen = [machine.rate.pictures_per_second]
    for _ in range(40):
        machine.run(0.5, late=0.7)
        if machine.rate.pictures_per_second != seen[-1]:
            seen.append(machine.rate.pictures_per_second)
    assert seen == rates
