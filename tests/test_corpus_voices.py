"""The corpus' voices of many languages: symbols, texts, times against the sound."""

from __future__ import annotations

import ctypes
import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from training.corpus import Utterance, written_texts
from training.corpus.build import PARTS, CorpusSettings, load_corpus, make_corpus
from training.corpus.espeak import (
    LIBRARY,
    VOICES,
    open_espeak,
    speak_with_espeak,
)
from training.corpus.festival import FestivalVoice, speak_with_festival
from training.corpus.kokoro_world import TOKENS, speak_kokoro, to_kokoro, world_styles
from training.corpus.pinyin import pinyin_to_ipa
from training.corpus.texts import more_texts, world_texts
from training.festival_phones import from_festival
from training.phones import PHONES, from_ipa

HOP = 32


def _has_espeak() -> bool:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


needs_espeak = pytest.mark.skipif(not _has_espeak(), reason=f"{LIBRARY} is not installed")
needs_festival = pytest.mark.skipif(
    shutil.which("festival") is None, reason="Festival is not installed"
)


def sibilance(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns the level above 3.5 kHz in dB, 2 ms apart."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, 64)[::HOP] * np.hanning(64)
    power = np.abs(np.fft.rfft(windows)) ** 2
    return np.asarray(10 * np.log10(power[:, 14:].sum(axis=1) + 1e-6))


def lateness(utterances: list[Utterance], phones: frozenset[str]) -> int:
    """Returns by how many ms the sound of these phones lags behind their labels."""
    score = np.zeros(61)
    for spoken in utterances:
        level = sibilance(spoken.samples)
        level = np.maximum(level, np.percentile(level, 99) - 40)
        inside = np.zeros(len(level))
        for phone, (start, end) in zip(
            spoken.phones, itertools.pairwise(spoken.bounds), strict=True
        ):
            if PHONES[phone] in phones:
                inside[start // HOP : end // HOP] = 1
        for index in range(61):
            score[index] += np.roll(inside - inside.mean(), index - 30) @ (level - level.mean())
    return int(score.argmax() - 30) * 2


def check(spoken: Utterance) -> None:
    assert (np.diff(spoken.bounds) > 0).all()
    assert spoken.bounds[0] == 0
    assert spoken.bounds[-1] == len(spoken.samples)
    assert len(spoken.bounds) == len(spoken.phones) + 1


@pytest.mark.parametrize(
    ("symbol", "phone"),
    [
        ("ʁ", "HH"), ("r", "D"), ("ɾ", "D"), ("ɹ", "R"), ("yː", "UW"), ("ø", "UH"), ("ɕ", "SH"),
        ("s.", "SH"), ("ts", "S"), ("tɕ", "CH"), ("ɸ", "F"), ("β", "B"), ("ʎ", "L"), ("ɲ", "N"),
        ("ɑ̃", "AA"), ("ã", "AA"), ("ä", "AA"), ("ç", "HH"), ("mʲ", "M"), ("ɔø", "OY"),
        ("pf", "F"), ("˥", None), ("ʔ", None), ("ʲ", None),
    ],
)  # fmt: skip
def test_letters_of_all_languages_look_like_their_phone(symbol: str, phone: str | None) -> None:
    assert from_ipa(symbol) == phone


def test_unknown_symbols_are_named() -> None:
    with pytest.raises(KeyError, match="no phone for the IPA symbol '%'"):
        from_ipa("%")
    with pytest.raises(KeyError, match="no phone for the Festival symbol 'qq' of 'cs'"):
        from_festival("qq", language="cs")


def test_the_same_name_is_another_sound_in_another_language() -> None:
    languages = ("en", "cs", "ru", "hi")
    assert [from_festival("ch", language=each) for each in languages] == ["CH", "HH", "CH", "CH"]
    assert from_festival("c", language="cs") == "S"
    assert from_festival("_", language="cs") is None
    assert from_festival("pp", language="ru") == "P"


def test_held_out_texts_are_not_in_the_corpus() -> None:
    assert not set(written_texts(held_out=True)) & set(more_texts())
    for language in ("de", "it", "zh"):
        assert not set(world_texts(language, held_out=True)) & set(world_texts(language))
    with pytest.raises(FileNotFoundError):
        world_texts("xx")


def test_pinyin_becomes_ipa_with_tones() -> None:
    assert pinyin_to_ipa("Ni3 hao3, nü3 er2.") == "ni↓ xau↓, ny↓ ɚ↗."
    assert pinyin_to_ipa("shi4 qu4 wo3 bu5") == "ʂɨ↘ ʨʰy↘ wo↓ pu"
    with pytest.raises(ValueError, match="'bzz' is no syllable"):
        pinyin_to_ipa("bzz3")
    for text in (*world_texts("zh"), *world_texts("zh", held_out=True)):
        assert all(
            from_ipa(letter) for letter in pinyin_to_ipa(text) if letter.isalpha() and letter != "ʰ"
        )


def test_the_corpus_has_six_hours_and_one_of_kokoro() -> None:
    seconds = {part.name: part.seconds for part in PARTS}
    assert sum(seconds.values()) >= 6 * 3600
    assert seconds["kokoro"] + seconds["kokoro-world"] >= 3600


@needs_espeak
@pytest.mark.parametrize("language", sorted(VOICES))
def test_every_language_has_phones_that_tile_the_sound(language: str) -> None:
    texts = more_texts() if language == "en" else world_texts(language)
    for voice in VOICES[language]:
        spoken = speak_with_espeak(texts[0], voice=voice)
        check(spoken)
        assert len(set(spoken.phones.tolist())) > 8


@needs_espeak
def test_the_phones_of_espeak_are_where_the_sound_is() -> None:
    text = "She sells seashells. Six sons sat up, his sister said so. Sheep push zoos."
    spoken = [speak_with_espeak(text, voice="en-us", rate=rate) for rate in (140, 220)]
    assert abs(lateness(spoken, frozenset({"S", "SH", "Z"}))) <= 6


@needs_espeak
def test_a_stop_of_espeak_includes_its_closure() -> None:
    spoken = speak_with_espeak("a papa", voice="it")
    start = int(spoken.bounds[[PHONES[p] for p in spoken.phones].index("P", 3)])
    level = np.sqrt(np.mean(spoken.samples[start + 160 : start + 480] ** 2))
    assert level < 0.1 * np.abs(spoken.samples).max()


@needs_espeak
def test_espeak_names_a_voice_it_lacks_and_a_text_without_words() -> None:
    with pytest.raises(ValueError, match="no voice 'xx-none'"):
        speak_with_espeak("Hello", voice="xx-none")
    with pytest.raises(ValueError, match=r"says nothing for '\.\.\.'"):
        speak_with_espeak("...", voice="en-us")


@needs_espeak
def test_a_shard_is_the_same_again(tmp_path: Path) -> None:
    parts = [part for part in PARTS if part.name == "espeak"]
    speech = []
    for name in ("first", "again"):
        settings = CorpusSettings(tmp_path / name, seed=3, scale=0.002)
        make_corpus(settings, parts=parts)
        speech.append(load_corpus(settings, parts=parts))
    assert sum(len(spoken.samples) for spoken in speech[0]) >= 0.002 * 5_400 * 16_000
    for one, other in zip(*speech, strict=True):
        assert (one.voice, one.text) == (other.voice, other.text)
        np.testing.assert_array_equal(one.samples, other.samples)


@needs_espeak
def test_kokoro_reads_other_languages_in_its_own_letters() -> None:
    assert to_kokoro("Bonjour, madame!", language="fr") == "bɔ̃ʒˈuʁ, madˈam!"
    assert "a" in to_kokoro("わがはい。", language="ja")
    assert "ç" in to_kokoro("ich", language="de")
    assert open_espeak().phonemes("sí", voice="es") == "sˈi"


@needs_espeak
def test_kokoro_speaks_italian_with_phones_in_place() -> None:
    phonemes = to_kokoro("Sei passi, sessanta sassi.", language="it")
    assert set(phonemes) <= set(TOKENS)
    spoken = speak_kokoro(phonemes, world_styles(None)["af_heart"], text="t", voice="v")
    check(spoken)
    assert [PHONES[p] for p in spoken.phones if p][:2] == ["S", "EH"]
    assert abs(lateness([spoken], frozenset({"S"}))) <= 20


def _voice(name: str, language: str, encoding: str = "latin-1") -> FestivalVoice:
    folders = Path("/usr/share/festival/voices").glob(f"*/{name}")
    if not any(folders):
        pytest.skip(f"Festival's voice {name} is not installed")
    return FestivalVoice(name, language, encoding)


@needs_festival
@pytest.mark.parametrize(
    ("name", "language", "encoding", "text"),
    [
        ("kal_diphone", "en", "latin-1", "She sells six seashells, said his sister."),
        ("lp_diphone", "it", "latin-1", "Sei passi, sessanta sassi, così si sa."),
        ("czech_dita", "cs", "iso-8859-2", "Ses sestrou se sešel strýc, příliš slabý."),
        ("suo_fi_lj_diphone", "fi", "latin-1", "Vesihiisi sihisi hississä, missä?"),
    ],
)
def test_the_phones_of_festival_are_where_the_sound_is(
    name: str, language: str, encoding: str, text: str
) -> None:
    voice = _voice(name, language, encoding)
    spoken = speak_with_festival([text], voice=voice) + speak_with_festival(
        [text], voice=voice, stretch=1.3
    )
    for each in spoken:
        check(each)
    assert len(spoken[1].samples) > 1.1 * len(spoken[0].samples)
    assert abs(lateness(spoken, frozenset({"S", "SH"}))) <= 16


@needs_festival
def test_festival_names_a_voice_that_it_lacks() -> None:
    with pytest.raises(ValueError, match="Festival's no_such could not speak"):
        speak_with_festival(["Hello"], voice=FestivalVoice("no_such", "en"))
