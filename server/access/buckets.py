"""Token buckets: how much somebody may ask for. Decides without I/O.

A bucket holds `burst` and fills with `rate` a second; a request takes what it costs, or is refused
with the time after which it would not be (RFC 6585, section 4).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

_SECOND: Final = 1_000_000_000  # ns
_MOST: Final = 10_000  # that are remembered: the one unused for longest is forgotten


class Buckets:
    """One bucket for each name.

    Args:
        rate: that a bucket fills by in a second.
        burst: that it holds.
    """

    def __init__(self, *, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._levels: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, name: str, cost: float, *, now: int) -> float:
        """Takes `cost` from a bucket at an instant in ns; returns 0, or the seconds to wait.

        What costs more than a bucket holds takes all of a full one.
        """
        level, then = self._levels.pop(name, (self._burst, now))
        level = min(self._burst, level + self._rate * (now - then) / _SECOND)
        needed = min(cost, self._burst)
        is_enough = level >= needed
        self._levels[name] = (level - needed if is_enough else level, now)
        while len(self._levels) > _MOST:
            self._levels.popitem(last=False)
        return 0.0 if is_enough else (needed - level) / self._rate
