"""When a session ends by itself: instants in, warnings and reasons out."""

from __future__ import annotations

import pytest

from server.lifetime import LifeLimits, Lifetime
from server.protocol import CloseReason, Expiring, ServerEvent

SECOND = 1_000_000_000  # ns
LIMITS = LifeLimits(unused=30, lost=10, quiet=200, longest=0)


class Life:
    """A session's life, second by second."""

    def __init__(self, limits: LifeLimits = LIMITS) -> None:
        self.lifetime = Lifetime(limits, 0)
        self.second = 0
        self.told: list[tuple[int, ServerEvent]] = []

    def live(
        self, seconds: int, *, is_connected: bool = False, is_busy: bool = False
    ) -> CloseReason | None:
        for _ in range(seconds):
            self.second += 1
            events, reason = self.lifetime.look(
                self.second * SECOND, is_connected=is_connected, is_busy=is_busy
            )
            self.told += [(self.second, event) for event in events]
            if reason is not None:
                return reason
        return None

    def touch(self) -> None:
        self.lifetime.touch(self.second * SECOND)


def test_a_session_that_nobody_connects_to_ends() -> None:
    life = Life()
    assert life.live(100) == "idle"
    assert life.second == 31
    assert life.told == []


def test_requests_and_waiting_speech_keep_an_unconnected_session() -> None:
    life = Life()
    assert life.live(100, is_busy=True) is None
    assert life.live(29) is None
    life.touch()
    assert life.live(29) is None
    assert life.live(2) == "idle"


def test_a_lost_connection_is_waited_for_and_then_not_any_more() -> None:
    life = Life()
    assert life.live(50, is_connected=True) is None
    assert life.live(10) is None
    assert life.live(5, is_connected=True) is None  # it came back
    assert life.live(100, is_busy=True) == "lost"  # what waits to be said does not count
    assert life.second == 50 + 10 + 5 + 1 + 10 + 1
    assert life.told == []


def test_a_request_after_a_loss_counts_as_use() -> None:
    life = Life()
    life.live(5, is_connected=True)
    life.live(3)
    life.touch()
    assert life.live(29) is None
    assert life.live(3) == "idle"


def test_a_forgotten_page_is_warned_twice_and_ended() -> None:
    life = Life()
    assert life.live(1000, is_connected=True) == "idle"
    assert life.second == 201
    assert life.told == [(140, Expiring("idle", 60)), (190, Expiring("idle", 10))]


@pytest.mark.parametrize("is_busy", [True, False])
def test_somebody_who_does_something_renews_it(is_busy: bool) -> None:
    life = Life()
    life.live(150, is_connected=True)
    if is_busy:
        life.live(1, is_connected=True, is_busy=True)
    else:
        life.touch()
        life.live(1, is_connected=True)
    assert life.told == [(140, Expiring("idle", 60)), (151, Expiring("idle", None))]
    assert life.live(138, is_connected=True) is None
    assert len(life.told) == 2


def test_the_longest_time_ends_even_a_busy_session_after_warning() -> None:
    life = Life(LifeLimits(quiet=0, longest=300))
    assert life.live(1000, is_connected=True, is_busy=True) == "time"
    assert life.second == 301
    assert life.told == [(240, Expiring("time", 60)), (290, Expiring("time", 10))]


def test_short_limits_warn_late_or_never() -> None:
    short = Life(LifeLimits(quiet=25))
    assert short.live(100, is_connected=True) == "idle"
    assert short.told == [(15, Expiring("idle", 10))]
    shortest = Life(LifeLimits(quiet=5))
    assert shortest.live(100, is_connected=True) == "idle"
    assert shortest.told == []


def test_without_limits_a_quiet_session_lives() -> None:
    assert Life(LifeLimits(quiet=0)).live(90_000, is_connected=True) is None
