"""Takes the marks out of a flow: what is left is what is said.

Pure. A mark that is broken or unknown becomes a fault at its place, and the words around it stay.

In brackets: the words of `marks.NAMES`, and what looks like a mark and is none, are never spoken.
Numbers ("[1]") are references and are passed over in silence; other prose in brackets ("[sic]",
"[the king]", "walk[ed]") is spoken as if the brackets were not there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from server.presenter.flow import BOLD_BEGINS, BOLD_ENDS, LITERAL, NOTHING, Flow
from server.presenter.marks import (
    NAMES,
    EmphasisEdge,
    Mark,
    MarkError,
    nearest,
    read_bracket,
    read_element,
)

_LONGEST = 120  # characters between brackets; more is prose
_MARK = re.compile(
    rf"\[(?P<closes>/?)(?P<words>[^\[\]{LITERAL}]{{0,{_LONGEST}}})\]"
    r"|<(?P<ends>/?)(?P<element>[A-Za-z][\w:-]{0,40})"
    r"(?P<attributes>(?:\s+[\w:-]{1,40}\s*=\s*(?:\"[^\"<>]{0,200}\"|'[^'<>]{0,200}'|[^\s\"'<>=]{1,200})){0,12})"
    r"\s*/?>"
    rf"|(?P<other>[{BOLD_BEGINS}{BOLD_ENDS}{NOTHING}\[\]]|<!--)"
)
_ATTRIBUTE = re.compile(r"([\w:-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'<>=]+))")
_REFERENCE = re.compile(r"[\d\s,;–*†‡-]+")
_LOOKS_LIKE_A_MARK = re.compile(r"[a-z][a-z_-]*(?:\s+[+-]?\d[\w.]*){0,2}")
_UNCLOSED = re.compile(r"\[\s*/?([A-Za-z_]+)((?:\s+[+-]?\d[\w.,]*)?)")
_ELEMENT = re.compile(r"<+(?=[A-Za-z/!])")
_LATIN = frozenset({"sic", "ibid", "recte", "viz"})


@dataclass(frozen=True, slots=True)
class Found:
    """A mark in a flow.

    Attributes:
        at: how many letters of what is said come before it.
        start: index of its first character in the source.
        end: index after its last one.
        mark: what it asks for.
    """

    at: int
    start: int
    end: int
    mark: Mark | EmphasisEdge


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at an index of the source; a clause without a full stop."""

    index: int
    reason: str


@dataclass(slots=True)
class Scanned:
    """A flow without its marks.

    Attributes:
        letters: what is said.
        origins: for each letter its index in the source.
        found: the marks, in order.
        faults: what cannot be understood.
    """

    letters: list[str] = field(default_factory=list)
    origins: list[int] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def scan(flow: Flow) -> Scanned:
    """Returns what is said and the marks in it."""
    scanned, text, position = Scanned(), "".join(flow.scan), 0
    shown: list[str] = []
    while True:
        match = _MARK.search(text, position)
        end = len(text) if match is None else match.start()
        scanned.letters += flow.letters[position:end]
        scanned.origins += flow.origins[position:end]
        shown += text[position:end]
        if match is None:
            return _without_elements(scanned, "".join(shown))
        position = _take(scanned, flow, text, match)


def _take(scanned: Scanned, flow: Flow, text: str, match: re.Match[str]) -> int:
    """Takes what was found out of the text; returns where to read on."""
    if match["other"] is not None:
        return _take_other(scanned, flow, text, match)
    try:
        if match["words"] is not None:
            mark = _bracket(text, match)
            if mark is None and _is_prose(text, match):
                return match.start() + 1  # less its brackets
        else:
            mark = read_element(
                match["element"].lower(),
                {
                    name.lower(): double or single or bare
                    for name, double, single, bare in _ATTRIBUTE.findall(match["attributes"])
                },
                closes=bool(match["ends"]),
            )
    except MarkError as error:
        scanned.faults.append(Fault(flow.origins[match.start()], str(error)))
        return match.end()
    if mark is not None:
        _find(scanned, flow, match, mark)
    return match.end()


def _find(scanned: Scanned, flow: Flow, match: re.Match[str], mark: Mark | EmphasisEdge) -> None:
    start, last = flow.origins[match.start()], flow.origins[match.end() - 1]
    scanned.found.append(Found(len(scanned.letters), start, last + 1, mark))


def _take_other(scanned: Scanned, flow: Flow, text: str, match: re.Match[str]) -> int:
    other, origin = match["other"], flow.origins[match.start()]
    if other in (BOLD_BEGINS, BOLD_ENDS):
        _find(scanned, flow, match, EmphasisEdge(begins=other == BOLD_BEGINS))
    elif other == "<!--":
        scanned.faults.append(Fault(origin, "the note is not closed by '-->'"))
    elif other == "[":
        broken = _UNCLOSED.match(text, match.start())
        if broken is not None and broken[1].lower() in NAMES:
            scanned.faults.append(Fault(origin, f"the mark '[{broken[1]}' is not closed by ']'"))
            return broken.end()
    return match.end()


def _bracket(text: str, match: re.Match[str]) -> Mark | EmphasisEdge | None:
    """Returns what brackets mean, None if they hold prose or a reference.

    Raises:
        MarkError: it is a mark that is broken or does not exist.
    """
    words = match["words"].split()
    if not words:
        return None
    closes = bool(match["closes"])
    if words[0].lower() in NAMES:
        return read_bracket(words, closes=closes)
    if not closes and (_is_reference(match) or _is_within_a_word(text, match)):
        return None
    meant = nearest(words[0]) if len(words) <= 2 else None
    is_mark = _LOOKS_LIKE_A_MARK.fullmatch(" ".join(words)) and words[0] not in _LATIN
    if closes or meant or is_mark:
        hint = f"; did you mean '[{meant}]'?" if meant else ""
        raise MarkError(f"there is no mark '[{'/' * closes}{words[0][:40]}]'{hint}")
    return None


def _is_prose(text: str, match: re.Match[str]) -> bool:
    """Whether brackets that hold no mark hold something to say."""
    return not _is_reference(match) or _is_within_a_word(text, match)


def _is_reference(match: re.Match[str]) -> bool:
    words = match["words"].strip()
    return len(words) < 2 or words.startswith("^") or _REFERENCE.fullmatch(words) is not None


def _is_within_a_word(text: str, match: re.Match[str]) -> bool:
    before, after = (
        text[max(match.start() - 1, 0) : match.start()],
        text[match.end() : match.end() + 1],
    )
    return match["words"].isalpha() and (before.isalpha() or after.isalpha())


def _without_elements(scanned: Scanned, shown: str) -> Scanned:
    """Takes out what would look like the beginning of an element."""
    dropped = {at for run in _ELEMENT.finditer(shown) for at in range(*run.span())}
    if dropped:
        kept = [at for at in range(len(shown)) if at not in dropped]
        scanned.found = [
            replace(found, at=found.at - sum(at < found.at for at in dropped))
            for found in scanned.found
        ]
        scanned.letters = [scanned.letters[at] for at in kept]
        scanned.origins = [scanned.origins[at] for at in kept]
    return scanned
