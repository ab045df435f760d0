"""Cuts a text into clauses to be spoken one after the other.

The first clause is short so that sound starts early; each following one may be longer, as the
one before it is being heard. Cuts fall at sentence ends, then at commas and dashes, then before
conjunctions, and only in the last resort between any two words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from server.voice.abbreviations import ABBREVIATIONS, NEVER_LAST

LIMITS = (45, 70, 120, 220)  # characters of the first, second, third and every later clause
TOLERANCE = 1.3  # a sentence this much over the limit is not cut unless at a comma
LAST_RESORT = 1.8  # over this times the limit it is cut between any two words
SHORTEST_FIRST = 15  # characters; while a shorter clause is heard the next is not yet made
LEAST_WORDS = 2  # on each side of a cut

PARAGRAPH, SENTENCE, LINE, SEMICOLON, COMMA, CONJUNCTION, NONE = range(7)
PAUSE_SECONDS = {
    PARAGRAPH: 0.70, SENTENCE: 0.40, LINE: 0.25, SEMICOLON: 0.25, COMMA: 0.14, CONJUNCTION: 0.05,
    NONE: 0.02,
}  # fmt: skip
CONJUNCTIONS = frozenset({
    "and", "but", "or", "nor", "because", "although", "though", "while", "when", "where", "if",
    "unless", "until", "since", "so", "that", "which", "who", "whose", "than", "then", "with",
    "without", "before", "after", "whether", "as", "for",
})  # fmt: skip
LONGEST_CHUNK = 100  # characters without a space; longer runs are cut
CHUNK = re.compile(r"[^\s。！？]+[。！？]*|[。！？]+")
SENTENCE_END = re.compile(r"""(?:[.!?…。！？]+)["'”’)\]»*_]*$""")
SOFT_END = re.compile(r"""([,;:—–])["'”’)\]»]*$""")
LIST_MARK = re.compile(r"[ \t]*(?:[-*+•·#>]|\d{1,3}[.)])[ \t]")
SHORT_LINE = 60  # characters; a longer line without punctuation is only wrapped


@dataclass(frozen=True, slots=True)
class Clause:
    """A stretch `text[start:end]` and how long to rest after it."""

    start: int
    end: int
    pause_seconds: float


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A run of characters without space, and what kind of break follows it."""

    start: int
    end: int
    rank: int


def split_clauses(text: str) -> list[Clause]:
    """Returns the clauses of `text` in order; together they hold everything but white space."""
    clauses: list[Clause] = []
    sentence: list[_Chunk] = []
    for chunk in _chunks(text):
        sentence.append(chunk)
        if chunk.rank <= LINE:
            _add_sentence(clauses, sentence)
            sentence = []
    if sentence:
        _add_sentence(clauses, [*sentence[:-1], _Chunk(sentence[-1].start, sentence[-1].end, LINE)])
    return clauses


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Returns where the sentences of `text` begin and end; some lines are sentences, too.

    Together they hold everything but white space.
    """
    sentences: list[tuple[int, int]] = []
    start: int | None = None
    for chunk in _chunks(text):
        start = chunk.start if start is None else start
        if chunk.rank <= LINE:
            sentences.append((start, chunk.end))
            start = None
    return sentences


def find_breaks(text: str) -> list[tuple[int, int]]:
    """Returns (index after it, kind of break that follows) of every run without a space.

    Kinds are `PARAGRAPH` to `NONE`, the strongest first. The last one's is a guess while more
    text may follow.
    """
    return [(chunk.end, chunk.rank) for chunk in _chunks(text)]


def _add_sentence(clauses: list[Clause], sentence: Sequence[_Chunk]) -> None:
    """Appends the sentence, cut into as many clauses as the limits ask for."""
    while sentence:
        limit = LIMITS[min(len(clauses), len(LIMITS) - 1)]
        count = _cut(sentence, limit, shortest=not clauses)
        last = sentence[count - 1]
        clauses.append(Clause(sentence[0].start, last.end, PAUSE_SECONDS[last.rank]))
        sentence = sentence[count:]


def _cut(sentence: Sequence[_Chunk], limit: int, *, shortest: bool) -> int:
    """Returns how many chunks of the sentence the next clause takes.

    Args:
        sentence: what is left of it.
        limit: characters that the clause should not exceed.
        shortest: take the first good cut and not the last that fits.
    """
    start = sentence[0].start
    length = sentence[-1].end - start
    if length <= limit:
        return len(sentence)
    candidates = range(LEAST_WORDS, len(sentence) - LEAST_WORDS + 1)
    fitting = [count for count in candidates if sentence[count - 1].end - start <= limit]
    soft = [count for count in fitting if sentence[count - 1].rank <= COMMA]
    if soft:
        long_enough = [n for n in soft if sentence[n - 1].end - start >= SHORTEST_FIRST]
        return long_enough[0] if shortest and long_enough else soft[-1]
    if length <= limit * TOLERANCE:
        return len(sentence)
    conjunction = [count for count in fitting if sentence[count - 1].rank == CONJUNCTION]
    if conjunction:
        return conjunction[-1]
    if length <= limit * LAST_RESORT:
        return len(sentence)
    return fitting[-1] if fitting else 1


def _chunks(text: str) -> list[_Chunk]:
    spans = [
        (start, min(start + LONGEST_CHUNK, match.end()))
        for match in CHUNK.finditer(text)
        for start in range(match.start(), match.end(), LONGEST_CHUNK)
    ]
    chunks = []
    line_start = 0
    for index, (start, end) in enumerate(spans):
        following = spans[index + 1] if index + 1 < len(spans) else None
        if following is None:
            chunks.append(_Chunk(start, end, SENTENCE if _ends(text[start:end], "") else LINE))
            break
        between = text[end : following[0]]
        rank = _rank(text[start:end], text[slice(*following)], between)
        if "\n" in between and rank > LINE and _breaks_line(text, line_start, end):
            rank = LINE
        if "\n" in between:
            line_start = end + between.rindex("\n") + 1
        chunks.append(_Chunk(start, end, rank))
    return chunks


def _rank(word: str, following: str, between: str) -> int:
    """Returns the kind of break between two chunks, looking at the words only."""
    if between.count("\n") > 1:
        return PARAGRAPH
    if _ends(word, following):
        return SENTENCE
    soft = SOFT_END.search(word)
    if soft is not None:
        return COMMA if soft.group(1) == "," else SEMICOLON
    if following in ("-", "–", "—", "--"):
        return NONE
    if word in ("-", "–", "—", "--"):
        return SEMICOLON
    return CONJUNCTION if following.lower() in CONJUNCTIONS else NONE


def _ends(word: str, following: str) -> bool:
    """Says whether a sentence ends with `word`, given the next word."""
    if SENTENCE_END.search(word) is None:
        return False
    bare = word.rstrip("\"'”’)]»*_").lstrip("\"'“‘([«*_")
    opening = following.lstrip("\"'“‘([«*_")[:1]
    if not bare.endswith("."):
        return not opening.islower() or bare[-1:] in "。！？"
    if opening.islower():
        return False
    stem = bare.rstrip(".").lower()
    if bare.endswith(("..", "…")):
        return True
    if stem in NEVER_LAST:
        return not following
    is_initial = len(stem) == 1 and bare[0].isupper() and stem != "i"
    has_dots = "." in stem and stem.replace(".", "").isalpha()
    if is_initial or (stem in ABBREVIATIONS and stem != "etc"):
        return not following
    if has_dots and stem not in ("a.m", "p.m"):
        return following in ("The", "It", "He", "She", "They", "We", "In", "This", "That", "")
    return not (stem.isdigit() and len(stem) <= 2 and following[:1].isalpha() and len(word) < 4)


def _breaks_line(text: str, line_start: int, end: int) -> bool:
    """Says whether a single line feed after `end` ends a thought and does not merely wrap."""
    newline = text.index("\n", end)
    if LIST_MARK.match(text, newline + 1) or LIST_MARK.match(text, line_start):
        return True
    following = text[newline + 1 :].lstrip()[:1]
    return newline - line_start < SHORT_LINE and not following.islower()
