"""Who is connected just now, to be sent away once what they came with is valid no more.

A request is judged when it comes; a WebSocket, a stream or a viewer's connection stays for hours
after that. It knows no transport.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from server.clock import Clock
from server.principal import Principal

_LOOK: Final = 1_000_000_000  # ns between two looks


class Presences:
    """Those of one server.

    Args:
        stands: tells whether somebody would still be let in.
    """

    def __init__(self, stands: Callable[[Principal], bool] = lambda _: True) -> None:
        self._stands = stands
        self._present: dict[int, tuple[Principal, Callable[[], None]]] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._present)

    @contextmanager
    def of(self, principal: Principal, end: Callable[[], None]) -> Iterator[None]:
        """Calls `end`, once, if somebody would be let in no more, while entered."""
        number, self._next = self._next, self._next + 1
        self._present[number] = (principal, end)
        try:
            yield
        finally:
            self._present.pop(number, None)

    def look(self) -> None:
        """Sends away whoever would not be let in any more."""
        verdicts: dict[tuple[str, str], bool] = {}
        for number, (principal, end) in list(self._present.items()):
            name = (principal.key_id, principal.token_id)
            if name not in verdicts:
                verdicts[name] = self._stands(principal)
            if not verdicts[name]:
                self._present.pop(number, None)
                end()

    async def run(self, clock: Clock) -> None:
        """Looks every second."""
        while True:
            self.look()
            await clock.sleep_until(clock.now() + _LOOK)
