"""Plain text as flows: a paragraph each; a backslash takes a bracket's meaning away."""

from __future__ import annotations

import re

from server.presenter.flow import BOLD_BEGINS, BOLD_ENDS, Flow

PARAGRAPH_REST = 300  # ms, besides the rest after a sentence
_PARAGRAPH = re.compile(r"(?:[^\n]*\S[^\n]*(?:\n|$))+")
_SPECIAL = re.compile(r"\\([\\\[\]<>*])|\*\*(?=\S)([^*\n]{1,500}?)(?<=\S)\*\*")


def plain_flows(text: str) -> list[Flow]:
    """Returns the paragraphs of a cleaned text."""
    flows = []
    for match in _PARAGRAPH.finditer(text):
        flow = Flow(rest=PARAGRAPH_REST)
        add_plain(flow, match[0], match.start())
        flows.append(flow)
    return flows


def add_plain(flow: Flow, text: str, origin: int) -> None:
    """Appends text that knows escapes and `**bold**`, which stands at `origin` in the source."""
    position = 0
    for match in _SPECIAL.finditer(text):
        flow.add(text[position : match.start()], origin + position)
        if match[1] is not None:
            flow.add(match[1], origin + match.start(1), is_literal=True)
        else:
            flow.put(BOLD_BEGINS, origin + match.start())
            add_plain(flow, match[2], origin + match.start(2))
            flow.put(BOLD_ENDS, origin + match.end() - 1)
        position = match.end()
    flow.add(text[position:], origin + position)
