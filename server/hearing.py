"""What the viewers' microphones do to a session: they take the floor, interrupt and speak.

One microphone is heard at a time. It decides with `turns` and acts on the line; it knows no
transport.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from server.clock import Clock
from server.line import LiveLine
from server.protocol import ServerEvent
from server.turns import Heard, Turns
from server.webrtc import MicrophoneFrame

_FLOOR_TIME = 500_000_000  # ns without a packet, after which another microphone is heard


def cut(line: LiveLine, turns: Turns) -> list[ServerEvent]:
    """Interrupts whatever is said or waits to be; silence stays as it is."""
    is_busy = turns.speaking is not None or not line.queue.is_empty or line.timeline.holds_speech
    if not is_busy:
        return []
    unheard = line.interrupt(turns.open())
    return turns.interrupted(unheard, line.timeline.position)


class Hearing:
    """The ears of one session."""

    def __init__(
        self,
        *,
        line: LiveLine,
        turns: Turns,
        publish: Callable[[Sequence[ServerEvent]], None],
        clock: Clock,
    ) -> None:
        self._line = line
        self._turns = turns
        self._publish = publish
        self._clock = clock
        self._speaker: object = None
        self._heard_at = 0

    def take(self, speaker: object, frame: MicrophoneFrame) -> None:
        """Hears 20 ms from the microphone of `speaker`, unless another has the floor."""
        if not self._has_the_floor(speaker):
            return
        microphone = self._line.microphone
        edges = microphone.push(frame.pcm, sample_rate=frame.sample_rate, channels=frame.channels)
        for edge in edges:
            self._publish(self._turns.heard(edge, self._line.timeline.position))
            if edge is Heard.STOPPED:
                microphone.end()
                continue
            self._publish(cut(self._line, self._turns))
            if microphone.mode == "puppet":
                microphone.begin(self._turns.open())

    def _has_the_floor(self, speaker: object) -> bool:
        """A session has one live voice: the microphone that sends, until it pauses sending."""
        now = self._clock.now()
        if self._speaker is not speaker:
            if now - self._heard_at < _FLOOR_TIME:
                return False
            self._speaker = speaker
            self._line.microphone.reset()
        self._heard_at = now
        return True
