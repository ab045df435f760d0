"""Sessions whose worker has gone and to which nobody came back: forgotten after a while.

Gateways look; that several do, does no harm, for who is taken up meanwhile is not forgotten.
"""

from __future__ import annotations

import logging
from typing import Final

from server.clock import Clock
from server.cluster.port import Directory
from server.cluster.store import Store, StoreError

_LOG = logging.getLogger(__name__)
_LOOK: Final = 5_000_000_000  # ns between looks
_SECOND: Final = 1_000_000_000  # ns


class Orphans:
    """One gateway's watch.

    Args:
        patience: seconds for which a session may be without a worker.
    """

    def __init__(
        self, store: Store, directory: Directory, clock: Clock, *, patience: float
    ) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._patience = int(patience * _SECOND)
        self._since: dict[tuple[str, int], int] = {}  # by session and epoch

    async def run(self) -> None:
        """Looks every five seconds, until cancelled."""
        while True:
            await self._clock.sleep_until(self._clock.now() + _LOOK)
            try:
                await self.look()
            except StoreError as error:
                _LOG.warning("cannot look for sessions without a worker: %s", error)

    async def look(self) -> None:
        """Forgets those that have been without a worker for too long.

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
            if now - since > self._patience:
                await self._store.forget(session, epoch)
                del self._since[session, epoch]
