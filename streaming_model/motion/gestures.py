"""The named gestures: short curves in the motion space, each with a seed's small differences.

A gesture is a set of tracks through key values with rest between them, so that it begins and
ends at nothing. Knows no media time and no portrait.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from streaming_model.motion.noise import Purpose, uniforms
from streaming_model.motion_space import INDEX, MOTION_SIZE

Floats = NDArray[np.float32]

_DEGREE: Final = np.pi / 180
_EYE: Final = 1 / (30 * _DEGREE)  # of an eyeLook coefficient, a radian
_SIZE_SPREAD: Final = 0.15  # each side of 1
_TIME_SPREAD: Final = 0.08
_MIRRORED: Final = ("headYaw", "headRoll", "headX")

Keys = tuple[tuple[float, float], ...]  # (share of the duration, value), ascending


@dataclass(frozen=True, slots=True)
class _Recipe:
    """One gesture: its seconds, its tracks, and whether the seed may mirror it.

    A track's name is a coefficient, one without its side for both, or `gazeRight`, `gazeUp`
    (radians) for the eyes.
    """

    seconds: float
    tracks: dict[str, Keys]
    has_side: bool = False


def _bump(peak: float, *, rise: float = 0.35, fall: float = 0.6) -> Keys:
    """Up by `rise`, held until `fall`, down by the end."""
    return ((rise, peak), (fall, peak))


_RECIPES: Final[dict[str, _Recipe]] = {
    "nod": _Recipe(
        1.3,
        {
            "headPitch": (
                (0.14, -0.9 * _DEGREE),
                (0.36, 5.2 * _DEGREE),
                (0.56, -0.6 * _DEGREE),
                (0.75, 2.8 * _DEGREE),
            ),
            "headY": ((0.36, -0.12), (0.56, 0.0), (0.75, -0.06)),
            "browInnerUp": ((0.14, 0.08), (0.36, 0.0)),
        },
    ),
    "shake": _Recipe(
        1.5,
        {
            "headYaw": (
                (0.16, -4.5 * _DEGREE),
                (0.36, 6.0 * _DEGREE),
                (0.56, -5.0 * _DEGREE),
                (0.76, 3.0 * _DEGREE),
            ),
            "browDown": _bump(0.15, rise=0.2, fall=0.7),
        },
        has_side=True,
    ),
    "tilt": _Recipe(
        2.0,
        {
            "headRoll": _bump(6.0 * _DEGREE, rise=0.3, fall=0.65),
            "headYaw": _bump(1.5 * _DEGREE, rise=0.35, fall=0.6),
            "browInnerUp": _bump(0.12, rise=0.3, fall=0.5),
        },
        has_side=True,
    ),
    "brow_raise": _Recipe(
        1.0,
        {
            "browInnerUp": _bump(0.55, rise=0.22, fall=0.5),
            "browOuterUp": _bump(0.5, rise=0.25, fall=0.5),
            "eyeWide": _bump(0.25, rise=0.22, fall=0.45),
            "headPitch": _bump(-1.0 * _DEGREE, rise=0.3, fall=0.5),
        },
    ),
    "wink": _Recipe(
        0.7,
        {
            "eyeBlinkLeft": _bump(1.0, rise=0.26, fall=0.5),
            "cheekSquintLeft": _bump(0.5, rise=0.28, fall=0.55),
            "eyeSquintLeft": _bump(0.3, rise=0.28, fall=0.55),
            "mouthSmileLeft": _bump(0.3, rise=0.3, fall=0.6),
            "browDownLeft": _bump(0.15, rise=0.26, fall=0.5),
            "headRoll": _bump(1.5 * _DEGREE, rise=0.35, fall=0.55),
        },
        has_side=True,
    ),
    "smile": _Recipe(
        2.6,
        {
            "mouthSmile": _bump(0.72, rise=0.24, fall=0.62),
            "cheekSquint": _bump(0.5, rise=0.28, fall=0.6),
            "eyeSquint": _bump(0.18, rise=0.28, fall=0.6),
            "mouthDimple": _bump(0.08, rise=0.3, fall=0.6),
        },
    ),
    "frown": _Recipe(
        2.2,
        {
            "browDown": _bump(0.6, rise=0.22, fall=0.65),
            "eyeSquint": _bump(0.25, rise=0.25, fall=0.6),
            "mouthFrown": _bump(0.3, rise=0.3, fall=0.6),
            "headPitch": _bump(1.2 * _DEGREE, rise=0.35, fall=0.6),
        },
    ),
    "look_around": _Recipe(
        3.2,
        {
            "gazeRight": (
                (0.06, 13.0 * _DEGREE),
                (0.36, 11.0 * _DEGREE),
                (0.44, -13.0 * _DEGREE),
                (0.82, -11.0 * _DEGREE),
                (0.9, 0.0),
            ),
            "gazeUp": ((0.06, 2.0 * _DEGREE), (0.44, 4.0 * _DEGREE), (0.82, 3.0 * _DEGREE)),
            "headYaw": (
                (0.2, 6.0 * _DEGREE),
                (0.36, 6.0 * _DEGREE),
                (0.6, -6.0 * _DEGREE),
                (0.8, -6.0 * _DEGREE),
            ),
            "eyeBlink": ((0.38, 0.0), (0.41, 0.9), (0.47, 0.0)),
        },
        has_side=True,
    ),
    "blink": _Recipe(0.36, {"eyeBlink": _bump(1.0, rise=0.34, fall=0.45)}),
}
GESTURES: Final = tuple(_RECIPES)


def gesture_seconds(name: str, duration: float | None = None) -> float:
    """Returns how long a gesture of `GESTURES` takes, if not told otherwise."""
    return _RECIPES[name].seconds if duration is None else duration


def gesture_row(name: str, seconds: float, *, duration: float | None, seed: int) -> Floats:
    """Returns [58] what the gesture adds so many seconds after its beginning, at strength 1."""
    row = np.zeros(MOTION_SIZE, np.float32)
    share = seconds / gesture_seconds(name, duration)
    if not 0 < share < 1:
        return row
    for track, keys in _tracks(name, seed):
        value = _between(keys, share)
        if track == "gazeRight":
            _look(row, value * _EYE, ("OutLeft", "InRight"), ("InLeft", "OutRight"))
        elif track == "gazeUp":
            _look(row, value * _EYE, ("UpLeft", "UpRight"), ("DownLeft", "DownRight"))
        else:
            row[INDEX[track]] = value
    return row


@lru_cache(maxsize=256)
def _tracks(name: str, seed: int) -> tuple[tuple[str, Keys], ...]:
    """Returns the gesture's tracks by full names, with the seed's side and differences."""
    recipe = _RECIPES[name]
    side, size, *draws = uniforms(seed, Purpose.GESTURE, GESTURES.index(name), 16)
    is_mirrored = recipe.has_side and side < 0.5
    scale = 1 + _SIZE_SPREAD * (2 * size - 1)
    tracks: list[tuple[str, Keys]] = []
    for number, (track, keys) in enumerate(recipe.tracks.items()):
        late = _TIME_SPREAD * (2 * draws[number % len(draws)] - 1)
        # Ends stay where they are: what is moved is the middle.
        moved = tuple((at + late * at * (1 - at), value * scale) for at, value in keys)
        if is_mirrored and track in (*_MIRRORED, "gazeRight"):
            moved = tuple((at, -value) for at, value in moved)
        tracks += [(full, moved) for full in _full_names(track, is_mirrored=is_mirrored)]
    return tuple(tracks)


def _full_names(track: str, *, is_mirrored: bool) -> list[str]:
    if track in INDEX:
        if is_mirrored and track.endswith("Left"):
            return [track.removesuffix("Left") + "Right"]
        return [track]
    if track.startswith("gaze"):
        return [track]
    return [f"{track}Left", f"{track}Right"]


def _between(keys: Keys, share: float) -> float:
    """Returns the value at `share`: still at every key, smooth between, 0 at both ends."""
    before, value_before = 0.0, 0.0
    for at, value in (*keys, (1.0, 0.0)):
        if share < at:
            part = (share - before) / (at - before)
            return value_before + (value - value_before) * part * part * (3 - 2 * part)
        before, value_before = at, value
    return 0.0


def _look(row: Floats, amount: float, positive: tuple[str, str], negative: tuple[str, str]) -> None:
    for name in positive if amount > 0 else negative:
        row[INDEX[f"eyeLook{name}"]] = abs(amount)
