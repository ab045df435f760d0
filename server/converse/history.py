"""What was said in a conversation: of the portrait's words only those that were heard.

Pure. Brains are told it as messages, clients as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from server.converse.brain import Message, ToolCall

MOST_ENTRIES = 1_000
_MOST_TOLD = 200  # entries that a brain is told
_NO_RESULT = '{"error": "no result"}'
_CUT = " [interrupted]"

Source = Literal["text", "voice"]


@dataclass(slots=True)
class Entry:
    """One turn's part of one side.

    Attributes:
        role: whose.
        turn: number of the user's turn that it belongs to.
        heard: the words as heard, or as the user said them.
        content: the same as the brain wrote it, with marks and Markdown, up to the last word heard.
        utterance: the portrait's.
        is_interrupted: whether more was written than heard.
        is_pending: whether it is still being said.
        is_fallback: whether it is the server's own sentence in place of a brain that failed.
        source: of a user's words.
        tool_calls: of the brain.
        results: of them, by id.
    """

    role: Literal["user", "assistant"]
    turn: int
    heard: str = ""
    content: str = ""
    utterance: int | None = None
    is_interrupted: bool = False
    is_pending: bool = False
    is_fallback: bool = False
    source: Source | None = None
    tool_calls: list[ToolCall] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)


class History:
    """One conversation, oldest first; beyond a thousand entries the oldest are forgotten.

    Attributes:
        turn: number of the user's latest turn.
    """

    def __init__(self) -> None:
        self.turn = 0
        self._entries: list[Entry] = []

    @property
    def is_owed(self) -> bool:
        """Whether the user's latest words have no answer, not even one under way."""
        return bool(self._entries) and self._entries[-1].role == "user"

    @property
    def entries(self) -> Sequence[Entry]:
        """All entries."""
        return tuple(self._entries)

    def revive(self, turn: int, entries: Sequence[Entry]) -> None:
        """Takes up what was said elsewhere."""
        self.turn = turn
        self._entries = list(entries)

    def add_user(self, text: str, source: Source) -> int:
        """Adds the user's words; they join what was not answered yet. Returns the turn."""
        text = " ".join(text.split())
        if self.is_owed:
            last = self._entries[-1]
            last.heard = last.content = f"{last.heard} {text}"
            last.source = source
        else:
            self.turn += 1
            self._add(Entry("user", self.turn, text, text, source=source))
        return self.turn

    def begin(self, utterance: int | None, *, is_fallback: bool = False) -> Entry:
        """Adds what the portrait is about to say; `settle` tells what became of it."""
        entry = Entry(
            "assistant",
            self.turn,
            utterance=utterance,
            is_pending=utterance is not None,
            is_fallback=is_fallback,
        )
        self._add(entry)
        return entry

    def settle(self, entry: Entry, *, heard: str, content: str, is_interrupted: bool) -> None:
        """Says what was heard of an entry; one of which nothing was heard is forgotten."""
        entry.heard, entry.content = heard, content
        entry.is_interrupted, entry.is_pending = is_interrupted, False
        if not heard and not entry.tool_calls and entry in self._entries:
            self._entries.remove(entry)

    def messages(self) -> list[Message]:
        """Returns what a brain is told."""
        told = [entry for entry in self._entries if not entry.is_fallback][-_MOST_TOLD:]
        while told and told[0].role != "user":
            del told[0]
        return [message for entry in told for message in _messages(entry)]

    def describe(self) -> list[dict[str, Any]]:
        """Returns what clients are told."""
        return [_describe(entry) for entry in self._entries]

    def clear(self) -> None:
        """Forgets everything."""
        self._entries.clear()

    def _add(self, entry: Entry) -> None:
        self._entries.append(entry)
        del self._entries[:-MOST_ENTRIES]


def _messages(entry: Entry) -> Iterator[Message]:
    cut = _CUT if entry.is_interrupted else ""
    yield Message(entry.role, entry.content + cut, tool_calls=tuple(entry.tool_calls))
    for call in entry.tool_calls:  # a call without its result would be refused
        content = entry.results.get(call.id, _NO_RESULT)
        yield Message("tool", content, tool_call_id=call.id)


def _describe(entry: Entry) -> dict[str, Any]:
    told: dict[str, Any] = {"role": entry.role, "turn": entry.turn, "text": entry.heard}
    if entry.role == "user":
        return told | {"source": entry.source}
    calls = [
        {
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "result": entry.results.get(call.id),
        }
        for call in entry.tool_calls
    ]
    return told | {
        "content": entry.content,
        "utterance": entry.utterance,
        "interrupted": entry.is_interrupted,
        "pending": entry.is_pending,
        "fallback": entry.is_fallback,
        "tool_calls": calls,
    }
