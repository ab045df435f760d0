"""Speech by Festival's voices, which know the end of each phone.

Festival and its voices are programs of the system, used only while a corpus is made.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.io import wavfile

from streaming_model.media import SAMPLE_RATE
from training.corpus.texts import more_texts, world_texts
from training.corpus.utterances import Utterance
from training.festival_phones import from_festival
from training.phones import PHONE_INDEX

_AT_ONCE: Final = 6  # texts per process: a voice takes up to a second to load


@dataclass(frozen=True, slots=True)
class FestivalVoice:
    """A voice.

    Attributes:
        name: as in `(voice_NAME)`.
        language: of the texts in `training/texts`.
        encoding: that its rules read.
        stretch: its ordinary `Duration_Stretch`.
    """

    name: str
    language: str
    encoding: str = "utf-8"
    stretch: float = 1.0


VOICES: Final = (
    FestivalVoice("cmu_us_slt_arctic_hts", "en", "latin-1"),
    FestivalVoice("kal_diphone", "en", "latin-1"),
    FestivalVoice("ked_diphone", "en", "latin-1"),
    FestivalVoice("lp_diphone", "it", "latin-1"),
    FestivalVoice("pc_diphone", "it", "latin-1"),
    FestivalVoice("czech_dita", "cs", "iso-8859-2"),
    FestivalVoice("czech_machac", "cs", "iso-8859-2"),
    FestivalVoice("hy_fi_mv_diphone", "fi", "latin-1"),
    FestivalVoice("suo_fi_lj_diphone", "fi", "latin-1"),
    FestivalVoice("upc_ca_ona_hts", "ca", "latin-1"),
    FestivalVoice("msu_ru_nsh_clunits", "ru"),
    FestivalVoice("hindi_NSK_diphone", "hi", stretch=1.4),
)
HELD_OUT_VOICES: Final = (FestivalVoice("czech_ph", "cs", "iso-8859-2"),)


def speak_with_festival(
    texts: Sequence[str], *, voice: FestivalVoice, stretch: float = 1.0
) -> list[Utterance]:
    """Returns each text spoken; `stretch` above 1 is slower.

    Raises:
        OSError: Festival is not installed.
        ValueError: Festival could not speak a text, or the voice is not installed.
        KeyError: a phone has no equivalent.
    """
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "speak.scm"
        lines = [
            f"(voice_{voice.name})",
            f"(Parameter.set 'Duration_Stretch {stretch * voice.stretch:.3f})",
        ]
        for number, text in enumerate(texts):
            quoted = text.replace("\\", "").replace('"', "'")
            lines += [
                f'(set! spoken (utt.synth (Utterance Text "{quoted}")))',
                f'(utt.save.wave spoken "{folder}/{number}.wav" \'riff)',
                f'(utt.save.segs spoken "{folder}/{number}.segs")',
            ]
        script.write_text("\n".join(lines), encoding=voice.encoding)
        result = subprocess.run(["festival", "--batch", str(script)], capture_output=True)
        if not (Path(folder) / f"{len(texts) - 1}.segs").exists():
            message = result.stderr.decode(errors="replace").strip()
            raise ValueError(f"Festival's {voice.name} could not speak {list(texts)}: {message}")
        return [
            _utterance(Path(folder) / f"{number}.wav", text, voice)
            for number, text in enumerate(texts)
        ]


def _utterance(path: Path, text: str, voice: FestivalVoice) -> Utterance:
    rate, pcm = wavfile.read(path)
    samples = _resampled(pcm, rate)
    phones: list[str] = []
    bounds = [0.0]
    lines = path.with_suffix(".segs").read_text(encoding="latin-1").splitlines()
    for line in lines[1:]:
        end, _, symbol = line.split()
        phone = from_festival(symbol, language=voice.language)
        if phone is None and phones:
            bounds[-1] = float(end)
            continue
        phones.append(phone or "sil")
        bounds.append(float(end))
    # The wave is up to 40 ms longer than the phones: that is its tail.
    edges = np.round(np.array(bounds) * SAMPLE_RATE).astype(np.int64)
    edges[-1] = len(samples)
    return Utterance(
        samples=samples,
        phones=np.array([PHONE_INDEX[phone] for phone in phones]),
        bounds=np.minimum(edges, len(samples)),
        voice=f"festival-{voice.name}",
        text=text,
    )


def _resampled(pcm: NDArray[np.int16], rate: int) -> NDArray[np.float32]:
    samples = (pcm / 32768.0).astype(np.float32)
    if rate == SAMPLE_RATE:
        return samples
    return np.asarray(soxr.resample(samples, rate, SAMPLE_RATE), np.float32)


def festival_utterances(seconds: float, *, rng: np.random.Generator) -> Iterator[Utterance]:
    """Yields random texts by the voices in turn until `seconds` of speech are made."""
    texts = {v.language: world_texts(v.language) for v in VOICES if v.language != "en"}
    texts["en"] = more_texts()
    spoken, turn = 0.0, int(rng.integers(len(VOICES)))
    while spoken < seconds:
        voice = VOICES[turn % len(VOICES)]
        chosen = [str(text) for text in rng.choice(texts[voice.language], _AT_ONCE)]
        stretch = float(rng.uniform(0.8, 1.3))
        for utterance in speak_with_festival(chosen, voice=voice, stretch=stretch):
            spoken += len(utterance.samples) / SAMPLE_RATE
            yield utterance
        turn += 1
