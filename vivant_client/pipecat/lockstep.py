"""A session's pictures and sounds, which come by two ways, in the order of their media time.

Pure: it counts in media time alone, 16 kHz samples.
"""

from __future__ import annotations

import heapq
import itertools

from vivant_client.media import Frame, Sound

_PICTURE_REACH = 639  # 40 ms less one: a picture stands at least until the next one
_SOUND_REACH = 319  # 20 ms less one
_PATIENCE = 1280  # 80 ms; ITU-R BT.1359 bears 90 ms of sound before picture


class Lockstep:
    """Merges both streams; neither waits more than 80 ms for the other."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, bool, int, Frame | Sound]] = []
        self._arrival = itertools.count()
        self._pictures_until = self._sounds_until = -1

    def add(self, item: Frame | Sound) -> list[Frame | Sound]:
        """Takes what came next of either stream; returns what is due, a picture before its sound.

        What is due is earlier than all that can still come, or the other stream is late with it.
        """
        is_sound = isinstance(item, Sound)
        if isinstance(item, Sound):
            self._sounds_until = item.media_time + _SOUND_REACH
        else:
            self._pictures_until = item.media_time + _PICTURE_REACH
        heapq.heappush(self._waiting, (item.media_time, is_sound, next(self._arrival), item))
        both = min(self._sounds_until, self._pictures_until)
        patient = max(self._sounds_until, self._pictures_until) - _PATIENCE
        due = []
        while self._waiting and self._waiting[0][0] <= max(both, patient):
            due.append(heapq.heappop(self._waiting)[-1])
        return due
