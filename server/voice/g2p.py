"""English words to phonemes in the notation of misaki, which Kokoro was trained on.

The pronunciations are misaki's own dictionaries (Apache-2.0); the rules for reading them are its
documented conventions, written anew because its module needs spaCy, a downloaded model and
num2words. Heteronyms are chosen by `word_class`, unknown words are read by `letters`.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Sequence
from functools import lru_cache

from server.voice.letters import LetterReader
from server.voice.names import name
from server.voice.tokens import PAUSES, Token
from server.voice.word_class import word_class

PRIMARY, SECONDARY = "ˈ", "ˌ"
PHONEME_VOWELS = frozenset("AIOQWYaiuæɑɒɔəɛɜɪʊʌᵻɐᵊ")
TAPPED_AFTER = frozenset("AIOWYiuæɑəɛɪɹʊʌ")  # American t between these and a vowel is a tap
Pronunciation = str | dict[str, str | None] | None


@lru_cache(maxsize=2)
def english(*, british: bool) -> EnglishPhonemes:
    """Returns the (shared) reader of American or British English."""
    return EnglishPhonemes(british=british)


class EnglishPhonemes:
    """Reads English words aloud, on paper."""

    def __init__(self, *, british: bool) -> None:
        region = "gb" if british else "us"
        self._british = british
        self._gold: dict[str, Pronunciation] = _dictionary(f"{region}_gold.json")
        self._silver: dict[str, Pronunciation] = _dictionary(f"{region}_silver.json")
        self._letters = LetterReader(british=british)

    def __call__(self, tokens: Sequence[Token]) -> str:
        """Returns the phonemes of a clause: words apart by spaces, pauses after their word."""
        pieces: list[str] = []
        following = ""  # phonemes of what comes after, because some words look ahead
        for index in range(len(tokens) - 1, -1, -1):
            token = tokens[index]
            if token.kind == "pause":
                phonemes = token.text
            elif token.kind == "letters":
                letters, _, plural = token.text.partition("'")
                phonemes = self.add_s(self.spell(letters)) if plural else self.spell(letters)
            else:
                phonemes = self._in_context(tokens, index, following)
            if phonemes:
                pieces.append(phonemes)
                following = phonemes
        text = ""
        for piece in reversed(pieces):
            text += piece if piece in PAUSES or not text else f" {piece}"
        return text

    def knows(self, word: str) -> bool:
        """Says whether the dictionary holds the word or what it is inflected from."""
        return self._look_up(word, None) is not None

    def spell(self, letters: str) -> str:
        """Returns the names of the letters, the last one stressed most."""
        names = [self._gold.get(letter) for letter in letters.upper() if letter.isalpha()]
        known = [name.replace(PRIMARY, SECONDARY) for name in names if isinstance(name, str)]
        if not known:
            return ""
        known[-1] = known[-1].replace(SECONDARY, PRIMARY)
        return "".join(known)

    def word(self, word: str, *, word_class: str | None = None) -> str:
        """Returns the phonemes of one word on its own; never empty for a word with letters."""
        parts = [part for part in word.split("-") if part]
        found = self._look_up(word, word_class)
        if found is None and len(parts) > 1:
            return _join_compound([self.word(part) for part in parts])
        return found if found is not None else self._unknown(word.lower())

    def _unknown(self, word: str) -> str:
        """Reads a word that no dictionary holds, with its possessive and its Irish O'."""
        if word.endswith(("'s", "s'")):
            return self.add_s(self._unknown(word[:-2]))
        known = name(word, british=self._british)
        if known is not None:
            return known
        if word.startswith("o'") and len(word) > 2:
            return ("Q" if self._british else "O") + self.word(word[2:].capitalize())
        return self._letters.read(word.replace("'", ""))

    def _in_context(self, tokens: Sequence[Token], index: int, following: str) -> str:
        word = tokens[index].text
        weak = self._weak_form(word, following)
        if weak is not None:
            return weak
        kind: str | None = word_class(tokens_words(tokens), index)
        if not following or following in PAUSES:
            kind = "None"
        if word.lower() == "used":
            followed_by_to = index + 1 < len(tokens) and tokens[index + 1].text.lower() == "to"
            kind = "VBD" if followed_by_to and kind == "VBD" else "DEFAULT"
        phonemes = self.word(word, word_class=kind)
        if word[:1].isupper() and PRIMARY not in phonemes and SECONDARY not in phonemes:
            return phonemes if index == 0 else _stress_first_vowel(phonemes, SECONDARY)
        return phonemes

    def _weak_form(self, word: str, following: str) -> str | None:
        """Returns the form of a function word that depends on what follows, if it is one."""
        at_end = not following or following in PAUSES
        before_vowel = not at_end and following.lstrip(PRIMARY + SECONDARY)[:1] in PHONEME_VOWELS
        match word.lower():
            case "a":
                return "ˈA" if at_end else "ɐ"
            case "an" if not at_end:
                return "ɐn"
            case "am" if not at_end:
                return "ɐm"
            case "the":
                return "ði" if before_vowel else "ðə"
            case "to" if not at_end:
                return "tʊ" if before_vowel else "tə"
            case "in":
                return "ˈɪn" if at_end else "ɪn"
            case "i":
                return "ˌI"
        return None

    def _look_up(self, word: str, kind: str | None) -> str | None:
        for form in _spellings(word):
            found = self._entry(form, kind) or self._inflected(form, kind)
            if found is not None:
                return found
        return None

    def _entry(self, word: str, kind: str | None) -> str | None:
        entry = self._gold.get(word)
        if entry is None:
            entry = self._silver.get(word)
        if isinstance(entry, dict):
            chosen = entry.get(kind or "DEFAULT")
            if chosen is None and kind in ("VBD", "VBN", "VBP"):
                chosen = entry.get("VERB")
            return chosen or entry["DEFAULT"]
        return entry

    def _inflected(self, word: str, kind: str | None) -> str | None:
        if word.endswith("s"):
            return self._with_s(word, kind)
        if word.endswith("ed") and len(word) > 3:
            return self._with_ed(word, kind)
        if word.endswith("ing") and len(word) > 4:
            return self._with_ing(word, kind)
        if word.endswith("in'") and len(word) > 4:
            whole = self._inflected(word[:-1] + "g", kind)
            return None if whole is None else whole[:-1] + "n"
        return None

    def _with_s(self, word: str, kind: str | None) -> str | None:
        stems = [word[:-1]] if not word.endswith("ss") else []
        if word.endswith(("'s", "es")):
            stems.append(word[:-2])
        if word.endswith("ies"):
            stems.append(word[:-3] + "y")
        for stem in stems:
            spoken = self._entry(stem, kind) if len(stem) > 1 else None
            if spoken is None and word.endswith("'s") and stem == word[:-2]:
                spoken = self.spell(stem) if len(stem) == 1 else self._inflected(stem, kind)
            if spoken:
                return self.add_s(spoken)
        return None

    def add_s(self, spoken: str) -> str:
        """Returns `spoken` with the ending of plurals, possessives and third persons."""
        if spoken[-1] in "ptkfθ":
            return spoken + "s"
        if spoken[-1] in "szʃʒʧʤ":
            return spoken + ("ɪz" if self._british else "ᵻz")
        return spoken + "z"

    def _with_ed(self, word: str, kind: str | None) -> str | None:
        spoken = self._first_entry(_verb_stems(word[:-2]), kind)
        if spoken is None:
            return None
        if spoken[-1] in "pkfθʃsʧ":
            return spoken + "t"
        if spoken[-1] not in "td":
            return spoken + "d"
        ending = "ɪd" if self._british else "ᵻd"
        return self._tap(spoken) + ending

    def _with_ing(self, word: str, kind: str | None) -> str | None:
        spoken = self._first_entry(_verb_stems(word[:-3]), kind)
        if spoken is None:
            return None
        linking = "ɹ" if self._british and spoken[-1] in "əː" and word[-4] in "re" else ""
        return self._tap(spoken) + linking + "ɪŋ"

    def _first_entry(self, stems: list[str], kind: str | None) -> str | None:
        verb = "VERB" if kind is None else kind
        return next((spoken for stem in stems if (spoken := self._entry(stem, verb))), None)

    def _tap(self, spoken: str) -> str:
        taps = not self._british and len(spoken) > 1 and spoken[-1] == "t"
        return spoken[:-1] + "ɾ" if taps and spoken[-2] in TAPPED_AFTER else spoken


def tokens_words(tokens: Sequence[Token]) -> list[str]:
    """Returns the lower-case words, pauses as they are; the input of `word_class`."""
    return [token.text.lower() for token in tokens]


def _dictionary(name: str) -> dict[str, Pronunciation]:
    with (importlib.resources.files("misaki") / "data" / name).open(encoding="utf-8") as file:
        entries: dict[str, Pronunciation] = json.load(file)
    return entries


def _spellings(word: str) -> list[str]:
    """Returns the spellings under which a dictionary may hold `word`, best first."""
    forms = [word, word.lower(), word.capitalize()]
    if word.endswith("'"):
        forms.append(word[:-1].lower())
    return list(dict.fromkeys(forms))


def _verb_stems(base: str) -> list[str]:
    """Returns the verbs that may have given `base` before -ed or -ing: stop(p), mak(e), carr(y)."""
    stems = [base + "e"] if base and base[-1] not in "aeiouwxy" else []
    if len(base) > 2 and base[-1] == base[-2]:
        stems = [base, base[:-1]]
    elif len(base) > 1:
        stems = [base, *stems] if _looks_whole(base) else [*stems, base]
        stems.append(base + "e")
    if base.endswith("i"):
        stems.insert(0, base[:-1] + "y")
    if base.endswith("ck"):
        stems.append(base[:-1])
    return [stem for stem in stems if len(stem) > 1]


def _looks_whole(base: str) -> bool:
    """Says whether a verb would be spelt so: two vowels or two consonants before the ending."""
    return len(base) > 2 and (base[-1] in "wxy" or base[-2] not in "aeiou" or base[-3] in "aeiou")


def _join_compound(parts: list[str]) -> str:
    """Joins the parts of a compound: the first keeps its primary stress."""
    return parts[0] + "".join(part.replace(PRIMARY, SECONDARY) for part in parts[1:])


def _stress_first_vowel(phonemes: str, mark: str) -> str:
    for index, symbol in enumerate(phonemes):
        if symbol in PHONEME_VOWELS:
            return phonemes[:index] + mark + phonemes[index:]
    return phonemes
