"""A stretch of a script on its way to speech: its letters, each with its place in the source.

Pure. What the formats have in common ends here: paragraphs, headings, cues are all flows, in
which marks still stand as letters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# Private characters (Unicode's "private use"), which a source loses on its way in.
BOLD_BEGINS, BOLD_ENDS, NOTHING, LITERAL = "\ue000", "\ue001", "\ue002", "\ue003"
_PRIVATE = re.compile(f"[{BOLD_BEGINS}{BOLD_ENDS}{NOTHING}{LITERAL}\0]")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(slots=True)
class Flow:
    """Letters that are read without a break, as a paragraph or a subtitle.

    Attributes:
        rest: milliseconds of silence after it, besides what ends a sentence.
        not_before: milliseconds after the script's beginning before which it is not spoken.
        is_whole: whether it is one sentence however it is punctuated.
        letters: its letters, marks among them.
        origins: for each the index in the source.
        scan: the letters as a search for marks sees them: what is meant literally is hidden.
    """

    rest: int = 0
    not_before: int | None = None
    is_whole: bool = False
    letters: list[str] = field(default_factory=list)
    origins: list[int] = field(default_factory=list)
    scan: list[str] = field(default_factory=list)

    def add(self, text: str, origin: int, *, is_literal: bool = False) -> None:
        """Appends text that stands at `origin` in the source, letter by letter."""
        self.letters += text
        self.origins += range(origin, origin + len(text))
        self.scan += LITERAL * len(text) if is_literal else text

    def put(self, text: str, origin: int, *, is_literal: bool = False) -> None:
        """Appends text all of which stands for what is at `origin` in the source."""
        self.letters += text
        self.origins += [origin] * len(text)
        self.scan += LITERAL * len(text) if is_literal else text


def cleaned(source: str) -> str:
    """Returns the source with as many characters, less line ends of other systems and comments.

    `<!-- ... -->` is a note to oneself: its letters become `NOTHING`.
    """
    text = _PRIVATE.sub("\ufffd", source).replace("\r\n", " \n").replace("\r", "\n")
    return _COMMENT.sub(lambda note: re.sub(r"[^\n]", NOTHING, note[0]), text)
