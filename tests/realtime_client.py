"""OpenAI's own client on a server's `/v1/realtime`: every event is held against its types."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, get_args

import numpy as np
import soxr
from numpy.typing import NDArray
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from openai.types.realtime import RealtimeServerEvent
from openai.types.realtime.realtime_session_create_response import RealtimeSessionCreateResponse
from pydantic import BaseModel

RATE = 24_000  # Hz
PATIENCE = 60  # seconds; a busy machine is late, not wrong
_KINDS: Mapping[str, type[BaseModel]] = {
    get_args(kind.model_fields["type"].annotation)[0]: kind
    for kind in get_args(get_args(RealtimeServerEvent)[0])
}
_SESSION_ONLY = {"id", "object"}  # OpenAI's service tells them; its type for `session` lacks them


def checked(data: bytes) -> dict[str, Any]:
    """Returns an event that the package's types take as it is, with no field that they lack."""
    plain = json.loads(data)
    event = _KINDS[plain["type"]].model_validate_json(data, strict=True)
    session = plain.get("session")
    if session is not None:
        whole = RealtimeSessionCreateResponse.model_validate(session, strict=True)
        assert unknown(whole) == set(), data
        assert unknown(event) == _SESSION_ONLY, data
    else:
        assert unknown(event) == set(), data
    assert isinstance(plain, dict)
    return plain


def unknown(value: object) -> set[str]:
    """Returns the names of all fields within that the types do not know."""
    if isinstance(value, BaseModel):
        own = set(value.model_extra or {})
        return own.union(*(unknown(getattr(value, name)) for name in type(value).model_fields))
    if isinstance(value, list):
        return set().union(*(unknown(each) for each in value))
    return set()


class RealtimeClient:
    """A connection and all that came over it."""

    def __init__(self, connection: AsyncRealtimeConnection) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []
        self._news = asyncio.Condition()

    async def listen(self) -> None:
        while True:
            event = checked(await self.connection.recv_bytes())
            async with self._news:
                self.events.append(event)
                self._news.notify_all()

    async def until(self, condition: Callable[[], object]) -> None:
        async with self._news:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._news.wait_for(lambda: bool(condition()))
            except TimeoutError:
                raise AssertionError(f"only {self.kinds()} came, {self.of('error')}") from None

    async def nth(self, kind: str, index: int = 0) -> dict[str, Any]:
        """Returns an event of a kind, counted from 0, once it has come."""
        await self.until(lambda: len(self.of(kind)) > index)
        return self.of(kind)[index]

    def of(self, kind: str, **fields: object) -> list[dict[str, Any]]:
        return [
            event
            for event in self.events
            if event["type"] == kind and all(event[name] == fields[name] for name in fields)
        ]

    def kinds(self) -> list[str]:
        """Returns the types of all events, runs of one as one."""
        kinds = [event["type"] for event in self.events]
        return [kind for index, kind in enumerate(kinds) if index == 0 or kinds[index - 1] != kind]

    def sound(self, response_id: str) -> NDArray[np.float32]:
        """Returns what was heard of a response, [n] at 24 kHz."""
        deltas = self.of("response.output_audio.delta", response_id=response_id)
        pcm = b"".join(base64.b64decode(event["delta"]) for event in deltas)
        return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)

    def words(self, response_id: str) -> str:
        deltas = self.of("response.output_audio_transcript.delta", response_id=response_id)
        return "".join(event["delta"] for event in deltas)

    def words_so_far(self) -> str:
        deltas = self.of("response.output_audio_transcript.delta")
        return "".join(event["delta"] for event in deltas)

    async def say(self, text: str) -> None:
        part: Any = {"type": "input_text", "text": text}
        await self.connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [part]}
        )

    async def ask(self, text: str) -> None:
        await self.say(text)
        await self.connection.response.create()

    async def update(self, **session: object) -> None:
        count = len(self.of("session.updated"))
        wanted: Any = {"type": "realtime", **session}
        await self.connection.session.update(session=wanted)
        await self.nth("session.updated", count)

    async def append(self, speech: NDArray[np.float32], *, piece: int = RATE) -> None:
        """Appends 16 kHz speech, `piece` samples an event, as fast as they are taken."""
        sound = soxr.resample(speech, 16_000, RATE)
        pcm = (np.clip(sound, -1, 1) * 32767).astype("<i2")
        for start in range(0, len(pcm), piece):
            audio = base64.b64encode(pcm[start : start + piece].tobytes()).decode()
            await self.connection.input_audio_buffer.append(audio=audio)


@asynccontextmanager
async def realtime(
    address: str, *, key: str = "any", **query: str
) -> AsyncIterator[RealtimeClient]:
    """Yields a client whose session has begun."""
    openai = AsyncOpenAI(
        api_key=key, base_url=f"http://{address}/v1", websocket_base_url=f"ws://{address}/v1"
    )
    async with (
        openai,
        openai.realtime.connect(model="gpt-realtime", extra_query=query) as connection,
        asyncio.TaskGroup() as group,
    ):
        client = RealtimeClient(connection)
        listening = group.create_task(client.listen())
        try:
            yield client
        finally:
            listening.cancel()
