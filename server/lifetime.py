"""How long a session lives when nobody ends it, and what is said before it ends.

Pure: it decides by the instants it is given. A session ends when nobody ever connects, when
whoever was connected does not come back, when nobody does anything, and when its longest time
is over.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.protocol import CloseReason, Expiring, ServerEvent

_SECOND = 1_000_000_000  # ns
_WARNINGS = (60, 10)  # seconds before the end, where the whole time is at least twice as long


@dataclass(frozen=True, slots=True)
class LifeLimits:
    """Times in seconds; 0 for no limit.

    Attributes:
        unused: without any connection, request or speech.
        lost: after the last connection was lost; until then it can be resumed.
        quiet: with somebody connected, but nobody speaking or doing anything.
        longest: from beginning to end.
    """

    unused: float = 30.0
    lost: float = 10.0
    quiet: float = 600.0
    longest: float = 0.0


@dataclass(frozen=True, slots=True)
class _End:
    instant: int
    reason: CloseReason
    whole: float  # seconds of the limit that it comes from


class Lifetime:
    """One session's.

    Attributes:
        last_used: instant at which somebody last spoke, asked or did something.
    """

    def __init__(self, limits: LifeLimits, now: int) -> None:
        self.last_used = now
        self._limits = limits
        self._began = now
        self._lost: int | None = None  # instant at which the last connection went
        self._shutdown: _End | None = None
        self._was_connected = False
        self._warned: tuple[CloseReason, int] | None = None  # why, and at which of the warnings

    def touch(self, now: int) -> None:
        """Notes that somebody does something."""
        self.last_used = now

    def lose(self, now: int) -> None:
        """Notes that the last connection has gone, which was to another worker."""
        self._lost = now

    def expire(self, now: int, seconds: float) -> None:
        """Notes that the server shuts down in so many seconds, whatever anybody does."""
        self._shutdown = _End(now + int(seconds * _SECOND), "shutdown", seconds)

    def notice(self, now: int) -> list[ServerEvent]:
        """Returns what there is to say about a shutdown that is due."""
        end = self._shutdown
        return [] if end is None else [Expiring(end.reason, _left(end, now))]

    def look(
        self, now: int, *, is_connected: bool, is_busy: bool
    ) -> tuple[list[ServerEvent], CloseReason | None]:
        """Returns what to tell, and why the session ends if it ends now; called every second.

        Args:
            now: the present instant.
            is_connected: whether anybody watches or listens.
            is_busy: whether anything is or will be said, or the viewer speaks.
        """
        if self._was_connected and not is_connected:
            self._lost = now
        self._was_connected = is_connected
        if is_connected:
            self._lost = None
        if is_busy and self._lost is None:
            self.touch(now)
        end = self._end(is_connected=is_connected)
        if end is None:
            return self._renewed(), None
        if now > end.instant:
            return [], end.reason
        return self._warnings(end, now) if is_connected else [], None

    def _end(self, *, is_connected: bool) -> _End | None:
        limits, ends = self._limits, list[_End]()
        if is_connected:
            ends += _after(self.last_used, limits.quiet, "idle")
        elif self._lost is not None and self._lost >= self.last_used:
            ends += _after(self._lost, limits.lost, "lost")
        else:
            ends += _after(self.last_used, limits.unused, "idle")
        ends += _after(self._began, limits.longest, "time")
        if self._shutdown is not None:
            ends.append(self._shutdown)
        return min(ends, key=lambda end: end.instant, default=None)

    def _warnings(self, end: _End, now: int) -> list[ServerEvent]:
        left = _left(end, now)
        due = [time for time in _WARNINGS if left <= time and 2 * time <= end.whole]
        if not due:
            return self._renewed()
        warning = (end.reason, min(due))
        if warning == self._warned:
            return []
        self._warned = warning
        return [Expiring(end.reason, left)]

    def _renewed(self) -> list[ServerEvent]:
        if self._warned is None:
            return []
        reason, self._warned = self._warned[0], None
        return [Expiring(reason, None)]


def _left(end: _End, now: int) -> int:
    """Returns the whole seconds until an end, 0 when it is past."""
    return max(0, -(-(end.instant - now) // _SECOND))


def _after(instant: int, seconds: float, reason: CloseReason) -> list[_End]:
    """Returns the end that a limit makes; none where it is 0."""
    return [_End(instant + int(seconds * _SECOND), reason, seconds)] if seconds else []
