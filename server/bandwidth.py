"""How much one viewer's connection carries, and which viewers can share an encoder.

Pure: it is told what a receiver reported and when, and returns bit rates. It knows no socket,
encoder or clock. Instants are nanoseconds, rates bits a second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum

LEAST_RATE = 100_000  # below this a face at 512 x 512 is mud; the connection is let suffer
_SOUND = 80_000  # Opus at 64 kbit/s with its headers
_PAYLOAD = 0.95  # of a video packet; the rest is RTP, SRTP, UDP and IP
_SECOND = 1_000_000_000  # ns
_CONGESTED = 0.92  # of what was sent: overuse makes a receiver ask for 0.85 of what arrives
_HEAD_ROOM = 2.0  # of what was carried, while the connection has shown no limit

# Loss-based control of draft-ietf-rmcat-gcc-02, section 6.
_HEAVY_LOSS, _LIGHT_LOSS = 0.10, 0.02
_RECOVERY = 1.08  # a report; they come about once a second
_CUT_SPACING = _SECOND // 2


class Bandwidth:
    """The video bit rate for one connection, from estimates (REMB, ours) and receiver reports.

    A receiver's estimate cannot rise far above what it receives, and a face at rest sends
    little. So until a connection has shown a limit, an estimate near what was sent only
    says that little was sent; from the first congestion on it is followed to the letter.

    Attributes:
        most: the rate never exceeds it.
    """

    def __init__(self, *, most: int) -> None:
        self.most = most
        self._estimated = self._lossless = most
        self._is_limited = False
        self._sent: deque[tuple[int, int]] = deque()  # (instant, bytes so far)
        self._cut_at = -_CUT_SPACING

    @property
    def rate(self) -> int:
        """What the video may use now."""
        return min(self._estimated, self._lossless)

    def note_estimate(self, estimate: int, *, sent: int, now: int) -> None:
        """Takes an estimate: a REMB message, or our own of transport-wide feedback.

        Args:
            estimate: bits a second that the connection carries, of everything that is sent.
            sent: bytes of video sent so far.
            now: the present instant.
        """
        carried = self._carried(sent, now)
        video = int((estimate - _SOUND) * _PAYLOAD)
        if carried is not None and estimate < _CONGESTED * carried:
            self._is_limited = True
        if video >= self.most:
            self._is_limited = False
        if not self._is_limited and carried is not None:
            video = max(video, int(_HEAD_ROOM * carried))
        self._estimated = self._bounded(video)

    def note_loss(self, fraction: float, *, sent: int, now: int) -> None:
        """Takes a receiver report's fraction of packets lost, 0..1."""
        self._carried(sent, now)
        if fraction > _HEAVY_LOSS and now - self._cut_at >= _CUT_SPACING:
            self._cut_at = now
            self._lossless = self._bounded(int(self.rate * (1 - 0.5 * fraction)))
        elif fraction < _LIGHT_LOSS:
            self._lossless = self._bounded(int(self._lossless * _RECOVERY))

    def _carried(self, sent: int, now: int) -> int | None:
        """Returns the rate sent over the last second or so, or None when it is too early."""
        self._sent.append((now, sent))
        while len(self._sent) > 2 and now - self._sent[1][0] >= _SECOND:
            self._sent.popleft()
        since, before = self._sent[0]
        if now - since < _SECOND // 2:
            return None
        return (sent - before) * 8 * _SECOND // (now - since)

    def _bounded(self, rate: int) -> int:
        return max(min(rate, self.most), min(LEAST_RATE, self.most))


def with_sound(video: int) -> int:
    """Returns the rate of everything that is sent while the video uses `video`."""
    return int(video / _PAYLOAD) + 1 + _SOUND


class Rung(Enum):
    """One of the two encodings of a picture."""

    HIGH = "for those who can"
    LOW = "for those whose connections carry less than half as much"


_FALL, _CLIMB = 0.5, 0.8  # of the best rate


def choose_rungs(rates: Sequence[int], rungs: Sequence[Rung]) -> list[Rung]:
    """Returns the rung of each viewer from its rate and its present rung.

    Whoever has less than half the best rate goes down, so that one bad connection spoils
    nobody's picture, and comes back at four fifths: changing costs a complete picture.
    """
    best = max(rates, default=0)
    return [
        Rung.LOW if rate < (_FALL if rung is Rung.HIGH else _CLIMB) * best else Rung.HIGH
        for rate, rung in zip(rates, rungs, strict=True)
    ]
