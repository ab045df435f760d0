"""What all engines of our own share: text to clauses to phonemes to levelled, timed speech."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.voice.base import SpeechClause, VoiceError
from server.voice.clauses import Clause, split_clauses
from server.voice.g2p import EnglishPhonemes
from server.voice.levels import FIRST_HEAD_SECONDS, HEAD_SECONDS, Leveller, frame_clause
from server.voice.pieces import RawPieces, clause_in_pieces
from server.voice.text import spoken_form
from server.voice.timing import TimedToken, phones_of
from server.voice.tokens import PAUSES, Token

SLOWEST, FASTEST = 0.5, 2.0


@dataclass(frozen=True, slots=True)
class RawSpeech:
    """What an engine returns: [n] samples and tokens whose lengths sum to n."""

    samples: NDArray[np.float32]
    tokens: tuple[TimedToken, ...]


Synthesise = Callable[[str, float], RawSpeech]


@dataclass(frozen=True, slots=True)
class Beginning:
    """How an engine makes the first clause of a text for somebody who waits.

    Attributes:
        make: (phonemes, speed) to pieces of speech.
        usual_gain: what mostly brings the engine's sound to its level.
    """

    make: Callable[[str, float], RawPieces]
    usual_gain: float


def speak_clauses(
    text: str,
    *,
    speed: float,
    phonemes: EnglishPhonemes,
    synthesise: Synthesise,
    sample_rate: int,
    longest: int,
    beginning: Beginning | None = None,
) -> Iterator[SpeechClause]:
    """Yields the clauses of `text`, each synthesised when it is asked for.

    Args:
        text: any text.
        speed: 0.5 to 2.
        phonemes: reads the words.
        synthesise: (phonemes, speed) to speech.
        sample_rate: of the engine.
        longest: most phonemes in one call of `synthesise`.
        beginning: makes the first clause in pieces; without it, it is made whole.

    Raises:
        VoiceError: `speed` is out of range.
    """
    check_speed(speed)
    return _clauses(text, speed, phonemes, synthesise, sample_rate, longest, beginning)


def check_speed(speed: float) -> None:
    """Raises VoiceError unless `speed` lies in 0.5..2."""
    if not SLOWEST <= speed <= FASTEST:
        raise VoiceError(f"The speed must lie between {SLOWEST} and {FASTEST}, not {speed}.")


def _clauses(
    text: str,
    speed: float,
    phonemes: EnglishPhonemes,
    synthesise: Synthesise,
    sample_rate: int,
    longest: int,
    beginning: Beginning | None,
) -> Iterator[SpeechClause]:
    level = Leveller(beginning.usual_gain if beginning else None)
    clauses = split_clauses(text)
    for clause in clauses:
        spoken = spoken_form(text[clause.start : clause.end], knows=phonemes.knows)
        ending = Token("." if clause is clauses[-1] else ",", "pause")
        is_closed = not spoken.tokens or spoken.tokens[-1].kind == "pause"
        sounds = phonemes(spoken.tokens if is_closed else (*spoken.tokens, ending))
        parts = split_phonemes(sounds, longest)
        if beginning is not None and clause is clauses[0] and len(parts) == 1:
            pieces = beginning.make(parts[0], speed)
            yield from clause_in_pieces(
                text, clause, pieces, spoken.skipped, level, sample_rate, speed
            )
            continue
        raw = [synthesise(part, speed) for part in parts]
        if raw or spoken.skipped:
            head = FIRST_HEAD_SECONDS if clause is clauses[0] else HEAD_SECONDS
            yield _clause(
                text, clause, _joined(raw), spoken.skipped, level, sample_rate, speed, head
            )


def _clause(
    text: str,
    clause: Clause,
    raw: RawSpeech,
    skipped: tuple[str, ...],
    level: Leveller,
    sample_rate: int,
    speed: float,
    head_seconds: float,
) -> SpeechClause:
    phones = phones_of(raw.tokens, raw.samples, sample_rate)
    samples, timed = frame_clause(
        level(raw.samples),
        phones,
        sample_rate=sample_rate,
        pause_seconds=clause.pause_seconds / speed if phones else 0.0,
        head_seconds=head_seconds,
    )
    return SpeechClause(
        text=text[clause.start : clause.end],
        text_start=clause.start,
        text_end=clause.end,
        sample_rate=sample_rate,
        samples=samples,
        phones=timed,
        skipped=skipped,
    )


def _joined(parts: list[RawSpeech]) -> RawSpeech:
    if not parts:
        return RawSpeech(np.zeros(0, np.float32), ())
    samples = np.concatenate([part.samples for part in parts])
    return RawSpeech(samples, tuple(token for part in parts for token in part.tokens))


def split_phonemes(phonemes: str, longest: int) -> list[str]:
    """Cuts phonemes into pieces of at most `longest`, at a pause if possible, else at a space."""
    pieces = []
    rest = phonemes.strip()
    while len(rest) > longest:
        window = rest[:longest]
        pause = max(window.rfind(mark) for mark in PAUSES) + 1
        cut = pause if pause > longest // 3 else window.rfind(" ")
        cut = cut if cut > 0 else longest
        pieces.append(rest[:cut].strip())
        rest = rest[cut:].strip()
    if any(symbol.isalpha() for symbol in rest):
        pieces.append(rest)
    return [piece for piece in pieces if piece]
