"""The chunks of a streamed chat completion: JSON in, text and whole tool calls out.

Pure. It is as strict as needed to tell nonsense from an answer, and no stricter: servers that
imitate OpenAI leave fields out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from server.converse.brain import BrainEvent, TextDelta, ToolCall

_MOST_CALLS = 32
_LONGEST_ARGUMENTS = 100_000  # characters


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""


class CompletionReader:
    """One reply.

    Attributes:
        is_over: whether the server said that it is complete.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._calls: dict[int, _Call] = {}

    def push(self, data: str) -> Iterator[BrainEvent]:
        """Takes the data of one event; yields what it brings.

        Raises:
            ValueError: it is not a chunk; the message says what it is.
        """
        if data.strip() == "[DONE]":
            self.is_over = True
            yield from self.finish()
            return
        choice = _choice(_parsed(data))
        if choice is None:
            return
        delta = choice.get("delta") or {}
        yield from self._take(delta)
        if choice.get("finish_reason"):
            self.is_over = True
            yield from self.finish()

    def whole(self, content: bytes) -> Iterator[BrainEvent]:
        """Takes an answer that was not streamed.

        Raises:
            ValueError: it is not one.
        """
        choice = _choice(_parsed(content.decode("utf-8", "replace")))
        if choice is None or not isinstance(choice.get("message"), dict):
            raise ValueError("an answer without a message")
        yield from self._take(choice["message"])
        self.is_over = True
        yield from self.finish()

    def finish(self) -> Iterator[BrainEvent]:
        """Yields the tool calls gathered."""
        calls, self._calls = self._calls, {}
        for index, call in sorted(calls.items()):
            if not call.name:
                raise ValueError("a tool call without a name")
            yield ToolCall(call.id or f"call_{index}", call.name, call.arguments or "{}")

    def _take(self, delta: dict[str, Any]) -> Iterator[BrainEvent]:
        if not isinstance(delta, dict):
            raise ValueError("a delta that is no object")
        content = delta.get("content")
        if isinstance(content, str) and content:
            yield TextDelta(content)
        calls = delta.get("tool_calls") or []
        if not isinstance(calls, list):
            raise ValueError("tool calls that are no list")
        for number, part in enumerate(calls):
            self._gather(number, part)

    def _gather(self, number: int, part: Any) -> None:  # noqa: ANN401 - from JSON
        if not isinstance(part, dict) or not isinstance(part.get("function"), dict):
            raise ValueError("a tool call that is no object")
        index = part.get("index")
        call = self._calls.setdefault(index if isinstance(index, int) else number, _Call())
        if len(self._calls) > _MOST_CALLS:
            raise ValueError(f"more than {_MOST_CALLS} tool calls")
        call.id = call.id or str(part.get("id") or "")
        call.name = call.name or str(part["function"].get("name") or "")
        call.arguments += str(part["function"].get("arguments") or "")
        if len(call.arguments) > _LONGEST_ARGUMENTS:
            raise ValueError("a tool call that is too long")


def _parsed(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("something that is not JSON") from None
    if not isinstance(body, dict):
        raise ValueError("something that is no JSON object")
    if body.get("error"):
        error = body["error"]
        said = error.get("message", error) if isinstance(error, dict) else error
        raise ValueError(f"an error: {said}")
    return body


def _choice(body: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the first choice; None for a chunk without any, as the one with the usage."""
    choices = body.get("choices")
    if not isinstance(choices, list):
        raise ValueError("a chunk without choices")
    if choices and not isinstance(choices[0], dict):
        raise ValueError("a choice that is no object")
    return choices[0] if choices else None
