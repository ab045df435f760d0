"""The fast voice: a Piper VITS model on onnxruntime, fed with our own phonemes.

Needs neither piper-tts nor espeak. The model's predicted durations are made a second output, so
that phone times are exact. The model is cut before its vocoder, which is two thirds of the work
and can be asked for the beginning of a clause first.
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
from server.voice.engine import Beginning, RawSpeech, speak_clauses
from server.voice.g2p import english
from server.voice.onnx_graph import cut_model
from server.voice.phonemes import grouped
from server.voice.pieces import RawPieces
from server.voice.ready_models import open_models
from server.voice.timing import PAUSE, TimedToken, advanced

DURATIONS = "/Ceil_output_0"  # frames per input id, after rounding up
LATENT = "/Mul_7_output_0"  # [1, 192, frames], what the vocoder makes sound of
HOP = 256  # samples per frame
REACH = 10  # frames on either side that a sample of the vocoder depends on
FIRST_PIECE = 40  # frames, 0.46 s: enough to make the next 0.46 s of on a busy machine
# Tokens are this late against the sound: sibilant edges of 107 /s ʃ/ (median, docs/voices.md).
LATE_SAMPLES = 576
# 3.3 dB, to -20 dBFS: the median of 13 sentences, which need 1.0 to 4.9. What the first piece of
# each seems to need is -1.7 to 8.9.
USUAL_GAIN = 1.46
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
        self._acoustic, self._vocoder = _open_model(files.model, threads)
        self._phonemes = english(british=False)

    def speak(
        self, text: str, *, speed: float = 1.0, in_pieces: bool = False
    ) -> Iterator[SpeechClause]:
        """Speaks `text` clause by clause; see `base.Voice`."""
        return speak_clauses(
            text,
            speed=speed,
            phonemes=self._phonemes,
            synthesise=self._synthesise,
            sample_rate=self.sample_rate,
            longest=LONGEST_INPUT,
            beginning=Beginning(self._begin, USUAL_GAIN) if in_pieces else None,
        )

    def warm_up(self) -> None:
        """Speaks a word to nobody."""
        for _ in self.speak("Ready."):
            pass

    def _synthesise(self, phonemes: str, speed: float) -> RawSpeech:
        latent, tokens = self._plan(phonemes, speed)
        return RawSpeech(self._sound(latent, 0, latent.shape[2]), tokens)

    def _begin(self, phonemes: str, speed: float) -> RawPieces:
        latent, tokens = self._plan(phonemes, speed)
        return RawPieces(tokens, self._sounds(latent))

    def _plan(
        self, phonemes: str, speed: float
    ) -> tuple[NDArray[np.float32], tuple[TimedToken, ...]]:
        """Returns [1, 192, frames] of which sound is made, and the tokens of that sound."""
        ids, symbols = self._encode(phonemes)
        scales = np.array(
            [self._noise, self._length / speed, self._duration_noise], dtype=np.float32
        )
        latent, frames = self._acoustic.run(
            None,
            {
                "input": np.array([ids], np.int64),
                "input_lengths": np.array([len(ids)], np.int64),
                "scales": scales,
            },
        )
        lengths = (frames.reshape(-1) * HOP).astype(np.int64)
        tokens = [
            TimedToken(symbol, int(lengths[begin:end].sum())) for symbol, begin, end in symbols
        ]
        return latent, advanced(tokens, LATE_SAMPLES)

    def _sounds(self, latent: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Yields the sound in pieces, each from the second on as long as all before it."""
        begin = 0
        while begin < latent.shape[2]:
            end = min(begin + max(FIRST_PIECE, begin), latent.shape[2])
            yield self._sound(latent, begin, end)
            begin = end

    def _sound(self, latent: NDArray[np.float32], begin: int, end: int) -> NDArray[np.float32]:
        """Returns the samples of frames begin..end, the same whatever is left out around them."""
        first = max(0, begin - REACH)
        (sound,) = self._vocoder.run(None, {LATENT: latent[:, :, first : end + REACH]})
        samples: NDArray[np.float32] = sound.reshape(-1)
        return samples[(begin - first) * HOP : (end - first) * HOP]

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


def _open_model(
    path: Path, threads: int
) -> tuple[onnxruntime.InferenceSession, onnxruntime.InferenceSession]:
    """Returns phonemes to latent frames and durations, and latent frames to sound."""
    try:
        acoustic, vocoder = open_models(
            path,
            lambda model: cut_model(model, LATENT, also=[DURATIONS]),
            about=f"cut at {LATENT}, with {DURATIONS}",
            threads=threads,
        )
        return acoustic, vocoder
    except Exception as error:
        raise VoiceError(f"The voice model {path.name} cannot be loaded: {error}.") from error
