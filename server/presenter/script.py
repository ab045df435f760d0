"""A script: numbered sentences, each with its place in the source and the marks before and in it.

Pure: text in, values out. It knows neither voices nor time; `reader` says it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal, get_args

from server.presenter.assembly import Sentences
from server.presenter.flow import Flow, cleaned
from server.presenter.markdown import markdown_flows
from server.presenter.plain import plain_flows
from server.presenter.scan import Fault, scan
from server.presenter.sentence import Sentence
from server.presenter.subtitles import subtitle_flows
from streaming_model.errors import VivantError, printable

MOST_CHARACTERS = 100_000  # of a script
Format = Literal["text", "markdown", "srt"]
FORMATS = get_args(Format)
_SUFFIXES: dict[str, Format] = {".md": "markdown", ".markdown": "markdown", ".srt": "srt"}
_MOST_NOTICES = 100
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # JSON can carry one; nothing can encode it


class ScriptError(VivantError):
    """A script that cannot be read aloud."""

    code = "script_unusable"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something in the source that is not understood; the rest is spoken.

    Attributes:
        line: counted from 1.
        column: counted from 1, in characters.
        message: one sentence.
    """

    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class Script:
    """A source, and what is said of it.

    Attributes:
        source: the text; of a recording, its captions.
        format: how it is written.
        sentences: what is said.
        notices: what is not understood.
        is_recorded: whether the sentences are parts of a recording.
    """

    source: str = ""
    format: Format = "text"
    sentences: tuple[Sentence, ...] = ()
    notices: tuple[Notice, ...] = ()
    is_recorded: bool = False


def format_of(name: str) -> Format:
    """Returns the format that a file's name tells."""
    return _SUFFIXES.get(PurePath(name).suffix.lower(), "text")


def parse_script(
    source: str,
    format: Format = "text",
    *,
    knows_voice: Callable[[str], bool] = lambda _: True,
) -> Script:
    """Reads a script.

    Args:
        source: any text; ranges of sentences are indices of its characters (code points).
        format: how it is written.
        knows_voice: whether there is a voice of that name.

    Raises:
        ScriptError: it is longer than 100,000 characters, or is to be subtitles and holds none.
    """
    if len(source) > MOST_CHARACTERS:
        raise ScriptError(
            f"The script has {len(source):,} characters; at most {MOST_CHARACTERS:,} can be read."
        )
    source = _HALF_CHARACTER.sub("\ufffd", source)
    flows, faults = _flows(cleaned(source), format)
    scanned = [(flow, scan(flow)) for flow in flows]
    sentences = Sentences(len(source), knows_voice)
    for flow, result in scanned:
        sentences.add(flow, result)
    faults += [fault for _, result in scanned for fault in result.faults]
    notices = notices_of(source, [*faults, *sentences.faults])
    return Script(source, format, tuple(sentences.close()), notices)


def _flows(text: str, format: Format) -> tuple[list[Flow], list[Fault]]:
    if format == "text":
        return plain_flows(text), []
    if format == "markdown":
        flows, code = markdown_flows(text)
        return flows, [Fault(index, "a block of code is not spoken") for index in code]
    flows, strays = subtitle_flows(text)
    if text.strip() and not flows:
        raise ScriptError("There is not one cue of SubRip subtitles in the text.")
    reason = "this cue is empty, or its times cannot be read and it belongs to the one before"
    return flows, [Fault(index, reason) for index in strays]


def notices_of(source: str, faults: Iterable[Fault]) -> tuple[Notice, ...]:
    """Returns faults with their lines and columns in the source, the first hundred."""
    starts = [0, *(at + 1 for at, letter in enumerate(source) if letter == "\n")]
    notices = []
    for fault in sorted(faults, key=lambda fault: fault.index)[:_MOST_NOTICES]:
        line = bisect_right(starts, fault.index)
        sentence = printable(f"{fault.reason[0].upper()}{fault.reason[1:]}.")
        notices.append(
            Notice(line, fault.index - starts[line - 1] + 1, sentence.replace("?.", "?"))
        )
    return tuple(notices)
