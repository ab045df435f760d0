"""What is said of a text that is still being written: marks, Markdown, code and emoji taken out.

Pure and incremental: deltas in, cut anywhere; words and marks out, each as soon as no later
character can change it. Knows no voice. The whole text gives the same words however it is cut.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from server.converse.marks import Mark, read_mark
from server.voice.markup import is_unspoken

_LONGEST_MARK = 80  # characters between brackets; a longer run is words
_LONGEST_ADDRESS = 2_000  # characters of a link's address
_LINE_START = re.compile(
    r"[ \t]{0,12}(?:(?P<fence>`{3,}(?=[^`\n]*\n)|~{3,})[^\n]*\n"
    r"|(?:[-*_][ \t]?){3,}(?=\n)"  # a rule
    r"|[|:+\- \t]+(?=\n)"  # the rule of a table
    r"|#{1,6}[ \t]+|>[ \t]?|[-*+•·][ \t]+(?:\[[ xX]\][ \t]+)?)"
)
# What the beginning of such a line looks like while it is incomplete.
_LINE_START_PART = re.compile(
    r"[ \t]{0,12}(?:`{1,2}|~{1,2}|`{3,}[^`\n]*|~{3,}[^\n]*|#{1,6}|[-*_|:+• \t·]*"
    r"|[-*+•·][ \t]+\[[ xX]?\]?)"
)
_HTML = re.compile(r"<[/!]?[A-Za-z][^<>\n]*>|<!--[^\n]*-->")
_ASIDE = re.compile(r"\[(?:[a-z][a-z ]{0,24}|\^?\d{1,3}(?:, ?\d{1,3})*)\]")  # [laughs], [1]
_TIGHT = frozenset(".,;:!?)\n")  # no space before these
_CLOSERS = {"<": ">", "[": "]"}


@dataclass(frozen=True, slots=True)
class Placed:
    """A mark, and how many characters are said before it."""

    mark: Mark
    index: int


class SpokenText:
    """One text on its way from a model to a voice.

    Attributes:
        raw: what was written so far.
        text: what is to be said of it so far.
    """

    def __init__(self) -> None:
        self.raw = ""
        self.text = ""
        self._at = 0  # index of the first raw character that is not decided
        self._sources: list[int] = []  # for each said character, the raw index after it
        self._fence: str | None = None
        self._is_line_start = True
        self._gap = 0  # raw index after the first white space that waits

    def push(self, delta: str) -> list[Placed]:
        """Takes the next piece; returns the marks found. What is to be said is in `text`."""
        self.raw += delta
        return self._read(is_complete=False)

    def finish(self) -> list[Placed]:
        """Says that no more follows; returns the marks found in what was still undecided."""
        return self._read(is_complete=True)

    def written(self, said: int) -> str:
        """Returns the raw text up to the end of the first `said` characters of `text`."""
        said = min(said, len(self._sources))
        return self.raw[: self._sources[said - 1]] if said else ""

    def _read(self, *, is_complete: bool) -> list[Placed]:
        marks: list[Placed] = []
        while self._at < len(self.raw):
            before = self._at, self._is_line_start
            self._step(marks, is_complete)
            if (self._at, self._is_line_start) == before:
                break
        return marks

    def _step(self, marks: list[Placed], is_complete: bool) -> None:
        """Decides at least one character, or none while more must be known."""
        if self._fence is not None:
            self._skip_code(self._fence, is_complete)
        elif self._is_line_start:
            self._open_line(is_complete)
        elif self.raw[self._at] in _CLOSERS:
            self._bracket(marks, is_complete)
        else:
            self._character(is_complete)

    def _skip_code(self, fence: str, is_complete: bool) -> None:
        end = self.raw.find("\n", self._at)
        if end < 0 and not is_complete:
            return
        end = len(self.raw) if end < 0 else end + 1
        line = self.raw[self._at : end].strip()
        if line.startswith(fence) and not line.strip(fence[0]):
            self._fence = None
        self._at = end

    def _open_line(self, is_complete: bool) -> None:
        rest = self.raw[self._at :]
        is_undecided = _LINE_START_PART.fullmatch(rest) is not None
        if is_undecided and not is_complete:
            return
        found = _LINE_START.match(rest if not is_undecided else rest + "\n")
        if found is not None:
            self._fence = found["fence"]
            self._at = min(self._at + found.end(), len(self.raw))
        self._is_line_start = found is not None  # `> - item` has two of them

    def _bracket(self, marks: list[Placed], is_complete: bool) -> None:
        start, closer = self._at, _CLOSERS[self.raw[self._at]]
        end = self._closing(start + 1, closer, _LONGEST_MARK)
        if end is None:
            if is_complete or self._is_hopeless(start):
                self._say_one()
            return
        whole = self.raw[start:end]
        mark = read_mark(whole)
        if mark is None and closer == "]" and self.raw[end : end + 1] in ("", "("):
            if end == len(self.raw) and not is_complete:
                return  # an address may follow
            if self.raw[end : end + 1] == "(":
                self._link(end, is_complete)
                return
        if mark is not None:
            marks.append(Placed(mark, len(self.text)))
        if mark is None and whole.startswith(("<http://", "<https://")):
            self._say(whole[1:-1], start + 1)
            self._at = end
        elif mark is not None or _HTML.fullmatch(whole) or self._is_aside(whole, start):
            self._at = end
        else:
            self._say_one()

    def _is_aside(self, whole: str, start: int) -> bool:
        """Whether it is `[laughs]` or `[1]`, and not the index of `names[i]`."""
        follows_word = self.raw[start - 1 : start].isalnum()
        return _ASIDE.fullmatch(whole) is not None and (whole[1].isdigit() or not follows_word)

    def _link(self, end: int, is_complete: bool) -> None:
        """Says the words of `[words](address)`."""
        after = self._closing(end + 1, ")", _LONGEST_ADDRESS)
        if after is not None:
            self._say(self.raw[self._at + 1 : end - 1], self._at + 1)
            self._at = after
        elif is_complete or "\n" in self.raw[end:] or len(self.raw) - end > _LONGEST_ADDRESS + 1:
            self._say_one()

    def _closing(self, start: int, closer: str, longest: int) -> int | None:
        """Returns the index after the closing bracket on this line, if it is near."""
        end = self.raw.find(closer, start, start + longest)
        return end + 1 if end >= 0 and "\n" not in self.raw[start:end] else None

    def _is_hopeless(self, start: int) -> bool:
        rest = self.raw[start + 1 : start + 1 + _LONGEST_MARK]
        is_digit = rest[:1].isdigit() and self.raw[start] == "["
        begins = rest[:1].isalpha() or rest[:1] in ("", "/", "!", "^") or is_digit
        return len(rest) == _LONGEST_MARK or "\n" in rest or not begins

    def _character(self, is_complete: bool) -> None:
        character = self.raw[self._at]
        needs_next = character in "_!~\r"
        if needs_next and self._at + 1 == len(self.raw) and not is_complete:
            return
        following = self.raw[self._at + 1 : self._at + 2]
        before = self.raw[self._at - 1 : self._at]
        is_dropped = (
            character in "*`\r"
            or is_unspoken(character)
            or (character == "_" and not (before.isalnum() and following.isalnum()))
            or (character == "~" and "~" in (before, following))
            or (character == "!" and following == "[" and not before.strip())  # a picture
        )
        if is_dropped:
            self._at += 1
        else:
            self._say_one()

    def _say_one(self) -> None:
        character = self.raw[self._at]
        self._say(character, self._at)
        self._at += 1
        self._is_line_start = character == "\n"

    def _say(self, words: str, start: int) -> None:
        for offset, character in enumerate(words):
            if character in " \t":
                self._gap = self._gap or start + offset + 1
                continue
            # A gap waits for its word: where a mark stood, there may be two, or none is wanted.
            if self._gap and self.text and not self.text[-1].isspace() and character not in _TIGHT:
                self._add(" ", self._gap)
            self._gap = 0
            self._add(character, start + offset + 1)

    def _add(self, character: str, source: int) -> None:
        self.text += character
        self._sources.append(source)
