"""One set of forty phones, and how the voices' symbols map to it.

ARPAbet without stress plus `sil`. What decides is the look of the mouth: which lips touch, how
far they round, how wide the jaw is. Knows nothing of time, audio or faces.
"""

from __future__ import annotations

import unicodedata
from typing import Final

SILENCE: Final = "sil"
_VOWELS: Final = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
_CONSONANTS: Final = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"
VOWELS: Final[tuple[str, ...]] = tuple(_VOWELS.split())
PHONES: Final[tuple[str, ...]] = (SILENCE, *VOWELS, *_CONSONANTS.split())
PHONE_INDEX: Final[dict[str, int]] = {phone: index for index, phone in enumerate(PHONES)}

_FLITE: Final = {"PAU": SILENCE, "AX": "AH", "AXR": "ER", "H#": SILENCE, "BRTH": SILENCE}

# Each phone and the IPA letters that look like it. Capitals are misaki's diphthongs. A trill or
# a tap moves the tongue alone, and so does a uvular r: only the English ɹ rounds the lips.
_IPA_LETTERS: Final = {
    "AA": "ɑɒa", "AE": "æ", "AH": "ʌəɐᵊɤɘɞ", "AO": "ɔo", "EH": "eɛ", "ER": "ɜɝɚ",
    "IH": "ɪᵻɨɯ", "IY": "i", "UH": "ʊøœɵɶʏ", "UW": "uʉy",
    "EY": "A", "AY": "I", "OW": "OQ", "AW": "W", "OY": "Y",
    "P": "p", "B": "bβɓ", "M": "mɱ", "F": "fɸ", "V": "vʋ", "W": "wɥʍ",
    "T": "tʈ", "D": "dɾTrɖɽɗ", "N": "nɲɳ", "L": "lɫʎɭɬɮʟ", "K": "kcq", "G": "ɡgɟɰɢɠ",
    "NG": "ŋɴ", "HH": "hxχʁɣħɦʕʜʢ", "Y": "jʝ", "R": "ɹɻ",
    "S": "sʦS", "Z": "zʣ", "SH": "ʃɕʂɧ", "ZH": "ʒʑʐ", "CH": "ʧʨꭧ", "JH": "ʤʥ",
    "TH": "θ", "DH": "ð",
}  # fmt: skip
_IPA: Final = {letter: phone for phone, letters in _IPA_LETTERS.items() for letter in letters}
_IPA_GROUPS: Final = {
    "CH": "tʃ tɕ tʂ", "JH": "dʒ dʑ dʐ", "S": "ts tθ", "Z": "dz", "F": "pf", "SH": "sx",
    "EY": "eɪ ei ɛi ɛɪ", "AY": "aɪ ai ɑɪ ɑi", "OY": "ɔɪ ɔi ɔø ɔy ɔʏ oi ui",
    "AW": "aʊ au ɑʊ ɑu æʊ", "OW": "oʊ əʊ ou ɔu ɔʊ ʌʊ əu ʌu",
    "AA": "ia iɑ ja", "EH": "iɛ ie je iə", "UW": "iu iʊ ju", "AO": "uo uɔ iɔ", "ER": "ɑɻ əɻ",
}  # fmt: skip
_RETROFLEX: Final = {"s.": "SH", "z.": "ZH", "ts.": "CH"}  # as eSpeak NG writes them
_IPA_PAIRS: Final = {
    group: phone for phone, groups in _IPA_GROUPS.items() for group in groups.split()
}
_MARKS: Final = frozenset("ˈˌːˑʲʰʷˠˤᵝ̯ʔˀ'|^-_.:;~0123456789\"↓→↗↘˥˦˧˨˩ⁿˡ͡`?!")


def from_flite(symbol: str) -> str:
    """Returns the phone for a Flite symbol. Raises KeyError for one that is unknown."""
    upper = symbol.upper()
    phone = _FLITE.get(upper, upper)
    if phone not in PHONE_INDEX:
        raise KeyError(f"no phone for the Flite symbol {symbol!r}")
    return phone


def from_ipa(symbol: str) -> str | None:
    """Returns the phone for an IPA symbol, `sil`, or None for marks that take no time.

    Stress, length, tone and combining marks and a glottal stop are ignored; a two-letter
    affricate or diphthong that is not in the table counts as its first letter.

    Raises:
        KeyError: a letter is unknown.
    """
    if symbol == SILENCE:
        return SILENCE
    for written, phone in _RETROFLEX.items():
        if symbol.startswith(written):
            return phone
    letters = "".join(
        letter
        for letter in unicodedata.normalize("NFD", symbol.replace("ç", "x"))
        if letter not in _MARKS and not unicodedata.combining(letter) and not letter.isspace()
    )
    if not letters:
        return None
    if letters[:2] in _IPA_PAIRS:
        return _IPA_PAIRS[letters[:2]]
    if letters[0] not in _IPA:
        raise KeyError(f"no phone for the IPA symbol {symbol!r}")
    return _IPA[letters[0]]
