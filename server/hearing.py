"""What the viewers' microphones do to a session: they take the floor, interrupt and speak.

One microphone is heard at a time. It decides with `turns` and acts on the line; it knows no
transport.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from server.clock import Clock
from server.line import LiveLine
from server.microphone_track import MicrophoneFrame
from server.pacing import MILLISECOND
from server.protocol import BargeIn, ServerEvent
from server.turns import Heard, Turns

_FLOOR_TIME = 500_000_000  # ns without a packet, after which another microphone is heard


def barge_in_samples(policy: BargeIn) -> int | None:
    """Returns how long a viewer must speak to interrupt, in samples; None for never."""
    if policy == "off":
        return None
    return 0 if policy == "on" else policy * MILLISECOND


def is_busy(line: LiveLine, turns: Turns) -> bool:
    """Whether something is said or waits to be."""
    return turns.speaking is not None or not line.queue.is_empty or line.timeline.holds_speech


def cut(line: LiveLine, turns: Turns) -> list[ServerEvent]:
    """Interrupts whatever is said or waits to be; silence stays as it is."""
    if not is_busy(line, turns):
        return []
    unheard = line.interrupt(turns.open())
    return turns.interrupted(unheard, line.timeline.position, line.timeline.spoken)


class Hearing:
    """The ears of one session.

    Attributes:
        barge_in: how much voice it takes to interrupt the portrait, in samples; None
            when it is never interrupted by voice.
    """

    def __init__(
        self,
        *,
        line: LiveLine,
        turns: Turns,
        publish: Callable[[Sequence[ServerEvent]], None],
        clock: Clock,
        barge_in: int | None = 0,
    ) -> None:
        self.barge_in = barge_in
        self._line = line
        self._turns = turns
        self._publish = publish
        self._clock = clock
        self._speaker: object = None
        self._heard_at = 0
        self._wants_the_floor = False

    def take(self, speaker: object, frame: MicrophoneFrame) -> None:
        """Hears 20 ms from the microphone of `speaker`, unless another has the floor."""
        if not self._has_the_floor(speaker):
            return
        microphone = self._line.microphone
        edges = microphone.push(
            frame.pcm,
            sample_rate=frame.sample_rate,
            channels=frame.channels,
            missing=frame.missing,
        )
        for edge in edges:
            self._publish(self._turns.heard(edge, self._line.timeline.position))
            self._wants_the_floor = edge is Heard.STARTED
            if edge is Heard.STOPPED:
                microphone.end()
        if self._wants_the_floor and self._may_begin():
            self._wants_the_floor = False
            self._publish(cut(self._line, self._turns))
            if microphone.mode == "puppet":
                microphone.begin(self._turns.open())

    def _may_begin(self) -> bool:
        voiced = self._line.microphone.voiced
        has_waited = self.barge_in is not None and voiced >= self.barge_in
        return has_waited or not is_busy(self._line, self._turns)

    def _has_the_floor(self, speaker: object) -> bool:
        """A session has one live voice: the microphone that sends, until it pauses sending."""
        now = self._clock.now()
        if self._speaker is not speaker:
            if now - self._heard_at < _FLOOR_TIME:
                return False
            self._speaker = speaker
            self._wants_the_floor = False
            self._line.microphone.reset()
        self._heard_at = now
        return True
