"""Markdown as flows, read by markdown-it-py: what is for the eye becomes what one would say.

Headings, list items and table rows are sentences of their own; of links and pictures the words
are read, code within a line as it stands; blocks of code and what is struck out are not read.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from server.presenter.flow import BOLD_BEGINS, BOLD_ENDS, Flow
from server.presenter.plain import PARAGRAPH_REST

_HEADING_REST = 450  # ms, besides the rest after a line
_ITEM_REST = 150
_AT = "at"  # in a token's meta: where it stands in the text that the parser was given
_SPOKEN = frozenset({"text", "text_special", "code_inline", "html_inline", "image"})


class _Positioned(StateInline):
    """Keeps for every token where it stands, which CommonMark's parsers do not."""

    def pushPending(self) -> Token:
        token = super().pushPending()
        found = self.src.rfind(token.content, 0, self.pos)
        token.meta[_AT] = found if found >= 0 else self.pos
        return token

    def push(self, ttype: str, tag: str, nesting: int) -> Token:
        token = super().push(ttype, tag, nesting)  # type: ignore[arg-type]
        token.meta[_AT] = min(self.pos, len(self.src))
        return token


def markdown_flows(text: str) -> tuple[list[Flow], list[int]]:
    """Returns what is to be said of a cleaned text, and where blocks of code stand."""
    return _Walk(text).flows()


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    # Elements may stand anywhere, so none makes a block that Markdown leaves alone.
    parser.disable(["html_block", "text_join"])
    parser.core.ruler.at("inline", _read_inline)
    return parser


def _read_inline(core: StateCore) -> None:
    """Reads what is within blocks, as markdown-it does, by a state that keeps positions."""
    for token in core.tokens:
        if token.type == "inline":
            token.children = []
            state = _Positioned(token.content, core.md, core.env, token.children)
            core.md.inline.tokenize(state)
            for finish in core.md.inline.ruler2.getRules(""):
                finish(state)


class _Walk:
    """Once through the blocks of a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = [0, *(at + 1 for at, letter in enumerate(text) if letter == "\n")]
        self._flows: list[Flow] = []
        self._code: list[int] = []
        self._row: Flow | None = None
        self._rest = PARAGRAPH_REST
        self._items = 0
        self._cursor = 0

    def flows(self) -> tuple[list[Flow], list[int]]:
        """Returns the flows, and where blocks of code begin."""
        for token in _parser().parse(self._text):
            match token.type:
                case "heading_open":
                    self._rest = _HEADING_REST
                case "heading_close":
                    self._rest = PARAGRAPH_REST
                case "list_item_open" | "list_item_close":
                    self._items += token.nesting
                case "tr_open":
                    self._row = Flow(rest=_ITEM_REST, is_whole=True)
                    self._flows.append(self._row)
                case "tr_close":
                    self._row = None
                case "fence" | "code_block":
                    self._code.append(self._line(token))
                case "inline":
                    self._read(token)
        return self._flows, self._code

    def _line(self, token: Token) -> int:
        return self._lines[min(token.map[0], len(self._lines) - 1)] if token.map else self._cursor

    def _read(self, token: Token) -> None:
        place = self._places(token)
        if self._row is None:
            flow = Flow(rest=_ITEM_REST if self._items else self._rest)
            self._flows.append(flow)
        else:
            flow = self._row
            if flow.letters and token.content:
                flow.put(", ", place(0))
        struck = 0
        for child in token.children or ():
            struck += child.nesting if child.type in ("s_open", "s_close") else 0
            if not struck:
                _add(flow, child, token.content, place)

    def _places(self, token: Token) -> _Places:
        """Finds the lines of a block's content, one after the other, in the source."""
        self._cursor = max(self._cursor, self._line(token))
        starts, origins, start = [], [], 0
        for line in token.content.split("\n"):
            found = self._text.find(line.strip(), self._cursor)
            if found >= 0:
                indent = len(line) - len(line.lstrip())
                self._cursor = found + len(line.strip())
                found = max(0, found - indent)
            starts.append(start)
            origins.append(found if found >= 0 else self._cursor)
            start += len(line) + 1
        return _Places(starts, origins, len(self._text))


class _Places:
    """Where the letters of a block's content stand in the source."""

    def __init__(self, starts: list[int], origins: list[int], length: int) -> None:
        self._starts, self._origins, self._last = starts, origins, max(0, length - 1)

    def __call__(self, index: int) -> int:
        """Returns the index in the source of a letter of the content."""
        line = bisect_right(self._starts, index) - 1
        return min(self._origins[line] + index - self._starts[line], self._last)


def _add(flow: Flow, token: Token, content: str, place: _Places) -> None:
    """Appends what an inline token says."""
    at = int(token.meta.get(_AT, 0))
    match token.type:
        case "strong_open" | "strong_close":
            # The closing asterisks are two: the mark ends with the second.
            begins = token.nesting > 0
            flow.put(BOLD_BEGINS if begins else BOLD_ENDS, place(at if begins else at + 1))
        case "softbreak" | "hardbreak":
            flow.put(" ", place(at))
        case kind if kind in _SPOKEN and token.content:
            written = token.markup if kind == "text_special" else token.content
            starts = (i for i in (at, at - len(written)) if content.startswith(written, max(i, 0)))
            found = max(next(starts, content.find(written, at)), 0)
            found += len(written) - len(token.content) if token.info == "escape" else 0
            is_literal = kind in ("text_special", "code_inline")
            for offset, letter in enumerate(token.content):
                flow.put(letter, place(found + offset), is_literal=is_literal)
