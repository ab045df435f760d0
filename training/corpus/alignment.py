"""Puts the phone times of all engines on the same footing: where the sound says that they are.

Engines mean different things by the start of a phone. Measured where a voiceless stop follows a
vowel, the sound falls 24 ms before the label in some of Piper's sentences, 9 ms after it with
Kokoro and 28 ms after it in one of Festival's voices. A network that must place a closing mouth
to a frame of 40 ms would have to guess the engine.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from streaming_model.media import SAMPLE_RATE
from training.corpus.utterances import Utterance
from training.phones import PHONE_INDEX, VOWELS

_MS: Final = SAMPLE_RATE // 1000
# After the label's start; what the voices agree with that label sound most carefully.
_FALL: Final = 10 * _MS
_STOPS: Final = frozenset(PHONE_INDEX[name] for name in ("P", "T", "K"))
_VOWELS: Final = frozenset(PHONE_INDEX[name] for name in VOWELS)
_REACH: Final = 100 * _MS  # looked at on either side of a label
_VOWEL: Final = slice(30, 60)  # ms of that, the vowel before
_CLOSED: Final = slice(60, 170)  # ms of that, where the closure's quietest moment is sought
_SMOOTH: Final = 5 * _MS
_DEPTH: Final = 12.0  # dB between vowel and closure; a shallower fall has no clear instant
_ENOUGH: Final = 20  # falls that make a voice's own median worth more than its engine's
_PRIOR: Final = 3  # falls that the voice's median counts for beside an utterance's own


def aligned(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Returns the same speech, the phones of each utterance moved together by what was measured.

    An utterance with few voiceless stops follows its voice, and a voice with few its engine.
    """
    falls = [closing_falls(utterance) for utterance in utterances]
    voices = [utterance.voice for utterance in utterances]
    engines = [_engine(voice) for voice in voices]
    by_voice, by_engine = _gathered(voices, falls), _gathered(engines, falls)
    moved = []
    for utterance, engine, own in zip(utterances, engines, falls, strict=True):
        known = by_voice[utterance.voice]
        known = known if len(known) >= _ENOUGH else by_engine[engine]
        if not known:
            moved.append(utterance)
            continue
        usual = statistics.median(known)
        here = statistics.median(own) if own else usual
        late = (len(own) * here + _PRIOR * usual) / (len(own) + _PRIOR)
        moved.append(_shifted(utterance, round(late) - _FALL))
    return moved


def closing_falls(utterance: Utterance) -> list[int]:
    """Returns how many samples after its label each voiceless stop that follows a vowel falls.

    The fall is the last instant at which the level is above the middle, in dB, between the vowel
    and the quietest moment of the closure.
    """
    found = []
    phones = utterance.phones.tolist()
    for before, phone, label in zip(
        phones, phones[1:], utterance.bounds[1:].tolist(), strict=False
    ):
        if phone not in _STOPS or before not in _VOWELS:
            continue
        if label < _REACH or label + _REACH > len(utterance.samples):
            continue
        around = utterance.samples[label - _REACH : label + _REACH].astype(np.float64)
        power = np.convolve(np.square(around), np.full(_SMOOTH, 1 / _SMOOTH), "same")[::_MS]
        level = 10 * np.log10(power + 1e-9)
        vowel, quietest = float(np.median(level[_VOWEL])), _CLOSED.start + level[_CLOSED].argmin()
        if vowel - level[quietest] < _DEPTH:
            continue
        middle = (vowel + level[quietest]) / 2
        above = np.nonzero(level[: quietest + 1] > middle)[0]
        found.append(int(above[-1]) * _MS - _REACH)
    return found


def _shifted(utterance: Utterance, later: int) -> Utterance:
    """Returns the utterance with its inner bounds `later`; every phone keeps a sample."""
    inner = np.arange(1, len(utterance.bounds) - 1)
    first, last = int(utterance.bounds[0]), int(utterance.bounds[-1])
    bounds = utterance.bounds.copy()
    bounds[1:-1] = np.clip(bounds[1:-1] + later, first + inner, last - inner[::-1])
    return replace(utterance, bounds=bounds)


def _gathered(names: Iterable[str], falls: Iterable[list[int]]) -> dict[str, list[int]]:
    together: dict[str, list[int]] = defaultdict(list)
    for name, own in zip(names, falls, strict=True):
        together[name] += own
    return together


def _engine(voice: str) -> str:
    return voice.split("-", 1)[0]
