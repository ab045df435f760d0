"""From misaki's notation to the phone inventory that all engines share."""

from __future__ import annotations

from server.voice.timing import GAP, PAUSE

# misaki writes a diphthong or an affricate as one letter; British ɑː keeps its length mark apart.
SYMBOLS = {
    "A": "eɪ", "I": "aɪ", "O": "oʊ", "Q": "əʊ", "W": "aʊ", "Y": "ɔɪ", "ʧ": "tʃ", "ʤ": "dʒ",
    "T": "ɾ", "ᵊ": "ə", "ɐ": "ə", "ᵻ": "ɪ", "a": "æ", "g": "ɡ",
    **{symbol: symbol for symbol in "pbtdkɡfvθðszʃʒhmnŋlɹwjɾʔiɪɛæɑɒɔʊuʌəɜ"},
}  # fmt: skip
STRESS = frozenset("ˈˌ")
LENGTH = "ː"
VOWEL_LETTERS = frozenset("AIOQWYaiuæɑɒɔəɛɜɪʊʌᵻɐᵊ")


def grouped(phonemes: str) -> list[tuple[str, str]]:
    """Splits misaki phonemes into phones and gaps.

    Returns:
        (letters, symbol) in order: the letters concatenate to `phonemes`; the symbol is a member
        of the inventory, `GAP` or `PAUSE`. A stress mark goes with its vowel, a length mark with
        the vowel before it, and ɹ with the ə or ɜ before it unless a vowel follows.
    """
    groups: list[tuple[str, str]] = []
    pending = ""
    for index, letter in enumerate(phonemes):
        if letter in STRESS:
            pending += letter
            continue
        if letter == LENGTH and groups and not pending:
            groups[-1] = (groups[-1][0] + letter, groups[-1][1])
            continue
        if letter == "ɹ" and groups and not pending and _colours(phonemes, index):
            before, symbol = groups[-1]
            groups[-1] = (before + letter, "ɚ" if symbol == "ə" else "ɝ")
            continue
        groups.append((pending + letter, SYMBOLS.get(letter, GAP if letter == " " else PAUSE)))
        pending = ""
    if pending:
        groups.append((pending, GAP))
    return groups


def _colours(phonemes: str, index: int) -> bool:
    """Says whether the ɹ at `index` only colours the vowel before it."""
    following = phonemes[index + 1 : index + 2]
    opens_syllable = following in VOWEL_LETTERS or following in STRESS
    return phonemes[index - 1] in "əɜ" and not (following and opens_syllable)
