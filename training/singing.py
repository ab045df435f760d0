"""Speech turned into something like song: long vowels on steady notes.

The source and filter of each frame are taken apart by linear prediction (Makhoul 1975); a pulse
train at the pitch of the note takes the source's place, and vowels last as long as the note.
The mouth does what the phones say, only more slowly, so the labels stay exact.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter

from streaming_model.media import SAMPLE_RATE
from training.corpus.utterances import Utterance
from training.phones import PHONES

ORDER: Final = 18
HOP: Final = 80  # 5 ms
WINDOW: Final = 400
_VOWELS: Final = frozenset(range(1, 16))
_VOICELESS: Final = frozenset(
    PHONES.index(phone) for phone in ("sil", "P", "T", "K", "CH", "F", "S", "SH", "TH", "HH")
)
_SCALE: Final = (0, 2, 4, 5, 7, 9, 11, 12)


def sing(utterance: Utterance, *, rng: np.random.Generator) -> Utterance:
    """Returns the utterance with its vowels two to six times as long, each on one note."""
    stretches = np.array(
        [rng.uniform(2.0, 6.0) if phone in _VOWELS else 1.0 for phone in utterance.phones]
    )
    lengths = np.diff(utterance.bounds)
    bounds = np.concatenate([[0], np.cumsum(np.round(lengths * stretches))]).astype(np.int64)
    positions = np.interp(np.arange(0, bounds[-1], HOP), bounds, utterance.bounds)
    pitch = _melody(utterance.phones, bounds, rng=rng)
    filters, levels = _analyse(utterance.samples, positions)
    voiced = np.repeat([phone not in _VOICELESS for phone in utterance.phones], np.diff(bounds))
    source = np.where(voiced, _pulses(pitch), rng.normal(0, 1, len(pitch)))
    samples = _synthesise(source + 0.02 * rng.normal(0, 1, len(source)), filters, levels)
    return replace(utterance, samples=samples, bounds=bounds)


def whisper(utterance: Utterance, *, rng: np.random.Generator) -> Utterance:
    """Returns the utterance whispered: the same filters, excited by noise alone."""
    positions = np.arange(0, len(utterance.samples), HOP).astype(np.float64)
    filters, levels = _analyse(utterance.samples, positions)
    noise = rng.normal(0, 1, len(utterance.samples))
    return replace(utterance, samples=_synthesise(noise, filters, levels))


def _melody(
    phones: NDArray[np.int64], bounds: NDArray[np.int64], *, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Returns the pitch of every sample in Hz: a step or two of the scale for each vowel."""
    tonic, degree = float(rng.uniform(110, 260)), int(rng.integers(0, 8))
    pitch = np.empty(bounds[-1])
    for phone, start, end in zip(phones, bounds[:-1], bounds[1:], strict=True):
        if phone in _VOWELS:
            degree = int(np.clip(degree + rng.integers(-2, 3), 0, 7))
        pitch[start:end] = tonic * 2 ** (_SCALE[degree] / 12)
    smooth = lfilter([1 / 320] * 320, [1.0], pitch - pitch[0]) + pitch[0]
    vibrato = 1 + 0.012 * np.sin(2 * np.pi * 5.5 * np.arange(len(pitch)) / SAMPLE_RATE)
    return np.asarray(smooth * vibrato)


def _pulses(pitch: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns a pulse at each period, of unit mean power."""
    turns = np.floor(np.cumsum(pitch / SAMPLE_RATE))
    pulses = np.diff(turns, prepend=0.0)
    return np.asarray(pulses * np.sqrt(SAMPLE_RATE / pitch))


def _analyse(
    samples: NDArray[np.float32], positions: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the [frames, ORDER + 1] filters and [frames] residual levels around positions."""
    padded = np.pad(samples.astype(np.float64), WINDOW // 2 + HOP)
    filters = np.zeros((len(positions), ORDER + 1))
    filters[:, 0] = 1.0
    levels = np.zeros(len(positions))
    for index, position in enumerate(positions):
        start = min(int(position) + HOP, len(padded) - WINDOW)
        frame = padded[start : start + WINDOW] * np.hanning(WINDOW)
        lags = np.correlate(frame, frame, "full")[WINDOW - 1 : WINDOW + ORDER]
        if lags[0] < 1e-8:
            continue
        lags[0] *= 1.0001  # -40 dB of white noise keeps the filter stable
        filters[index, 1:] = -solve_toeplitz(lags[:-1], lags[1:])
        error = max(0.0, float(filters[index] @ lags))
        levels[index] = np.sqrt(error / np.sum(np.hanning(WINDOW) ** 2))
    return filters, levels


def _synthesise(
    source: NDArray[np.float64], filters: NDArray[np.float64], levels: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Returns the source through the filters, one for each hop, as loud as the levels say."""
    gains = np.interp(np.arange(len(source)), np.arange(len(levels)) * HOP, levels)
    excited = source * gains
    out = np.zeros(len(source))
    state = np.zeros(ORDER)
    for index, coefficients in enumerate(filters):
        part = slice(index * HOP, (index + 1) * HOP)
        out[part], state = lfilter([1.0], coefficients, excited[part], zi=state)
    peak = float(np.abs(out).max(initial=0.0))
    return np.asarray(out / max(1.0, peak / 0.98), np.float32)
