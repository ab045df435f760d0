"""Real recorded English with phone times: telephone prompts and a forced aligner.

The prompts are Debian's `asterisk-core-sounds-en-g722`, a woman's studio voice at 16 kHz; their
texts come with `asterisk-core-sounds-en`. PocketSphinx aligns them with its own dictionary.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pocketsphinx
from numpy.typing import NDArray

from streaming_model.media import SAMPLE_RATE
from training.corpus import Utterance
from training.corpus.forced import ALIGNER_FRAME, aligned_phones, decode
from training.phones import PHONE_INDEX

PROMPTS: Final = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
TEXTS: Final = Path("/usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz")
VOICE: Final = "recorded-allison"
SHORTEST: Final = 2.5  # s of a prompt that counts: shorter ones are a word or two
LONGEST: Final = 13.0  # s, beyond which one slip of the aligner spoils too much
_FILLERS: Final = ("SIL", "+NSN+", "+SPN+")  # the aligner's silence, noise and spoken noise
_DIGITS: Final = dict(
    zip(
        "0123456789",
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
        strict=True,
    )
)


class NoRecordingsError(RuntimeError):
    """The packages with the recordings are not installed."""


def recorded_utterances(count: int) -> Iterator[Utterance]:
    """Yields up to `count` prompts with their phones; those with words unknown are passed over.

    Raises:
        NoRecordingsError: the recordings or their texts are not installed.
    """
    if not (PROMPTS.exists() and TEXTS.exists()):
        raise NoRecordingsError(
            "Recorded English needs the Debian packages asterisk-core-sounds-en and "
            "asterisk-core-sounds-en-g722."
        )
    made = 0
    for name, text in prompt_texts():
        path = PROMPTS / f"{name}.g722"
        words = spoken_words(text)
        if made == count or not path.exists() or not words:
            continue
        samples = decode(path)
        if SHORTEST <= len(samples) / SAMPLE_RATE <= LONGEST:
            utterance = align(samples, words)
            if utterance is not None:
                made += 1
                yield utterance


def prompt_texts() -> list[tuple[str, str]]:
    """Returns name and text of each prompt, longest text first, one of each wording."""
    lines = gzip.decompress(TEXTS.read_bytes()).decode("utf-8", "replace").splitlines()
    pairs = [line.split(": ", 1) for line in lines if ": " in line and not line.startswith(";")]
    first = {text.lower(): (name, text) for name, text in reversed(pairs)}
    return sorted(first.values(), key=lambda pair: (-len(pair[1]), pair[0]))


def spoken_words(text: str) -> list[str]:
    """Returns the words of a prompt's text, digits spelt out; none if it is more than words."""
    if re.search(r"[\[\](){}*<>]|\d\d", text):
        return []
    spelt = "".join(f" {_DIGITS[letter]} " if letter in _DIGITS else letter for letter in text)
    return re.findall(r"[a-z]+(?:'[a-z]+)*", spelt.lower().replace("’", "'"))


def align(samples: NDArray[np.float32], words: list[str]) -> Utterance | None:
    """Returns the utterance with its phones, None if a word is unknown or the aligner is lost."""
    decoder = pocketsphinx.Decoder(lm=None, loglevel="FATAL", samprate=float(SAMPLE_RATE))
    if any(decoder.lookup_word(word) is None for word in words):
        return None
    found = aligned_phones(decoder, words, samples)
    if found is None:
        return None
    names = ["sil" if phone.name in _FILLERS else phone.name for phone in found]
    phones = [PHONE_INDEX[name] for name in names]
    starts = [phone.start * ALIGNER_FRAME for phone in found]
    end = (found[-1].start + found[-1].duration) * ALIGNER_FRAME
    bounds = np.array([*starts, min(max(end, starts[-1] + 1), len(samples))], np.int64)
    bounds[0] = 0
    return Utterance(samples[: bounds[-1]], np.array(phones), bounds, VOICE, " ".join(words))
