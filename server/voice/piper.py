"""The fast voice: a Piper VITS model on onnxruntime, fed with our own phonemes.

Needs neither piper-tts nor espeak. The model's predicted durations are made a second output, so
that phone times are exact.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from server.voice.base import SpeechClause, VoiceError
from server.voice.engine import RawSpeech, speak_clauses
from server.voice.g2p import english
from server.voice.onnx_graph import graph_output_suffix
from server.voice.phonemes import grouped
from server.voice.timing import PAUSE, TimedToken, advanced

DURATIONS = "/Ceil_output_0"  # frames per input id, after rounding up
HOP = 256  # samples per frame
# Tokens are this late against the sound: sibilant edges of 107 /s ʃ/ (median, docs/voices.md).
LATE_SAMPLES = 576
LONGEST_INPUT = 300  # phones in one call; longer clauses are cut at a space

# misaki's letters in espeak's American spelling, which the voice was trained on.
ESPEAK = {
    "A": "eɪ", "I": "aɪ", "O": "oʊ", "W": "aʊ", "Y": "ɔɪ", "Q": "oʊ", "ʧ": "tʃ", "ʤ": "dʒ",
    "T": "ɾ", "ᵊ": "ə", "ɑ": "ɑː", "ɔ": "ɔː", "u": "uː", "—": ",", "…": ".",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PiperFiles:
    """Where a Piper voice lies: the model and its settings."""

    model: Path
    settings: Path


class PiperVoice:
    """A Piper voice of American English."""

    engine = "piper"

    def __init__(self, name: str, files: PiperFiles, *, label: str = "", threads: int = 1) -> None:
        self.name = name
        self.label = label or name
        settings = _read_settings(files.settings)
        self.language: str = settings["language"]["code"].replace("_", "-")
        self.sample_rate: int = settings["audio"]["sample_rate"]
        self._ids: dict[str, list[int]] = settings["phoneme_id_map"]
        self._noise = float(settings["inference"]["noise_scale"])
        self._length = float(settings["inference"]["length_scale"])
        self._duration_noise = float(settings["inference"]["noise_w"])
        self._session = _open_model(files.model, threads)
        self._phonemes = english(british=False)

    def speak(self, text: str, *, speed: float = 1.0) -> Iterator[SpeechClause]:
        """Speaks `text` clause by clause; see `base.Voice`."""
        return speak_clauses(
            text,
            speed=speed,
            phonemes=self._phonemes,
            synthesise=self._synthesise,
            sample_rate=self.sample_rate,
            longest=LONGEST_INPUT,
        )

    def warm_up(self) -> None:
        """Speaks a word to nobody."""
        for _ in self.speak("Ready."):
            pass

    def _synthesise(self, phonemes: str, speed: float) -> RawSpeech:
        ids, symbols = self._encode(phonemes)
        scales = np.array(
            [self._noise, self._length / speed, self._duration_noise], dtype=np.float32
        )
        audio, frames = self._session.run(
            None,
            {
                "input": np.array([ids], np.int64),
                "input_lengths": np.array([len(ids)], np.int64),
                "scales": scales,
            },
        )
        samples: NDArray[np.float32] = audio.reshape(-1)
        lengths = (frames.reshape(-1) * HOP).astype(np.int64)
        tokens = [
            TimedToken(symbol, int(lengths[begin:end].sum())) for symbol, begin, end in symbols
        ]
        return RawSpeech(samples, advanced(tokens, LATE_SAMPLES))

    def _encode(self, phonemes: str) -> tuple[list[int], list[tuple[str, int, int]]]:
        """Returns the ids, padded as Piper does, and for each phone the ids that belong to it."""
        pad = self._ids["_"]
        ids = [*self._ids["^"], *pad]
        spans = [(PAUSE, 0, len(ids))]
        for letters, symbol in grouped(phonemes):
            begin = len(ids)
            for letter in _espeak_letters(letters, symbol):
                ids += [*self._ids[letter], *pad]
            spans.append((symbol, begin, len(ids)))
        spans.append((PAUSE, len(ids), len(ids) + 1))
        ids += self._ids["$"]
        return ids, spans


def _espeak_letters(letters: str, symbol: str) -> str:
    stress = letters[0] if letters[0] in "ˈˌ" else ""
    if symbol == "ɚ":
        return stress + "ɚ"
    if symbol == "ɝ":
        return stress + "ɜː"
    if letters == stress + "i":
        return stress + ("iː" if stress else "i")
    return "".join(ESPEAK.get(letter, letter) for letter in letters)


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VoiceError(f"The voice settings {path.name} cannot be read: {error}.") from error
    return settings


def _open_model(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    try:
        model = path.read_bytes() + graph_output_suffix(DURATIONS)
        # The graph draws its noise by itself; seeded, the same text gives the same film again.
        onnxruntime.set_seed(0)
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise VoiceError(f"The voice model {path.name} cannot be loaded: {error}.") from error
