"""A clause in pieces, so that its beginning is heard while its end is being made.

The phones of all of it are known before any sound: the first piece brings them, by the model's
own durations and not refined by what is heard. Knows no engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.voice.base import SILENCE, Phone, SpeechClause
from server.voice.clauses import Clause
from server.voice.levels import FADE_SECONDS, FIRST_HEAD_SECONDS, Leveller
from server.voice.timing import GAP, PAUSE, TimedToken, phones_of


@dataclass(frozen=True, slots=True)
class RawPieces:
    """What an engine returns bit by bit: the tokens of all of it, and its samples in order."""

    tokens: tuple[TimedToken, ...]
    sounds: Iterable[NDArray[np.float32]]


def clause_in_pieces(
    text: str,
    clause: Clause,
    raw: RawPieces,
    skipped: tuple[str, ...],
    level: Leveller,
    sample_rate: int,
    speed: float,
) -> Iterator[SpeechClause]:
    """Yields the first clause of `text` in pieces; all but the first have no text of their own."""
    total = sum(token.samples for token in raw.tokens)
    fade = round(FADE_SECONDS * sample_rate)
    made: list[NDArray[np.float32]] = []
    position = 0
    for sound in raw.sounds:
        made.append(sound)
        is_first, is_last = position == 0, position + len(sound) == total
        samples = level(sound) if is_first else level.hold(sound)
        phones: tuple[Phone, ...] = ()
        if is_first:
            head = _silent_head(raw.tokens, sound, sample_rate)
            phones = tuple(_phones(raw.tokens, head))
            samples = samples[head:]
            samples[:fade] *= np.linspace(0, 1, len(samples[:fade]), dtype=np.float32)
        if is_last:
            pause = round(clause.pause_seconds / speed * sample_rate)
            silence = phones_of(raw.tokens, np.concatenate(made), sample_rate)[-1]
            start = silence.start if silence.symbol == SILENCE else total
            samples = _ended(samples, start - (total - len(samples)), pause, fade)
        begin = clause.start if is_first else clause.end
        yield SpeechClause(
            text=text[begin : clause.end],
            text_start=begin,
            text_end=clause.end,
            sample_rate=sample_rate,
            samples=samples,
            phones=phones,
            skipped=skipped if is_first else (),
        )
        position += len(sound)


def _silent_head(tokens: Sequence[TimedToken], sound: NDArray[np.float32], sample_rate: int) -> int:
    """Returns how many samples of silence are cut before the first phone."""
    known: list[TimedToken] = []
    left = len(sound)
    for token in tokens:
        known.append(TimedToken(token.symbol, min(token.samples, left)))
        left -= known[-1].samples
    first = phones_of(known, sound, sample_rate)[0]
    kept = round(FIRST_HEAD_SECONDS * sample_rate)
    return max(0, first.end - kept) if first.symbol == SILENCE else 0


def _phones(tokens: Sequence[TimedToken], head: int) -> Iterator[Phone]:
    position = -head
    for token in tokens:
        start, position = position, position + token.samples
        if position > max(start, 0):
            symbol = SILENCE if token.symbol in (GAP, PAUSE) else token.symbol
            yield Phone(symbol, max(start, 0), position)


def _ended(
    samples: NDArray[np.float32], silence: int, pause: int, fade: int
) -> NDArray[np.float32]:
    """Returns the last piece faded out, and with the pause wanted after `silence` has begun.

    `silence` is counted from the piece's first sample; negative when it began before it.
    """
    end = min(len(samples), max(0, silence + pause))
    kept = samples[:end].copy()
    length = min(fade, end)
    if length:
        kept[-length:] *= np.linspace(1, 0, length, dtype=np.float32)
    missing = max(0, pause - (end - silence))
    return np.concatenate([kept, np.zeros(missing, np.float32)])
