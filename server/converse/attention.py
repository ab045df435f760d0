"""How a listener shows that it listens: small nods where the speaker pauses.

Pure. Listeners answer short pauses inside a turn (Ward & Tsukahara, 2000: after about 110 ms of
low pitch, no more often than every 800 ms); ours nod after a pause, seldom.
"""

from __future__ import annotations

import random

from server.protocol import Gesture

_SECOND = 1_000_000_000  # ns
_PAUSE = 250_000_000  # ns without voice
_FIRST = int(1.2 * _SECOND)  # no nod before so much of a turn
_APART = (2.0, 4.5)  # seconds between nods


class Attention:
    """One listener."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._next = 0
        self._voiced = 0
        self._voiced_at = 0

    def begin(self, now: int) -> None:
        """Notes that the speaker begins."""
        self._next = now + _FIRST
        self._voiced, self._voiced_at = 0, now

    def look(self, now: int, voiced: int) -> Gesture | None:
        """Returns a nod when it is time for one.

        Args:
            now: the instant.
            voiced: how much voice was heard in this turn, in samples.
        """
        if voiced != self._voiced:
            self._voiced, self._voiced_at = voiced, now
        if now < self._next or now - self._voiced_at < _PAUSE:
            return None
        self._next = now + int(self._chance.uniform(*_APART) * _SECOND)
        strength = round(self._chance.uniform(0.35, 0.6), 2)
        return Gesture(name="nod", strength=strength, duration=1.0)
