"""How long uploaded pictures stay. Pure: it is told the times and decides."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from server.consent.records import Record

Keeping = Literal["asked", "always", "never"]
SESSION_OVER: Final = "session ended"
TOO_OLD: Final = "kept long enough"
_SECOND: Final = 1_000_000_000  # ns


@dataclass(frozen=True, slots=True)
class Retention:
    """What the operator wants.

    Attributes:
        keeping: whether uploads outlive their sessions: where it was asked for, always, never.
        wait: seconds that one stays which no session shows.
        hours: after which also one that was kept goes; 0 for never.
        days: that the statement of one that has gone stays; 0 for none.
    """

    keeping: Keeping = "asked"
    wait: float = 300.0
    hours: float = 720.0
    days: float = 365.0

    def keeps(self, *, is_asked: bool) -> bool:
        """Returns whether an upload outlives its sessions."""
        return self.keeping == "always" or (self.keeping == "asked" and is_asked)


class Overdue:
    """Knows when portraits were last shown, and which have to go."""

    def __init__(self, retention: Retention) -> None:
        self._retention = retention
        self._seen: dict[str, int] = {}

    def touch(self, portrait: str, now: int) -> None:
        """Notes that a portrait is there, or shown, at `now` (ns of the server's clock)."""
        self._seen[portrait] = now

    def find(
        self,
        records: Mapping[str, Record],
        *,
        shown: Collection[str],
        sessions: Collection[str],
        now: int,
        today: datetime,
        leftovers: bool = False,
    ) -> dict[str, str]:
        """Returns what has to go, and why.

        Args:
            records: of all uploads.
            shown: portraits that sessions show.
            sessions: ids of those that live.
            now: ns of the server's clock.
            today: the time of day.
            leftovers: whether what was not noted to be there is one of them.
        """
        overdue: dict[str, str] = {}
        for portrait, record in records.items():
            if portrait in shown or record.session in sessions:
                self.touch(portrait, now)
                continue
            if self._is_too_old(record, today):
                overdue[portrait] = TOO_OLD
            elif not record.is_kept and self._has_waited(portrait, now, leftovers):
                overdue[portrait] = SESSION_OVER
        self._seen = {name: seen for name, seen in self._seen.items() if name in records}
        return overdue

    def _has_waited(self, portrait: str, now: int, leftovers: bool) -> bool:
        seen = self._seen.get(portrait)  # None for what another server took in
        return leftovers if seen is None else now - seen > self._retention.wait * _SECOND

    def _is_too_old(self, record: Record, today: datetime) -> bool:
        hours = self._retention.hours
        return bool(hours) and today - record.began > timedelta(hours=hours)
