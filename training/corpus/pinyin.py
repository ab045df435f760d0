"""Mandarin in pinyin with tone numbers, as the IPA that Kokoro was trained on."""

from __future__ import annotations

import re
from typing import Final

_INITIALS: Final = {
    "zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t",
    "t": "tʰ", "n": "n", "l": "l", "g": "k", "k": "kʰ", "h": "x", "j": "ʨ", "q": "ʨʰ", "x": "ɕ",
    "r": "ɻ", "z": "ʦ", "c": "ʦʰ", "s": "s",
}  # fmt: skip
_FINALS: Final = {
    "a": "a", "o": "wo", "e": "ɤ", "ai": "ai", "ei": "ei", "ao": "au", "ou": "ou", "an": "an",
    "en": "ən", "ang": "aŋ", "eng": "əŋ", "er": "ɚ", "i": "i", "ia": "ja", "ie": "je",
    "iao": "jau", "iu": "jou", "ian": "jɛn", "in": "in", "iang": "jaŋ", "ing": "iŋ",
    "iong": "jʊŋ", "u": "u", "ua": "wa", "uo": "wo", "uai": "wai", "ui": "wei", "uan": "wan",
    "un": "wən", "uang": "waŋ", "ong": "ʊŋ", "ü": "y", "üe": "ɥe", "üan": "ɥɛn", "ün": "yn",
}  # fmt: skip
# A syllable without an initial is spelt with y or w.
_WHOLE: Final = {
    "yi": "i", "ya": "ia", "ye": "ie", "yao": "iao", "you": "iu", "yan": "ian", "yin": "in",
    "yang": "iang", "ying": "ing", "yong": "iong", "wu": "u", "wa": "ua", "wo": "uo", "wai": "uai",
    "wei": "ui", "wan": "uan", "wen": "un", "wang": "uang", "yu": "ü", "yue": "üe", "yuan": "üan",
    "yun": "ün",
}  # fmt: skip
_TONES: Final = {"1": "→", "2": "↗", "3": "↓", "4": "↘", "5": ""}
_SYLLABLE: Final = re.compile(r"([a-zü]+)([1-5])")


def pinyin_to_ipa(text: str) -> str:
    """Returns the IPA of pinyin such as "ni3 hao3"; punctuation is kept.

    Raises:
        ValueError: a syllable does not exist.
    """
    return _SYLLABLE.sub(lambda match: _syllable(*match.groups()), text.lower())


def _syllable(letters: str, tone: str) -> str:
    if letters in _WHOLE:
        return _FINALS[_WHOLE[letters]] + _TONES[tone]
    initial = next((each for each in _INITIALS if letters.startswith(each)), "")
    final = letters[len(initial) :]
    if initial in ("j", "q", "x") and final.startswith("u"):
        final = "ü" + final[1:]
    if final not in _FINALS:
        raise ValueError(f"{letters!r} is no syllable of pinyin")
    if final == "i" and initial in ("zh", "ch", "sh", "r", "z", "c", "s"):
        return _INITIALS[initial] + "ɨ" + _TONES[tone]
    return (_INITIALS[initial] if initial else "") + _FINALS[final] + _TONES[tone]
