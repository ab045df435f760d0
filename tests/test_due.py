"""What is due first is done first, and nobody is starved: a device in virtual time."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from server.due import BatchLimit, DueLine

PERIOD = 40_000_000  # nanoseconds of a picture
MILLISECOND = 1_000_000


@dataclass(eq=False)
class Job:
    kind: str
    due: int
    session: str = ""


def test_the_earliest_come_first_with_others_of_their_kind() -> None:
    line: DueLine[Job] = DueLine()
    jobs = [Job("motion", 50), Job("picture", 20), Job("picture", 90), Job("picture", 10)]
    for job in jobs:
        line.add(job)
    assert line.first() is jobs[3]
    assert line.take(2) == [jobs[3], jobs[1]]
    assert line.take(5) == [jobs[0]]
    assert line.take(5) == [jobs[2]]
    assert len(line) == 0


def test_of_equally_due_ones_the_first_comes_first() -> None:
    line: DueLine[Job] = DueLine()
    jobs = [Job("picture", 10) for _ in range(4)]
    for job in jobs:
        line.add(job)
    assert line.take(2) == jobs[:2]


def test_a_job_that_was_withdrawn_is_in_no_batch() -> None:
    line: DueLine[Job] = DueLine()
    gone, kept = Job("picture", 1), Job("picture", 2)
    line.add(gone)
    line.add(kept)
    line.withdraw(gone)
    line.withdraw(gone)
    assert line.take(4) == [kept]


def test_batches_grow_while_twice_as_much_would_do() -> None:
    limit = BatchLimit(16, 10 * MILLISECOND)
    sizes = []
    for _ in range(8):
        sizes.append(limit.size)
        limit.note(limit.size, MILLISECOND + 7 * limit.size * MILLISECOND // 10)
    assert sizes == [1, 2, 4, 8, 8, 8, 8, 8]  # 6.6 ms for eight: 16 may take twice that
    limit.note(8, 11 * MILLISECOND)
    assert limit.size == 4


def test_a_batch_that_was_not_full_says_nothing_of_larger_ones() -> None:
    limit = BatchLimit(16, 10 * MILLISECOND)
    limit.note(1, MILLISECOND)
    limit.note(1, MILLISECOND)
    assert limit.size == 2


class Device:
    """Serves sessions in virtual time; a batch takes a fixed time and some for each job."""

    def __init__(self, *, start: int, each: int) -> None:
        self._start, self._each = start, each
        self.line: DueLine[Job] = DueLine()
        self.limit = BatchLimit(32, 12 * MILLISECOND)
        self.late: dict[str, list[int]] = {}

    def serve(self, arrivals: list[tuple[int, Job]]) -> None:
        """Does everything that arrives, in nanoseconds, and notes by how much it was late."""
        coming = sorted(arrivals, key=lambda pair: pair[0])
        now = 0
        while coming or len(self.line):
            while coming and coming[0][0] <= now:
                self.line.add(coming.pop(0)[1])
            if not len(self.line):
                now = coming[0][0]
                continue
            batch = self.line.take(self.limit.size)
            cost = self._start + self._each * len(batch)
            now += cost
            self.limit.note(len(batch), cost)
            for job in batch:
                self.late.setdefault(job.session, []).append(max(0, now - job.due))


def pictures(session: str, count: int, *, phase: int, ahead: int) -> list[tuple[int, Job]]:
    """A session that asks for each picture `ahead` of the instant at which it is due."""
    dues = [phase + index * PERIOD + ahead for index in range(count)]
    return [(due - ahead, Job("picture", due, session)) for due in dues]


@pytest.mark.parametrize("is_in_step", [True, False])
def test_sessions_that_a_device_can_hold_are_never_late(is_in_step: bool) -> None:
    device = Device(start=2 * MILLISECOND, each=MILLISECOND)
    arrivals: list[tuple[int, Job]] = []
    for index in range(20):  # two batches of ten a period: 24 of its 40 ms
        phase = 0 if is_in_step else index * PERIOD // 20
        arrivals += pictures(str(index), 50, phase=phase, ahead=2 * PERIOD)
    device.serve(arrivals)
    assert {each for rows in device.late.values() for each in rows[5:]} == {0}


def test_a_session_that_asks_for_much_at_once_starves_nobody() -> None:
    device = Device(start=2 * MILLISECOND, each=2 * MILLISECOND)
    arrivals = [(0, job) for _, job in pictures("greedy", 100, phase=0, ahead=PERIOD)]
    for index in range(4):
        arrivals += pictures(f"modest {index}", 50, phase=index * 7 * MILLISECOND, ahead=PERIOD)
    device.serve(arrivals)
    for index in range(4):
        assert max(device.late[f"modest {index}"]) == 0
    assert max(device.late["greedy"][10:]) <= PERIOD


def test_an_overloaded_device_is_late_for_all_alike() -> None:
    device = Device(start=2 * MILLISECOND, each=3 * MILLISECOND)  # holds about ten
    arrivals: list[tuple[int, Job]] = []
    for index in range(16):
        arrivals += pictures(str(index), 50, phase=index * PERIOD // 16, ahead=PERIOD)
    device.serve(arrivals)
    means = [sum(rows) / len(rows) for rows in device.late.values()]
    assert min(means) > PERIOD
    assert max(means) - min(means) <= 2 * PERIOD
