"""Guesses whether a word is a noun, a verb or an adjective from its neighbours.

Only good enough to choose between the pronunciations of "record", "live" or "close"; it knows
no grammar beyond the nearest words.
"""

from __future__ import annotations

from collections.abc import Sequence

DETERMINERS = frozenset({
    "a", "an", "the", "this", "that", "these", "those", "my", "your", "his", "her", "its", "our",
    "their", "no", "any", "some", "every", "each", "another", "which", "what", "whose",
})  # fmt: skip
PREPOSITIONS = frozenset({
    "of", "in", "on", "at", "by", "for", "from", "with", "about", "into", "over", "under",
    "between", "through", "during", "without",
})  # fmt: skip
BEFORE_VERB = frozenset({
    "to", "will", "would", "can", "could", "should", "shall", "may", "might", "must", "do",
    "does", "did", "don't", "doesn't", "didn't", "won't", "can't", "couldn't", "wouldn't",
    "shouldn't", "let's", "please", "i", "you", "we", "they", "who", "i'll", "you'll", "we'll",
    "they'll", "he'll", "she'll", "it'll", "not", "never", "always", "often",
})  # fmt: skip
HAVE = frozenset({
    "have", "has", "had", "having", "i've", "you've", "we've", "they've", "he's", "she's", "it's",
})  # fmt: skip
BE = frozenset({
    "is", "are", "was", "were", "be", "been", "being", "am", "i'm", "you're", "we're", "they're",
})  # fmt: skip
PAST_HINTS = frozenset({
    "yesterday", "ago", "already", "last", "once", "when", "then",
})  # fmt: skip
PAUSES = frozenset(",.!?;:—…")


def word_class(words: Sequence[str], index: int) -> str:
    """Returns `NOUN`, `VERB`, `ADJ`, `VBD`, `VBN`, `DT` or `DEFAULT` for `words[index]`.

    Args:
        words: the clause in lower case, punctuation as words of its own.
        index: which word.
    """
    word = words[index]
    before = words[index - 1] if index else ""
    after = words[index + 1] if index + 1 < len(words) else ""
    if word == "that":
        return _that(before, after)
    if word in ("read", "used", "wound", "reread"):
        return _past(words, index)
    if word == "close" and after == "to":
        return "ADJ"
    two_before = words[index - 2] if index > 1 else ""
    return _by_word_before(word, two_before, before, after) or _by_word_after(
        two_before, before, after
    )


def _by_word_before(word: str, two_before: str, before: str, after: str) -> str | None:
    if before in BEFORE_VERB or (word.endswith("s") and before in ("he", "she", "it", "who")):
        return "VERB"
    if two_before in BEFORE_VERB and before.endswith("ly"):
        return "VERB"
    if before in DETERMINERS or before.endswith("'s"):
        return _after_determiner(after)
    if before in BE or before in ("very", "so", "too", "more", "most", "as", "quite", "really"):
        return "ADJ"
    return "NOUN" if before in PREPOSITIONS else None


def _by_word_after(two_before: str, before: str, after: str) -> str:
    takes_object = after in DETERMINERS or after in ("it", "them", "him", "me", "us")
    if two_before in DETERMINERS and before:
        return "VERB" if after in DETERMINERS else "NOUN"
    return "VERB" if takes_object else "DEFAULT"


def _that(before: str, after: str) -> str:
    is_pronoun = after in BE or not after or after in PAUSES or after.endswith("'s")
    return "DT" if is_pronoun and before not in ("so", "say", "said", "think") else "DEFAULT"


def _past(words: Sequence[str], index: int) -> str:
    """Chooses the tense of a verb that is spelt alike in both."""
    earlier = words[max(0, index - 4) : index]
    before = earlier[-1] if earlier else ""
    if words[index] == "used":
        return "VBD"
    if any(word in HAVE or word in BE for word in earlier[-2:]):
        return "VBN"
    if before in BEFORE_VERB and before not in ("i", "you", "we", "they", "who"):
        return "VERB"
    if before in DETERMINERS:
        return "NOUN"
    if before in ("he", "she", "it") or any(word in PAST_HINTS for word in words):
        return "VBD"
    return "DEFAULT"


def _after_determiner(after: str) -> str:
    """After "the": a noun, unless another noun seems to follow."""
    follows_noun = (
        bool(after)
        and after.isalpha()
        and after
        not in (
            PREPOSITIONS | BEFORE_VERB | HAVE | BE | DETERMINERS | {"and", "or", "but", "to", "as"}
        )
    )
    return "ADJ" if follows_noun else "NOUN"
