"""How the phone names of Festival's voices map to this package's forty phones.

One table per language, because the same letters mean different sounds; capitals are SAMPA's.
"""

from __future__ import annotations

from typing import Final

from training.phones import PHONE_INDEX, SILENCE

_PAUSES: Final = dict.fromkeys(("#", "##", "pau", "h#", "brth"), SILENCE)
_COMMON: Final = {
    **_PAUSES,
    **{name: name.upper() for name in ("p", "b", "t", "d", "k", "g", "f", "v", "m", "n", "l", "s")},
    "z": "Z", "w": "W", "j": "Y", "r": "D", "a": "AA", "e": "EH", "i": "IY", "o": "AO", "u": "UW",
}  # fmt: skip

_FIVE_VOWELS: Final = ("AA", "EH", "IY", "AO", "UW")

_ENGLISH: Final = {
    **{phone.lower(): phone for phone in PHONE_INDEX},
    **_PAUSES,
    "ax": "AH", "axr": "ER", "el": "L", "em": "M", "en": "N", "nx": "N", "dx": "D", "hv": "HH",
}  # fmt: skip
_ROMANCE: Final = {
    **_COMMON,
    **{f"{vowel}1": phone for vowel, phone in zip("aeiou", _FIVE_VOWELS, strict=True)},
    "E": "EH", "E1": "EH", "O": "AO", "O1": "AO", "J": "N", "L": "L", "S": "SH", "Z": "ZH",
    "ts": "S", "dz": "Z", "tS": "CH", "dZ": "JH", "ng": "NG", "nf": "V",
    "ax": "AH", "rr": "D", "_": None,
}  # fmt: skip
_CZECH: Final = {
    **_COMMON,
    **{f"{v}:": phone for v, phone in zip("aeiou", _FIVE_VOWELS, strict=True)},
    "c": "S", "dz": "Z", "c~": "CH", "dz~": "JH", "ch": "HH", "h": "HH", "d~": "D", "t~": "T",
    "n~": "N", "n*": "NG", "r~": "ZH", "r~*": "SH", "s~": "SH", "z~": "ZH", "_": None,
}  # fmt: skip
_FINNISH_SHORT: Final = {
    **_COMMON,
    "y": "UW", "@": "AE", "7": "UH", "&": "AH", "h": "HH", "N": "NG", "L": "L",
    "S": "SH", "Z": "ZH", "T": "TH", "D": "DH",
}  # fmt: skip
_FINNISH: Final = {
    **_FINNISH_SHORT,
    **{f"{name}:": phone for name, phone in _FINNISH_SHORT.items() if phone != SILENCE},
}
_RUSSIAN: Final = {
    **_COMMON,
    # A doubled consonant is a soft one, a doubled vowel a stressed one.
    **{name * 2: _COMMON[name] for name in "pbtdkgfvmnlszr"},
    "ii": "IY", "yy": "IH", "y": "IH", "i": "IH", "e": "IH", "ee": "EH", "aa": "AA", "a": "AH",
    "ae": "AH", "ay": "AH", "ur": "UH", "oo": "AO", "uu": "UW", "u": "UH", "c": "S", "ch": "CH",
    "sh": "SH", "sch": "SH", "zh": "ZH", "h": "HH", "hh": "HH",
}  # fmt: skip
_INDIAN: Final = {
    **_COMMON,
    "a": "AH", "aa": "AA", "ih": "IH", "iy": "IY", "uh": "UH", "uw": "UW", "eh": "EH", "ee": "EH",
    "ay": "AE", "oh": "AO", "oo": "AO", "aw": "AO", "@": "AH", "ch": "CH", "j": "JH", "sh": "SH",
    "zh": "ZH", "y": "Y", "h": "HH", "x": "HH", "T": "T", "D": "D", "N": "N", "L": "L", "R": "D",
    "th": "T", "tth": "T", "td": "T", "dh": "D", "ddh": "D", "kh": "K", "gh": "G", "bh": "B",
    "ksh": "SH", "sri": "SH",
}  # fmt: skip

_TABLES: Final[dict[str, dict[str, str | None]]] = {
    "en": {**_ENGLISH},
    "it": {**_ROMANCE},
    "ca": {**_ROMANCE},
    "cs": {**_CZECH},
    "fi": {**_FINNISH},
    "ru": {**_RUSSIAN},
    **{language: {**_INDIAN} for language in ("hi", "mr", "te")},
}


def from_festival(symbol: str, *, language: str) -> str | None:
    """Returns the phone for a name, or None for a glottal stop, which belongs to what precedes.

    Raises:
        KeyError: the language or the name is unknown.
    """
    if symbol not in _TABLES[language]:
        raise KeyError(f"no phone for the Festival symbol {symbol!r} of {language!r}")
    return _TABLES[language][symbol]
