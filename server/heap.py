"""Memory that closed sessions leave behind goes back to the system.

glibc keeps what is freed between what is still in use, some 100 KiB a session: nothing has leaked,
but the process grows. Giving it back holds up every thread that allocates meanwhile, for some
milliseconds, so it is done while no session is open.
"""

from __future__ import annotations

import ctypes
import gc
import sys


class Leftovers:
    """Whether sessions have left something since memory was given back, and none is open."""

    def __init__(self) -> None:
        self._opened = 0

    def are_due(self, *, opened: int, live: int) -> bool:
        """Returns whether to give memory back now; if so, not again before another session.

        Args:
            opened: how many sessions were, so far.
            live: how many are open or about to be.
        """
        if live or opened == self._opened:
            return False
        self._opened = opened
        return True


def give_back() -> None:
    """Collects garbage and returns free memory to the system, where C's library can (glibc)."""
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none, and keeps little
        if trim is not None:
            trim(0)
