"""Turns what an engine says about its tokens into phones that tile the sound exactly.

Word gaps and punctuation are silence only where the sound is quiet; what is loud at their edges
belongs to the neighbouring phone, and a short gap before a stop is the stop's closure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.voice.base import SILENCE, Phone

FRAME_SECONDS = 0.005  # resolution of the loudness test
QUIET_RATIO = 0.05  # of the clause's loud level (-26 dB): below it nobody speaks
SHORTEST_GAP_SECONDS = 0.10  # between words a shorter quiet stretch is a closure or no gap at all
SHORTEST_PAUSE_SECONDS = 0.03  # the same at punctuation
SHORTEST_PHONE_SECONDS = 0.04
MOST_QUIET_ONSET_SECONDS = 0.08
GAP = " "  # symbol of a token between two words
PAUSE = ","  # symbol of punctuation and of the start and the end
STOPS = frozenset({
    "p", "b", "t", "d", "k", "ɡ", "tʃ", "dʒ",
})  # fmt: skip
QUIET_ONSETS = STOPS | {"h", "f", "v", "θ", "ð"}  # too soft to tell their start from a pause


@dataclass(frozen=True, slots=True)
class TimedToken:
    """One token of an engine: a phone, `GAP` or `PAUSE`, and its length in samples."""

    symbol: str
    samples: int


def phones_of(
    tokens: Sequence[TimedToken], samples: NDArray[np.float32], sample_rate: int
) -> list[Phone]:
    """Returns phones that tile `samples`.

    Args:
        tokens: in order; their lengths sum to `len(samples)`.
        samples: [n] the sound.
        sample_rate: in Hz.
    """
    total = sum(token.samples for token in tokens)
    if total != len(samples):
        raise ValueError(f"tokens last {total} samples but the sound {len(samples)}")
    frame = max(1, round(FRAME_SECONDS * sample_rate))
    loud = _loud_frames(samples, frame)
    edges: list[tuple[str, int]] = []  # symbol and its end
    position = 0
    for token in tokens:
        position += token.samples
        symbol = token.symbol
        if symbol in (GAP, PAUSE) and edges and edges[-1][0] in (GAP, PAUSE):
            symbol = max(symbol, edges.pop()[0], key=(GAP, PAUSE).index)
        edges.append((symbol, position))
    _widen_pauses(edges, loud, frame, sample_rate)
    return _merge(_resolve_gaps(edges, loud, frame, sample_rate))


def advanced(tokens: Sequence[TimedToken], samples: int) -> tuple[TimedToken, ...]:
    """Returns the tokens with every boundary `samples` earlier, tiling the same sound.

    A vocoder lets the sound of a token start before the token. No phone loses more than half of
    its length to this, which matters at the very start only.
    """
    moved: list[TimedToken] = []
    position = previous = 0
    for index, token in enumerate(tokens):
        position += token.samples
        kept = 0 if token.symbol in (GAP, PAUSE) else token.samples // 2
        is_last = index == len(tokens) - 1
        boundary = position if is_last else max(previous + kept, position - samples)
        moved.append(TimedToken(token.symbol, boundary - previous))
        previous = boundary
    return tuple(moved)


def _loud_frames(samples: NDArray[np.float32], frame: int) -> NDArray[np.bool_]:
    """Returns for each frame whether it is loud; the last partial frame included."""
    padded = np.zeros(-(-len(samples) // frame) * frame, np.float32)
    padded[: len(samples)] = samples
    level = np.sqrt(np.mean(padded.reshape(-1, frame) ** 2, axis=1))
    if level.size == 0:
        return np.zeros(0, np.bool_)
    is_loud: NDArray[np.bool_] = level > QUIET_RATIO * float(np.percentile(level, 95)) + 1e-6
    return is_loud


def _widen_pauses(
    edges: list[tuple[str, int]], loud: NDArray[np.bool_], frame: int, sample_rate: int
) -> None:
    """Gives a pause the quiet end of the phone before it and the quiet start of the one after.

    Engines draw out the last phone of a phrase over the silence that follows. Stops keep their
    closure, and every phone keeps at least `SHORTEST_PHONE_SECONDS` or half its length.
    """
    shortest = round(SHORTEST_PHONE_SECONDS * sample_rate)
    for index, (symbol, end) in enumerate(edges):
        if symbol != PAUSE:
            continue
        if index > 0:
            before, start = edges[index - 1], edges[index - 2][1] if index > 1 else 0
            last = before[1] // frame
            while last > start // frame and not loud[min(last, len(loud) - 1)]:
                last -= 1
            kept = start + min(shortest, (before[1] - start) // 2)
            edges[index - 1] = (before[0], min(before[1], max((last + 1) * frame, kept)))
        if index + 1 < len(edges) and edges[index + 1][0] not in QUIET_ONSETS:
            limit = end + min(MOST_QUIET_ONSET_SECONDS * sample_rate, edges[index + 1][1] - end) / 2
            first = end // frame
            while first * frame < limit and not loud[first]:
                first += 1
            edges[index] = (symbol, max(end, min(first * frame, int(limit))))


def _resolve_gaps(
    edges: list[tuple[str, int]], loud: NDArray[np.bool_], frame: int, sample_rate: int
) -> list[Phone]:
    phones: list[Phone] = []
    position = 0
    for index, (symbol, end) in enumerate(edges):
        if symbol not in (GAP, PAUSE):
            phones.append(Phone(symbol, position, end))
            position = end
            continue
        quiet_start, quiet_end = _quiet_core(position, end, loud=loud, frame=frame)
        is_first, is_last = index == 0, index == len(edges) - 1
        if is_first:
            quiet_start = position
        if is_last:
            quiet_end = end
        if not is_first and not is_last:
            seconds = SHORTEST_GAP_SECONDS if symbol == GAP else SHORTEST_PAUSE_SECONDS
            if quiet_end - quiet_start < seconds * sample_rate:
                is_closure = edges[index + 1][0] in STOPS
                quiet_end = quiet_start if is_closure else (quiet_start + quiet_end) // 2
                quiet_start = quiet_end
        if phones:
            phones[-1] = Phone(phones[-1].symbol, phones[-1].start, quiet_start)
        else:
            quiet_start = position
        phones.append(Phone(SILENCE, quiet_start, quiet_end))
        position = quiet_end
    return phones


def _quiet_core(start: int, end: int, *, loud: NDArray[np.bool_], frame: int) -> tuple[int, int]:
    """Returns the longest quiet stretch inside start..end; the middle, empty, if there is none."""
    first, last = -(-start // frame), end // frame
    best = (0, 0)
    run = first
    for index in range(first, last + 1):
        if index < last and not loud[index]:
            continue
        if index - run > best[1] - best[0]:
            best = (run, index)
        run = index + 1
    if best[1] == best[0]:
        middle = (start + end) // 2
        return middle, middle
    quiet_start = start if best[0] == first else best[0] * frame
    quiet_end = end if best[1] == last else best[1] * frame
    return quiet_start, quiet_end


def _merge(phones: list[Phone]) -> list[Phone]:
    """Joins neighbouring silences and drops phones without samples."""
    merged: list[Phone] = []
    for phone in phones:
        if phone.end == phone.start:
            continue
        if merged and merged[-1].symbol == phone.symbol == SILENCE:
            merged[-1] = Phone(SILENCE, merged[-1].start, phone.end)
        else:
            merged.append(phone)
    return merged
