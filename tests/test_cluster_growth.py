"""More workers when they are needed, fewer when they are not."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.cli import main
from server.cluster.growth import IDLE, Change, Growth, name_of
from server.cluster.port import Report


def worker(number: int, *, sessions: int = 0, room: int = 0, is_draining: bool = False) -> Report:
    return Report(
        f"id-{number}", "http://x", room, sessions, 0, 1, frozenset(),
        is_draining=is_draining, name=name_of(number),
    )  # fmt: skip


def decide(
    growth: Growth,
    *reports: Report,
    waiting: int = 0,
    pending: Iterable[int] = (),
    now: int = 0,
) -> Change:
    return growth.decide(reports, waiting=waiting, pending=pending, now=now)


def test_a_burst_is_met_by_free_places_and_a_line_by_one_more() -> None:
    growth = Growth(1, 3)
    assert decide(growth, worker(0, sessions=6, room=4)) == Change()
    assert decide(growth, worker(0, sessions=8, room=2)) == Change(start=1)
    assert decide(growth, worker(0, sessions=8, room=2), pending=[1]) == Change()
    assert decide(growth, worker(0, sessions=10), waiting=9, pending=[1]) == Change(start=2)
    assert decide(growth, worker(0, sessions=10), waiting=99, pending=[1, 2]) == Change()


def test_the_number_that_is_free_is_started_and_never_one_too_many() -> None:
    growth = Growth(1, 3)
    full = [worker(0, sessions=2), worker(2, sessions=2)]
    assert decide(growth, *full) == Change(start=1)
    assert decide(growth, *full, worker(1, sessions=2)) == Change()
    assert decide(Growth(1, 1), worker(0, sessions=2), waiting=5) == Change()


def test_a_worker_with_nothing_to_do_for_long_goes_and_not_those_that_are_to_stay() -> None:
    growth = Growth(1, 3)
    reports = [worker(0, sessions=1, room=9), worker(1, room=10), worker(2, room=10)]
    assert decide(growth, *reports) == Change()
    assert decide(growth, *reports, now=IDLE - 1) == Change()
    assert decide(growth, *reports, now=IDLE) == Change(drain=2)
    gone = [*reports[:2], worker(2, room=0, is_draining=True)]
    assert decide(growth, *gone, now=IDLE) == Change(drain=1)
    assert decide(growth, worker(0, room=10), now=5 * IDLE) == Change()
    busy = [worker(0, sessions=8, room=2), worker(1, room=10)]
    assert decide(growth, *busy, now=9 * IDLE) == Change()  # its places are needed


def test_a_session_begins_the_wait_anew() -> None:
    growth = Growth(1, 2)
    calm = worker(0, sessions=1, room=9)
    assert decide(growth, calm, worker(1, room=10)) == Change()
    assert decide(growth, calm, worker(1, sessions=1, room=9), now=IDLE - 1) == Change()
    assert decide(growth, calm, worker(1, room=10), now=IDLE) == Change()
    assert decide(growth, calm, worker(1, room=10), now=2 * IDLE) == Change(drain=1)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=5),
    st.integers(0, 30),
)
def test_what_was_started_for_a_reason_is_not_let_go_for_none(
    loads: list[tuple[int, int]], waiting: int
) -> None:
    growth = Growth(1, 9)
    reports = [worker(n, sessions=s, room=r) for n, (s, r) in enumerate(loads)]
    decide(growth, *reports, waiting=waiting)
    change = decide(growth, *reports, waiting=waiting, now=2 * IDLE)
    assert change.start is None or change.drain is None
    if change.drain is not None:  # what is left is enough
        rest = [each for each in reports if each.name != name_of(change.drain or 0)]
        assert decide(Growth(1, 9), *rest).start is None


@pytest.mark.parametrize("most", ["1", "10001"])
def test_impossible_numbers_are_refused(most: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--ray", "--ray-workers", "2", "--ray-most-workers", most]
    assert main(["serve", *flags]) == 2
    said = f"vivant: --ray-most-workers must be from 2 to 10000, not {most}.\n"
    assert capsys.readouterr().err == said
