"""One session from a client's side: what it is told, what it is heard to say, what it shows.

Calls that give a number back go over REST, what streams over the WebSocket, media over WebRTC.
Events that break off while media goes on are taken up again, and `EventsAttached` tells what was
missed. Nothing else is done behind the caller's back: a lost connection is told and not mended,
`resume` comes back to the session.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from server.protocol import BargeIn, Queued, ServerEvent, SessionReady, SpeakEnded
from vivant_client.errors import ClientError, RefusedError, SessionEndedError, UnreachableError
from vivant_client.event_socket import EventSocket
from vivant_client.media import Frame, Media, Sound
from vivant_client.outputs import OutputControl
from vivant_client.rest import Opened, Rest
from vivant_client.script import ScriptControl
from vivant_client.sound import Samples, to_pcm16
from vivant_client.talk import TalkControl

_STILL = 2.0  # seconds without sound after which media counts as gone
_MOST_ENDED = 1000  # utterances whose end is remembered
EventT = TypeVar("EventT", bound=ServerEvent)


class PushedAudio:
    """An utterance whose sound the client brings."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._line = session.line

    async def push(self, samples: Samples) -> None:
        """Adds sound, as fast as it is there; waits while the server has two minutes of it.

        Raises:
            SessionEndedError: the connection is over.
            ClientError: the samples are of another kind; or the connection broke off and was made
                anew, with which the utterance has ended.
        """
        if self._session.line != self._line:
            raise ClientError("The connection broke off: what was pushed on it has ended.")
        await self._session.send_bytes(to_pcm16(samples))


class Session:
    """An open session; made by `connect` and `resume`, which are its context managers.

    Attributes:
        id: its name.
        token: proves that it is ours; with `id` it is what `resume` asks for. Empty if it is not.
        script: what it reads aloud.
        outputs: films of it, and where it is pushed.
        talk: its conversation.
        ready: what the session is: portrait, voice, size, pictures a second, style.
    """

    def __init__(
        self,
        rest: Rest,
        enter: Callable[[Rest], Any],
        *,
        media: bool,
        keep: bool,
        on_queued: Callable[[Queued], None] | None,
    ) -> None:
        self._rest = rest
        self._enter = enter
        self._wants_media = media
        self._keeps = keep
        self._on_queued = on_queued
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []
        self._events = EventSocket(self._note, self._may_go_on)
        self._media: Media | None = None
        self._ended_utterances: dict[int, SpeakEnded] = {}
        self.script = ScriptControl(self._call, self._upload)
        self.outputs = OutputControl(self._call, rest)
        self.talk = TalkControl(self._call, self.send)
        self.id = self.token = ""
        self.ready: SessionReady

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        try:
            await self._open()
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._leave()

    async def describe(self) -> dict[str, Any]:
        """Returns what the session is and does now, and how many watch it.

        Raises:
            ClientError: the server refuses, or cannot be reached.
        """
        return await self._call("GET", "")

    async def speak(
        self, text: str, *, voice: str | None = None, style: Mapping[str, object] | None = None
    ) -> int:
        """Says `text` after what is already queued; returns the number of the utterance.

        Raises:
            ClientError: the server refuses, or cannot be reached.
        """
        answer = await self._call("POST", "/speak", text=text, voice=voice, style=style)
        return int(answer["utterance"])

    async def share(
        self, *scopes: Literal["watch", "speak", "control"], seconds: float | None = None
    ) -> str:
        """Returns a token of this session, for somebody who may do less; an hour's if not told.

        Raises:
            ClientError: the server refuses, or cannot be reached.
        """
        wanted = list(scopes) or ["watch"]
        answer = await self._call("POST", "/tokens", scopes=wanted, seconds=seconds)
        return str(answer["token"])

    async def finished(self, utterance: int) -> SpeakEnded:
        """Returns once an utterance has ended, said or interrupted.

        Raises:
            SessionEndedError: the session ended first.
        """
        with self._events.listen() as events:
            while utterance not in self._ended_utterances:
                await self._events.next(events)
        return self._ended_utterances[utterance]

    async def interrupt(self) -> int:
        """Stops at once; returns the utterance number from here on.

        Raises:
            ClientError: the server refuses, or cannot be reached.
        """
        return int((await self._call("POST", "/interrupt"))["utterance"])

    async def gesture(
        self,
        name: str,
        *,
        strength: float = 1.0,
        duration: float | None = None,
        mode: Literal["add", "replace"] = "add",
    ) -> int:
        """Makes a gesture now; returns the media time of its beginning.

        Raises:
            ClientError: there is none of that name, or the server cannot be reached.
        """
        answer = await self._call(
            "POST", "/gesture", name=name, strength=strength, duration=duration, mode=mode
        )
        return int(answer["media_time"])

    async def update(
        self,
        *,
        portrait: str | None = None,
        voice: str | None = None,
        background: str | None = None,
        style: Mapping[str, object] | None = None,
    ) -> None:
        """Changes the portrait, the voice, the background or the style while running.

        Raises:
            ClientError: the server refuses, or cannot be reached.
        """
        wanted = {"portrait": portrait, "voice": voice, "background": background, "style": style}
        await self._call("PATCH", "", **wanted)

    async def motion(self, coefficients: Mapping[str, float], **options: object) -> None:
        """Sends one frame of live motion; the options are those of `motion` in docs/protocol.md.

        Refusals come as `Failed` events.

        Raises:
            SessionEndedError: the connection is over.
        """
        await self.send("motion", coefficients=dict(coefficients), **options)

    async def microphone(
        self, mode: Literal["puppet", "listen", "off"], *, barge_in: BargeIn | None = None
    ) -> None:
        """Chooses what is done with the sound given to `push_voice`.

        Raises:
            SessionEndedError: the connection is over.
        """
        await self.send("microphone", mode=mode, barge_in=barge_in)

    async def push_voice(self, samples: Samples, *, rate: int) -> None:
        """Sends mono sound of a microphone, at its own pace; who is half a second ahead waits.

        Raises:
            ClientError: the samples are of another kind, or the session has no media.
        """
        await self._require_media().voice.push(samples, rate)

    @asynccontextmanager
    async def audio(
        self, rate: int, *, channels: int = 1, style: Mapping[str, object] | None = None
    ) -> AsyncIterator[PushedAudio]:
        """Begins an utterance whose sound is pushed, of any rate, and completes it at the end.

        Raises:
            SessionEndedError: the connection is over.
        """
        await self.send("audio.start", sample_rate=rate, channels=channels, style=style)
        yield PushedAudio(self)
        await self.send("audio.end")

    async def frames(self) -> AsyncIterator[Frame]:
        """Yields pictures from now on, until the session ends; the oldest go for a slow reader.

        Raises:
            SessionEndedError: the connection broke, or the server ended the session.
        """
        channel = self._require_media().frames
        channel.drain()
        async for frame in channel:
            yield frame
        self._raise_unless_left()

    async def sounds(self) -> AsyncIterator[Sound]:
        """Yields sound from now on, until the session ends; the oldest goes for a slow reader.

        Raises:
            SessionEndedError: the connection broke, or the server ended the session.
        """
        channel = self._require_media().sounds
        channel.drain()
        async for sound in channel:
            yield sound
        self._raise_unless_left()

    async def events(self) -> AsyncIterator[ServerEvent]:
        """Yields what the server says from now on; ends with `SessionClosed`.

        Raises:
            SessionEndedError: the connection broke.
        """
        with self._events.listen() as channel:
            async for event in channel:
                yield event
        if self._events.end is not None and self._events.end.reason == "lost":
            raise self._events.end

    async def wait_for(
        self, kind: type[EventT], condition: Callable[[EventT], bool] = lambda _: True
    ) -> EventT:
        """Returns the next event of a kind for which the condition holds.

        Raises:
            SessionEndedError: the session ended first.
        """
        with self._events.listen() as channel:
            while True:
                event = await self._events.next(channel)
                if isinstance(event, kind) and condition(event):
                    return event

    async def send(self, kind: str, **fields: object) -> None:
        """Sends any message of docs/protocol.md; fields that are None are left out.

        Raises:
            SessionEndedError: the connection is over.
        """
        given = {name: value for name, value in fields.items() if value is not None}
        await self.send_text(json.dumps({"type": kind, **given}))

    async def send_text(self, message: str) -> None:
        """Sends a message that is JSON already.

        Raises:
            SessionEndedError: the connection is over.
        """
        await self._events.send(message)

    @property
    def line(self) -> int:
        """How many connections for events there have been; what was open on one ends with it."""
        return self._events.line

    async def send_bytes(self, pcm: bytes) -> None:
        """Sends PCM that belongs to the last `audio.start`.

        Raises:
            SessionEndedError: the connection is over.
        """
        await self._events.send(pcm)

    async def _open(self) -> None:
        opened: Opened = await self._enter(self._rest)
        self.id, self.token = opened.session_id, opened.token
        address = f"ws{self._rest.address.removeprefix('http')}/v1/sessions/{self.id}/events"
        await self._events.open(address, self._rest.headers)
        with self._events.listen() as events:
            self._start(self._follow())
            while not isinstance(event := await self._events.next(events), SessionReady):
                if isinstance(event, Queued) and self._on_queued is not None:
                    self._on_queued(event)
            self.ready = event
        if self._wants_media:
            self._media = Media(opened.ice_servers)
            await self._media.open(self._exchange)
            self._start(self._media.watch())
            self._start(self._media.listen())

    async def _exchange(self, offer: str) -> str:
        answer = await self._call(
            "POST", "/offer", type="offer", sdp=offer, token=self.token or None
        )
        return str(answer["sdp"])

    async def _leave(self) -> None:
        left = SessionEndedError("The session was left.", reason="client")
        self._events.end = self._events.end or left
        try:
            if self._media is not None:
                await self._media.close()
            if self.id and not self._keeps and self._events.end is left:
                await self._give_back()
            await self._events.close()
        finally:
            for task in self._tasks:
                task.cancel()
            await self._group.__aexit__(None, None, None)
            await self._rest.close()

    async def _give_back(self) -> None:
        try:
            await self._rest.call("DELETE", f"/v1/sessions/{self.id}")
        except (RefusedError, UnreachableError):
            return  # it has gone, or will by itself

    async def _follow(self) -> None:
        await self._events.read()
        if self._media is not None:
            await self._media.close()

    def _note(self, event: ServerEvent) -> None:
        if isinstance(event, SpeakEnded):
            self._ended_utterances[event.utterance] = event
            while len(self._ended_utterances) > _MOST_ENDED:
                del self._ended_utterances[next(iter(self._ended_utterances))]

    def _may_go_on(self, has_moved: bool) -> bool:
        """Whether events are of use: media that is connected stays with the worker that has it."""
        if self._media is None:
            return not has_moved or not self._wants_media
        is_alive = time.monotonic() - self._media.heard < _STILL
        return is_alive and not has_moved and not self._media.ended.is_set()

    async def _upload(self, path: str, file: Path, **form: Any) -> dict[str, Any]:  # noqa: ANN401
        return await self._rest.upload(f"/v1/sessions/{self.id}{path}", file, **form)

    async def _call(self, method: str, path: str, **fields: object) -> dict[str, Any]:
        given = {name: value for name, value in fields.items() if value is not None}
        return await self._rest.call(method, f"/v1/sessions/{self.id}{path}", given)

    def _require_media(self) -> Media:
        if self._media is None:
            raise ClientError("The session was opened without media (media=False).")
        return self._media

    def _raise_unless_left(self) -> None:
        if self._events.end is not None and self._events.end.reason != "client":
            raise self._events.end

    def _start(self, work: Any) -> None:  # noqa: ANN401 - a coroutine
        self._tasks.append(self._group.create_task(work))
