"""The mouth against a real one: a captured take that was held out of training.

A take whose `mouthClose` was not seen means by `jawOpen` how far the lips are apart, as
FACEGOOD's do; there our jaw counts less our `mouthClose`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.motion.clips import Motion, Samples
from benchmarks.motion.curves import MOUTH, correlation_and_lag
from benchmarks.motion.generation import Setting, generate
from benchmarks.motion.results import Figures, Results, Table
from streaming_model.media import SAMPLES_PER_MOTION_FRAME
from streaming_model.motion import MotionStyle
from streaming_model.motion.networks import MotionNetworks
from streaming_model.motion_space import INDEX
from training.captured import Captured
from training.coarticulation import lip_gap

Floats = NDArray[np.float32]
Mover = Callable[[Sequence[Samples]], list[Motion]]

LABEL: Final = "captured"
TOLD: Final = "model, told that it was captured"
LEARNT: Final = "energy, learnt"
NOTE: Final = (
    "error: squared, of the mouth's captured coefficients, over that of a face in the take's own "
    "mean shape; fitted error: after a gain and an offset for each coefficient, found on the takes "
    "that were not held out, for every row alike, since another rig's coefficients have other "
    "sizes; energy is given the take's own mean shape and range of loudness, which nobody knows "
    "before the take is over; energy, learnt is fitted to the other takes, as the model is; limits "
    "judge the plain error, of the model told that it was captured if it was trained with that "
    "label, over both"
)
_NEAR: Final = 2  # frames on each side
_JAW, _CLOSE = INDEX["jawOpen"], INDEX["mouthClose"]


def measure_captured(
    results: Results, setting: Setting, items: Sequence[Captured], *, others: Sequence[Captured]
) -> None:
    """Compares the model's mouth with the captured ones; gains are found on the others."""
    movers: dict[str, Mover] = {"model": lambda recordings: generate(setting, recordings)}
    if LABEL in MotionNetworks(setting.weights).settings.style_names:
        told = MotionStyle(captured=1.0)
        movers[TOLD] = lambda recordings: generate(setting, recordings, style=told)
    rows = {}
    for name, move in movers.items():
        moved, learnt = (move([item.samples for item in each]) for each in (items, others))
        rows[name] = compared(items, moved, others, learnt)
    for name, shape in {"energy": energy_mouth, "mean face": mean_face}.items():
        moved, learnt = ([shape(item) for item in each] for each in (items, others))
        rows[name] = compared(items, moved, others, learnt)
    moved, learnt = (loudness_mouths(each, others=others) for each in (items, others))
    rows[LEARNT] = compared(items, moved, others, learnt)
    seconds = sum(len(item.motion) for item in items) / 25
    results.tables.append(Table(f"A real mouth, {seconds:.0f} s", rows, NOTE))
    ours = rows.get(TOLD, rows["model"])["error"]
    results.figures["facegood, energy"] = ours / rows["energy"]["error"]
    results.figures["facegood, energy learnt"] = ours / rows[LEARNT]["error"]
    results.figures["facegood, mean"] = ours / rows["mean face"]["error"]


def compared(
    items: Sequence[Captured],
    moved: Sequence[Motion],
    others: Sequence[Captured],
    learnt: Sequence[Motion],
) -> Figures:
    """Returns the figures of a way to move, and its error after the fit to the others."""
    figures = mouth_figures(items, moved)
    fitted = fit(moved, others=others, learnt=learnt)
    return {"error": figures.pop("error"), "fitted error": error(items, fitted), **figures}


def mouth_figures(items: Sequence[Captured], motions: Sequence[Motion]) -> Figures:
    """Returns error, the opening's correlation and lag, and the spread over the real one's."""
    follows = []
    for item, motion in zip(items, motions, strict=True):
        gaps = [lip_gap(each[: len(item.motion)]) for each in (motion, item.motion)]
        follows.append(correlation_and_lag(*(gap.astype(np.float64) for gap in gaps)))
    correlations, lags = np.array(follows).T
    pairs = [seen_mouths(item, motion) for item, motion in zip(items, motions, strict=True)]
    ours, theirs = (
        sum(each.var(axis=0).sum() for each in side) for side in zip(*pairs, strict=True)
    )
    return {
        "error": error(items, motions),
        "correlation": float(correlations.mean()),
        "lag": float(np.median(lags)),
        "spread": float(np.sqrt(ours / theirs)),
    }


def error(items: Sequence[Captured], motions: Sequence[Motion]) -> float:
    """Returns the squared error over that of the items' own mean shapes."""
    missed = total = 0.0
    for item, motion in zip(items, motions, strict=True):
        ours, theirs = seen_mouths(item, motion)
        missed += float(np.square(ours - theirs).sum())
        total += float(np.square(theirs - theirs.mean(axis=0)).sum())
    return missed / total


def seen_mouths(item: Captured, motion: Motion) -> tuple[Motion, Motion]:
    """Returns [frames, seen] our mouth and the real one, in the same convention."""
    seen = MOUTH[item.mask[MOUTH]]
    return lips_apart(motion, item.mask)[: len(item.motion), seen], item.motion[:, seen]


def fit(
    moved: Sequence[Motion], *, others: Sequence[Captured], learnt: Sequence[Motion]
) -> list[Motion]:
    """Returns moved with the gain and the offset of each coefficient that suit the others best."""
    mask = others[0].mask
    ours = np.concatenate(
        [lips_apart(m, mask)[: len(o.motion)] for o, m in zip(others, learnt, strict=True)]
    ).astype(np.float64)
    theirs = np.concatenate([item.motion for item in others]).astype(np.float64)
    centred = ours - ours.mean(axis=0)
    gain = (centred * theirs).sum(axis=0) / np.maximum(np.square(centred).sum(axis=0), 1e-9)
    offset = theirs.mean(axis=0) - gain * ours.mean(axis=0)
    return [np.asarray(lips_apart(m, mask) * gain + offset, np.float32) for m in moved]


def lips_apart(motion: Motion, mask: NDArray[np.bool_]) -> Motion:
    """Returns motion whose `jawOpen` is the lips' distance, if `mouthClose` was not captured."""
    if mask[_CLOSE]:
        return motion
    converted = motion.copy()
    converted[:, _JAW] = np.maximum(0.0, motion[:, _JAW] - motion[:, _CLOSE])
    converted[:, _CLOSE] = 0.0
    return converted


def mean_face(item: Captured) -> Motion:
    """Returns a face that keeps the take's mean shape."""
    return np.broadcast_to(item.motion.mean(axis=0), item.motion.shape)


def energy_mouth(item: Captured) -> Motion:
    """Returns a mouth that opens with the loudness, in the take's mean shape."""
    drive = _loudness(item)
    motion = drive[:, None] / max(float(drive.mean()), 1e-6) * item.motion.mean(axis=0)
    return np.asarray(motion, np.float32)


def loudness_mouths(items: Sequence[Captured], *, others: Sequence[Captured]) -> list[Motion]:
    """Returns mouths that follow the loudness as those of the others do.

    Each coefficient is a sum of the loudness of this frame and of two on each side of it, fitted
    by least squares to the others alone.
    """
    seen = np.concatenate([_around(_loudness(other)) for other in others])
    theirs = np.concatenate([other.motion for other in others])
    weights = np.linalg.lstsq(seen, theirs.astype(np.float64), rcond=None)[0]
    return [np.clip(_around(_loudness(item)) @ weights, 0, 1).astype(np.float32) for item in items]


def _loudness(item: Captured) -> NDArray[np.float64]:
    """Returns [frames] 0..1 how loud each frame is, in the range of its take."""
    frames = item.samples.reshape(-1, SAMPLES_PER_MOTION_FRAME)
    loudness = 20 * np.log10(np.sqrt(np.mean(np.square(frames), axis=1)) + 1e-5)
    floor, top = np.percentile(loudness, [10, 95])
    return np.asarray(np.clip((loudness - floor) / (top - floor + 1e-6), 0, 1), np.float64)


def _around(drive: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns [frames, 6] what is seen of [frames]: two frames on each side, and a constant."""
    padded = np.pad(drive, _NEAR, mode="edge")
    views = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEAR + 1)
    return np.column_stack([views, np.ones(len(drive))])
