"""Kokoro's speech in other languages, with exact phone times.

eSpeak NG or our pinyin table reads the text; the model is the server's, the style vectors come
from the folder that the command is given.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from server.voice.base import SpeechClause
from server.voice.kokoro import HOP, LATE_SAMPLES, SAMPLE_RATE, SPEAKERS, KokoroVoice
from server.voice.timing import GAP, PAUSE, TimedToken, advanced, phones_of
from streaming_model.media import SAMPLE_RATE as MEDIA_RATE
from training.corpus.espeak import open_espeak
from training.corpus.neural import KOKORO_HELD_OUT, to_utterance
from training.corpus.pinyin import pinyin_to_ipa
from training.corpus.texts import world_texts
from training.corpus.utterances import Utterance

# eSpeak NG's voice for each language, and the first letters of Kokoro's speakers that speak it.
# The only French speaker is held out, and there is no German one: neighbours read these.
LANGUAGES: Final[dict[str, tuple[str, str]]] = {
    "es": ("es", "e"),
    "fr": ("fr", "eip"),
    "hi": ("hi", "h"),
    "it": ("it", "i"),
    "pt": ("pt-br", "p"),
    "ja": ("ja", "j"),
    "zh": ("", "z"),
    "de": ("de", "ab"),
}
_LONGEST: Final = 400  # tokens, as in the server

# Token numbers of Kokoro-82M's configuration (Apache-2.0).
_SIGNS: Final = dict(zip(';:,.!?—…"() ', (1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 16), strict=True))
_LETTERS: Final = {
    "\u0303": 17, "ʣ": 18, "ʥ": 19, "ʦ": 20, "ʨ": 21, "ᵝ": 22, "ꭧ": 23, "a": 43, "b": 44, "c": 45,
    "d": 46, "e": 47, "f": 48, "h": 50, "i": 51, "j": 52, "k": 53, "l": 54, "m": 55, "n": 56,
    "o": 57, "p": 58, "q": 59, "r": 60, "s": 61, "t": 62, "u": 63, "v": 64, "w": 65, "x": 66,
    "y": 67, "z": 68, "ɑ": 69, "ɐ": 70, "ɒ": 71, "æ": 72, "β": 75, "ɔ": 76, "ɕ": 77, "ç": 78,
    "ɖ": 80, "ð": 81, "ʤ": 82, "ə": 83, "ɚ": 85, "ɛ": 86, "ɜ": 87, "ɟ": 90, "ɡ": 92, "ɥ": 99,
    "ɨ": 101, "ɪ": 102, "ʝ": 103, "ɯ": 110, "ɰ": 111, "ŋ": 112, "ɳ": 113, "ɲ": 114, "ɴ": 115,
    "ø": 116, "ɸ": 118, "θ": 119, "œ": 120, "ɹ": 123, "ɾ": 125, "ɻ": 126, "ʁ": 128, "ɽ": 129,
    "ʂ": 130, "ʃ": 131, "ʈ": 132, "ʧ": 133, "ʊ": 135, "ʋ": 136, "ʌ": 138, "ɣ": 139, "ɤ": 140,
    "χ": 142, "ʎ": 143, "ʒ": 147, "ʔ": 148, "ˈ": 156, "ˌ": 157, "ː": 158, "ʰ": 162, "ʲ": 164,
    "↓": 169, "→": 171, "↗": 172, "↘": 173, "ᵻ": 177,
}  # fmt: skip
TOKENS: Final = {**_SIGNS, **_LETTERS}
_AFFRICATES: Final = {"tʃ": "ʧ", "dʒ": "ʤ", "ts": "ʦ", "dz": "ʣ", "tɕ": "ʨ", "dʑ": "ʥ"}
_RESPELLED: Final = {**_AFFRICATES, "g": "ɡ", "ʏ": "y", "ɭ": "l", "ɱ": "m", "ʉ": "u", "ɵ": "ø"}
_STOPS: Final = {"ʧ": "tʃ", "ʤ": "dʒ", "ʦ": "tʃ", "ʨ": "tʃ", "ꭧ": "tʃ", "ʣ": "dʒ", "ʥ": "dʒ"}
_BEFORE: Final = frozenset("ˈˌ")
_AFTER: Final = frozenset("\u0303ᵝːʰʲ↓→↗↘ʔ")


def to_kokoro(text: str, *, language: str) -> str:
    """Returns a text in Kokoro's notation; letters that it does not know are left out."""
    voice = LANGUAGES[language][0]
    pieces = re.findall(r"[^,.;:!?。、！？]+|[,.;:!?。、！？]", text)
    spoken = ""
    for piece in pieces:
        if piece in ",.;:!?。、！？":
            spoken += piece.translate(str.maketrans("。、！？", ".,!?"))
        elif piece.strip(" ¡¿\"'"):
            ipa = open_espeak().phonemes(piece, voice=voice) if voice else pinyin_to_ipa(piece)
            spoken += " " + re.sub(r"\([a-z-]+\)", "", ipa).strip()
    # Decomposed, so that a vowel keeps its letter where its mark (as in ä) is unknown.
    spoken = unicodedata.normalize("NFD", spoken).replace("c\u0327", "ç")
    for written, letter in _RESPELLED.items():
        spoken = spoken.replace(written, letter)
    return "".join(letter for letter in spoken.strip() if letter in TOKENS)[:_LONGEST]


def world_styles(extra: Path | None) -> dict[str, NDArray[np.float32]]:
    """Returns the style, [510, 256], of each speaker that is not held out.

    Args:
        extra: folder of Kokoro's `NAME.bin` files; without one, the server's English speakers
            read every language.
    """
    styles = {name: KokoroVoice(name)._style for name in SPEAKERS}
    for path in sorted(extra.glob("[a-z][fm]_*.bin")) if extra else ():
        styles[path.stem] = np.fromfile(path, np.float32).reshape(-1, 256)[:510]
    return {name: style for name, style in styles.items() if name not in KOKORO_HELD_OUT}


def speak_kokoro(
    phonemes: str, style: NDArray[np.float32], *, text: str, voice: str, speed: float = 1.0
) -> Utterance:
    """Returns what Kokoro says for phonemes in its notation, at 16 kHz.

    Args:
        phonemes: at most 510 letters of `TOKENS`.
        style: [510, 256].
        text: kept in the utterance.
        voice: name of the speaker.
        speed: 0.5 to 2.
    """
    ids = [0, *(TOKENS[letter] for letter in phonemes), 0]
    audio, frames = KokoroVoice("af_heart")._session.run(
        None,
        {
            "tokens": np.array([ids], np.int64),
            "style": style[len(phonemes)][None],
            "speed": np.array([speed], np.float32),
        },
    )
    lengths = frames.reshape(-1).astype(np.int64) * HOP
    tokens = advanced(_timed(phonemes, lengths), LATE_SAMPLES)
    samples = audio.astype(np.float32)
    samples /= max(1.0, float(np.abs(samples).max()) / 0.98)
    phones = tuple(phones_of(tokens, samples, SAMPLE_RATE))
    clause = SpeechClause(text, 0, len(text), SAMPLE_RATE, samples, phones, ())
    return to_utterance(clause, voice=voice)


def _timed(phonemes: str, lengths: NDArray[np.int64]) -> list[TimedToken]:
    """Returns the phones with their marks, and the silences around and between them."""
    tokens = [TimedToken(PAUSE, int(lengths[0]))]
    pending = 0
    for letter, length in zip(phonemes, lengths[1:-1].tolist(), strict=True):
        if letter in _BEFORE:
            pending += length
        elif letter in _AFTER:
            tokens[-1] = TimedToken(tokens[-1].symbol, tokens[-1].samples + length + pending)
            pending = 0
        else:
            symbol = GAP if letter == " " else PAUSE if letter in _SIGNS else letter
            tokens.append(TimedToken(_STOPS.get(symbol, symbol), length + pending))
            pending = 0
    return [*tokens, TimedToken(PAUSE, int(lengths[-1]) + pending)]


def world_utterances(
    styles: Mapping[str, NDArray[np.float32]], *, seconds: float, rng: np.random.Generator
) -> Iterator[Utterance]:
    """Yields random texts in the languages in turn, each by a mixture of one to three speakers."""
    languages, spoken = sorted(LANGUAGES), 0.0
    turn = int(rng.integers(len(languages)))
    while spoken < seconds:
        language = languages[turn % len(languages)]
        own = [name for name in sorted(styles) if name[0] in LANGUAGES[language][1]]
        names = rng.permutation(own or sorted(styles))[: int(rng.choice([1, 2, 3]))]
        shares = rng.dirichlet(np.full(len(names), 2.0))
        style = sum(share * styles[str(name)] for share, name in zip(shares, names, strict=True))
        text = str(rng.choice(world_texts(language)))
        utterance = speak_kokoro(
            to_kokoro(text, language=language),
            np.asarray(style, np.float32),
            text=text,
            voice="kokoro-" + "+".join(sorted(str(name) for name in names)),
            speed=float(rng.uniform(0.8, 1.3)),
        )
        spoken += len(utterance.samples) / MEDIA_RATE
        yield utterance
        turn += 1
