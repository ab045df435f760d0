"""One set of forty phones, and how the voices' symbols map to it.

ARPAbet without stress plus `sil`. Knows nothing of time, audio or faces.
"""

from __future__ import annotations

from typing import Final

SILENCE: Final = "sil"
PHONES: Final[tuple[str, ...]] = (
    SILENCE,
    *["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"],
    *[
        "B",
        "CH",
        "D",
        "DH",
        "F",
        "G",
        "HH",
        "JH",
        "K",
        "L",
        "M",
        "N",
        "NG",
        "P",
        "R",
        "S",
        "SH",
        "T",
        "TH",
        "V",
        "W",
        "Y",
        "Z",
        "ZH",
    ],
)
PHONE_INDEX: Final[dict[str, int]] = {phone: index for index, phone in enumerate(PHONES)}

_FLITE: Final = {"PAU": SILENCE, "AX": "AH", "AXR": "ER", "H#": SILENCE, "BRTH": SILENCE}

# Single symbols of the two IPA inventories in use: misaki's (capital letters are diphthongs)
# and Piper's, where a diphthong is two symbols and a length mark is its own token.
_IPA: Final = {
    **dict(zip("AIOWYQ", ("EY", "AY", "OW", "AW", "OY", "OW"), strict=True)),
    **dict(
        zip(
            "ɑɒæʌəɐᵊaɔɛɜɝɚ",
            ["AA", "AA", "AE", "AH", "AH", "AH", "AH", "AA", "AO", "EH", "ER", "ER", "ER"],
            strict=True,
        )
    ),
    **dict(zip("eɪᵻiɨoʊuʉ", ["EH", "IH", "IH", "IY", "IH", "AO", "UH", "UW", "UW"], strict=True)),
    **dict(
        zip(
            "bdfɡghjklɫmnŋ",
            ["B", "D", "F", "G", "G", "HH", "Y", "K", "L", "L", "M", "N", "NG"],
            strict=True,
        )
    ),
    **dict(
        zip(
            "prɹɾTsʃtvwzʒ",
            ["P", "R", "R", "D", "D", "S", "SH", "T", "V", "W", "Z", "ZH"],
            strict=True,
        )
    ),
    **dict(zip("θðʤʧɲx", ["TH", "DH", "JH", "CH", "N", "K"], strict=True)),
}

_IPA_PAIRS: Final = dict(
    zip(
        ["tʃ", "dʒ", "eɪ", "aɪ", "ɔɪ", "aʊ", "oʊ", "əʊ"],
        ["CH", "JH", "EY", "AY", "OY", "AW", "OW", "OW"],
        strict=True,
    )
)


def from_flite(symbol: str) -> str:
    """Returns the phone for a Flite symbol. Raises KeyError for one that is unknown."""
    upper = symbol.upper()
    phone = _FLITE.get(upper, upper)
    if phone not in PHONE_INDEX:
        raise KeyError(f"no phone for the Flite symbol {symbol!r}")
    return phone


def from_ipa(symbol: str) -> str | None:
    """Returns the phone for an IPA symbol, `sil`, or None for marks that take no time.

    Stress and length marks before or after the letter are ignored; a two-letter affricate or
    diphthong is looked up by its first letter.
    """
    if symbol == SILENCE:
        return SILENCE
    letters = symbol.strip("ˈˌːˑ̩ ")
    if letters in _IPA_PAIRS:
        return _IPA_PAIRS[letters]
    return _IPA.get(letters[0]) if letters else None
