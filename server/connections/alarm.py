"""One timer of an event loop, that is set anew instead of twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls something once its time has come."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        """Whether something will be called."""
        return self._timer is not None

    def set(self, instant: float, call: Callable[[], object]) -> None:
        """Calls at an instant of the loop, and not what it was set for before."""
        self.stop()
        self._timer = self._loop.call_at(instant, self._ring, call)

    def stop(self) -> None:
        """Calls nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self, call: Callable[[], object]) -> None:
        self._timer = None
        call()
