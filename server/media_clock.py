"""One session's media time on the machine's clock: when a block is due, and when it leaves.

Between the two lies the playout delay, which is learned from how late pictures are. The clock
never bursts: where the process stood still it pauses, and what moves it moves it by little. It
knows nothing of what is composed or released.
"""

from __future__ import annotations

from server.clock import Clock
from server.pacing import MILLISECOND, TICK, DelayLimits, Experience, PlayoutDelay, Schedule
from streaming_model.media import SAMPLES_PER_MOTION_FRAME

_STALL = 100 * MILLISECOND  # behind by more, the media clock pauses instead of bursting
_MARGIN = 30 * MILLISECOND  # first guess of what computing costs on top of the lookahead
_MOST_MARGIN = 400 * MILLISECOND


class MediaClock:
    """The media clock of one session.

    Attributes:
        delay: from when a block is due to when it leaves.
    """

    def __init__(
        self, clock: Clock, experience: Experience, *, chunk_frames: int, lookahead_frames: int
    ) -> None:
        self.delay = PlayoutDelay(_limits(chunk_frames, lookahead_frames), experience)
        self._clock = clock
        self._step = chunk_frames * SAMPLES_PER_MOTION_FRAME  # all sessions take theirs together
        self._schedule = Schedule(0)
        self._unbroken = Schedule(0)  # as if it had never paused
        self._unlearned = 0  # media time before which lateness is not the machine's

    @property
    def now(self) -> int:
        """The media time that is due now."""
        return self._schedule.media_time(self._clock.now())

    @property
    def leaving(self) -> int:
        """The media time that is due to leave now."""
        return self.now - self.delay.samples

    def begin(self) -> None:
        """Lets media time 0 be due now, in step with other sessions."""
        self._schedule = self._unbroken = Schedule(self._clock.now()).in_step(self._step)

    def due(self, media_time: int) -> int:
        """Returns the instant, in nanoseconds, at which `media_time` is due to be composed."""
        return self._schedule.instant(media_time)

    def departure(self, media_time: int) -> int:
        """Returns the instant, in nanoseconds, at which `media_time` is due to leave."""
        return self._schedule.instant(media_time + self.delay.samples)

    def report(self, media_time: int) -> int:
        """Returns the instant, in nanoseconds, that sender reports give for `media_time`.

        Pauses and a growing delay are left out of it: a receiver fits one straight line through
        many reports (WebRTC's RtpToNtpEstimator), and a step that only one of the two tracks has
        reported yet would put sound and picture apart for as long as the fit remembers it.
        """
        return self._unbroken.instant(media_time)

    def shift(self, samples: int) -> None:
        """Ticks later by so much from now on; negative is earlier."""
        self._schedule = self._schedule.later(samples)

    def pause_if_behind(self, behind: int) -> None:
        """Pauses by as many samples as the process is behind, if they are more than a hiccup."""
        if behind > _STALL:
            self._schedule = self._schedule.later(behind).in_step(self._step)

    def note_picture(self, media_time: int) -> None:
        """Notes that the picture of a media time is there."""
        if media_time >= self._unlearned:
            self.delay.observe(self.now - media_time)

    def excuse(self, media_time: int) -> None:
        """Learns nothing from pictures before this media time: they wait for somebody's sound."""
        self._unlearned = media_time


def _limits(chunk_frames: int, lookahead_frames: int) -> DelayLimits:
    """Returns bounds for a block that leaves with the last frame of its chunk."""
    least = (chunk_frames - 1 + lookahead_frames) * SAMPLES_PER_MOTION_FRAME + TICK
    return DelayLimits(least=least, initial=least + _MARGIN, most=least + _MOST_MARGIN)
