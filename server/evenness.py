"""How evenly pictures leave, over all sessions: whether what this machine does is still fluent.

Pure: it is told of every picture whether it came when it should have after the one before. It
knows no clock, and nothing of what pictures cost.
"""

from __future__ import annotations

from collections import deque

_SECOND = 1_000_000_000  # ns
_WINDOW = 10 * _SECOND
_ENOUGH = 8 * _SECOND  # of pictures, before anything is said of them
_BORNE = 0.01  # of them may be uneven
TOLERANCE = 15_000_000  # ns that a pause may be too long: at 25 pictures a second up to 55 ms


class Evenness:
    """The pictures of the last ten seconds."""

    def __init__(self) -> None:
        self._pictures: deque[tuple[int, bool]] = deque()  # (instant, is uneven), oldest first
        self._uneven = 0

    def note(self, now: int, *, is_even: bool) -> None:
        """Takes a picture that left in time, or too long after the one before, or not at all."""
        self._pictures.append((now, not is_even))
        self._uneven += not is_even
        self._forget(now)

    def is_even(self, now: int) -> bool:
        """Whether at most a hundredth was uneven; also while it is too early to tell."""
        self._forget(now)
        if not self._pictures or now - self._pictures[0][0] < _ENOUGH:
            return True
        return self._uneven <= _BORNE * len(self._pictures)

    def _forget(self, now: int) -> None:
        while self._pictures and self._pictures[0][0] <= now - _WINDOW:
            self._uneven -= self._pictures.popleft()[1]
