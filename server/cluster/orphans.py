"""Sessions whose worker has gone: taken up, for some are watched elsewhere; or else forgotten.

Gateways look; that several do, does no harm: one of them wins, and who is taken up meanwhile is
not forgotten.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from server.clock import Clock
from server.cluster.port import Directory
from server.cluster.store import Store, StoreError

_LOG = logging.getLogger(__name__)
_LOOK: Final = 2_000_000_000  # ns between looks
_SECOND: Final = 1_000_000_000  # ns


class Orphans:
    """One gateway's watch.

    Args:
        patience: seconds for which a session may be without a worker.
        rescue: has a session taken up.
    """

    def __init__(
        self,
        store: Store,
        directory: Directory,
        clock: Clock,
        *,
        patience: float,
        rescue: Callable[[str], Awaitable[None]],
    ) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._rescue = rescue
        self._patience = int(patience * _SECOND)
        self._since: dict[tuple[str, int], int] = {}  # by session and epoch

    async def run(self) -> None:
        """Looks every two seconds, until cancelled."""
        while True:
            await self._clock.sleep_until(self._clock.now() + _LOOK)
            try:
                await self.look()
            except StoreError as error:
                _LOG.warning("cannot look for sessions without a worker: %s", error)

    async def look(self) -> None:
        """Has them taken up, and forgets those that could not be for too long.

        Raises:
            StoreError: the store cannot be reached.
        """
        now = self._clock.now()
        living = {report.worker for report in await self._directory.living()}
        alone = {
            (each.session, each.epoch)
            for each in await self._store.held()
            if each.worker not in living
        }
        self._since = {each: self._since.get(each, now) for each in alone}
        for (session, epoch), since in tuple(self._since.items()):
            if since < now:  # and no worker has told of itself since
                await self._rescue(session)
            if now - since > self._patience:
                await self._store.forget(session, epoch)
                del self._since[session, epoch]
