"""What every voice gives: speech in clauses, each with the exact times of its phones.

Knows no engine, no event loop and no network. The phone inventory is one for all engines:

    consonants   p b t d k ɡ f v θ ð s z ʃ ʒ tʃ dʒ h m n ŋ l ɹ w j ɾ ʔ
    vowels       i ɪ ɛ æ ɑ ɒ ɔ ʊ u ʌ ə ɜ, r-coloured ɚ ɝ
    diphthongs   eɪ aɪ ɔɪ aʊ oʊ əʊ   (one phone each)
    silence      sil
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streaming_model.errors import VivantError

SILENCE = "sil"
CONSONANTS = frozenset({
    "p", "b", "t", "d", "k", "ɡ", "f", "v", "θ", "ð", "s", "z", "ʃ", "ʒ", "tʃ", "dʒ", "h", "m",
    "n", "ŋ", "l", "ɹ", "w", "j", "ɾ", "ʔ",
})  # fmt: skip
VOWELS = frozenset({
    "i", "ɪ", "ɛ", "æ", "ɑ", "ɒ", "ɔ", "ʊ", "u", "ʌ", "ə", "ɜ", "ɚ", "ɝ", "eɪ", "aɪ", "ɔɪ", "aʊ",
    "oʊ", "əʊ",
})  # fmt: skip
INVENTORY = CONSONANTS | VOWELS | {SILENCE}


class VoiceError(VivantError):
    """A voice cannot be loaded or fails while it speaks."""

    code = "voice_failed"


class UnknownVoiceError(VivantError):
    """No voice has the name that was asked for."""

    code = "unknown_voice"


@dataclass(frozen=True, slots=True)
class Phone:
    """One phone and where it sounds.

    Attributes:
        symbol: a member of `INVENTORY`; pauses are "sil".
        start: first sample, at the clause's own rate.
        end: the sample after the last one.
    """

    symbol: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SpeechClause:
    """A stretch of text and the speech made from it.

    Attributes:
        text: the piece of the given text that is spoken here, `given[text_start:text_end]`.
        text_start: index of its first character in the given text.
        text_end: index after its last character.
        sample_rate: in Hz.
        samples: [n] float32 in -1..1, with the pause that follows the clause.
        phones: tile 0..n without gap or overlap; empty when the engine does not tell.
        skipped: pieces of the text that cannot be pronounced, in order.
    """

    text: str
    text_start: int
    text_end: int
    sample_rate: int
    samples: NDArray[np.float32]
    phones: tuple[Phone, ...]
    skipped: tuple[str, ...]


class Voice(Protocol):
    """One speaker of one engine."""

    @property
    def name(self) -> str:
        """The name that `catalog.open_voice` takes."""

    @property
    def engine(self) -> str:
        """`piper`, `kokoro` or `openai`."""

    @property
    def language(self) -> str:
        """BCP 47 tag, for example `en-US`."""

    @property
    def label(self) -> str:
        """A few words for people."""

    @property
    def sample_rate(self) -> int:
        """Rate of every clause, in Hz."""

    def speak(
        self, text: str, *, speed: float = 1.0, in_pieces: bool = False
    ) -> Iterator[SpeechClause]:
        """Speaks `text` clause by clause, the first one short so that sound starts early.

        Pieces that cannot be pronounced are skipped and listed; text without a word gives one
        clause without samples when something was skipped, and nothing otherwise.

        Args:
            text: any Unicode text.
            speed: 1.0 is the voice's own pace, 0.5 to 2.0.
            in_pieces: whether the first clause may come in several pieces, so that it is heard
                earlier: all but the first have no text, and the first tells the phones of all.

        Raises:
            VoiceError: `speed` is out of range or the engine fails.
        """

    def warm_up(self) -> None:
        """Loads the model and speaks a word to nobody, so that the first sentence is not slow."""
