"""Motion that is added to what speech generates: named gestures and a live stream of ARKit frames.

Everything is a function of media time, so that a gesture is the same however the audio is cut.
Lips that speech closes stay closed, unless the addition is to replace what is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import SAMPLE_RATE
from streaming_model.motion.emotion import lip_gaps
from streaming_model.motion.gestures import GESTURES, gesture_row, gesture_seconds
from streaming_model.motion.ramps import smooth_ramp
from streaming_model.motion_space import INDEX, MOTION_NAMES, MOTION_SIZE, POSE

Floats = NDArray[np.float32]
Mode = Literal["add", "replace"]
MODES: Final = ("add", "replace")

STRENGTH_RANGE: Final = (0.0, 2.0)
DURATION_RANGE: Final = (0.2, 10.0)  # seconds
_HOLD: Final = int(0.3 * SAMPLE_RATE)  # samples after a stream's last frame until it fades
_FADE_IN: Final = int(0.24 * SAMPLE_RATE)
_FADE_OUT: Final = int(0.4 * SAMPLE_RATE)
_KEPT_FRAMES: Final = 240  # of a live stream
_MOST_ANGLE: Final = 0.8  # radians
_MOST_SHIFT: Final = 5.0  # centimetres

_OPENERS: Final = [
    INDEX[name]
    for name in MOTION_NAMES
    if name in ("jawOpen", "mouthFunnel", "tongueOut")
    or name.startswith(("mouthUpperUp", "mouthLowerDown"))
]
_PARTED: Final = (0.02, 0.12)  # of the lips' gap: closed by speech, and freely open
# Coefficients of one eye that undo each other.
_OPPOSITES: Final = [
    (INDEX[f"eyeLook{one}{side}"], INDEX[f"eyeLook{other}{side}"])
    for side in ("Left", "Right")
    for one, other in (("In", "Out"), ("Up", "Down"))
]


@dataclass(frozen=True, slots=True)
class Gesture:
    """One gesture of `GESTURES`, begun at a media time.

    Attributes:
        name: which.
        start: media time of its beginning, in 16 kHz samples.
        strength: 0..2, 1 is ordinary.
        duration: seconds; the gesture's own if None.
        mode: `add` to what is there, or `replace` what the gesture moves.
        seed: decides the side and the small differences between two of a kind.

    Raises:
        ValueError: there is no such gesture, or a number is out of range.
    """

    name: str
    start: int
    strength: float = 1.0
    duration: float | None = None
    mode: Mode = "add"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.name not in GESTURES:
            raise ValueError(f"there is no gesture {self.name!r}; there are {', '.join(GESTURES)}")
        _check_number("a gesture's strength", self.strength, *STRENGTH_RANGE)
        if self.duration is not None:
            _check_number("a gesture's duration", self.duration, *DURATION_RANGE)
        _check_mode(self.mode)

    @property
    def end(self) -> int:
        """Media time at which nothing of it is left."""
        return self.start + round(gesture_seconds(self.name, self.duration) * SAMPLE_RATE)


@dataclass(frozen=True, slots=True)
class Shares:
    """How a live frame is mixed with what is there, for each coefficient.

    Attributes:
        adds: [58] 0..1, with what weight it is added.
        replaces: [58] 0..1, how far it takes the place of what is there.
    """

    adds: Floats
    replaces: Floats


@dataclass(frozen=True, slots=True)
class LiveFrames:
    """A stream of ARKit frames from outside, such as a webcam's; a value.

    Attributes:
        times: media times of the frames, ascending.
        rows: for each its [58] motion.
        shares: for each how it is mixed.
        named: [58] which coefficients the stream moves.
        begun: media time at which it began, or went on after a pause.
        weight: 0..1, its share.
        mode: `add` to what is there, or `replace` what it names; for frames without shares.
    """

    times: tuple[int, ...] = ()
    rows: tuple[Floats, ...] = ()
    shares: tuple[Shares, ...] = ()
    named: NDArray[np.bool_] | None = None
    begun: int = 0
    weight: float = 1.0
    mode: Mode = "add"

    def __post_init__(self) -> None:
        _check_number("a stream's weight", self.weight, 0.0, 1.0)
        _check_mode(self.mode)

    @property
    def end(self) -> int:
        """Media time at which nothing of it is left, if no more comes."""
        return self.times[-1] + _HOLD + _FADE_OUT if self.times else 0

    def heard(
        self, time: int, frame: Mapping[str, float] | Floats, shares: Shares | None = None
    ) -> LiveFrames:
        """Returns the stream with one frame more, by name or as [58] motion.

        A frame that is not later than the last one takes its place. Without shares, all that the
        stream has named so far is added, or replaced, by its `mode`.

        Raises:
            ValueError: a name is unknown or a number impossible.
        """
        row, named = read_frame(frame)
        named = named if self.named is None else self.named | named
        if shares is None:
            whole, nothing = named.astype(np.float32), np.zeros(MOTION_SIZE, np.float32)
            shares = Shares(nothing, whole) if self.mode == "replace" else Shares(whole, nothing)
        kept = sum(known < time for known in self.times)
        is_new = not kept or time - self.times[kept - 1] > _HOLD + _FADE_OUT
        return replace(
            self,
            times=(*self.times[:kept][-_KEPT_FRAMES:], time),
            rows=(*self.rows[:kept][-_KEPT_FRAMES:], row),
            shares=(*self.shares[:kept][-_KEPT_FRAMES:], shares),
            named=named,
            begun=time if is_new else self.begun,
        )

    def at(self, time: int) -> tuple[Floats, float]:
        """Returns the [58] motion at a media time and its weight, 0 where there is none.

        Linear between frames, held after the last one, and fading away after 0.3 s.
        """
        index, share = self._place(time)
        if index < 0:
            return np.zeros(MOTION_SIZE, np.float32), 0.0
        row, known = self.rows[index], self.times[index]
        if share:
            row = row + share * (self.rows[index + 1] - row)
        fading = _smooth(1 - (time - known - _HOLD) / _FADE_OUT)
        coming = _smooth((time - self.begun) / _FADE_IN) if time >= self.begun else 1.0
        return row, self.weight * min(fading, coming)

    def shares_at(self, time: int) -> Shares:
        """Returns how the motion of a media time is mixed, by its weight of 1; there is some."""
        index, share = self._place(time)
        here = self.shares[index]
        if not share:
            return here
        there = self.shares[index + 1]
        return Shares(
            here.adds + share * (there.adds - here.adds),
            here.replaces + share * (there.replaces - here.replaces),
        )

    def _place(self, time: int) -> tuple[int, np.float32]:
        """Returns the last frame not after `time`, -1 for none, and the next one's share."""
        index = int(np.searchsorted(self.times, time, side="right")) - 1
        if index < 0 or index + 1 == len(self.times):
            return index, np.float32(0)
        known, following = self.times[index], self.times[index + 1]
        if following - known > _HOLD:
            return index, np.float32(0)
        return index, np.float32((time - known) / (following - known))


@dataclass(frozen=True, slots=True)
class Additions:
    """Everything that is added to one session's motion."""

    gestures: tuple[Gesture, ...] = ()
    live: LiveFrames | None = None

    def since(self, time: int) -> Additions:
        """Returns it without the gestures and the stream that are over at a media time."""
        gestures = tuple(gesture for gesture in self.gestures if gesture.end > time)
        live = self.live if self.live is not None and self.live.end > time else None
        if len(gestures) == len(self.gestures) and live is self.live:
            return self
        return Additions(gestures, live)


def read_frame(frame: Mapping[str, float] | Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Returns [58] motion and which coefficients were named.

    Raises:
        ValueError: a name is unknown, a coefficient is no number, or the array is no frame.
    """
    if isinstance(frame, np.ndarray):
        if frame.shape != (MOTION_SIZE,):
            raise ValueError(f"a frame of motion has {MOTION_SIZE} numbers, got {frame.shape}")
        items = dict(zip(MOTION_NAMES, map(float, frame), strict=True))
    else:
        items = dict(frame)
    row, named = np.zeros(MOTION_SIZE, np.float32), np.zeros(MOTION_SIZE, np.bool_)
    for name, value in items.items():
        if name not in INDEX:
            raise ValueError(f"there is no coefficient {name[:40]!r} in the motion space")
        if not np.isfinite(value):
            raise ValueError(f"the coefficient {name} must be a number, got {value}")
        row[INDEX[name]], named[INDEX[name]] = value, True
    row[: POSE.start] = np.clip(row[: POSE.start], 0.0, 1.0)
    turn, shift = row[POSE][:3], row[POSE][3:]
    np.clip(turn, -_MOST_ANGLE, _MOST_ANGLE, out=turn)
    np.clip(shift, -_MOST_SHIFT, _MOST_SHIFT, out=shift)
    return row, named


def blend(
    additions: Additions, motion: Floats, *, times: Sequence[int], speaking: Floats
) -> Floats:
    """Returns [frames, 58] motion with the additions in it.

    Args:
        additions: what to add.
        motion: [frames, 58].
        times: media time of each frame.
        speaking: [frames] 0..1, how sure it is that the portrait speaks.
    """
    if not additions.gestures and additions.live is None:
        return motion
    blended = motion.copy()
    closed = np.float32(1.0) - _parted(motion)
    for row, time, held in zip(blended, times, speaking * closed, strict=True):
        for gesture in additions.gestures:
            if not gesture.start <= time < gesture.end:
                continue
            added = gesture_row(
                gesture.name,
                (time - gesture.start) / SAMPLE_RATE,
                duration=gesture.duration,
                seed=gesture.seed,
            )
            added = added * np.float32(gesture.strength)
            _put(row, added, named=added != 0, mode=gesture.mode, held=held)
        if additions.live is not None:
            frame, weight = additions.live.at(time)
            if weight > 0:
                _mix(row, frame, additions.live.shares_at(time), weight=weight, held=held)
    return blended


def _mix(row: Floats, frame: Floats, shares: Shares, *, weight: float, held: np.float32) -> None:
    """Mixes a live frame into [58] `row`; `held` is 1 where speech keeps the lips together."""
    row += np.float32(weight) * shares.replaces * (frame - row)
    _add(row, np.float32(weight) * shares.adds * frame, held=held)


def _put(
    row: Floats, added: Floats, *, named: NDArray[np.bool_], mode: Mode, held: np.float32
) -> None:
    """Puts a gesture into [58] `row`; `held` is 1 where speech keeps the lips together."""
    if mode == "replace":
        row[named] = added[named]
    else:
        _add(row, added, held=held)


def _add(row: Floats, added: Floats, *, held: np.float32) -> None:
    added[_OPENERS] *= np.float32(1.0) - held
    row += added
    for one, other in _OPPOSITES:
        shared = min(row[one], row[other])
        if shared > 0:
            row[one], row[other] = row[one] - shared, row[other] - shared


def _parted(motion: Floats) -> Floats:
    return smooth_ramp(lip_gaps(motion), *_PARTED)


def _smooth(value: float) -> float:
    share = min(max(value, 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)


def _check_number(what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{what} must be a number from {low:g} to {high:g}, got {value}")


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        raise ValueError(f"the mode of an addition must be add or replace, got {mode!r}")
