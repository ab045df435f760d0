"""Training speech by the server's own voices, and by speakers mixed from Kokoro's.

A mixture of style vectors is a speaker nobody has heard, which is how few voices become many.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from server.voice.base import SpeechClause
from server.voice.base import Voice as SpeakingVoice
from server.voice.kokoro import SPEAKERS, KokoroVoice
from streaming_model.media import SAMPLE_RATE
from training.corpus.utterances import Utterance
from training.phones import PHONE_INDEX, from_ipa

_SOUND: Final = 128  # of the 256 numbers of a style, those that the vocoder hears
KOKORO_HELD_OUT: tuple[str, ...] = (
    *("bf_emma", "am_fenrir"),
    *("zf_xiaoxiao", "if_sara", "ff_siwis"),
)


class MixedVoice(KokoroVoice):
    """A speaker with a given style, [510, 256], read aloud in British or American English."""

    def __init__(self, name: str, style: NDArray[np.float32], *, british: bool) -> None:
        super().__init__("bf_emma" if british else "af_heart")
        self.name = name
        self._style = style


def kokoro_styles(extra: Path | None = None) -> dict[str, NDArray[np.float32]]:
    """Returns the style of each speaker that is not held out.

    Args:
        extra: a folder with more speakers as Kokoro's own `NAME.bin` files (float32,
            510 x 256), such as `voices/` of the npm package kokoro-js; English names begin
            with a or b.
    """
    return _styles(extra, "[ab][fm]_*.bin")


def kokoro_timbres(extra: Path | None = None) -> dict[str, NDArray[np.float32]]:
    """Returns what `kokoro_styles` does, of the speakers of all languages."""
    return _styles(extra, "*.bin")


def _styles(extra: Path | None, pattern: str) -> dict[str, NDArray[np.float32]]:
    styles = {name: KokoroVoice(name)._style for name in SPEAKERS}
    for path in sorted(extra.glob(pattern)) if extra else ():
        styles[path.stem] = np.fromfile(path, np.float32).reshape(-1, 256)[:510]
    return {name: style for name, style in styles.items() if name not in KOKORO_HELD_OUT}


def mixed_utterances(
    texts: Sequence[str],
    styles: Mapping[str, NDArray[np.float32]],
    *,
    seconds: float,
    rng: np.random.Generator,
    timbres: Mapping[str, NDArray[np.float32]] | None = None,
) -> Iterator[Utterance]:
    """Yields utterances, each by another mixture of one to three speakers.

    Args:
        texts: what to say, at random.
        styles: speakers of English, who say how it is said.
        seconds: how much there is at least.
        rng: of every choice.
        timbres: speakers of any language; where given, each voice's sound is another mixture
            of theirs. Kokoro's style is the sound in its first half and the manner in the other.
    """
    names, spoken = sorted(styles), 0.0
    while spoken < seconds:
        parts, shares, style = _mixture(styles, names, rng=rng)
        name = "kokoro-" + "+".join(sorted(parts))
        if timbres is not None:
            lent, _, sound = _mixture(timbres, sorted(timbres), rng=rng)
            style[:, :_SOUND] = sound[:, :_SOUND]
            name += "/" + "+".join(sorted(lent))
        british = parts[int(np.argmax(shares))].startswith("b")
        voice = MixedVoice(name, style, british=british)
        text = texts[int(rng.integers(len(texts)))]
        for utterance in speak(voice, text, speed=float(rng.uniform(0.8, 1.3))):
            spoken += len(utterance.samples) / SAMPLE_RATE
            yield utterance


def _mixture(
    styles: Mapping[str, NDArray[np.float32]], names: Sequence[str], *, rng: np.random.Generator
) -> tuple[list[str], NDArray[np.float64], NDArray[np.float32]]:
    """Returns one to three speakers, their shares, and the style that these make together."""
    size = int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]))
    parts = [str(name) for name in rng.choice(names, size=size, replace=False)]
    shares = rng.dirichlet(np.full(size, 2.0))
    style = sum(share * styles[name] for share, name in zip(shares, parts, strict=True))
    return parts, shares, np.asarray(style, np.float32)


def speak(voice: SpeakingVoice, text: str, *, speed: float = 1.0) -> Iterator[Utterance]:
    """Yields each clause of `text` as an utterance at 16 kHz."""
    for clause in voice.speak(text, speed=speed):
        if len(clause.samples):
            yield to_utterance(clause, voice=voice.name)


def to_utterance(clause: SpeechClause, *, voice: str) -> Utterance:
    """Returns a clause with its phones in this package's set; timeless marks are merged."""
    samples = soxr.resample(clause.samples, clause.sample_rate, SAMPLE_RATE).astype(np.float32)
    phones: list[int] = []
    bounds = [0]
    for phone in clause.phones:
        label = from_ipa(phone.symbol)
        end = round(phone.end * SAMPLE_RATE / clause.sample_rate)
        if label is None and phones:
            bounds[-1] = end
            continue
        phones.append(PHONE_INDEX[label or "sil"])
        bounds.append(end)
    return Utterance(samples, np.array(phones), np.array(bounds), voice, clause.text)
