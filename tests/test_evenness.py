"""How evenly pictures leave: what viewers would see of an overload before pictures are late."""

from __future__ import annotations

import numpy as np
import pytest

from server.evenness import Evenness
from server.picture import Origin
from server.speech import BLOCK, silent_block
from server.stage_totals import Totals
from server.stages import Stages
from streaming_model.media import VideoFrame
from tests.virtual_time import VirtualClock

SECOND = 1_000_000_000  # ns
FRAME = SECOND // 25


def watched(pauses: list[int], *, reported: Totals, stride: int = 1) -> int:
    """Lets one session's pictures be encoded with these pauses, in ns; returns the last instant."""
    clock = VirtualClock()
    stages = Stages(clock, reported)
    image = np.zeros((2, 2, 3), np.uint8)
    for index, pause in enumerate(pauses):
        clock.jump(pause)
        block = silent_block(index * stride * BLOCK, 0)
        stages.compose(block, Origin())
        picture = stages.find(block.start)
        stages.draw(picture, [VideoFrame(block.start, image, 0)])
        with stages.encoding(picture):
            pass
        stages.shown(picture)
    return clock.now()


@pytest.mark.parametrize(
    ("late", "every", "is_even"),
    [(0, 1, True), (10, 1, True), (19, 20, False), (19, 200, True), (40, 50, False)],
)
def test_one_pause_of_a_hundred_may_be_too_long(late: int, every: int, is_even: bool) -> None:
    pauses = [FRAME] * 300
    for index in range(40, 299, every):
        pauses[index] += late * SECOND // 1000
        pauses[index + 1] -= late * SECOND // 1000
    totals = Totals()
    now = watched(pauses, reported=totals)
    assert totals.evenness.is_even(now) is is_even


def test_a_sessions_first_second_is_not_held_against_the_machine() -> None:
    totals = Totals()
    now = watched([FRAME + 30_000_000] * 20 + [FRAME] * 280, reported=totals)
    assert totals.evenness.is_even(now)


def test_fewer_pictures_a_second_are_even_too() -> None:
    totals = Totals()
    uneven = [FRAME if index % 2 else 3 * FRAME for index in range(300)]
    now = watched(uneven, reported=totals, stride=2)
    assert not totals.evenness.is_even(now)
    halved = Totals()
    now = watched([2 * FRAME] * 300, reported=halved, stride=2)
    assert halved.evenness.is_even(now)


def test_pictures_that_never_leave_are_uneven() -> None:
    evenness = Evenness()
    for index in range(600):
        evenness.note(index * FRAME // 2, is_even=index % 50 > 0)
    assert not evenness.is_even(300 * FRAME)


def test_ten_seconds_later_it_is_forgotten() -> None:
    evenness = Evenness()
    for index in range(300):
        evenness.note(index * FRAME, is_even=False)
    assert not evenness.is_even(300 * FRAME)
    for index in range(300, 560):
        evenness.note(index * FRAME, is_even=True)
    assert evenness.is_even(560 * FRAME)


def test_of_a_few_seconds_nothing_is_said() -> None:
    evenness = Evenness()
    for index in range(190):
        evenness.note(index * FRAME, is_even=False)
    assert evenness.is_even(190 * FRAME)
