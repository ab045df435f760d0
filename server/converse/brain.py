"""What a brain is: messages in, text and tool calls out, as they come.

One port for every kind: a chat endpoint, the demo's script. It knows neither speech nor session.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from streaming_model.errors import VivantError

FailureCode = Literal[
    "unreachable",  # no connection
    "refused",  # an HTTP status that is none of those below
    "unauthorized",  # 401, 403
    "rate_limited",  # 429
    "timeout",  # silent for too long, at any stage
    "nonsense",  # what came is not the protocol
    "broken_off",  # it ended in the middle
    "empty",  # it said nothing
    "tools",  # it calls one tool after the other and says nothing
]


class BrainError(VivantError):
    """A brain did not answer, or not to the end.

    Attributes:
        failure: what kind of failure.
        retry_after: seconds after which it wants to be asked again, where it says so.
    """

    code = "brain_failed"

    def __init__(
        self, failure: FailureCode, message: str, *, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.failure: FailureCode = failure
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the reply."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """Something that the brain wants done, and the result told, before it goes on.

    Attributes:
        id: by which the result names it.
        name: of the function.
        arguments: JSON, as the model wrote it.
    """

    id: str
    name: str
    arguments: str


BrainEvent = TextDelta | ToolCall


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the history as brains are told it.

    Attributes:
        role: who said it; `tool` for a result.
        content: the words.
        tool_calls: of the assistant, which the next messages answer.
        tool_call_id: of a result.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What a brain is asked.

    Attributes:
        messages: system prompt and history; the last one is the user's or a tool's.
        model: which model to ask; None for the usual one.
        portrait: the name of who answers.
        tools: JSON objects as `/v1/chat/completions` takes them.
    """

    messages: Sequence[Message]
    model: str | None = None
    portrait: str = ""
    tools: Sequence[dict[str, Any]] = field(default_factory=tuple)


class Brain(Protocol):
    """Answers."""

    def reply(self, question: Question) -> AsyncGenerator[BrainEvent, None]:
        """Yields the reply while it is being made.

        Raises:
            BrainError: it does not answer, or not to the end.
        """
        ...

    async def aclose(self) -> None:
        """Closes what it holds open."""
        ...
