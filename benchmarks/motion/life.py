"""Head, lids and seams: how alive a motion is, and how evenly it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.motion.clips import Motion, Samples
from benchmarks.motion.curves import MOUTH, correlation_and_lag, upper_face_dynamics
from streaming_model.media import MOTION_FPS, SAMPLES_PER_MOTION_FRAME
from streaming_model.motion_space import INDEX, POSE
from training.coarticulation import lip_gap

ANGLES: Final = ("pitch", "yaw", "roll")
_BLINKING: Final = 0.6  # of eyeBlink
_FULL: Final = 0.999  # of a coefficient
_BEAT_WIDTH: Final = 0.12  # s, three frames, as in AIST++ (Li et al. 2021)
_BEAT_APART: Final = 5  # frames, 0.2 s, between two beats of the voice


def degrees(motion: Motion) -> NDArray[np.float64]:
    """Returns [frames, 3] pitch, yaw and roll."""
    return np.degrees(motion[:, POSE][:, :3].astype(np.float64))


def blinks_per_minute(motion: Motion) -> float:
    """Returns how often the left eye shuts."""
    shut = motion[:, INDEX["eyeBlinkLeft"]] > _BLINKING
    return float((shut[1:] & ~shut[:-1]).sum() / (len(motion) / (60 * MOTION_FPS)))


def life_figures(motions: Sequence[Motion], recordings: Sequence[Samples]) -> dict[str, float]:
    """Returns the spread, speed and jerk of the head, blinks, FDD's part and beat alignment."""
    angles = [degrees(motion) for motion in motions]
    spread = np.mean([each.std(axis=0) for each in angles], axis=0)
    speed = np.concatenate([np.abs(np.diff(each, axis=0)) for each in angles]).mean()
    jerk = np.concatenate([np.abs(np.diff(each, 3, axis=0)) for each in angles]).mean()
    beats = [
        beat_alignment(motion, samples) for motion, samples in zip(motions, recordings, strict=True)
    ]
    return {
        **{f"{name} spread": float(value) for name, value in zip(ANGLES, spread, strict=True)},
        "head speed": float(speed * MOTION_FPS),
        "head jerk": float(jerk / max(speed, 1e-9)),
        "blinks": float(
            np.average([blinks_per_minute(m) for m in motions], weights=[len(m) for m in motions])
        ),
        "upper face": upper_face_dynamics(motions),
        "at the limit %": 100 * share_at_limit(motions),
        "beats": _mean_of_known([value for value, _ in beats]),
        "beats by chance": _mean_of_known([value for _, value in beats]),
    }


def _mean_of_known(values: Sequence[float]) -> float:
    """Returns the mean of those that are numbers; a head that never moves has no beats."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def share_at_limit(motions: Sequence[Motion]) -> float:
    """Returns in which share of the frames the coefficient that is most often 1 is 1; no blinks."""
    coefficients = np.concatenate(motions)[:, : POSE.start]
    full = (coefficients >= _FULL).mean(axis=0)
    full[[INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]] = 0.0
    return float(full.max())


def seam(motions: Sequence[Motion], chunk: int) -> dict[str, float]:
    """Returns the speed across chunk borders over that within chunks, of head and of mouth."""
    figures = {}
    for name, channels in {"head": np.arange(POSE.start, POSE.start + 3), "mouth": MOUTH}.items():
        across, within = [], []
        for motion in motions:
            speed = np.abs(np.diff(motion[:, channels], axis=0)).mean(axis=1)
            border = np.arange(len(speed)) % chunk == chunk - 1
            across.append(speed[border])
            within.append(speed[~border])
        inside = np.concatenate(within)
        figures[f"{name} seam"] = (
            float(np.concatenate(across).mean() / max(inside.mean(), 1e-9))
            if len(inside)
            else float("nan")
        )
    return figures


def seed_figures(first: Sequence[Motion], second: Sequence[Motion]) -> dict[str, float]:
    """Returns how different two seeds' heads are, over their spread, and how alike their lips.

    Independent motions of equal spread differ by 1.13 of it (2 / sqrt(pi)).
    """
    apart = np.concatenate(
        [np.abs(degrees(a) - degrees(b)) for a, b in zip(first, second, strict=True)]
    ).mean(axis=0)
    spread = np.concatenate([degrees(motion) for motion in (*first, *second)]).std(axis=0)
    alike = [
        correlation_and_lag(lip_gap(a).astype(np.float64), lip_gap(b).astype(np.float64))[0]
        for a, b in zip(first, second, strict=True)
    ]
    return {"seeds head": float((apart / spread).mean()), "seeds lips": float(np.mean(alike))}


def beat_alignment(motion: Motion, samples: Samples) -> tuple[float, float]:
    """Returns BA, and what it is by chance: the same motion half its length later.

    BA is the mean over the voice's beats of exp(-d^2 / 2 sigma^2), d from each to the nearest
    minimum of the head's speed.
    """
    heard = beats_of(samples, len(motion))
    speed = np.linalg.norm(np.diff(degrees(motion), axis=0), axis=1)
    still = np.flatnonzero((speed[1:-1] < speed[:-2]) & (speed[1:-1] <= speed[2:])) + 1
    if not len(heard) or not len(still):
        return float("nan"), float("nan")
    moved = np.sort((still + len(motion) // 2) % len(motion))
    return _alignment(heard, still), _alignment(heard, moved)


def beats_of(samples: Samples, frames: int) -> NDArray[np.int64]:
    """Returns the frames at which the voice's energy has a prominent peak."""
    blocks = samples[: frames * SAMPLES_PER_MOTION_FRAME].reshape(-1, SAMPLES_PER_MOTION_FRAME)
    energy = np.sqrt(np.square(blocks, dtype=np.float64).mean(axis=1))
    top = (energy[1:-1] > energy[:-2]) & (energy[1:-1] >= energy[2:])
    peaks = np.flatnonzero(top & (energy[1:-1] > energy.mean())) + 1
    kept: list[int] = []
    for peak in peaks[np.argsort(-energy[peaks])]:
        if all(abs(int(peak) - other) >= _BEAT_APART for other in kept):
            kept.append(int(peak))
    return np.array(sorted(kept), np.int64)


def _alignment(beats: NDArray[np.int64], still: NDArray[np.int64]) -> float:
    away = np.abs(beats[:, None] - still[None]).min(axis=1) / MOTION_FPS
    return float(np.exp(-np.square(away) / (2 * _BEAT_WIDTH**2)).mean())
