"""Finds and reads the watermark in a picture that was cropped, scaled, or is part of another.

For each size that the whole picture may have had, what is seen is folded onto the grid, made white,
and correlated with the pilot at every place at once (Fourier-Mellin and template methods that
also find rotations are O'Ruanaidh and Pun 1998, Pereira and Pun 2000; a screenshot is not rotated).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from server.marks.convolutional import decode
from server.marks.pattern import CODED_BITS, GRID, PUBLIC_KEY, Carriers, carriers
from server.marks.payload import Payload

Floats = NDArray[np.float32]

LEAST_SCORE: Final = 7.0  # of the pilot, in standard deviations; docs/marks.md has the odds
CERTAIN_SCORE: Final = 11.0  # nothing else needs to be tried
SMALLEST_SIDE: Final = 64  # pixels of what can be read at all
_SMALLEST_PART: Final = 0.22  # of what is seen, that the whole picture may be: a page around it
_LARGEST_WHOLE: Final = 1.6  # of what is seen, that the whole picture may have been: a crop
_STEP: Final = 0.005  # between sizes that are tried; at half of it a wave is off by a fifth
_FINE_STEP: Final = 0.001
_DETAIL: Final = 3.0  # cells of the grid: standard deviation of what is taken away
_AROUND: Final = 4.0  # cells: over which contrast is made equal
_LEAST_CONTRAST: Final = 1.0  # levels
_MOST: Final = 3.0  # that one wave may count, in the mean of those as long
_NEAR: Final = np.linspace(-1, 1, 9)  # cells around the peak


@dataclass(frozen=True, slots=True)
class Match:
    """Where the pilot fits best.

    Attributes:
        score: its height in standard deviations over all places.
        width: of the whole picture, in pixels of what is seen.
        offset: down and to the right, in cells of the grid.
    """

    score: float
    width: float
    offset: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read, and how well the pilot fitted."""

    payload: Payload
    match: Match


def read(luma: Floats, key: str = PUBLIC_KEY) -> Reading | None:
    """Returns what [h, w] luma, 0 to 255, carries; None if it carries nothing."""
    return read_match(luma, find(luma, key), key)


def read_match(luma: Floats, match: Match | None, key: str = PUBLIC_KEY) -> Reading | None:
    """Returns what is carried where the pilot fits, None if it does not or nothing is."""
    if match is None or match.score < LEAST_SCORE:
        return None
    fine, soft = refined(luma, match, key)
    payload = Payload.from_bits(decode(soft))
    return None if payload is None else Reading(payload, fine)


def find(luma: Floats, key: str = PUBLIC_KEY) -> Match | None:
    """Returns the best fit of all sizes, likely ones first; None for what is too small."""
    if min(luma.shape) < SMALLEST_SIDE:
        return None
    best = Match(0.0, 0.0, (0.0, 0.0))
    for width in widths(*luma.shape):
        match = match_at(luma, width, key)
        best = max(best, match, key=lambda each: each.score)
        if best.score >= CERTAIN_SCORE:
            break
    return best


def match_at(luma: Floats, width: float, key: str = PUBLIC_KEY) -> Match:
    """Returns the best fit if the whole picture is `width` pixels wide."""
    waves = carriers(key)
    score, place = best_place(whitened(luma, width, waves), waves)
    return Match(score, width, place)


def best_place(seen: NDArray[np.complex128], waves: Carriers) -> tuple[float, tuple[int, int]]:
    """Returns the pilot's best score among all places of the grid, and the place."""
    pilot = waves.pilot
    spectrum = np.zeros((GRID, GRID // 2 + 1), np.complex64)
    spectrum[waves.rows[pilot], waves.columns[pilot]] = seen[pilot] * waves.phases[pilot].conj()
    fits = np.fft.irfft2(spectrum)
    peak = int(fits.argmax())
    return float(fits.flat[peak] / (fits.std() + 1e-12)), (peak // GRID, peak % GRID)


def refined(luma: Floats, match: Match, key: str = PUBLIC_KEY) -> tuple[Match, Floats]:
    """Returns the fit to parts of a cell, and the coded bits' soft values there, [192]."""
    waves = carriers(key)
    best, found, spectrum = -np.inf, match, np.zeros(0, np.complex128)
    for step in np.arange(-3, 4) * _FINE_STEP:
        width = match.width * (1 + step)
        seen = whitened(luma, width, waves)
        fits = _fits_near(seen, match.offset, waves)
        row, column = np.unravel_index(fits.argmax(), fits.shape)
        if fits[row, column] > best:
            best, spectrum = fits[row, column], seen
            offset = match.offset[0] + _NEAR[row], match.offset[1] + _NEAR[column]
            found = Match(match.score, width, offset)
    carried = _placed(spectrum, found.offset, waves)[waves.data] * waves.phases[waves.data].conj()
    soft = np.bincount(waves.groups, carried.real, CODED_BITS)
    return found, np.asarray(soft / (soft.std() + 1e-12), np.float32)


def _fits_near(
    seen: NDArray[np.complex128], offset: tuple[float, float], waves: Carriers
) -> NDArray[np.float64]:
    """Returns [9, 9], how well the pilot fits around a place."""
    pilot = waves.pilot
    values = (_placed(seen, offset, waves) * waves.phases.conj())[pilot]
    down = np.exp(2j * np.pi * np.outer(_NEAR, waves.heights[pilot]) / GRID)
    right = np.exp(2j * np.pi * np.outer(_NEAR, waves.columns[pilot]) / GRID)
    return np.asarray(((down * values) @ right.T).real, np.float64)


def _placed(
    seen: NDArray[np.complex128], offset: tuple[float, float], waves: Carriers
) -> NDArray[np.complex128]:
    """Returns the waves as if the whole picture began at the grid's corner."""
    turns = (waves.heights * offset[0] + waves.columns * offset[1]) / GRID
    return np.asarray(seen * np.exp(2j * np.pi * turns))


def widths(height: int, width: int) -> Iterable[float]:
    """Yields the sizes that the whole picture may have, likely ones first."""
    likely = dict.fromkeys((width, height, width / 0.9, height / 0.9, width / 0.8, height / 0.8))
    yield from likely
    least = max(_SMALLEST_PART * max(height, width), 0.5 * GRID)
    most = _LARGEST_WHOLE * max(height, width)
    for step in range(int(np.log(most / least) / _STEP) + 1):
        yield most * np.exp(-_STEP * step)


def whitened(luma: Floats, width: float, waves: Carriers) -> NDArray[np.complex128]:
    """Returns [n] of the waves, of about the same strength whatever their length."""
    seen = np.fft.rfft2(_folded(luma, GRID / width))[waves.rows, waves.columns]
    lengths = waves.radii.astype(int)
    power = np.bincount(lengths, np.abs(seen) ** 2) / np.maximum(np.bincount(lengths), 1)
    usual = np.sqrt(np.convolve(np.pad(power, 2, mode="edge"), np.ones(5) / 5, "valid"))
    white = seen / (usual[lengths] + 1e-9)
    return np.asarray(white * np.minimum(1, _MOST / np.maximum(np.abs(white), 1e-9)))


def _folded(luma: Floats, scale: float) -> Floats:
    """Returns what is seen, of equal contrast everywhere, laid over itself [GRID, GRID]."""
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(luma, None, fx=scale, fy=scale, interpolation=smooth)
    detail = small - cv2.GaussianBlur(small, (0, 0), _DETAIL)
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), _AROUND))
    even = detail / (contrast + _LEAST_CONTRAST)
    height, width = (-(-side // GRID) for side in even.shape)
    sheet = np.zeros((height * GRID, width * GRID), np.float32)
    sheet[: even.shape[0], : even.shape[1]] = even
    return np.asarray(sheet.reshape(height, GRID, width, GRID).sum(axis=(0, 2)))
