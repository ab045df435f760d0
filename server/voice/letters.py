"""Reads words that no dictionary holds, letter by letter."""

from __future__ import annotations

# Longest first; phonemes in misaki's American notation.
RULES = {
    "tch": "ʧ", "sch": "ʃ", "igh": "I", "eigh": "A", "ough": "O", "augh": "ɔ", "tion": "ʃən",
    "sion": "ʒən", "ch": "ʧ", "sh": "ʃ", "th": "θ", "ph": "f", "wh": "w", "ck": "k", "ng": "ŋ",
    "qu": "kw", "ee": "i", "ea": "i", "oo": "u", "ou": "W", "ow": "O", "oi": "Y", "oy": "Y",
    "ai": "A", "ay": "A", "au": "ɔ", "aw": "ɔ", "ar": "ɑɹ", "er": "əɹ", "ir": "ɜɹ", "or": "ɔɹ",
    "ur": "ɜɹ", "a": "æ", "b": "b", "c": "k", "d": "d", "e": "ɛ", "f": "f", "g": "ɡ", "h": "h",
    "i": "ɪ", "j": "ʤ", "k": "k", "l": "l", "m": "m", "n": "n", "o": "ɑ", "p": "p", "r": "ɹ",
    "s": "s", "t": "t", "u": "ʌ", "v": "v", "w": "w", "x": "ks", "y": "i", "z": "z",
}  # fmt: skip


class LetterReader:
    """Letter-to-sound rules."""

    def __init__(self, *, british: bool) -> None:
        self._british = british

    def read(self, word: str) -> str:
        """Returns the phonemes of a lower-case word."""
        phonemes = ""
        index = 0
        while index < len(word):
            for length in (4, 3, 2, 1):
                chunk = word[index : index + length]
                if chunk in RULES:
                    phonemes += RULES[chunk]
                    break
            index += len(chunk)
        for index, symbol in enumerate(phonemes):
            if symbol in "AIOQWYiuæɑɒɔəɛɜɪʊʌ":
                return phonemes[:index] + "ˈ" + phonemes[index:]
        return phonemes
