"""Which worker a session is for. Pure: reports in, an order out.

Reports are up to a second old, so a gateway counts what it has placed since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from server.cluster.port import Report


class Placement:
    """One gateway's view."""

    def __init__(self) -> None:
        self._placed: dict[tuple[str, Report], int] = {}

    def order(
        self, reports: Iterable[Report], portrait: str | None, *, without: Collection[str] = ()
    ) -> list[Report]:
        """Returns workers, the best first: with room, with the portrait warm, with the most room.

        Where none has room, the one with the shortest line is first.

        Args:
            reports: of the workers that live.
            portrait: that the session wants; None for the usual one, which all have.
            without: ids of workers that are not to be asked.
        """
        asked = [each for each in reports if not each.is_draining and each.worker not in without]

        def rank(report: Report) -> tuple[bool, int, bool, int, str]:
            room = report.room - self._placed.get((report.worker, report), 0)
            is_warm = portrait is None or portrait in report.portraits
            has_room = room > 0
            return (
                not has_room,
                0 if has_room else report.waiting,
                not is_warm,
                -room,
                report.worker,
            )

        return sorted(asked, key=rank)

    def note(self, report: Report) -> None:
        """Notes that a session was placed there, which its next report will know."""
        count = self._placed.get((report.worker, report), 0) + 1
        self._placed = {key: n for key, n in self._placed.items() if key[0] != report.worker}
        self._placed[report.worker, report] = count
