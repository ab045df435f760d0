"""The items of a realtime conversation: what clients are told of them, and what the brain is.

Pure. Of what the portrait said it holds what was heard.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from server.converse.brain import Message, ToolCall
from server.realtime.events import EventError, NewItem

MOST_ITEMS: Final = 1_000
MOST_TEXT: Final = 100_000  # characters of one
_FIRST: Final = "root"
_CUT: Final = " [interrupted]"
_NO_RESULT: Final = '{"error": "no result"}'

Status = Literal["completed", "incomplete", "in_progress"]


@dataclass(slots=True)
class Item:
    """One item.

    Attributes:
        id: by which both sides name it.
        role: whose message; None for a call and its result.
        text: the words; None while it is not known what was said.
        is_spoken: whether the message was said by voice.
        written: the same as the brain wrote it, with marks; None where that is `text`.
        status: whether it is whole.
        call: of a function.
        output: of that call, in an item of its own.
        heard: of what the portrait says, (milliseconds, characters) as they left.
    """

    id: str
    role: Literal["system", "user", "assistant"] | None = None
    text: str | None = ""
    is_spoken: bool = False
    written: str | None = None
    status: Status = "completed"
    call: ToolCall | None = None
    call_id: str | None = None
    output: str | None = None
    heard: list[tuple[int, int]] = field(default_factory=list)

    def describe(self) -> dict[str, Any]:
        """Returns it in OpenAI's shape."""
        told: dict[str, Any] = {"id": self.id, "object": "realtime.item", "status": self.status}
        if self.call is not None:
            call = {"call_id": self.call.id, "name": self.call.name}
            return told | {"type": "function_call", "arguments": self.call.arguments} | call
        if self.output is not None:
            output = {"call_id": self.call_id, "output": self.output}
            return told | {"type": "function_call_output"} | output
        return told | {"type": "message", "role": self.role, "content": self._content()}

    def _content(self) -> list[dict[str, Any]]:
        side = "output" if self.role == "assistant" else "input"
        if self.is_spoken:
            is_empty = self.role == "assistant" and self.status == "in_progress" and not self.text
            return [] if is_empty else [{"type": f"{side}_audio", "transcript": self.text}]
        return [{"type": f"{side}_text", "text": self.text}]

    def truncate(self, milliseconds: int) -> int:
        """Forgets what was said after so much of it was heard; returns how much it then is."""
        last = self.heard[-1][0] if self.heard else 0
        if milliseconds >= last:
            return last
        said = max((count for at, count in self.heard if at <= milliseconds), default=0)
        self.heard = [(at, count) for at, count in self.heard if at <= milliseconds]
        self.heard.append((milliseconds, said))
        self.text = self.written = (self.text or "")[:said].rstrip()
        self.status = "incomplete"
        return milliseconds


class Items:
    """One conversation's, in order; beyond a thousand the oldest are forgotten."""

    def __init__(self) -> None:
        self._items: list[Item] = []

    @property
    def is_owed(self) -> bool:
        """Whether the user's latest words have no answer."""
        told = [item for item in self._items if item.text or item.call or item.output is not None]
        return bool(told) and told[-1].role == "user"

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Adds it after the item of that id, or at the end; returns the id of the one before.

        Raises:
            EventError: there is no such item, or one of its id already.
        """
        if any(other.id == item.id for other in self._items):
            raise EventError("invalid_value", f"There is an item {item.id!r} already.", param="id")
        place = len(self._items)
        if after is not None:
            place = 0 if after == _FIRST else self._items.index(self.find(after)) + 1
        self._items.insert(place, item)
        before = self._items[place - 1].id if place else None
        del self._items[:-MOST_ITEMS]
        return before

    def find(self, item_id: str) -> Item:
        """Returns an item.

        Raises:
            EventError: there is none of that id.
        """
        for item in self._items:
            if item.id == item_id:
                return item
        message = f"There is no item {item_id[:64]!r} in the conversation."
        raise EventError("item_not_found", message, param="item_id")

    def delete(self, item_id: str) -> None:
        """Takes an item out.

        Raises:
            EventError: there is none of that id.
        """
        self._items.remove(self.find(item_id))

    def before(self, item: Item) -> str | None:
        """Returns the id of the item before it."""
        place = self._items.index(item) if item in self._items else 0
        return self._items[place - 1].id if place else None

    def holds_call(self, call_id: str) -> bool:
        """Whether a function was called by that id."""
        return any(item.call is not None and item.call.id == call_id for item in self._items)

    def messages(self) -> list[Message]:
        """Returns what the brain is told: calls belong to the words that they followed."""
        results = {item.call_id: item.output for item in self._items if item.output is not None}
        messages: list[Message] = []
        calls: list[ToolCall] = []
        for item in [*self._items, Item("")]:
            if item.call is not None:
                calls.append(item.call)
                continue
            messages += _called(messages, calls, results)
            calls = []
            words = item.text if item.written is None else item.written
            if item.role is not None and words:
                cut = _CUT if item.role == "assistant" and item.status == "incomplete" else ""
                messages.append(Message(item.role, words + cut))
        return messages


def _called(
    messages: list[Message], calls: list[ToolCall], results: Mapping[str | None, str | None]
) -> Iterator[Message]:
    """Yields calls with their results; a call without its result would be refused."""
    if not calls:
        return
    words = ""
    if messages and messages[-1].role == "assistant" and not messages[-1].tool_calls:
        words = messages.pop().content
    yield Message("assistant", words, tool_calls=tuple(calls))
    for call in calls:
        result = results.get(call.id)
        yield Message("tool", _NO_RESULT if result is None else result, tool_call_id=call.id)


def item_of(new: NewItem, item_id: str) -> Item:
    """Returns the item that a client adds.

    Raises:
        EventError: it is not complete, or of a kind that cannot be added.
    """
    size = sum(len(part.text or "") for part in new.content) + len(new.output or "")
    if size > MOST_TEXT:
        message = f"The item has {size:,} characters; at most {MOST_TEXT:,} are taken."
        raise EventError("string_above_max_length", message, param="item")
    if new.type == "message":
        if new.role is None:
            raise _missing("role")
        wrong = [part.type for part in new.content if part.text is None]
        if wrong:
            message = f"Messages are added as text, not {wrong[0][:40]!r}."
            raise EventError("invalid_value", message, param="item.content")
        text = " ".join(part.text for part in new.content if part.text)
        if not text.strip():
            raise _missing("content")
        return Item(item_id, new.role, text)
    if new.call_id is None:
        raise _missing("call_id")
    if new.type == "function_call_output":
        if new.output is None:
            raise _missing("output")
        return Item(item_id, call_id=new.call_id, output=new.output)
    if new.name is None:
        raise _missing("name")
    return Item(item_id, call=ToolCall(new.call_id, new.name, new.arguments or "{}"))


def _missing(name: str) -> EventError:
    message = f"The item has no '{name}'."
    return EventError("missing_required_parameter", message, param=f"item.{name}")
