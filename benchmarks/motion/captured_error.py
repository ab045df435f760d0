"""The mouth against a real one: captured speech that was held out of training.

A take whose `mouthClose` was not seen means by `jawOpen` how far the lips are apart, as
FACEGOOD's do; there our jaw counts less our `mouthClose`.

Errors are sums over the mouth's captured coefficients of the mean squared difference, over the
same sum for a face that keeps the recording's own mean shape, which therefore has error 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.motion.clips import Motion
from benchmarks.motion.curves import MOUTH, correlation_and_lag
from benchmarks.motion.generation import Setting, generate
from benchmarks.motion.results import Figures, Results, Table
from streaming_model.media import SAMPLES_PER_MOTION_FRAME
from streaming_model.motion_space import INDEX
from training.captured import Captured
from training.coarticulation import lip_gap

_JAW, _CLOSE = INDEX["jawOpen"], INDEX["mouthClose"]
NOTE = (
    "error: over that of a face in the recording's own mean shape; "
    "energy is given that mean shape and the recording's own range of loudness"
)


def measure_captured(results: Results, setting: Setting, items: Sequence[Captured]) -> None:
    """Compares the model's mouth with the captured ones."""
    ours = generate(setting, [item.samples for item in items])
    rows = {
        "model": mouth_figures(items, ours),
        "energy": mouth_figures(items, [energy_mouth(item) for item in items]),
        "mean face": mouth_figures(items, [mean_face(item) for item in items]),
        "rest": mouth_figures(items, [np.zeros_like(item.motion) for item in items]),
    }
    seconds = sum(len(item.motion) for item in items) / 25
    results.tables.append(Table(f"A real mouth, {seconds:.0f} s", rows, NOTE))
    results.figures["facegood, energy"] = rows["model"]["error"] / rows["energy"]["error"]
    results.figures["facegood, mean"] = rows["model"]["error"] / rows["mean face"]["error"]


def mouth_figures(items: Sequence[Captured], motions: Sequence[Motion]) -> Figures:
    """Returns error, the opening's correlation and lag, and the spread over the real one's."""
    error = spread = total = 0.0
    follows = []
    for item, motion in zip(items, motions, strict=True):
        seen = MOUTH[item.mask[MOUTH]]
        compared = lips_apart(motion, item.mask)[: len(item.motion)]
        theirs, ours = item.motion[:, seen], compared[:, seen]
        error += float(np.square(ours - theirs).mean(axis=0).sum()) * len(theirs)
        total += float(theirs.var(axis=0).sum()) * len(theirs)
        spread += float(ours.var(axis=0).sum()) * len(theirs)
        gaps = [
            lip_gap(each[: len(item.motion)]).astype(np.float64) for each in (motion, item.motion)
        ]
        follows.append(correlation_and_lag(*gaps))
    correlations, lags = np.array(follows).T
    return {
        "error": error / total,
        "correlation": float(correlations.mean()),
        "lag": float(np.median(lags)),
        "spread": float(np.sqrt(spread / total)),
    }


def lips_apart(motion: Motion, mask: NDArray[np.bool_]) -> Motion:
    """Returns motion whose `jawOpen` is the lips' distance, if `mouthClose` was not captured."""
    if mask[_CLOSE]:
        return motion
    converted = motion.copy()
    converted[:, _JAW] = np.maximum(0.0, motion[:, _JAW] - motion[:, _CLOSE])
    converted[:, _CLOSE] = 0.0
    return converted


def mean_face(item: Captured) -> Motion:
    """Returns a face that keeps the recording's mean shape."""
    return np.broadcast_to(item.motion.mean(axis=0), item.motion.shape)


def energy_mouth(item: Captured) -> Motion:
    """Returns a mouth that opens with the loudness, in the recording's mean shape."""
    frames = item.samples.reshape(-1, SAMPLES_PER_MOTION_FRAME)
    loudness = 20 * np.log10(np.sqrt(np.mean(np.square(frames), axis=1)) + 1e-5)
    floor, top = np.percentile(loudness, [10, 95])
    drive = np.clip((loudness - floor) / (top - floor + 1e-6), 0, 1)
    motion = drive[:, None] / max(float(drive.mean()), 1e-6) * item.motion.mean(axis=0)
    return np.asarray(motion, np.float32)
