"""One answer as a realtime client is told of it: words and sound in step with what is heard.

It makes events in the order in which OpenAI's service sends them; it asks no brain and plays
nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Literal, Protocol

from server.converse.brain import ToolCall
from server.converse.live_text import LiveText
from server.protocol import SpeakEnded
from server.realtime.audio import Downsampler
from server.realtime.items import Item, Items
from server.realtime.settings import RATE, Settings
from server.speech_output import SpokenSound

_SAMPLES_PER_MS = 48  # at 48 kHz

Status = Literal["in_progress", "completed", "cancelled", "failed"]
Reason = Literal["turn_detected", "client_cancelled"]


class Send(Protocol):
    """Sends one event to the client."""

    def __call__(self, kind: str, /, **fields: object) -> None:
        """Sends an event of a kind."""
        ...


class Response:
    """One answer: what is said, and functions that are called after it.

    Attributes:
        id: by which both sides name it.
        settings: how it was asked for.
        text: what is being written and said; None before its first word.
        is_thought: whether the brain has finished with it.
        is_heard: whether what is said has been heard to its end, or nothing is.
    """

    def __init__(
        self,
        *,
        new_id: Callable[[str], str],
        send: Send,
        items: Items,
        settings: Settings,
        conversation_id: str,
        voice: str,
        metadata: object,
    ) -> None:
        self.id = new_id("resp")
        self.settings = settings
        self.text: LiveText | None = None
        self.is_thought = False
        self.is_heard = True
        self._new_id = new_id
        self._send = send
        self._items = items
        self._conversation_id = conversation_id
        self._voice = voice
        self._metadata = metadata
        self._output: list[Item] = []
        self._message: Item | None = None
        self._downsampler = Downsampler()
        self._samples = 0  # of 48 kHz
        self._told = 0  # characters
        send("response.created", response=self._describe("in_progress"))

    @property
    def is_audible(self) -> bool:
        """Whether some of it has been heard."""
        return self._samples > 0

    def begin(self, text: LiveText) -> None:
        """Announces what is going to be said."""
        self.text, self.is_heard = text, False
        item = Item(self._new_id("item"), "assistant", is_spoken=True, status="in_progress")
        self._message = item
        self._announce(item)
        self._tell("content_part.added", content_index=0, part={"type": "audio", "transcript": ""})

    def hear(self, spoken: SpokenSound) -> None:
        """Takes 20 ms of it that leave now."""
        if self.text is None or self._message is None:
            return
        self._samples += len(spoken.sound)
        said = spoken.characters or 0
        self._message.heard.append((self._samples // _SAMPLES_PER_MS, said))
        self._tell_sound(self._downsampler.push(spoken.sound))
        self._tell_words(said)

    def end(self, ended: SpeakEnded) -> None:
        """Takes the end of what is said, or the interruption of it."""
        text, item = self.text, self._message
        if text is None or item is None:
            return
        said, self.is_heard = ended.spoken_characters or 0, True
        is_all = text.is_finished and not any(map(str.isalnum, text.text[said:]))
        self._tell_sound(self._downsampler.finish())
        said = len(text.text) if is_all else max(said, self._told)
        self._tell_words(said)
        if self._samples:
            item.heard.append((self._samples // _SAMPLES_PER_MS, said))
        item.text = text.text[:said]
        item.written = text.spoken.raw if is_all else text.spoken.written(len(item.text.rstrip()))
        item.status = "completed" if is_all else "incomplete"
        self._tell("output_audio.done", content_index=0)
        self._tell("output_audio_transcript.done", content_index=0, transcript=item.text)
        part = {"type": "audio", "transcript": item.text}
        self._tell("content_part.done", content_index=0, part=part)
        self._conclude(item)

    def call(self, call: ToolCall) -> None:
        """Takes a function that the brain wants to be called."""
        item = Item(
            self._new_id("item"), status="in_progress", call=ToolCall(call.id, call.name, "")
        )
        self._announce(item)
        item.call, item.status = call, "completed"
        what = {"item_id": item.id, "output_index": len(self._output) - 1, "call_id": call.id}
        kind = "response.function_call_arguments"
        self._send(f"{kind}.delta", response_id=self.id, **what, delta=call.arguments)
        arguments = {"name": call.name, "arguments": call.arguments}
        self._send(f"{kind}.done", response_id=self.id, **what, **arguments)
        self._conclude(item)

    def finish(
        self,
        status: Status,
        *,
        reason: Reason | None = None,
        error: dict[str, str] | None = None,
    ) -> None:
        """Says that no more follows."""
        details = {"type": status, "reason": reason, "error": error}
        details = {name: value for name, value in details.items() if value is not None}
        self._send("response.done", response=self._describe(status, details))

    def _announce(self, item: Item) -> None:
        self._output.append(item)
        before = self._items.add(item)
        self._send(
            "response.output_item.added",
            response_id=self.id,
            output_index=len(self._output) - 1,
            item=item.describe(),
        )
        self._send("conversation.item.added", previous_item_id=before, item=item.describe())

    def _conclude(self, item: Item) -> None:
        told, before = item.describe(), self._items.before(item)
        self._send("conversation.item.done", previous_item_id=before, item=told)
        index = self._output.index(item)
        self._send("response.output_item.done", response_id=self.id, output_index=index, item=told)

    def _tell_sound(self, pcm: bytes) -> None:
        if pcm:
            delta = base64.b64encode(pcm).decode()
            self._tell("output_audio.delta", content_index=0, delta=delta)

    def _tell_words(self, said: int) -> None:
        if self.text is not None and said > self._told:
            delta, self._told = self.text.text[self._told : said], said
            self._tell("output_audio_transcript.delta", content_index=0, delta=delta)

    def _tell(self, kind: str, **fields: object) -> None:
        """Tells something of what is said."""
        assert self._message is not None
        index = self._output.index(self._message)
        where = {"response_id": self.id, "item_id": self._message.id, "output_index": index}
        self._send(f"response.{kind}", **where, **fields)

    def _describe(self, status: Status, details: dict[str, Any] | None = None) -> dict[str, Any]:
        output = {"format": {"type": "audio/pcm", "rate": RATE}, "voice": self._voice}
        return {
            "id": self.id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": [item.describe() for item in self._output],
            "conversation_id": self._conversation_id,
            "output_modalities": ["audio"],
            "max_output_tokens": "inf",
            "audio": {"output": output},
            "metadata": self._metadata,
        }
