"""When the blocks of a live voice become complete, and how the media clock follows them.

Pure. A block that is always complete well before it is due waits without need: the clock can
tick earlier. One that always comes after it was due shows a microphone whose clock is slower
than ours, and the clock must tick later. In between is jitter, which the playout delay bears.
"""

from __future__ import annotations

from collections import deque

from server.pacing import MILLISECOND, to_samples
from server.speech import BLOCK

_REMEMBERED = 25  # blocks, one second
_SEEN = 10  # blocks before the clock is moved
_ROOM = 2 * MILLISECOND  # by which the latest of them may be complete before it is due
_STEP = MILLISECOND  # a block: nothing that leaves is early or late by more
_SHARE = 16  # of a long wait, as after a stall, this part of it a block
_MOST = 4 * MILLISECOND  # a block, 100 ms a second: receivers follow by playing a tenth faster


class Arrivals:
    """Those of one voice."""

    def __init__(self) -> None:
        self._complete = 0  # instant at which the next block became complete
        self._early: deque[int] = deque(maxlen=_REMEMBERED)  # samples before it was due

    def complete(self, now: int) -> None:
        """Notes that the sound of the next block is all there."""
        self._complete = now

    def taken(self, due: int, now: int, *, left_over: int = 0) -> None:
        """Notes that a block was taken at `now`, which was due at `due`, and what it left over."""
        early = to_samples(due - self._complete)
        self._early.append(early if left_over < BLOCK else max(early, left_over))
        self._complete = now  # of the next one; told again if it is not there yet

    def break_off(self, now: int) -> None:
        """Notes that the voice is not taken block after block any more."""
        self._early.clear()
        self._complete = now

    def shift(self) -> int:
        """Returns by how many samples the clock is to tick later; negative is earlier."""
        if len(self._early) < _SEEN:
            return 0
        step = 0
        if min(self._early) > _ROOM:
            wait = min(self._early) - _ROOM
            step = -min(wait, max(_STEP, wait // _SHARE), _MOST)
        elif max(self._early) < 0:
            step = min(-max(self._early), _STEP)
        self._early = deque((early + step for early in self._early), _REMEMBERED)
        return step
