"""How many workers there should be, by what they report and who waits. Pure: it decides.

One more is asked for while somebody waits, or while fewer places are free than are to meet a burst;
the last one is let go that had nothing to do for long, where enough is free without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from server.cluster.port import Report

FREE: Final = 0.3  # of all places, to meet a burst: docs/scaling.md, "A burst"
IDLE: Final = 600_000_000_000  # ns without a session after which a worker may go
_PREFIX: Final = "worker-"


def name_of(number: int) -> str:
    """Returns the name of the worker of a number."""
    return f"{_PREFIX}{number}"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done now; a number of a worker, or None.

    Attributes:
        start: one to start.
        drain: one to let go.
    """

    start: int | None = None
    drain: int | None = None


class Growth:
    """Watches the workers of a cluster.

    Args:
        least: workers that are there always.
        most: workers that there may be.
    """

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = most
        self._idle: dict[int, int] = {}  # since when, by number

    def decide(
        self, reports: Iterable[Report], *, waiting: int, pending: Iterable[int], now: int
    ) -> Change:
        """Returns the change that is due.

        Args:
            reports: of workers that live.
            waiting: clients in line.
            pending: numbers of workers that were asked for and have not come yet.
            now: ns of the caller's clock.
        """
        there = {_number(each): each for each in reports if _number(each) is not None}
        numbered: Mapping[int, Report] = {n: each for n, each in there.items() if n is not None}
        working = [each for each in numbered.values() if not each.is_draining]
        self._note(numbered, now)
        coming = [each for each in pending if each not in numbered]
        room = sum(each.room for each in working)
        places = room + sum(each.sessions for each in working)
        usual = places / len(working) if working else 1.0  # of one worker
        free = room + usual * len(coming) - waiting
        if free < FREE * (places + usual * len(coming)):
            taken = {*numbered, *coming}
            new = next((each for each in range(self._most) if each not in taken), None)
            return Change(start=new)
        if waiting or coming:
            return Change()
        return Change(drain=self._spare(numbered, room, places, now))

    def _note(self, numbered: Mapping[int, Report], now: int) -> None:
        idle = [number for number, each in numbered.items() if not each.sessions]
        self._idle = {number: self._idle.get(number, now) for number in idle}

    def _spare(
        self, numbered: Mapping[int, Report], room: int, places: int, now: int
    ) -> int | None:
        """Returns the last worker that may go; None for none."""
        for number, since in sorted(self._idle.items(), reverse=True):
            report = numbered[number]
            left, all_left = room - report.room, places - report.room
            if number < self._least or report.is_draining:
                continue
            if now - since >= IDLE and left >= FREE * all_left and all_left:
                return number
        return None


def _number(report: Report) -> int | None:
    digits = report.name.removeprefix(_PREFIX)
    return int(digits) if report.name.startswith(_PREFIX) and digits.isdecimal() else None
