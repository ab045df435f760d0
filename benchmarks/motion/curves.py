"""How far a mouth follows another, frame by frame: errors, correlation, lag, spread, speed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.motion.clips import Motion
from streaming_model.media import MOTION_FPS
from streaming_model.motion_space import ARKIT_NAMES, INDEX, MOTION_NAMES
from streaming_model.rig import load_rig
from training.coarticulation import lip_gap

Curve = NDArray[np.float64]

MOUTH: Final = np.array(
    [INDEX[name] for name in MOTION_NAMES if name.startswith(("mouth", "jaw", "tongue"))]
)
FRAME_MS: Final = 1000 // MOTION_FPS
FARTHEST_MS: Final = 200  # lags looked at, either way
_STILL: Final = 1e-3  # standard deviation of a coefficient that does not move
_LIP_REACH: Final = 1.0  # cm from the lips' edge: their red and a little skin
_UPPER_FACE: Final = 1.5  # cm above the eyes' centres less this is the upper face


def mouth_error(ours: Motion, theirs: Motion) -> float:
    """Returns the squared error over the variance, mean of the mouth's moving coefficients."""
    active = MOUTH[theirs[:, MOUTH].std(axis=0) > _STILL]
    error = np.square(ours[:, active] - theirs[:, active]).mean(axis=0)
    return float((error / theirs[:, active].var(axis=0)).mean())


def opening_difference(ours: Motion, theirs: Motion) -> float:
    """Returns the mean absolute difference of the lips' gap (MOD), in units of jawOpen."""
    return float(np.abs(lip_gap(ours) - lip_gap(theirs)).mean())


def spread_ratio(ours: Motion, theirs: Motion) -> float:
    """Returns the standard deviation of our mouth over theirs."""
    active = MOUTH[theirs[:, MOUTH].std(axis=0) > _STILL]
    return float(_deviation(ours[:, active]) / _deviation(theirs[:, active]))


def speed_ratio(ours: Sequence[Motion], theirs: Sequence[Motion]) -> float:
    """Returns the mean speed of our mouths over theirs."""
    return _speed(ours, 1) / _speed(theirs, 1)


def jerk_ratio(ours: Sequence[Motion], theirs: Sequence[Motion]) -> float:
    """Returns the mean third difference of our mouths over theirs: above 1 trembles."""
    return _speed(ours, 3) / _speed(theirs, 3)


def correlation_and_lag(ours: Curve, theirs: Curve) -> tuple[float, float]:
    """Returns the correlation of two curves [frames], and how many ms the first is late.

    The lag is where the cross-correlation is highest, of curves interpolated to 1 ms.
    """
    fine = np.arange((len(theirs) - 1) * FRAME_MS + 1) / FRAME_MS
    at = np.arange(len(theirs))
    first, second = (np.interp(fine, at, curve - curve.mean()) for curve in (ours, theirs))
    norm = np.sqrt(np.square(first).sum() * np.square(second).sum())
    if norm < 1e-9:
        return 0.0, float("nan")
    size = 1 << int(np.ceil(np.log2(2 * len(fine))))
    spectrum = np.fft.rfft(first, size) * np.conj(np.fft.rfft(second, size))
    product = np.fft.irfft(spectrum, size)
    lags = np.arange(-FARTHEST_MS, FARTHEST_MS + 1)
    plain = np.corrcoef(ours, theirs)[0, 1] if norm > 0 else 0.0
    return float(plain), float(lags[int(np.argmax(product[lags]))])


def lip_vertex_error(ours: Motion, theirs: Motion) -> float:
    """Returns LVE: squared error of the worst lip vertex of the rig, mean of frames, in mm^2."""
    away = _vertices((ours - theirs)[:, : len(ARKIT_NAMES)], _lip_vertices())
    return float(100 * np.square(away).sum(axis=2).max(axis=1).mean())


def upper_face_dynamics(motions: Sequence[Motion]) -> float:
    """Returns the mean over upper-face vertices of their displacement's deviation, in mm.

    The difference of two of these is FDD (Xing et al. 2023).
    """
    coefficients = np.concatenate(motions)[:, : len(ARKIT_NAMES)]
    moved = _vertices(coefficients, _upper_vertices())
    return float(10 * np.linalg.norm(moved, axis=2).std(axis=0).mean())


def _vertices(coefficients: Motion, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    """Returns [frames, vertices, 3] displacements in centimetres, of the rig's own face."""
    moved = np.einsum("fc,cvx->fvx", coefficients, load_rig().expressions[:, chosen], optimize=True)
    return np.asarray(moved, np.float32)


@lru_cache(maxsize=1)
def _lip_vertices() -> NDArray[np.int64]:
    rig = load_rig()
    edge = rig.neutral[rig.mouth.ring]
    away = np.linalg.norm(rig.neutral[:, None] - edge[None], axis=2).min(axis=1)
    return np.flatnonzero(away < _LIP_REACH)


@lru_cache(maxsize=1)
def _upper_vertices() -> NDArray[np.int64]:
    """Returns every fourth vertex from just below the eyes upwards, which is dense enough."""
    rig = load_rig()
    floor = rig.eye_centres[:, 1].mean() - _UPPER_FACE
    return np.flatnonzero(rig.neutral[:, 1] > floor)[::4]


def _deviation(values: NDArray[np.float32]) -> float:
    return float(np.sqrt(values.var(axis=0).sum()))


def _speed(motions: Sequence[Motion], order: int) -> float:
    return float(
        np.concatenate([np.abs(np.diff(m[:, MOUTH], order, axis=0)) for m in motions]).mean()
    )
