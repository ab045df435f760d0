"""Speech by eSpeak NG, which says when each phone begins, in many languages.

The library is GPL-3.0 and is only loaded while a corpus is made: nothing of it ships. Its events
were checked against the sound: fricatives begin within 2 ms of them (median of 140), but a
voiceless stop's event is its burst, 40 ms after the mouth has closed (median of 105).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from streaming_model.media import SAMPLE_RATE
from training.corpus.texts import more_texts, world_texts
from training.corpus.utterances import Utterance
from training.phones import PHONE_INDEX, SILENCE, from_ipa

LIBRARY: Final = "libespeak-ng.so.1"
CLOSURE_SECONDS: Final = 0.040
_STOPS: Final = tuple("ptkcqʈ")
_SHORTEST_PAUSE_SECONDS: Final = 0.03  # shorter gaps between words are part of a phone

# Each language of our texts and the voices that read it. Mandarin is written in pinyin.
VOICES: Final[dict[str, tuple[str, ...]]] = {
    "en": ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029"),
    "de": ("de",),
    "es": ("es", "es-419"),
    "fr": ("fr", "fr-be"),
    "it": ("it",),
    "pt": ("pt", "pt-br"),
    "ru": ("ru",),
    "cs": ("cs",),
    "fi": ("fi",),
    "ca": ("ca",),
    "hi": ("hi",),
    "ja": ("ja",),
    "zh": ("cmn-latn-pinyin",),
    "pl": ("pl",),
    "nl": ("nl",),
    "sv": ("sv",),
    "tr": ("tr",),
    "la": ("la",),
    "el": ("el",),
    "id": ("id",),
}
VARIANTS: Final = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "f1", "f2", "f3", "f4"),
    *("klatt", "klatt2", "klatt3", "croak", "whisper"),
)
HELD_OUT_VARIANTS: Final = ("m7", "f5")
_ENGLISH_SHARE: Final = 0.25

_RETRIEVAL, _PHONEME_EVENTS, _PHONEME_IPA = 1, 1, 2  # speak_lib.h
_RATE, _PITCH = 1, 3
_PHONEME: Final = 7
_UTF8: Final = 1
_IPA: Final = 2


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_CALLBACK: Final = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True, slots=True)
class TimedSpeech:
    """What the library returns.

    Attributes:
        samples: [n] float32 in -1..1.
        sample_rate: in Hz.
        events: (sample at which it begins, IPA; "" is a pause), in order.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    events: tuple[tuple[int, str], ...]


class EspeakNg:
    """The library, which keeps one voice for the whole process.

    Raises:
        OSError: it is not installed.
    """

    def __init__(self) -> None:
        self._library = ctypes.CDLL(LIBRARY)
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self.sample_rate = int(
            self._library.espeak_Initialize(_RETRIEVAL, 60, None, _PHONEME_EVENTS | _PHONEME_IPA)
        )
        if self.sample_rate <= 0:
            raise OSError(f"eSpeak NG did not start: error {self.sample_rate}")
        self._audio: list[NDArray[np.int16]] = []
        self._events: list[tuple[int, str]] = []
        self._callback = _CALLBACK(self._receive)  # kept: the library holds its address
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, *, voice: str, rate: int = 175, pitch: int = 50) -> TimedSpeech:
        """Returns the text spoken; `rate` in words a minute, `pitch` 0..100.

        Raises:
            ValueError: the voice is unknown.
        """
        self._choose(voice)
        self._library.espeak_SetParameter(_RATE, rate, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        self._audio.clear()
        self._events.clear()
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        samples = np.concatenate([np.zeros(0, np.int16), *self._audio])
        return TimedSpeech(
            (samples / 32768.0).astype(np.float32), self.sample_rate, tuple(self._events)
        )

    def phonemes(self, text: str, *, voice: str, separator: str = "") -> str:
        """Returns the text in IPA with stress marks, its clauses joined by spaces.

        `separator` is one letter that stands between the phones of a word, or none.

        Raises:
            ValueError: the voice is unknown.
        """
        self._choose(voice)
        mode = _IPA | (ord(separator) << 8 if separator else 0)  # speak_lib.h
        place = ctypes.c_char_p(text.encode())
        clauses = []
        while place.value is not None:
            spoken = self._library.espeak_TextToPhonemes(ctypes.byref(place), _UTF8, mode)
            clauses.append(spoken.decode())
        return " ".join(clauses)

    def _choose(self, voice: str) -> None:
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"eSpeak NG has no voice {voice!r}")

    def _receive(self, wave: object, count: int, events: object) -> int:
        if count:
            self._audio.append(np.ctypeslib.as_array(wave, (count,)).copy())
        for index in range(10_000):
            event = events[index]  # type: ignore[index]
            if event.type == 0:
                break
            if event.type == _PHONEME:
                # The field has eight bytes, which may cut a combining mark in two.
                self._events.append((event.sample, event.id.decode(errors="ignore")))
        return 0


@lru_cache(maxsize=1)
def open_espeak() -> EspeakNg:
    """Returns the library, started once per process. Raises OSError if it is not installed."""
    return EspeakNg()


def speak_with_espeak(text: str, *, voice: str, rate: int = 175, pitch: int = 50) -> Utterance:
    """Returns an utterance at 16 kHz.

    Raises:
        OSError: eSpeak NG is not installed.
        ValueError: the voice is unknown, or the text has nothing to say.
        KeyError: a phone has no equivalent.
    """
    speech = open_espeak().speak(text, voice=voice, rate=rate, pitch=pitch)
    phones, starts = _labels(speech)
    if not any(phone != SILENCE for phone in phones):
        raise ValueError(f"voice {voice} says nothing for {text!r}")
    samples = soxr.resample(speech.samples, speech.sample_rate, SAMPLE_RATE).astype(np.float32)
    bounds = np.array([*starts, len(speech.samples)]) * (SAMPLE_RATE / speech.sample_rate)
    return Utterance(
        samples=samples,
        phones=np.array([PHONE_INDEX[phone] for phone in phones]),
        bounds=np.minimum(np.round(bounds), len(samples)).astype(np.int64),
        voice=f"espeak-{voice}",
        text=text,
    )


def _labels(speech: TimedSpeech) -> tuple[list[str], list[int]]:
    """Returns the phones and where each starts; marks without time join what precedes."""
    phones, starts = [SILENCE], [0]
    ends = [*[start for start, _ in speech.events[1:]], len(speech.samples)]
    for (start, symbol), end in zip(speech.events, ends, strict=True):
        if symbol.startswith("("):  # a change of language
            continue
        phone = from_ipa(symbol) if symbol else SILENCE
        is_short = end - start < _SHORTEST_PAUSE_SECONDS * speech.sample_rate
        if phone is None or end <= start or (phone == SILENCE and is_short):
            continue
        if symbol[:1] in _STOPS:
            start -= min(round(CLOSURE_SECONDS * speech.sample_rate), (start - starts[-1]) // 2)
        if start <= starts[-1]:
            phones[-1] = phone
        elif phone == phones[-1] == SILENCE:
            continue
        else:
            phones.append(phone)
            starts.append(start)
    return phones, starts


def espeak_utterances(seconds: float, *, rng: np.random.Generator) -> Iterator[Utterance]:
    """Yields random texts by random voices until `seconds` of speech are made."""
    texts = {language: world_texts(language) for language in VOICES if language != "en"}
    texts["en"] = more_texts()
    languages, spoken = sorted(set(VOICES) - {"en"}), 0.0
    while spoken < seconds:
        is_english = rng.random() < _ENGLISH_SHARE
        language = "en" if is_english else str(rng.choice(languages))
        utterance = speak_with_espeak(
            str(rng.choice(texts[language])),
            voice=f"{rng.choice(VOICES[language])}+{rng.choice(VARIANTS)}",
            rate=int(rng.integers(120, 260)),
            pitch=int(rng.integers(15, 90)),
        )
        spoken += len(utterance.samples) / SAMPLE_RATE
        yield utterance
