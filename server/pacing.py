"""When media may leave: pure arithmetic on integers, no clock and no event loop.

Instants are nanoseconds of the injected clock, media times are 16 kHz sample indices. A
`Schedule` maps one to the other; `PlayoutDelay` learns how long this machine needs
between hearing a sample and having its frame encoded.
"""

from __future__ import annotations

import bisect
from collections import deque
from dataclasses import dataclass
from enum import Enum

from streaming_model.media import SAMPLE_RATE

NANOSECONDS_PER_SECOND = 1_000_000_000
TICK = 320  # samples, 20 ms: one Opus packet, the step in which media leaves
MILLISECOND = SAMPLE_RATE // 1000  # samples


def to_nanoseconds(samples: int) -> int:
    """Converts a duration in 16 kHz samples to nanoseconds, exactly (62,500 a sample)."""
    return samples * (NANOSECONDS_PER_SECOND // SAMPLE_RATE)


def to_samples(nanoseconds: int) -> int:
    """Converts a duration in nanoseconds to 16 kHz samples, rounded down."""
    return nanoseconds // (NANOSECONDS_PER_SECOND // SAMPLE_RATE)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A straight line between media time and clock time.

    Attributes:
        origin: the instant, in nanoseconds, at which media time 0 is due.
    """

    origin: int

    def instant(self, media_time: int) -> int:
        """Returns the instant at which `media_time` is due."""
        return self.origin + to_nanoseconds(media_time)

    def media_time(self, now: int) -> int:
        """Returns the media time that is due at `now`; negative before the origin."""
        return to_samples(now - self.origin)

    def later(self, samples: int) -> Schedule:
        """Returns this schedule moved by `samples`; negative moves it earlier."""
        return Schedule(self.origin + to_nanoseconds(samples))

    def in_step(self, step: int) -> Schedule:
        """Returns this schedule begun at the next multiple of `step` samples on the clock.

        Sessions whose schedules are in step want the same work at the same instant, so that a
        batch does it for all of them (docs/decisions/0010).
        """
        step = to_nanoseconds(step)
        return Schedule(-(-self.origin // step) * step)


class Pace(Enum):
    """What to do with a finished frame."""

    WAIT = "its time has not come"
    SEND = "it is due"
    DROP = "its time has passed; showing it late would break lip-sync"


def pace(*, media_time: int, position: int, tolerance: int = TICK) -> Pace:
    """Decides on a frame by media time alone.

    Args:
        media_time: start of the frame.
        position: media time of the next 20 ms of audio to leave.
        tolerance: how far behind the audio a frame may still leave, in samples.
    """
    if media_time >= position + TICK:
        return Pace.WAIT
    return Pace.SEND if media_time + tolerance >= position else Pace.DROP


@dataclass(frozen=True, slots=True)
class DelayLimits:
    """Bounds of the playout delay, in samples.

    Attributes:
        least: what the model's chunking and lookahead need, without any computing.
        initial: the delay a new session starts with, where none before has told of the machine.
        most: beyond this, late frames are dropped rather than waited for.
    """

    least: int
    initial: int
    most: int


class _Window:
    """The latest so many numbers, and which of them are the largest."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._latest: deque[int] = deque()
        self._sorted: list[int] = []

    def __len__(self) -> int:
        return len(self._latest)

    def add(self, number: int) -> None:
        self._latest.append(number)
        bisect.insort(self._sorted, number)
        if len(self._latest) > self._length:
            del self._sorted[bisect.bisect_left(self._sorted, self._latest.popleft())]

    def without_largest(self, count: int) -> int:
        """Returns the largest number but `count`, the least if there are no more than that."""
        return self._sorted[max(0, len(self) - 1 - count)]


class Experience:
    """What the pictures of one machine's sessions needed lately, for sessions that begin.

    A delay that a session had to learn by itself would grow in its first half minute, when
    viewers' jitter buffers are still finding their own.
    """

    ENOUGH = 50  # rows, ten seconds: fewer tell too little of hiccups

    def __init__(self) -> None:
        self._rows: deque[int] = deque(maxlen=PlayoutDelay.WINDOW)

    def note(self, row: int) -> None:
        """Notes what a row of frames needed, in samples beyond its session's least delay."""
        self._rows.append(row)

    def rows(self) -> tuple[int, ...]:
        """Returns the latest rows, the oldest first; none while there are too few."""
        return tuple(self._rows) if len(self._rows) >= self.ENOUGH else ()


class PlayoutDelay:
    """Learns the delay between composing audio and releasing it with its frame.

    It lets a hundredth of the last half minute's frames be late, the most that admission bears
    (`evenness`), and grows when some of the last seconds' frames were later: hiccups cost frames,
    not latency. Frames that are late in a row are late of one hiccup, and count once. It moves by
    little at a time, so that nothing bursts, and does not shrink for a few milliseconds: viewers'
    jitter buffers see every change of it as jitter, and keep more sound back for it than was won.
    What it had to grow by it keeps for two minutes, unless a load has gone: libwebrtc fits a line
    through the times at which pictures came, which hardly follows later changes.
    Where frames are late one after another it grows at once. The jitter of a live voice's packets
    is in it, for a block that comes late is drawn late. It begins with what other sessions on the
    machine have come to, as if their half minute had been its own.
    """

    ROW = 5  # frames, a fifth of a second, of which the slowest counts for all
    WINDOW = 150  # rows, half a minute at 25 frames a second
    BORNE = 20  # one of so many rows may have a late frame, which is one of a hundred frames
    WISHED = 30  # one of so many would have, were the delay smaller; else it would soon grow again
    LATELY = 50  # rows, ten seconds: the window in which admission looks
    SPARED = 2  # of those may have one
    SEEN = 10  # rows that are looked at before it shrinks
    HEAD_ROOM = TICK // 2  # samples above the slowest frame that it waits for
    WORTH = TICK // 2  # samples to win for which it begins to shrink
    PRESSED = 10  # rows, two seconds
    PRESSING = 3  # of those have a late frame: then it grows at once
    MOST_GROWTH = TICK  # samples from packet to packet
    CALM = 8  # packets from step to step where it need not: 13 ms in the two seconds NetEq looks at
    EASING = MILLISECOND  # of a gentle step: 19 ms lie between two packets where it shrinks
    REST = 4  # packets between two such steps in speech
    HELD = 600  # rows, two minutes for which it does not shrink once it grew
    GONE = 80 * MILLISECOND  # too much by so much, it does: the load that it grew for has gone

    def __init__(self, limits: DelayLimits, experience: Experience | None = None) -> None:
        self.limits = limits
        self._experience = experience or Experience()
        self._row: list[int] = []  # what the latest frames needed
        self._needs = _Window(self.WINDOW)
        self._lately = _Window(self.LATELY)
        self._just: deque[int] = deque(maxlen=self.PRESSED)
        self._is_shrinking = False
        self._rested = 0  # packets
        self._held = 0  # rows
        for row in self._experience.rows():
            self._needs.add(limits.least + row)
        known = min(self._enough(), limits.most) if len(self._needs) else limits.initial
        self.samples = self._goal = known

    def observe(self, need: int) -> None:
        """Notes that a frame was ready `need` samples after its audio was composed."""
        self._row.append(need)
        if len(self._row) < self.ROW:
            return
        slowest = max(self._row)
        self._row.clear()
        self._held = max(0, self._held - 1)
        self._needs.add(slowest)
        self._lately.add(slowest)
        self._just.append(slowest)
        self._experience.note(slowest - self.limits.least)
        is_known = len(self._lately) > self.SPARED
        needed = self._needed(self.BORNE)
        if is_known and needed > max(self.samples, self._goal):
            self._goal = min(needed + self.HEAD_ROOM, self.limits.most)

    def correction(self, *, is_silent: bool) -> int:
        """Returns by how many samples the delay has just changed; asked once a packet."""
        self._rested += 1
        if self._goal > self.samples:
            self._is_shrinking = False
            if sum(need > self.samples for need in self._just) >= self.PRESSING:
                return self._move(min(self._goal - self.samples, self.MOST_GROWTH))
            return self._move(self.EASING) if self._rested >= self.CALM else 0
        if len(self._needs) < self.SEEN:
            return 0
        excess = self.samples - self._enough()
        worth = self.GONE if self._held else self.WORTH
        self._is_shrinking = excess >= (self.EASING if self._is_shrinking else worth)
        if self._is_shrinking and (is_silent or self._rested >= self.REST):
            return self._move(-self.EASING)
        return 0

    def _enough(self) -> int:
        """Returns a delay that would not soon have to grow."""
        return max(self.limits.least, self._needed(self.WISHED) + self.HEAD_ROOM)

    def _needed(self, share: int) -> int:
        """Returns what rows needed but one of `share`, and but the latest that may be late."""
        spared = max(self.SPARED, len(self._needs) // share)
        needed = self._needs.without_largest(spared)
        return max(needed, self._lately.without_largest(self.SPARED)) if self._lately else needed

    def _move(self, step: int) -> int:
        self.samples += step
        self._goal = max(self._goal, self.samples) if step > 0 else self.samples
        self._held = self.HELD if step > 0 else self._held
        self._rested = 0
        return step
