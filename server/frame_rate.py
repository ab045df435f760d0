"""How many pictures a second a session makes: fewer, in steps, while the machine is overloaded.

Pure: it is told of every picture whether it came in time. Too many late ones halve the rate at
once, so that time is saved where it cannot be heard; calm brings it back, more carefully each
time that this proves wrong. Sound and its offset to the picture never pay for an overload.
"""

from __future__ import annotations

from collections import deque

from streaming_model.media import MOTION_FPS, SAMPLES_PER_MOTION_FRAME

_SECOND = 1_000_000_000  # ns
_STRIDES = (1, 2, 4)  # every motion frame is drawn, or every second, or every fourth
_WINDOW = 25  # pictures
_MANY = 6  # late ones of the last `_WINDOW`: a single standstill makes at most four
_LONG_WINDOW = 100  # pictures
_MANY_IN_LONG = 9  # late ones: drawing takes a little longer than there is time, again and again
_SETTLING = _SECOND  # after a step, in which pictures begun before it are not held against it
_FIRST_CALM = 10 * _SECOND  # without many late pictures before the next step up
_LONGEST_CALM = 160 * _SECOND
_LEAST_ROOM = 0.7  # of the time between two pictures that drawing one may take after a step up


class FrameRate:
    """One session's.

    Attributes:
        stride: 1 when every motion frame is drawn, 2 when every second is.
    """

    def __init__(self, fps: int) -> None:
        self.stride = 1
        self._fps = fps
        # With few pictures a second a step must leave out something, too.
        self._strides = [s for s in _STRIDES if s == 1 or MOTION_FPS / s < fps]
        self._recent: deque[bool] = deque(maxlen=_LONG_WINDOW)
        self._changed: int | None = None
        self._calm = _FIRST_CALM
        self._rose: int | None = None

    @property
    def pictures_per_second(self) -> float:
        """Returns the rate now."""
        return float(self._fps) if self.stride == 1 else MOTION_FPS / self.stride

    @property
    def is_reduced(self) -> bool:
        """Whether pictures are left out."""
        return self.stride > 1

    def includes(self, start: int) -> bool:
        """Whether the motion frame at this media time is to be drawn."""
        return start // SAMPLES_PER_MOTION_FRAME % self.stride == 0

    def note(self, now: int, *, is_late: bool, draw_cost: int) -> None:
        """Takes in what became of a picture, and steps up or down.

        Args:
            now: the present instant.
            is_late: whether it missed its time.
            draw_cost: what drawing takes at present, in samples.
        """
        if self._changed is None:
            self._changed = now
        self._recent.append(is_late)
        since = now - self._changed
        if since < _SETTLING:
            return
        if self._has_many():
            self._step_down(now)
        elif since >= self._calm and not self._lately():
            self._step_up(now, draw_cost)

    def _has_many(self) -> bool:
        return self._lately() >= _MANY or sum(self._recent) >= _MANY_IN_LONG

    def _lately(self) -> int:
        return sum(list(self._recent)[-_WINDOW:])

    def _step_down(self, now: int) -> None:
        slower = [stride for stride in self._strides if stride > self.stride]
        if not slower:
            return
        was_wrong = self._rose is not None and now - self._rose < self._calm
        self._calm = min(2 * self._calm, _LONGEST_CALM) if was_wrong else _FIRST_CALM
        self._change(slower[0], now)

    def _step_up(self, now: int, draw_cost: int) -> None:
        faster = [stride for stride in self._strides if stride < self.stride]
        if not faster or draw_cost > _LEAST_ROOM * faster[-1] * SAMPLES_PER_MOTION_FRAME:
            return
        self._rose = now
        self._change(faster[-1], now)

    def _change(self, stride: int, now: int) -> None:
        self.stride = stride
        self._changed = now
        self._recent.clear()
