"""Speech with exact phone times, from text-to-speech voices.

An `Utterance` is 16 kHz audio and the phones in it. Flite's voices print the end of each
phone; Piper and Kokoro come from `server.voice`. Knows nothing of faces or features.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streaming_model.media import SAMPLE_RATE
from training.phones import PHONE_INDEX, from_flite

TEXTS = Path(__file__).parent / "texts"
FLITE_TRAINING_VOICES = ("slt", "rms", "kal16")
FLITE_HELD_OUT_VOICES = ("awb",)


@dataclass(frozen=True, slots=True)
class Utterance:
    """A spoken text.

    Attributes:
        samples: [n] float32, 16 kHz, in -1..1.
        phones: [m] int64, indices into `training.phones.PHONES`.
        bounds: [m + 1] int64, sample at which each phone begins, and where the last ends.
        voice: name of the speaker.
        text: what was said.
    """

    samples: NDArray[np.float32]
    phones: NDArray[np.int64]
    bounds: NDArray[np.int64]
    voice: str
    text: str


def written_texts(*, held_out: bool = False) -> list[str]:
    """Returns the sentences in `training/texts`, one per line."""
    names = ("held_out",) if held_out else ("verse", "prose", "talk")
    return [
        line
        for name in names
        for line in (TEXTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    ]


def word_salads(count: int, *, rng: np.random.Generator) -> list[str]:
    """Returns sentences of random dictionary words, which cover rare sound sequences."""
    listing = json.loads((files("misaki") / "data" / "us_gold.json").read_text(encoding="utf-8"))
    words = [word for word in listing if word.isalpha() and word.islower() and len(word) > 1]
    marks = [". ", "? ", ", ", " ", " ", " ", " ", " "]
    return [
        "".join(
            str(rng.choice(words)) + str(rng.choice(marks)) for _ in range(rng.integers(5, 14))
        ).strip(" ,.?")
        + "."
        for _ in range(count)
    ]


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
    # The diphone voice rounds each phone to pitch periods: its sum is off by up to 3 %.
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


def save_utterances(path: Path, utterances: Sequence[Utterance]) -> None:
    """Writes utterances to one .npz file: audio as 16-bit PCM, all joined end to end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pcm = [np.round(np.clip(u.samples, -1, 1) * 32767).astype(np.int16) for u in utterances]
    np.savez(
        path,
        pcm=np.concatenate(pcm),
        lengths=np.array([len(part) for part in pcm]),
        phones=np.concatenate([u.phones for u in utterances]),
        bounds=np.concatenate([u.bounds for u in utterances]),
        counts=np.array([len(u.phones) for u in utterances]),
        voices=np.array([u.voice for u in utterances]),
        texts=np.array([u.text for u in utterances]),
    )


def load_utterances(path: Path) -> list[Utterance]:
    """Reads what `save_utterances` wrote."""
    with np.load(path) as data:
        fields = {name: data[name] for name in data.files}
    ends, phone_ends = np.cumsum(fields["lengths"]), np.cumsum(fields["counts"])
    bound_ends = np.cumsum(fields["counts"] + 1)
    return [
        Utterance(
            samples=fields["pcm"][end - length : end].astype(np.float32) / 32767.0,
            phones=fields["phones"][phone_end - count : phone_end],
            bounds=fields["bounds"][bound_end - count - 1 : bound_end],
            voice=str(voice),
            text=str(text),
        )
        for end, length, phone_end, bound_end, count, voice, text in zip(
            ends,
            fields["lengths"],
            phone_ends,
            bound_ends,
            fields["counts"],
            fields["voices"],
            fields["texts"],
            strict=True,
        )
    ]
