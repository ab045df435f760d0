"""What a connection carries, from when packets left and arrived: over a simulated bottleneck."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field

import pytest

from server.congestion import Congestion, Outcome

SECOND = 1_000_000_000  # ns
FRAME = 40_000_000  # ns
PACKET = 1200  # bytes
MOST = 1_600_000
QUEUE = SECOND // 2  # and what comes when it is full is lost


@dataclass
class Link:
    """A bottleneck with a queue, and a sender that sends pictures at the rate it may.

    Attributes:
        rate: bits a second that pass.
        jitter: ns, at most, that a packet is late beyond the queue; order is kept.
        demand: bits a second that the sender has to send, at most.
    """

    rate: float
    jitter: int = 0
    demand: float = MOST
    skew: int = 0  # ns, the receiver's clock less ours
    now: int = 0
    free_at: int = 0
    last_arrival: int = 0
    waiting: list[Outcome] = field(default_factory=list)
    congestion: Congestion = field(default_factory=lambda: Congestion(most=MOST))
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def run(self, seconds: float) -> tuple[list[int], int]:
        """Returns the estimate after each picture, and the longest that a packet waited, ns."""
        estimates, longest = [], 0
        for index in range(int(seconds * 25)):
            self.now += FRAME
            size = min(self.congestion.estimate, self.demand) / 25 / 8
            for piece in range(max(1, round(size / PACKET))):
                sent = self.now + 100_000 * piece
                arrived = self._pass(sent, PACKET)
                if arrived is not None:
                    longest = max(longest, arrived - sent)
                    arrived += self.skew
                self.waiting.append(Outcome(sent, arrived, PACKET))
            if index % 2:
                due = list(itertools.takewhile(self._is_told, self.waiting))
                self.waiting = self.waiting[len(due) :]
                self.congestion.note(due, now=self.now)
            estimates.append(self.congestion.estimate)
        return estimates, longest

    def _is_told(self, outcome: Outcome) -> bool:
        """Whether a report can tell it by now: it has come, or is lost and was sent long ago."""
        if outcome.arrived is None:
            return self.now - outcome.sent > QUEUE
        return outcome.arrived - self.skew <= self.now

    def _pass(self, sent: int, size: int) -> int | None:
        if self.free_at - sent > QUEUE:
            return None
        self.free_at = max(self.free_at, sent) + int(size * 8 / self.rate * SECOND)
        arrived = self.free_at + 20_000_000 + int(self.chance.random() * self.jitter)
        self.last_arrival = max(arrived, self.last_arrival)
        return self.last_arrival


@pytest.mark.parametrize("jitter", [0, 10_000_000, 30_000_000])
def test_a_wide_link_is_used_whatever_its_jitter(jitter: int) -> None:
    estimates, _ = Link(rate=10_000_000, jitter=jitter).run(60)
    assert min(estimates) > 0.7 * MOST
    assert sum(estimate == MOST for estimate in estimates) > 0.9 * len(estimates)


@pytest.mark.parametrize("skew", [0, 10**15, -(10**15)])
def test_a_narrow_link_is_found_soon_and_its_queue_stays_short(skew: int) -> None:
    link = Link(rate=600_000, skew=skew)
    first, _ = link.run(1.5)
    assert min(first) < 600_000
    link.run(8)
    later, longest = link.run(30)
    assert longest < 0.3 * SECOND
    assert 0.6 * 600_000 < sum(later) / len(later) < 1.05 * 600_000


def test_a_link_that_narrows_and_widens_is_followed_both_ways() -> None:
    link = Link(rate=10_000_000)
    link.run(10)
    link.rate = 400_000
    link.run(8)
    narrow, longest = link.run(20)
    assert max(narrow) < 1.3 * 400_000
    assert longest < 0.3 * SECOND
    link.rate = 10_000_000
    link.run(30)
    wide, _ = link.run(5)
    assert min(wide) > 0.9 * MOST


def test_a_sender_with_little_to_send_finds_no_limit() -> None:
    link = Link(rate=2_000_000, demand=200_000, jitter=5_000_000)
    estimates, _ = link.run(30)
    assert min(estimates) == MOST


def test_a_pause_is_no_congestion_and_a_step_of_the_delay_is_got_over() -> None:
    link = Link(rate=10_000_000)
    link.run(5)
    link.now += 20 * SECOND
    after, _ = link.run(5)
    assert min(after) == MOST
    link.skew += 150_000_000  # another route, or a clock that was set
    after, _ = link.run(30)
    assert min(after) > 0.3 * MOST
    assert after[-1] == MOST


def test_nothing_heard_changes_nothing() -> None:
    congestion = Congestion(most=MOST)
    assert congestion.note([], now=SECOND) == MOST
