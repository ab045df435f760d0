"""When media may leave: pure arithmetic on integers, no clock and no event loop.

Instants are nanoseconds of the injected clock, media times are 16 kHz sample indices. A
`Schedule` maps one to the other; `PlayoutDelay` learns how long this machine needs
between hearing a sample and having its frame encoded.
"""

from __future__ import annotations

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
        initial: the delay a new session starts with.
        most: beyond this, late frames are dropped rather than waited for.
    """

    least: int
    initial: int
    most: int


class PlayoutDelay:
    """Learns the delay between composing audio and releasing it with its frame.

    It grows in small steps when more than one frame in fifty misses its time, and shrinks in
    silence after ten calm seconds with time to spare. Single hiccups change nothing: they
    cost one dropped frame, not latency for ever.
    """

    WINDOW = 250  # frames, ten seconds at 25 a second
    STEP = TICK
    GROW_AFTER = 3  # late frames in a window
    HEAD_ROOM = 2 * TICK  # samples above the slowest frame that it keeps when it shrinks
    MOST_SHRINKING = 3 * TICK  # at once: that much leaves in one burst

    def __init__(self, limits: DelayLimits) -> None:
        self.limits = limits
        self.samples = limits.initial
        self._needs: deque[int] = deque(maxlen=self.WINDOW)
        self._late = 0

    def observe(self, need: int) -> None:
        """Notes that a frame was ready `need` samples after its audio was composed."""
        self._needs.append(need)
        if need > self.samples:
            self._late += 1

    def correction(self, *, is_silent: bool) -> int:
        """Returns by how many samples the delay has just changed; mostly 0.

        Growth is immediate, by one step; shrinking waits for silence.
        """
        if self._late >= self.GROW_AFTER and self.samples + self.STEP <= self.limits.most:
            return self._move(self.STEP)
        if len(self._needs) < self.WINDOW:
            return 0
        least = max(self.limits.least, max(self._needs) + self.HEAD_ROOM)
        excess = min(self.samples - least, self.MOST_SHRINKING) // TICK * TICK
        if is_silent and excess > 0:
            return self._move(-excess)
        self._late = sum(need > self.samples for need in self._needs)
        return 0

    def _move(self, step: int) -> int:
        self.samples += step
        self._needs.clear()
        self._late = 0
        return step
