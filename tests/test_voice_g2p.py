"""English spelling to misaki's phonemes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.voice.base import INVENTORY
from server.voice.g2p import english
from server.voice.kokoro import TOKENS
from server.voice.phonemes import grouped
from server.voice.text import spoken_form
from server.voice.timing import GAP, PAUSE


def say(text: str, *, british: bool = False) -> str:
    reader = english(british=british)
    return reader(spoken_form(text, knows=reader.knows).tokens)


@pytest.mark.parametrize(
    ("text", "phonemes"),
    [
        ("hello", "həlˈO"),
        ("the end of the day", "ði ˈɛnd ʌv ðə dˈA"),
        ("an apple to eat", "ɐn ˈæpᵊl tʊ ˈit"),
        ("walked, stopped, carried.", "wˈɔkt, stˈɑpt, kˈɛɹid."),
        ("hoping and hopping", "hˈOpɪŋ ænd hˈɑpɪŋ"),
        ("the dogs' bowls", "ðə dˈɔɡz bˈOlz"),
        ("to record a record", "tə ɹəkˈɔɹd ɐ ɹˈɛkəɹd"),
        ("I will read it.", "ˌI wɪl ɹˈid ɪt."),
        ("He has read it.", "hi hæz ɹˈɛd ɪt."),
        ("He lives here.", "hi lˈɪvz hˈɪɹ."),
        ("They used to be.", "ðA jˈust tə bˈi."),
        ("close the door", "klˈOz ðə dˈɔɹ"),
        ("the USA", "ðə jˌuˌɛsˈA"),
    ],
)
def test_reads_as_a_person_would(text: str, phonemes: str) -> None:
    assert say(text) == phonemes


def test_the_accents_differ() -> None:
    assert say("bath water") == "bˈæθ wˈɔɾəɹ"
    assert say("bath water", british=True) == "bˈɑːθ wˈɔːtə"


@pytest.mark.parametrize("word", ["Vivant", "Zelenskyy", "Cthulhu", "Zyzzyva", "O'Malleyson"])
@pytest.mark.parametrize("british", [False, True])
def test_unknown_words_are_speakable(word: str, british: bool) -> None:
    phonemes = english(british=british).word(word)
    assert phonemes.count("ˈ") == 1
    assert len(phonemes) > len(word) // 2
    assert set(phonemes) <= set(TOKENS)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz'", min_size=1, max_size=30))
@settings(max_examples=200, deadline=None)
def test_every_word_maps_to_the_inventory(word: str) -> None:
    phonemes = say(word)
    for letters, symbol in grouped(phonemes):
        assert symbol in INVENTORY or symbol in (GAP, PAUSE)
        assert all(letter in TOKENS for letter in letters)
    assert "".join(letters for letters, _ in grouped(phonemes)) == phonemes


def test_r_colours_the_vowel_before_it_unless_a_vowel_follows() -> None:
    assert [symbol for _, symbol in grouped("wˈɔɾəɹ əɹˈWnd bˈɜɹd")] == [
        "w", "ɔ", "ɾ", "ɚ", GAP, "ə", "ɹ", "aʊ", "n", "d", GAP, "b", "ɝ", "d",
    ]  # fmt: skip
