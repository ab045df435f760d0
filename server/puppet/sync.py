"""When sound is to be played so that it meets its picture. Pure.

A picture reaches a camera later than its sound reaches us: it is coded, decoded, and held until
the next one begins. So sound waits until the picture of its media time was shown, as slow ones
are; the camera and the loudspeaker add what they add themselves.
"""

from __future__ import annotations

from collections import deque

from streaming_model.media import SAMPLE_RATE

_SECOND = 1_000_000_000  # ns
_WINDOW = 2 * _SECOND
_QUANTILE = 0.8  # of pictures that are not later than their sound
_MOST_STEP = 0.005  # of the time that passes: a change of pace that nobody hears


class Meeting:
    """Learns how long after its media time a picture is shown."""

    def __init__(self) -> None:
        self._delays: deque[tuple[int, int]] = deque()  # (instant, ns)
        self._offset: int | None = None
        self._noted = 0

    def show(self, media_time: int, now: int) -> None:
        """Notes that a picture is shown now, an instant in nanoseconds."""
        self._delays.append((now, now - _ns(media_time)))
        while now - self._delays[0][0] > _WINDOW:
            self._delays.popleft()
        known = sorted(delay for _, delay in self._delays)
        wanted = known[int(_QUANTILE * (len(known) - 1))]
        if self._offset is None or abs(wanted - self._offset) > _SECOND // 5:
            self._offset = wanted
        else:
            most = int(_MOST_STEP * (now - self._noted)) + 1
            self._offset += min(max(wanted - self._offset, -most), most)
        self._noted = now

    def instant(self, media_time: int) -> int | None:
        """Returns when sound of a media time is to be heard; None before the first picture."""
        return None if self._offset is None else _ns(media_time) + self._offset


def _ns(media_time: int) -> int:
    return media_time * _SECOND // SAMPLE_RATE
