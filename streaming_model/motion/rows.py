"""What is done to the few rows of a chunk, in compiled loops.

At one or two rows of 58 numbers NumPy's calls take longer than their sums. Each row is done by
itself, or after those before it, so that no cut of the stream changes its bits. Imported where
it is first used: numba takes longer to import than what only reads motion has to wait.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streaming_model.motion_space import INDEX

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_JAW, _CLOSE, _FUNNEL = INDEX["jawOpen"], INDEX["mouthClose"], INDEX["mouthFunnel"]
_ROLL_LOWER, _ROLL_UPPER = INDEX["mouthRollLower"], INDEX["mouthRollUpper"]
_LOWER: Final = (INDEX["mouthLowerDownLeft"], INDEX["mouthLowerDownRight"])
_UPPER: Final = (INDEX["mouthUpperUpLeft"], INDEX["mouthUpperUpRight"])
_PRESS: Final = (INDEX["mouthPressLeft"], INDEX["mouthPressRight"])


@njit(nogil=True, cache=True)
def _ramp(value: float, low: float, high: float) -> float:
    """Returns 0 up to `low`, 1 from `high` on, and a cubic without a kink between them."""
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return share * share * (3.0 - 2.0 * share)


@njit(nogil=True, cache=True)
def contacts_told(
    likely: Floats, knots: Doubles, told: Doubles, begins: float, certain: float
) -> Floats:
    """Returns [rows, 2] as `cues.told_contacts` does.

    Args:
        likely: [rows, cues], of which the first two are the contacts.
        knots: [2, knots] likelihoods of each contact, ascending from 0 to 1.
        told: [knots] what lips are told at them.
        begins: of what they are told, where a contact begins.
        certain: and where it is sure.
    """
    contacts = np.empty((len(likely), 2), np.float32)
    for row in range(len(likely)):
        for kind in range(2):
            value, knot = likely[row, kind], 1
            while knot < len(told) - 1 and value > knots[kind, knot]:
                knot += 1
            low, high = knots[kind, knot - 1], knots[kind, knot]
            share = (value - low) / (high - low)
            contacts[row, kind] = told[knot - 1] + share * (told[knot] - told[knot - 1])
        if likely[row, 1] > likely[row, 0] and contacts[row, 1] >= certain:
            contacts[row, 0] = min(contacts[row, 0], begins)
    return contacts


@njit(nogil=True, cache=True)
def open_gaps(likely: Floats, activity: Floats, low: float, high: float, apart: float) -> Floats:
    """Returns [rows] as `cues.least_gaps` does, of [rows] likelihoods of an open vowel."""
    gaps = np.empty(len(likely), np.float32)
    for row in range(len(likely)):
        gaps[row] = apart * activity[row] * _ramp(likely[row], low, high)
    return gaps


@njit(nogil=True, cache=True)
def let_open(
    share: float, motion: Floats, scores: Floats, openers: NDArray[np.int64],
    strange_low: float, strange_high: float, familiar_low: float, familiar_high: float,
    rise: float, fall: float,
) -> tuple[float, Floats]:  # fmt: skip
    """Returns the next share and [rows, 58] as `presence.let_through` does."""
    gated = motion.copy()
    for row in range(len(motion)):
        low = strange_low + share * (familiar_low - strange_low)
        high = strange_high + share * (familiar_high - strange_high)
        sure = min(max((scores[row] - low) / (high - low), 0.0), 1.0)
        share += (rise if sure > share else fall) * (sure - share)
        for index in openers:
            gated[row, index] *= np.float32(share)
    return share, gated


@njit(nogil=True, cache=True)
def pressed(motion: Floats, contacts: Floats, low: float, high: float) -> Floats:
    """Returns [rows, 58] as `contacts.press_lips` does.

    The `contacts` [rows, 2] are sharpened: 0 up to `low`, 1 from `high` on.
    """
    out = motion.copy()
    for row in range(len(motion)):
        met, bitten = _ramp(contacts[row, 0], low, high), _ramp(contacts[row, 1], low, high)
        apart, free = 1 - met, 1 - bitten
        teeth = bitten * apart
        out[row, _CLOSE] = max(motion[row, _CLOSE], met * motion[row, _JAW])
        for side in range(2):
            out[row, _LOWER[side]] *= apart * free
            out[row, _UPPER[side]] = max(motion[row, _UPPER[side]] * apart, 0.10 * teeth)
            out[row, _PRESS[side]] = max(motion[row, _PRESS[side]], 0.22 * met)
        out[row, _FUNNEL] *= (1 - 0.75 * met) * (1 - 0.4 * bitten)
        # where both are told, the lower lip is drawn in under an upper one that lies on it
        rolled = max(0.16 * met, 0.36 * bitten)
        out[row, _ROLL_LOWER] = max(motion[row, _ROLL_LOWER], rolled)
        out[row, _ROLL_UPPER] = max(motion[row, _ROLL_UPPER], 0.14 * met * free)
    return out


@njit(nogil=True, cache=True)
def _gap(one: Floats) -> float:
    """Returns how far the lips of [58] are apart; below 0 they are pressed together."""
    lips = one[_LOWER[0]] + one[_LOWER[1]] + one[_UPPER[0]] + one[_UPPER[1]] + one[_FUNNEL]
    rolled = one[_ROLL_LOWER] + one[_ROLL_UPPER]
    apart: float = one[_JAW] - one[_CLOSE] + 0.2 * lips - 0.2 * rolled
    return apart


@njit(nogil=True, cache=True)
def parted(motion: Floats) -> Floats:
    """Returns [rows] how far the lips of [rows, 58] are apart, as `emotion.lip_gaps` tells."""
    gaps = np.empty(len(motion), np.float32)
    for row in range(len(motion)):
        gaps[row] = max(0.0, _gap(motion[row]))
    return gaps


@njit(nogil=True, cache=True)
def opened(motion: Floats, gaps: Floats) -> Floats:
    """Returns [rows, 58] as `contacts.part_lips` does, of `gaps` [rows]."""
    out = motion.copy()
    for row in range(len(motion)):
        if gaps[row] <= 0.0:
            continue
        lacking = gaps[row] - _gap(motion[row])
        if lacking > 0.0:
            freed = min(max(motion[row, _CLOSE], 0.0), lacking)
            out[row, _CLOSE] -= freed
            out[row, _JAW] = min(out[row, _JAW] + lacking - freed, 1.0)
    return out


@njit(nogil=True, cache=True)
def activities(motion: Floats, moved: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns [rows] the sum of what the coefficients `moved` are away from rest."""
    sums = np.zeros(len(motion))
    for row in range(len(motion)):
        for index in moved:
            sums[row] += abs(motion[row, index])
    return sums


@njit(nogil=True, cache=True)
def touching(
    envelope: float, motion: Floats, mouth: NDArray[np.int64], decay: float,
    speaking: tuple[float, float], together: tuple[float, float], slight: tuple[float, float],
    held: float, hanging: float,
) -> tuple[float, Floats]:  # fmt: skip
    """Returns the next envelope and [rows, 58] as `lips.hold_lips` does."""
    moves, gaps, out = activities(motion, mouth), parted(motion), motion.copy()
    for row in range(len(motion)):
        envelope = max(moves[row], decay * envelope)
        speaks, apart = _ramp(envelope, *speaking), _ramp(gaps[row], *together)
        out[row, _CLOSE] = max(motion[row, _CLOSE], held * speaks * (1 - apart))
        hangs = hanging * speaks * apart * (1 - _ramp(moves[row], *slight))
        out[row, _JAW] += np.float32(hangs)
        out[row, _CLOSE] += np.float32(hangs)
    return envelope, out


@njit(nogil=True, cache=True)
def spoken(
    envelope: float, motion: Floats, mouth: NDArray[np.int64], decay: float,
    speaking: tuple[float, float],
) -> Floats:  # fmt: skip
    """Returns [rows] as `lips.speech_share` does."""
    moves, shares = activities(motion, mouth), np.empty(len(motion), np.float32)
    for row in range(len(motion)):
        envelope = max(moves[row], decay * envelope)
        shares[row] = _ramp(envelope, *speaking)
    return shares


@njit(nogil=True, cache=True)
def within(motion: Floats, first: int, limits: Floats) -> Floats:
    """Returns [rows, 58] as `life.limit_pose` does; `limits` are of the numbers from `first` on."""
    out = np.empty_like(motion)
    for row in range(len(motion)):
        for index in range(motion.shape[1]):
            out[row, index] = min(max(motion[row, index], np.float32(0)), np.float32(1))
        for index in range(len(limits)):
            limit = limits[index]
            out[row, first + index] = limit * math.tanh(motion[row, first + index] / limit)
    return out


@njit(nogil=True, cache=True)
def homeward(
    frames: NDArray[np.float32], limit: float, first: int, end: int, shares: Floats
) -> NDArray[np.float32]:
    """Returns [batch, rows, size] as `homing.drawn_home` does, within `limit` each way."""
    out = np.empty_like(frames)
    for stream in range(len(frames)):
        for row in range(frames.shape[1]):
            for index in range(frames.shape[2]):
                value = min(max(frames[stream, row, index], -limit), limit)
                if first <= index < end:
                    value *= shares[row]
                out[stream, row, index] = value
    return out


@njit(nogil=True, cache=True)
def smoothed(
    first: Floats, second: Floats, motion: Floats, where: NDArray[np.int64], shares: Floats
) -> Floats:
    """Returns [rows, 58] whose coefficients `where` went through two low-passes in a row.

    Writes into `first` and `second`, [where], the states of both; `shares` are those of the way
    that a frame takes them.
    """
    out = motion.copy()
    for row in range(len(motion)):
        for channel in range(len(where)):
            share = shares[channel]
            first[channel] += share * (motion[row, where[channel]] - first[channel])
            second[channel] += share * (first[channel] - second[channel])
            out[row, where[channel]] = second[channel]
    return out
