"""How many sessions this machine can hold, from what sessions are seen to cost.

Pure arithmetic on two things that fill up: the time of each thread of the live path, in which it
computes or waits for the interpreter or for a core, and the cores that all of them compute on.
It reads no clock and opens no session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

# Shares of each thread's time, 0.16 is 16 % of it, and under `cores` how many all compute on.
Load: TypeAlias = Mapping[str, float]

LOOP = "loop"  # the event loop's thread: signalling, pacing, packets
ALL = "cores"  # all threads together
UNEVEN = "uneven"  # pictures are about to, as the reason for a limit
LATE = "late"  # pictures miss their time already, as the reason for a limit
CLOSED = "draining"  # the server is shutting down, as the reason for a limit
CAP = "max_sessions"  # the operator's own limit, as the reason for one
_LOOP_SHARE = 0.25  # of the other threads' cost, until a viewer shows better; measured 0.21
_LEARNING = 0.1  # of each second's cost that enters the smoothed one
_FOLLOWING = 0.3  # of each second's load
_AVERAGING = 0.05  # of each second's text to speech
_ROUNDING = 1e-6  # of a session
_MOST = 1000  # sessions, where nothing else limits them


@dataclass(frozen=True, slots=True)
class Verdict:
    """What admission decides.

    Attributes:
        room: how many more sessions may open.
        limit: what limits them: a thread, `cores`, `late`, `uneven`, `max_sessions` or `draining`.
    """

    room: int
    limit: str


class Capacity:
    """The forecast.

    Attributes:
        cores: cores that the process may use.
        share: the part of them, and of each thread's time, that sessions may take.
        cap: the operator's limit, or None.
        cost: what one watched session takes; empty until it was measured.
        speech: cores that text to speech takes beside it, at a lower priority, on average.
        load: what all sessions take now.
        is_late: whether any session makes fewer pictures than it should: whatever the forecast
            says, something else is using the machine.
        is_uneven: whether pictures leave so unevenly already that one more would make them late.
        is_closed: whether nobody is to be let in any more.
    """

    def __init__(self, *, cores: float, share: float, cap: int | None) -> None:
        self.cores, self.share, self.cap = cores, share, cap
        self.cost: dict[str, float] = {}
        self.speech = 0.0
        self.load: dict[str, float] = {}
        self.is_late = self.is_uneven = self.is_closed = False

    def rehearsed(self, cost: Load) -> None:
        """Takes what a session without viewers was measured to cost before the first one came."""
        self.cost = dict(cost)
        self.cost[LOOP] = _LOOP_SHARE * cost[ALL]
        self.cost[ALL] += self.cost[LOOP]

    def observe(self, load: Load, *, watched: int, speech: float = 0.0) -> None:
        """Takes the load of the last second, in which that many sessions were watched.

        Sessions that nobody watches are hardly any work, so those watched are charged for all.
        Speech is made ahead and in bursts, which keep nobody out: only its average counts.

        Args:
            load: of the live path.
            watched: how many sessions somebody watched.
            speech: cores that text to speech took.
        """
        if watched:
            self.speech = _toward(self.speech, speech / watched, _AVERAGING)
        for name, share in load.items():
            self.load[name] = _toward(self.load.get(name, 0.0), share, _FOLLOWING)
            if watched:
                self._learn(name, share / watched)

    def verdict(self, sessions: int) -> Verdict:
        """Returns how many more may open beside `sessions` that are open.

        Sessions open now are forecast as watched, whether they are or not yet. The first
        session is always let in: a machine too slow for it shows fewer pictures.
        """
        if self.is_closed:
            return Verdict(0, CLOSED)
        room, limit = self._measured(sessions)
        if self.is_late or self.is_uneven:
            room, limit = 0, LATE if self.is_late else UNEVEN
        if sessions == 0:
            room = max(room, 1)
        if self.cap is not None and self.cap - sessions <= room:
            return Verdict(max(0, self.cap - sessions), CAP)
        return Verdict(room, limit)

    def describe(self, sessions: int) -> dict[str, Any]:
        """Returns what `GET /v1/capacity` tells of `sessions` open ones."""
        verdict = self.verdict(sessions)
        return {
            "sessions": sessions,
            "room": verdict.room,
            "limit": verdict.limit,
            "max_sessions": self.cap,
            "cores": round(self.cores, 2),
            "core_share": self.share,
            "session_cost": {name: round(cost, 4) for name, cost in self.cost.items()},
            "speech_cost": round(self.speech, 4),
            "load": {name: round(share, 4) for name, share in self.load.items()},
        }

    def _learn(self, name: str, cost: float) -> None:
        # Those that make fewer pictures take less than they want: a forecast made from that would
        # let others in as soon as they recover.
        if not self.is_late or cost > self.cost.get(name, 0.0):
            self.cost[name] = _toward(self.cost.get(name, cost), cost, _LEARNING)

    def _measured(self, sessions: int) -> tuple[int, str]:
        rooms = {
            name: max(0, int(self._spare(name, sessions) / self._whole(name) + _ROUNDING))
            for name, cost in self.cost.items()
            if cost > 0
        }
        if not rooms:
            return _MOST, CAP
        limit = min(rooms, key=lambda name: rooms[name])
        return min(rooms[limit], _MOST), limit

    def _whole(self, name: str) -> float:
        """Returns what one more session takes, its speech included."""
        return self.cost[name] + (self.speech if name == ALL else 0)

    def _spare(self, name: str, sessions: int) -> float:
        allowed, speech = (self.cores, self.speech) if name == ALL else (1, 0)
        taken = max(self.load.get(name, 0.0), sessions * self.cost[name])
        return self.share * allowed - taken - sessions * speech


def _toward(value: float, target: float, weight: float) -> float:
    return value + weight * (target - value)
