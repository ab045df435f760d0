"""Speech by Flite's voices, which print the end of each phone."""

from __future__ import annotations

import subprocess
import tempfile
import wave
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from streaming_model.media import SAMPLE_RATE
from training.corpus.utterances import Utterance
from training.phones import PHONE_INDEX, from_flite

# Not kal16: what it prints is off by 30 ms and more, otherwise in every phone.
FLITE_TRAINING_VOICES: Final = ("slt", "rms")
FLITE_HELD_OUT_VOICES: Final = ("awb",)


def speak_with_flite(text: str, *, voice: str, stretch: float = 1.0) -> Utterance:
    """Returns `text` spoken by a Flite voice; `stretch` above 1 is slower.

    Raises:
        OSError: Flite is not installed.
        subprocess.CalledProcessError: Flite refused the text.
    """
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.3f}"]
        result = subprocess.run(
            [*command, "-psdur", "-t", text, "-o", file.name],
            check=True,
            capture_output=True,
            text=True,
        )
        with wave.open(file.name) as audio:
            if audio.getframerate() != SAMPLE_RATE:
                raise ValueError(f"voice {voice} speaks at {audio.getframerate()} Hz, not 16000")
            pcm = np.frombuffer(audio.readframes(audio.getnframes()), np.int16)
    pairs = [item.rsplit(":", 1) for item in result.stdout.split()]
    ends = np.array([float(end) for _, end in pairs])
    # Each phone is rounded to frames or pitch periods: the sum is off by up to 3 %.
    ends *= len(pcm) / SAMPLE_RATE / ends[-1]
    return Utterance(
        samples=pcm.astype(np.float32) / 32768.0,
        phones=np.array([PHONE_INDEX[from_flite(symbol)] for symbol, _ in pairs]),
        bounds=np.concatenate([[0], np.round(ends * SAMPLE_RATE)]).astype(np.int64),
        voice=f"flite-{voice}",
        text=text,
    )


def flite_utterances(
    texts: Sequence[str], *, voices: Sequence[str], seconds: float, rng: np.random.Generator
) -> Iterator[Utterance]:
    """Yields utterances by the voices in turn until `seconds` of speech are made."""
    spoken, index = 0.0, 0
    while spoken < seconds:
        text = texts[index // len(voices) % len(texts)]
        stretch = float(rng.uniform(0.8, 1.3))
        utterance = speak_with_flite(text, voice=voices[index % len(voices)], stretch=stretch)
        spoken += len(utterance.samples) / SAMPLE_RATE
        index += 1
        yield utterance
