"""A session's live motion, from a webcam or a phone: when it is shown, and how it is mixed.

Pure. What comes in is taken relative to a neutral face, smoothed, put on media time by the
sender's clock, and mixed part by part, so that lips may follow speech while brows and head
follow a camera. When nothing comes the stream fades away by itself (`LiveFrames`).
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from server.protocol import Mode, MotionConfigure, Part, PartMode, ProtocolError
from streaming_model.media import SAMPLE_RATE
from streaming_model.motion.additive import LiveFrames, Shares, read_frame
from streaming_model.motion.one_euro import OneEuro, one_euro
from streaming_model.motion_space import ARKIT_NAMES, INDEX, MOTION_NAMES, MOTION_SIZE, POSE

Floats = NDArray[np.float32]

_NEUTRAL_SPAN = SAMPLE_RATE // 2  # samples whose average is the neutral
_MOST_NEUTRAL = 0.9  # of a coefficient; beyond it nothing of its range would be left
_EASE = SAMPLE_RATE // 4  # samples in which a part changes its mode
_PAUSE = SAMPLE_RATE // 2  # samples without a frame, after which filters begin anew
_WINDOW: Final = 2_000.0  # ms
_RESTART: Final = 1_000.0  # ms back: another clock
_SNAP: Final = SAMPLE_RATE  # samples; a second away it is another clock, or there was a pause
_QUANTILE: Final = 0.9
_SLEW: Final = 0.1  # of the time that passes
_PREFIXES: Final[dict[Part, tuple[str, ...]]] = {
    "mouth": ("jaw", "mouth", "tongue", "cheekPuff"),
    "eyes": ("eye",),
    "brows": ("brow",),
    "cheeks": ("cheekSquint", "nose"),
    "head": ("head",),
}
PARTS: Final[dict[Part, NDArray[np.bool_]]] = {
    part: np.array([name.startswith(_PREFIXES[part]) for name in MOTION_NAMES])
    for part in get_args(Part)
}
# Coefficients that are two sides of one movement: the neutral is taken from their difference.
_OPPOSITES: Final = [
    (INDEX[f"eyeLook{one}{side}"], INDEX[f"eyeLook{other}{side}"])
    for side in ("Left", "Right")
    for one, other in (("In", "Out"), ("Up", "Down"))
] + [(INDEX[f"{name}Left"], INDEX[f"{name}Right"]) for name in ("jaw", "mouth")]


@dataclasses.dataclass(frozen=True, slots=True)
class LiveSettings:
    """What a live stream was told, apart from motion.

    Attributes:
        parts: how each is mixed.
        smoothing: how much.
        neutral: [motion's size] what is taken from all that comes; empty for nothing.
    """

    parts: dict[Part, PartMode] = dataclasses.field(default_factory=dict)
    smoothing: float = 0.0
    neutral: tuple[float, ...] = ()


class LiveMotion:
    """One session's stream of live motion.

    Attributes:
        frames: the stream as it is mixed.
        heard: how many frames came so far.
    """

    def __init__(self) -> None:
        self.frames: LiveFrames | None = None
        self.heard = 0
        self._parts: dict[Part, PartMode] = {}
        self._smoothing = 0.0
        self._neutral = np.zeros(MOTION_SIZE, np.float32)
        self._recent: deque[tuple[int, Floats]] = deque(maxlen=120)
        self._filter: OneEuro | None = None
        self._shares: Shares | None = None
        self._clock = SenderClock()
        self._last = 0  # media time of the latest frame

    def configure(self, change: MotionConfigure) -> None:
        """Changes how parts are mixed and how much is smoothed, from the next frame on."""
        self._parts.update(change.parts or {})
        if change.smoothing is not None:
            self._smoothing = change.smoothing

    @property
    def settings(self) -> LiveSettings:
        """What it was told, and how it was calibrated."""
        neutral = tuple(self._neutral.tolist()) if self._neutral.any() else ()
        return LiveSettings(self._parts.copy(), self._smoothing, neutral)

    def take_up(self, settings: LiveSettings) -> None:
        """Goes on as another stream was set."""
        self._parts, self._smoothing = settings.parts.copy(), settings.smoothing
        if settings.neutral:
            self._neutral = np.array(settings.neutral, np.float32)

    def calibrate(self, *, reset: bool) -> None:
        """Takes the face of the last half second as the neutral one, or forgets the neutral.

        Raises:
            ProtocolError: `bad_request`, no live motion came.
        """
        if reset:
            self._neutral = np.zeros(MOTION_SIZE, np.float32)
        elif not self._recent:
            raise ProtocolError("bad_request", "No live motion came that could be the neutral.")
        else:
            latest = self._recent[-1][0]
            rows = [row for time, row in self._recent if latest - time < _NEUTRAL_SPAN]
            self._neutral = np.mean(rows, axis=0, dtype=np.float32)
        self._filter = None

    def hear(
        self,
        coefficients: Mapping[str, float],
        *,
        at: int,
        t: float | None,
        weight: float,
        mode: Mode,
    ) -> LiveFrames:
        """Takes one frame; returns the stream with it.

        Args:
            coefficients: by name.
            at: media time of the first motion that can still be changed.
            t: milliseconds of the sender's clock at which the face was seen, if known.
            weight: 0..1.
            mode: of parts for which none is configured.

        Raises:
            ValueError: a name is unknown or a number impossible.
        """
        row, named = read_frame(coefficients)
        self.heard += 1
        frames = dataclasses.replace(self.frames or LiveFrames(), weight=weight, mode=mode)
        time = at if t is None else self._clock.place(t, at)
        if time is None:
            return frames  # it was overtaken by a later one
        gap = time - self._last
        if not 0 <= gap < _PAUSE:
            self._filter = self._shares = None
        self._last = time
        self._recent.append((time, row))
        row = np.where(named, relative(row, self._neutral), 0).astype(np.float32)
        self._filter, row = one_euro(
            self._filter, row, seconds=gap / SAMPLE_RATE, smoothing=self._smoothing
        )
        self._shares = _eased(self._shares, self._wanted(named, mode), gap / _EASE)
        self.frames = frames.heard(time, row, self._shares)
        return self.frames

    def _wanted(self, named: NDArray[np.bool_], mode: Mode) -> Shares:
        modes = {part: self._parts.get(part, mode) for part in PARTS}
        adds, replaces = np.zeros((2, MOTION_SIZE), np.float32)
        for part, members in PARTS.items():
            adds[members & named] = modes[part] == "add"
            replaces[members & named] = modes[part] == "replace"
        return Shares(adds, replaces)


class SenderClock:
    """Puts a sender's times on media time, so that jitter of the network moves nothing.

    Frames are placed as far behind their time as nine of ten of the last two seconds need, to
    arrive before their motion is made. The distance changes slowly, so that motion never jumps.
    """

    def __init__(self) -> None:
        self._needs: deque[tuple[float, float]] = deque()
        self._offset = 0.0  # samples
        self._last: float | None = None  # ms

    def place(self, t: float, at: int) -> int | None:
        """Returns the media time of what the sender saw at `t` ms; None if it comes too late.

        Args:
            t: of the sender's clock.
            at: media time of the first motion that can still be changed.
        """
        seen = t * SAMPLE_RATE / 1000
        need = at - seen
        since = None if self._last is None else t - self._last
        if since is None or since < -_RESTART or abs(need - self._offset) > _SNAP:
            self._needs.clear()
            self._offset, since = need, 0.0
        elif since <= 0:
            return None
        self._last = t
        self._needs.append((t, need))
        while t - self._needs[0][0] > _WINDOW:
            self._needs.popleft()
        known = sorted(need for _, need in self._needs)
        wanted = known[int(_QUANTILE * (len(known) - 1))]
        most = _SLEW * since * SAMPLE_RATE / 1000
        self._offset += min(max(wanted - self._offset, -most), most)
        return round(seen + self._offset)


def relative(row: Floats, neutral: Floats) -> Floats:
    """Returns [58] motion as it differs from a neutral face; the rest of each range is kept.

    A coefficient c becomes (c - n) / (1 - n) and not less than 0; what has two directions, and the
    head's pose, becomes a difference.
    """
    base = np.minimum(neutral[: len(ARKIT_NAMES)], _MOST_NEUTRAL)
    result = row - neutral
    result[: len(ARKIT_NAMES)] = np.clip((row[: len(ARKIT_NAMES)] - base) / (1 - base), 0, 1)
    for one, other in _OPPOSITES:
        way = (row[one] - row[other]) - (neutral[one] - neutral[other])
        result[one], result[other] = min(max(way, 0), 1), min(max(-way, 0), 1)
    turn = result[POSE][:3]
    turn[:] = (turn + np.pi) % (2 * np.pi) - np.pi
    return np.asarray(result, np.float32)


def _eased(before: Shares | None, wanted: Shares, share: float) -> Shares:
    if before is None:
        return wanted
    step = np.float32(min(1.0, share))

    def towards(now: Floats, goal: Floats) -> Floats:
        return np.asarray(now + np.clip(goal - now, -step, step), np.float32)

    return Shares(towards(before.adds, wanted.adds), towards(before.replaces, wanted.replaces))
