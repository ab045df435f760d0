"""The conversation of a session from a client's side: who answers, and what was heard.

What happens in it comes as `UserTranscript`, `ReplyDelta`, `SpeakEnded`, `BrainToolCall` and
`BrainFailed` among the session's events.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

Brain = Literal["demo", "chat", "external", "off"]
Call = Callable[..., Awaitable[dict[str, Any]]]
Send = Callable[..., Awaitable[None]]


class WrittenText:
    """An utterance whose text the client is still writing."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def write(self, delta: str) -> None:
        """Adds to the text, cut anywhere; marks such as `<happy>` act and are not spoken.

        Raises:
            SessionEndedError: the connection is over.
        """
        await self._send("speak.delta", text=delta)


class TalkControl:
    """The conversation of one session; every call raises ClientError when the server refuses it."""

    def __init__(self, call: Call, send: Send) -> None:
        """Takes how to call the server and how to send it a message, as the session does."""
        self._call = call
        self._send = send

    async def brain(
        self,
        brain: Brain | None = None,
        *,
        model: str | None = None,
        prompt: str | None = None,
        fallback: str | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """Chooses who answers, and how; begins or ends the conversation. Returns what holds now.

        Args:
            brain: `demo`, `chat` (the operator's model), `external` (this program) or `off`; as
                it is if None, or the server's usual one where the session does not converse.
            model: to ask for; the rest also stays as it is where it is None.
            prompt: the system prompt; `{portrait}` in it is the portrait's name.
            fallback: said when the brain fails; empty for silence.
            tools: as `/v1/chat/completions` takes them.
        """
        wanted = {"model": model, "prompt": prompt, "fallback": fallback, "tools": tools}
        return await self._call("PUT", "/brain", brain=brain, **wanted)

    async def say(self, text: str) -> int:
        """Says the user's words, which interrupt, to be answered; returns the user's turn."""
        return int((await self._call("POST", "/say", text=text))["turn"])

    async def history(self) -> list[dict[str, Any]]:
        """Returns what was said, oldest first; of the portrait's words only those heard."""
        entries: list[dict[str, Any]] = (await self._call("GET", "/history"))["items"]
        return entries

    async def give_result(self, call_id: str, content: str) -> None:
        """Gives what came of a `BrainToolCall`, within 30 s of it.

        Raises:
            SessionEndedError: the connection is over.
        """
        await self._send("brain.tool_result", call_id=call_id, content=content)

    @asynccontextmanager
    async def reply(
        self, *, voice: str | None = None, style: Mapping[str, object] | None = None
    ) -> AsyncIterator[WrittenText]:
        """Begins an utterance whose text is written piece by piece, and completes it at the end.

        Raises:
            SessionEndedError: the connection is over.
        """
        await self._send("speak.start", voice=voice, style=style)
        yield WrittenText(self._send)
        await self._send("speak.end")
