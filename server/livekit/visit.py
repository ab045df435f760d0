"""One session's visit to a room of LiveKit: it joins, is an agent's face and voice, and leaves.

It ends with the session, when the room is gone, or when the agent is. What an agent is told is in
`speech`, how in `reports`, what a room sees and hears in `stage`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from livekit import rtc
from livekit.rtc.participant import PublishTrackError

from server.livekit.contract import ACCEPTED, AUDIO_TOPIC, CLEAR_BUFFER, REJECTED
from server.livekit.presence import Presence
from server.livekit.reports import Reports
from server.livekit.speech import Speech
from server.livekit.stage import Stage
from server.protocol import ProtocolError
from server.session import Session

_LOG = logging.getLogger(__name__)
_ATTEMPT: Final = 5.0  # seconds for each of LiveKit's attempts to connect
_JOIN: Final = 30.0  # seconds for all of them
_EMPTY: Final = 5.0  # seconds to wait for somebody who hears, before the face is shown

Waits = tuple[Callable[[], Coroutine[Any, Any, object]], ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A room to go to.

    Attributes:
        url: of the LiveKit server.
        token: lets us in.
        room: the room's name, to be held against the token's; None for whichever that is.
    """

    url: str
    token: str = field(repr=False)
    room: str | None = None

    @property
    def server(self) -> str:
        """The server, without what may be secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@dataclass(frozen=True, slots=True)
class Pictures:
    """What pictures a room gets.

    Attributes:
        size: their side, in pixels.
        fps: how many a second.
        bitrate: of the video, in bits a second.
        worker: converts them.
    """

    size: int
    fps: int
    bitrate: int
    worker: Executor


class Visit:
    """A visit.

    Attributes:
        settled: set once it is in the room, or failed to come in.
        failure: why it did.
        identity: under which it is there.
        room_name: where it is.
    """

    def __init__(
        self,
        session: Session,
        place: Place,
        *,
        pictures: Pictures,
        make_room: Callable[[], rtc.Room] = rtc.Room,
    ) -> None:
        self._session = session
        self._place = place
        self._pictures = pictures
        self._make_room = make_room
        self.settled = asyncio.Event()
        self.failure: ProtocolError | None = None
        self.identity = self.room_name = ""

    async def run(self, closing: asyncio.Event) -> None:
        """Visits the room until `closing` is set or nobody there wants it any more."""
        room = self._make_room()
        try:
            await self._join(room)
        except ProtocolError as error:
            _LOG.warning("session %s: %s", self._session.id, error)
            self.failure = error
        else:
            self.settled.set()
            await self._stay(room, closing)
        finally:
            await room.disconnect()
            self._session.close("client")
            if not (self.settled.is_set() or self.failure):
                self.failure = ProtocolError("not_found", "The session has ended meanwhile.")
            self.settled.set()

    async def _join(self, room: rtc.Room) -> None:
        place = self._place
        options = rtc.RoomOptions(auto_subscribe=False, connect_timeout=_ATTEMPT)
        try:
            async with asyncio.timeout(_JOIN):
                await room.connect(place.url, place.token, options)
        except rtc.ConnectError as error:
            reason = error.message.replace(place.token, "...")
            sentence = f"The LiveKit server at {place.server} did not let the avatar in: {reason}."
            raise ProtocolError("livekit_refused", sentence) from None
        except TimeoutError:
            sentence = f"The LiveKit server at {place.server} does not answer."
            raise ProtocolError("livekit_refused", sentence) from None
        if place.room not in (None, room.name):
            sentence = f"The token is for the room {room.name!r} and not for {place.room!r}."
            raise ProtocolError("bad_request", sentence)
        self.identity, self.room_name = room.local_participant.identity, room.name

    async def _stay(self, room: rtc.Room, closing: asyncio.Event) -> None:
        """Is there; nothing may be awaited before it listens, for agents speak at once."""
        pictures, clock = self._pictures, self._session.clock
        stage = Stage(
            size=pictures.size,
            fps=pictures.fps,
            bitrate=pictures.bitrate,
            worker=pictures.worker,
        )
        presence = Presence(room, clock=clock)
        reports = Reports(room.local_participant, clock=clock)
        on_stage, ended = asyncio.Event(), asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                speech = Speech(
                    self._session,
                    tell=reports.tell,
                    cue=stage.cue,
                    may_begin=on_stage,
                    group=group,
                )
                self._listen(room, presence, speech)
                tasks = [
                    group.create_task(stage.run(), name="stage"),
                    group.create_task(reports.run(presence), name="reports"),
                    group.create_task(self._enter(stage, room, on_stage, ended), name="enter"),
                ]
                waits = (closing.wait, presence.lost.wait, presence.until_gone, ended.wait)
                await self._perform(stage, speech, waits)
                await reports.finish(presence)
                for task in tasks:
                    task.cancel()
        finally:
            await reports.finish(presence)  # where the session failed
            await stage.close()

    async def _perform(self, stage: Stage, speech: Speech, waits: Waits) -> None:
        session = self._session
        with session.events.tapped(speech.notice), session.outputs.carried_by(stage):
            session.line.begin()
            try:
                await _first(waits)
            finally:
                speech.end()

    def _listen(self, room: rtc.Room, presence: Presence, speech: Speech) -> None:
        def take(reader: rtc.ByteStreamReader, sender: str) -> None:
            if sender == presence.agent:
                speech.take(reader)
            else:
                reader.close()

        def clear(call: rtc.RpcInvocationData) -> str:
            if call.caller_identity != presence.agent:
                return REJECTED
            self._session.interrupt()
            return ACCEPTED

        room.register_byte_stream_handler(AUDIO_TOPIC, take)
        room.local_participant.register_rpc_method(CLEAR_BUFFER, clear)

    async def _enter(
        self, stage: Stage, room: rtc.Room, on_stage: asyncio.Event, ended: asyncio.Event
    ) -> None:
        try:
            await stage.publish(room.local_participant, patience=_EMPTY)
        except PublishTrackError as error:
            sentence = f"The room {self.room_name!r} takes no picture or sound: {error.message}."
            _LOG.warning("session %s: %s", self._session.id, sentence)
            ended.set()
        else:
            on_stage.set()


async def _first(waits: Waits) -> None:
    """Returns when one of them does."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(wait()) for wait in waits]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
