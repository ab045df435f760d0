"""When sound came that waits in a queue: pure, and told the time.

What leaves or is cut leaves at the head, so a sample is known by how many wait behind it.
"""

from __future__ import annotations

from collections import deque


class SoundLog:
    """The arrivals of one queue's sound; as long as what waits in it."""

    def __init__(self) -> None:
        self._arrivals: deque[tuple[int, int]] = deque()  # (samples, instant)
        self._samples = 0  # in `_arrivals`

    def __len__(self) -> int:
        return len(self._arrivals)

    def note(self, samples: int, now: int) -> None:
        """Notes that so many samples came at the instant `now`."""
        self._arrivals.append((samples, now))
        self._samples += samples

    def forget(self, waiting: int) -> None:
        """Forgets what came before the sample that `waiting` others are behind."""
        while self._arrivals and self._samples - self._arrivals[0][0] > waiting:
            self._samples -= self._arrivals.popleft()[0]

    def arrival(self, waiting: int) -> int | None:
        """Returns when the sample came that `waiting` others are behind; forgets those before it.

        None when no sample is known that far back.
        """
        self.forget(waiting)
        return self._arrivals[0][1] if self._arrivals and self._samples > waiting else None
