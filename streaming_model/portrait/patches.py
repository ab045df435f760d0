"""Completes a hole in a picture with patches of the rest, coarse to fine.

The smallest picture is filled from the rim inwards (Criminisi 2004). On the larger ones
PatchMatch (Barnes 2009) finds for every patch that touches the hole the most similar known one,
and each pixel becomes the mean of what the patches over it say (Wexler 2007). Knows nothing of
people.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

HALF: Final = 2  # pixels on each side of a patch's centre
COARSEST: Final = 72  # pixels of the long side at which the hole is filled first
FINEST: Final = 300  # and at most when patches are looked for; beyond, they are only copied
ROUNDS: Final = (4, 3, 2, 1)  # of searching and laying, from coarse to fine
FAR: Final = 1500.0  # squared levels that a patch from a whole side away is worse
FADE: Final = 5.0  # pixels into the hole over which likeness counts less
NONE: Final = 1e30
KNOWN, SOUGHT, IGNORED = range(3)

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


def complete(image: NDArray[np.uint8], first: Floats, labels: NDArray[np.uint8]) -> Floats:
    """Returns `image` [h, w, 3] with its pixels labelled `SOUGHT` filled in, float32.

    `labels` [h, w] are `KNOWN`, `SOUGHT`, or `IGNORED`, which neither patches nor their likeness
    see. Where nothing can be copied the hole shows `first` [h, w, 3].
    """
    levels = [(np.asarray(image, np.float32), labels)]
    while max(levels[-1][1].shape) > COARSEST:
        levels.append(_halved(*levels[-1]))
    field = np.full((1, 1, 2), -1, np.int32)
    for index, (known, marks) in enumerate(reversed(levels)):
        height, width = marks.shape
        guess = cv2.resize(first, (width, height), interpolation=cv2.INTER_AREA)
        canvas = np.where((marks == KNOWN)[..., None], known, guess)
        usable = _usable(marks)
        if not usable.any():
            continue
        far = FAR / max(height, width) ** 2
        depth = cv2.distanceTransform(np.asarray(marks != KNOWN, np.uint8), cv2.DIST_L2, 3)
        trust = np.where(marks == IGNORED, 0, np.exp(-depth / FADE)).astype(np.float32)
        targets = _touching(marks)
        is_sought = marks == SOUGHT
        sources = np.argwhere(usable).astype(np.int32)
        is_first = bool((field < 0).all())
        field = _doubled(field, usable, targets)
        if is_first:
            inwards = np.argsort(depth[targets[:, 0], targets[:, 1]], kind="stable")
            _peel(canvas, trust, is_sought, targets[inwards], sources, field, far)
        _find_lost(usable, targets, sources, field)
        rounds = ROUNDS[min(index, len(ROUNDS) - 1)] if max(height, width) <= FINEST else 0
        _fill(canvas, trust, is_sought, usable, targets, field, rounds, far)
    return np.asarray(canvas, np.float32)


def _halved(image: Floats, labels: NDArray[np.uint8]) -> tuple[Floats, NDArray[np.uint8]]:
    """Returns one level coarser; known pixels are made of known ones alone."""
    size = ((labels.shape[1] + 1) // 2, (labels.shape[0] + 1) // 2)

    def reduced(values: NDArray[Any]) -> Floats:
        return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)

    is_known = np.asarray(labels == KNOWN, np.float32)
    share = reduced(is_known)
    ignored = reduced(np.asarray(labels == IGNORED, np.float32))
    colours = reduced(image * is_known[..., None]) / np.maximum(share, 0.01)[..., None]
    marks = np.where(share > 0.6, KNOWN, np.where(ignored > 0.6, IGNORED, SOUGHT))
    return np.asarray(colours, np.float32), marks.astype(np.uint8)


def _usable(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Returns the centres of patches that are known as a whole."""
    side = 2 * HALF + 1
    is_known = np.asarray(labels == KNOWN, np.uint8)
    usable = cv2.erode(is_known, np.ones((side, side), np.uint8)) > 0
    for edge in (usable[:HALF], usable[-HALF:], usable[:, :HALF], usable[:, -HALF:]):
        edge[...] = False
    return np.asarray(usable)


def _touching(labels: NDArray[np.uint8]) -> Ints:
    """Returns the centres [n, 2] of patches that touch what is sought, row by row."""
    side = 2 * HALF + 1
    sought = np.asarray(labels == SOUGHT, np.uint8)
    touched = cv2.dilate(sought, np.ones((side, side), np.uint8)) > 0
    return np.argwhere(touched & (labels != IGNORED)).astype(np.int32)


@njit(nogil=True, cache=True)
def _doubled(field: Ints, usable: NDArray[np.bool_], targets: Ints) -> Ints:
    """Returns the sources [h, w, 2] of a level half as large for this one; -1 where none is."""
    doubled = np.full((*usable.shape, 2), -1, np.int32)
    for y, x in targets:
        above, left = field[min(y // 2, len(field) - 1), min(x // 2, field.shape[1] - 1)]
        sy, sx = 2 * above + y % 2, 2 * left + x % 2
        if above >= 0 and sy < len(usable) and sx < usable.shape[1] and usable[sy, sx]:
            doubled[y, x, 0], doubled[y, x, 1] = sy, sx
    return doubled


@njit(nogil=True, cache=True)
def _peel(
    canvas: Floats,
    trust: Floats,
    is_sought: NDArray[np.bool_],
    targets: Ints,
    sources: Ints,
    field: Ints,
    far: float,
) -> None:
    """Fills what is sought from the rim inwards, each pixel from the likest of all `sources`."""
    # Numbers one by one: to lay arrays over each other takes numba seconds more to compile.
    now = trust.copy()
    for y in range(trust.shape[0]):
        for x in range(trust.shape[1]):
            if is_sought[y, x]:
                now[y, x] = 0
    for t in range(len(targets)):
        y, x = targets[t]
        least = np.float32(NONE)
        for s in range(len(sources)):
            found = _unlikeness(canvas, now, y, x, sources[s, 0], sources[s, 1], far, least)
            if found < least:
                least = found
                field[y, x, 0], field[y, x, 1] = sources[s]
        if is_sought[y, x]:
            for channel in range(canvas.shape[2]):
                canvas[y, x, channel] = canvas[field[y, x, 0], field[y, x, 1], channel]
            now[y, x] = trust[y, x]


@njit(nogil=True, cache=True)
def _fill(
    canvas: Floats,
    trust: Floats,
    is_sought: NDArray[np.bool_],
    usable: NDArray[np.bool_],
    targets: Ints,
    field: Ints,
    rounds: int,
    far: float,
) -> None:
    """Lays patches from where `field` says and looks for better ones, by turns, in place.

    Without `rounds` to look, what `field` says is copied as it is.
    """
    cost = np.zeros(trust.shape, np.float32)
    if not rounds:
        _lay(canvas, is_sought, targets, field, cost, 1)
        return
    _rate(canvas, trust, targets, field, cost, far)
    _lay(canvas, is_sought, targets, field, cost, HALF)
    for turn in range(rounds):
        _rate(canvas, trust, targets, field, cost, far)
        _sweep(canvas, trust, usable, targets, field, cost, 1, turn, far)
        _sweep(canvas, trust, usable, targets[::-1], field, cost, -1, turn, far)
        _lay(canvas, is_sought, targets, field, cost, HALF)


@njit(nogil=True, cache=True)
def _find_lost(usable: NDArray[np.bool_], targets: Ints, sources: Ints, field: Ints) -> None:
    """Gives targets without a source that beside their neighbour's, or any."""
    height, width = usable.shape
    seed = _next(uint64(1))
    for y, x in targets:
        if field[y, x, 0] >= 0:
            continue
        seed = _next(seed)
        field[y, x, 0], field[y, x, 1] = sources[seed % uint64(len(sources))]
        for dy, dx in ((-1, 0), (0, -1)):
            ny, nx = max(y + dy, 0), max(x + dx, 0)
            sy, sx = field[ny, nx, 0] - dy, field[ny, nx, 1] - dx
            if field[ny, nx, 0] >= 0 and sy < height and sx < width and usable[sy, sx]:
                field[y, x, 0], field[y, x, 1] = sy, sx


@njit(nogil=True, cache=True)
def _sweep(
    canvas: Floats,
    trust: Floats,
    usable: NDArray[np.bool_],
    targets: Ints,
    field: Ints,
    cost: Floats,
    step: int,
    turn: int,
    far: float,
) -> None:
    """Tries for each target the sources of those `step` before it, and some around its own."""
    height, width = trust.shape
    seed = _next(uint64(2 * turn + 2) + uint64(step > 0))
    for y, x in targets:
        for dy, dx in ((-step, 0), (0, -step)):
            ny, nx = y + dy, x + dx
            if 0 <= ny < height and 0 <= nx < width and field[ny, nx, 0] >= 0:
                sy, sx = field[ny, nx, 0] - dy, field[ny, nx, 1] - dx
                _try(canvas, trust, usable, field, cost, y, x, sy, sx, far)
        reach = max(height, width) // 4
        while reach >= 1:
            seed = _next(seed)
            span = uint64(2 * reach + 1)
            sy = field[y, x, 0] + np.int64(seed % span) - reach
            sx = field[y, x, 1] + np.int64((seed >> uint64(24)) % span) - reach
            _try(canvas, trust, usable, field, cost, y, x, sy, sx, far)
            reach //= 2


@njit(inline="always")
def _next(seed: np.uint64) -> np.uint64:
    """Returns the next number of Marsaglia's xorshift."""
    seed ^= seed << uint64(13)
    seed ^= seed >> uint64(7)
    return seed ^ (seed << uint64(17))


@njit(nogil=True, cache=True)
def _try(
    canvas: Floats,
    trust: Floats,
    usable: NDArray[np.bool_],
    field: Ints,
    cost: Floats,
    y: int,
    x: int,
    sy: int,
    sx: int,
    far: float,
) -> None:
    """Takes the source (sy, sx) for the patch at (y, x) if it is liker than its present one."""
    if not (0 <= sy < usable.shape[0] and 0 <= sx < usable.shape[1] and usable[sy, sx]):
        return
    if sy == field[y, x, 0] and sx == field[y, x, 1]:
        return
    found = _unlikeness(canvas, trust, y, x, sy, sx, far, cost[y, x])
    if found < cost[y, x]:
        cost[y, x] = found
        field[y, x, 0], field[y, x, 1] = sy, sx


@njit(nogil=True, cache=True, fastmath=True)
def _unlikeness(
    canvas: Floats, trust: Floats, y: int, x: int, sy: int, sx: int, far: float, most: np.float32
) -> np.float32:
    """Returns how unlike two patches are, and how far apart; gives up at `most`."""
    height, width = trust.shape
    away = np.float32(far) * np.float32((y - sy) ** 2 + (x - sx) ** 2)
    if away >= most:
        return away
    total, weights = np.float32(0), np.float32(1e-6)
    for dy in range(max(-HALF, -y), min(HALF, height - 1 - y) + 1):
        for dx in range(max(-HALF, -x), min(HALF, width - 1 - x) + 1):
            weight = trust[y + dy, x + dx]
            r = canvas[y + dy, x + dx, 0] - canvas[sy + dy, sx + dx, 0]
            g = canvas[y + dy, x + dx, 1] - canvas[sy + dy, sx + dx, 1]
            b = canvas[y + dy, x + dx, 2] - canvas[sy + dy, sx + dx, 2]
            total += weight * (r * r + g * g + b * b)
            weights += weight
    return total / weights + away


@njit(nogil=True, cache=True)
def _rate(
    canvas: Floats, trust: Floats, targets: Ints, field: Ints, cost: Floats, far: float
) -> None:
    """Writes how unlike each target's patch and its source are into `cost` [h, w]."""
    for y, x in targets:
        sy, sx = field[y, x]
        cost[y, x] = _unlikeness(canvas, trust, y, x, sy, sx, far, np.float32(NONE))


@njit(nogil=True, cache=True)
def _typical(cost: Floats, targets: Ints) -> np.float32:
    costs = np.ones(len(targets) + 1, np.float32)
    for t in range(len(targets)):
        costs[t] = cost[targets[t, 0], targets[t, 1]]
    return np.float32(max(np.median(costs), np.float32(1)))


@njit(nogil=True, cache=True, fastmath=True)
def _lay(
    canvas: Floats,
    is_sought: NDArray[np.bool_],
    targets: Ints,
    field: Ints,
    cost: Floats,
    half: int,
) -> None:
    """Gives each sought pixel the mean of what the patches over it say, the likest most."""
    height, width = is_sought.shape
    scale = np.float32(1) / _typical(cost, targets)
    total = np.zeros((height, width, 4), np.float32)
    for y, x in targets:
        sy, sx = field[y, x]
        sure = np.float32(np.exp(-cost[y, x] * scale)) + np.float32(1e-4)
        for dy in range(max(-half, -y), min(half, height - 1 - y) + 1):
            for dx in range(max(-half, -x), min(half, width - 1 - x) + 1):
                if is_sought[y + dy, x + dx]:
                    weight = sure / np.float32(1 + dy * dy + dx * dx)
                    for c in range(3):
                        total[y + dy, x + dx, c] += weight * canvas[sy + dy, sx + dx, c]
                    total[y + dy, x + dx, 3] += weight
    for y, x in targets:
        if is_sought[y, x]:
            for c in range(3):
                canvas[y, x, c] = total[y, x, c] / total[y, x, 3]
