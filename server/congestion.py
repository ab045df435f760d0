"""How much a connection carries, from when packets left and when they arrived.

The delay-based part of Google's congestion control (Carlucci et al. 2016; draft-ietf-rmcat-gcc-02,
sections 4 and 5, with the trendline that libwebrtc has in place of the Kalman filter). Pure: it
reads no clock and knows no packet's content. Instants and durations are nanoseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

_MILLISECOND = 1_000_000  # ns
_SECOND = 1_000_000_000  # ns
_BURST = 5 * _MILLISECOND  # packets sent within it are one group: they queue behind each other
_PAUSE = 3 * _SECOND  # between arrivals, after which the past says nothing

_WINDOW, _FEWEST = 20, 6  # groups over which the trend of the delay is taken
_SMOOTHING = 0.9
_GAIN, _MOST_DELTAS = 4.0, 60
_THRESHOLD, _LEAST_THRESHOLD, _MOST_THRESHOLD = 12.5, 6.0, 600.0
_RISE, _FALL = 0.0087, 0.039  # of the threshold, a millisecond
_OUTLIER = 15.0  # beyond the threshold: a sudden change, which must not raise it
_SUSTAINED = 10.0  # ms of a rising delay before it is overuse

_BACK_OFF = 0.85  # of what arrived
_IDLE = 0.6  # of the estimate: who sends less does not try what the connection carries
_GROWTH = 1.08  # a second, while no limit is near
_STEP = 30_000  # bits a second, a second: near a limit that was met
_NEAR = 0.15  # of a limit
_HEAD_ROOM, _LEAST_ROOM = 1.5, 10_000  # of what arrives, and bits a second more
_MEASURED = _SECOND // 2  # over which arrivals are counted


@dataclass(frozen=True, slots=True)
class Outcome:
    """One packet: when it left, when it arrived (by the receiver's clock) if it did, its bytes."""

    sent: int
    arrived: int | None
    size: int


class Usage(Enum):
    """What the trend of the delay says of the connection."""

    NORMAL = "normal"
    OVER = "queues grow"
    UNDER = "queues shrink"


class Congestion:
    """The estimate for one connection.

    Attributes:
        estimate: bits a second that it carries, of everything it is sent.
    """

    def __init__(self, *, most: int) -> None:
        """Begins with `most`, and never estimates more."""
        self.estimate = self._most = most
        self._trend = _Trend()
        self._groups = _Groups()
        self._arrivals: deque[tuple[int, int]] = deque()  # (instant, bytes)
        self._departures: deque[tuple[int, int]] = deque()
        self._limit: float | None = None  # what arrived when queues last grew
        self._changed: int | None = None

    def note(self, outcomes: Sequence[Outcome], *, now: int) -> int:
        """Takes the packets of one report, in the order of sending; returns the estimate."""
        usage = Usage.NORMAL
        for outcome in outcomes:
            self._departures.append((outcome.sent, outcome.size))
            if outcome.arrived is None:
                continue
            self._arrivals.append((outcome.arrived, outcome.size))
            for deltas in self._groups.add(outcome.sent, outcome.arrived):
                usage = self._trend.note(*deltas)
        received, sent = _rate(self._arrivals), _rate(self._departures)
        elapsed = 0 if self._changed is None else min(now - self._changed, _SECOND)
        self._changed = now
        if usage is Usage.OVER and received is not None:
            self._back_off(received, sent or 0.0)
        elif usage is Usage.NORMAL and received is not None:
            self._grow(received, elapsed / _SECOND)
        return self.estimate

    def _back_off(self, received: float, sent: float) -> None:
        if sent < _IDLE * self.estimate:
            # What arrives only says how little was sent, not what the connection carries.
            self.estimate = max(int(_BACK_OFF * self.estimate), int(received))
            return
        self.estimate = min(self.estimate, int(_BACK_OFF * received))
        self._limit = received

    def _grow(self, received: float, seconds: float) -> None:
        if self._limit is not None and received > (1 + _NEAR) * self._limit:
            self._limit = None  # it has passed
        is_near = self._limit is not None and self.estimate > (1 - _NEAR) * self._limit
        more = self.estimate + _STEP * seconds if is_near else self.estimate * _GROWTH**seconds
        room = max(float(self.estimate), _HEAD_ROOM * received + _LEAST_ROOM)
        self.estimate = int(min(more, room, self._most))


@dataclass(slots=True)
class _Group:
    first_sent: int
    sent: int
    arrived: int


class _Groups:
    """Packets that were sent together, and the times between such groups."""

    def __init__(self) -> None:
        self._before: _Group | None = None
        self._open: _Group | None = None

    def add(self, sent: int, arrived: int) -> list[tuple[int, int, int]]:
        """Returns (time between sendings, between arrivals, arrival) of a group that ended."""
        group = self._open
        if group is not None and arrived - group.arrived > _PAUSE:
            self._before = group = None
        if group is None:
            self._open = _Group(sent, sent, arrived)
            return []
        if _belongs(group, sent, arrived):
            group.sent, group.arrived = max(group.sent, sent), max(group.arrived, arrived)
            return []
        before, self._before = self._before, group
        self._open = _Group(sent, sent, arrived)
        if before is None or group.arrived < before.arrived:
            return []
        return [(group.sent - before.sent, group.arrived - before.arrived, group.arrived)]


def _belongs(group: _Group, sent: int, arrived: int) -> bool:
    if sent - group.first_sent <= _BURST:
        return True
    # It waited behind the group and came with it: the network's burst, not its queue.
    apart = arrived - group.arrived
    return apart <= _BURST and apart < sent - group.sent


class _Trend:
    """Whether the one-way delay rises, by a line through its last values."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque(maxlen=_WINDOW)  # ms
        self._origin: int | None = None
        self._delay = self._smooth = 0.0
        self._deltas = 0
        self._threshold = _THRESHOLD
        self._rising = self._last_trend = 0.0
        self._rises = 0
        self._seen: int | None = None

    def note(self, send_delta: int, arrival_delta: int, arrived: int) -> Usage:
        """Takes the times between two groups; returns what they and those before say."""
        self._origin = arrived if self._origin is None else self._origin
        self._deltas = min(self._deltas + 1, _MOST_DELTAS)
        self._delay += (arrival_delta - send_delta) / _MILLISECOND
        self._smooth = _SMOOTHING * self._smooth + (1 - _SMOOTHING) * self._delay
        self._points.append(((arrived - self._origin) / _MILLISECOND, self._smooth))
        slope = _slope(self._points) if len(self._points) >= _FEWEST else 0.0
        usage = self._judge(slope, send_delta / _MILLISECOND)
        self._adapt(self._scaled(slope), arrived)
        self._last_trend = slope
        return usage

    def _scaled(self, slope: float) -> float:
        return self._deltas * slope * _GAIN

    def _judge(self, slope: float, send_delta: float) -> Usage:
        trend = self._scaled(slope)
        if trend <= self._threshold:
            self._rising, self._rises = 0.0, 0
            return Usage.UNDER if trend < -self._threshold else Usage.NORMAL
        self._rising += send_delta if self._rises else send_delta / 2
        self._rises += 1
        if self._rising > _SUSTAINED and self._rises > 1 and slope >= self._last_trend:
            self._rising, self._rises = 0.0, 0
            return Usage.OVER
        return Usage.NORMAL

    def _adapt(self, trend: float, arrived: int) -> None:
        """Moves the threshold, so that a connection shared with others is not starved."""
        elapsed = 0 if self._seen is None else min((arrived - self._seen) / _MILLISECOND, 100)
        self._seen = arrived
        if abs(trend) > self._threshold + _OUTLIER:
            return
        speed = _FALL if abs(trend) < self._threshold else _RISE
        moved = self._threshold + speed * (abs(trend) - self._threshold) * max(elapsed, 0)
        self._threshold = min(max(moved, _LEAST_THRESHOLD), _MOST_THRESHOLD)


def _slope(points: Sequence[tuple[float, float]]) -> float:
    """Returns the slope of the least-squares line through the points, 0 when it has none."""
    count = len(points)
    middle = sum(x for x, _ in points) / count
    level = sum(y for _, y in points) / count
    spread = sum((x - middle) ** 2 for x, _ in points)
    return sum((x - middle) * (y - level) for x, y in points) / spread if spread else 0.0


def _rate(counted: deque[tuple[int, int]]) -> float | None:
    """Returns the bits a second of the last packets, or None when it is too early.

    Args:
        counted: (instant, bytes) of each; those too old are taken out.
    """
    last = counted[-1][0] if counted else 0
    while len(counted) > 2 and last - counted[1][0] >= _MEASURED:
        counted.popleft()
    if not counted or last - counted[0][0] < _MEASURED // 2:
        return None
    size = sum(size for _, size in counted) - counted[0][1]
    return size * 8 * _SECOND / (last - counted[0][0])
