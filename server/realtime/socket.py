"""One realtime client's WebSocket: its session is opened or found, and served until it goes.

Events go out and messages come in at the same time; neither waits for the other. Whatever a
client sends, the socket lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from server.channel import Channel, Overflow
from server.protocol import Failed, ProtocolError, SessionClosed
from server.realtime.agent import RealtimeAgent
from server.realtime.audio import Intake
from server.realtime.desk import RealtimeDesk
from server.realtime.events import EventError, read_event, read_json
from server.session import Session
from server.waiting import Waiting
from streaming_model.errors import VivantError

if TYPE_CHECKING:
    from server.api import House

_UNSENT: Final = 2_000  # events that a client may be behind: half a minute of speech
_BEHIND: Final = 100  # events that it may be behind when it asks for more
_UNREAD: Final = 64  # messages
_TOO_SLOW: Final = "The client reads too slowly."


class RealtimeSocket:
    """Serves one accepted WebSocket."""

    def __init__(self, websocket: WebSocket, house: House, *, model: str) -> None:
        self._websocket = websocket
        self._house = house
        self._model = model
        self._outbox: Channel[str] = Channel(_UNSENT, Overflow.REFUSE)
        self._inbox: Channel[str] = Channel(_UNREAD, Overflow.REFUSE)
        self._is_over = asyncio.Event()
        self._has_begun = False
        self._has_room = asyncio.Event()
        self._closing = (1000, "session closed")

    async def serve(self, entered: Session | Waiting) -> None:
        """Serves until the client or the session goes."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write(), name="realtime write")
            reading = group.create_task(self._read(), name="realtime read")
            leading = group.create_task(self._lead(entered), name="realtime lead")
            tasks = [reading, leading, group.create_task(self._is_over.wait())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            self._is_over.set()
            self._has_room.set()
            self._inbox.drain()
            self._inbox.close()
            reading.cancel()
            if not self._has_begun:
                leading.cancel()
            # Otherwise it ends by itself: an error that passed through it would keep its session
            # until garbage is collected.
            await asyncio.wait(tasks)
            self._outbox.close()

    async def _read(self) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                text = message.get("text")
                await self._inbox.put("" if text is None else text)

    async def _write(self) -> None:
        try:
            async for text in self._outbox:
                await self._websocket.send_text(text)
                if len(self._outbox) <= _BEHIND:
                    self._has_room.set()
            code, reason = self._closing
            await self._websocket.close(code, reason)
        except WebSocketDisconnect:
            self._is_over.set()

    async def _lead(self, entered: Session | Waiting) -> None:
        """Lets the client answer in its session, as soon as that has begun."""
        try:
            session = await self._begun(entered)
        except ProtocolError as error:
            self._turn_away(error)
            return
        self._has_begun = True
        session.line.begin()
        async with asyncio.TaskGroup() as group:
            intake = Intake(session.clock, lambda frame: session.hear(self, frame))
            agent = RealtimeAgent(
                session=session,
                talk=self._house.talk,
                intake=intake,
                model=self._model,
                voices=lambda: [entry.name for entry in self._house.voices.entries],
                send=self._send,
                group=group,
            )
            with ExitStack() as stack:
                try:
                    agent.enter(stack)
                except ProtocolError as error:
                    self._turn_away(error)
                    return
                desk = RealtimeDesk(agent)
                beside = [
                    group.create_task(intake.run(), name="realtime intake"),
                    group.create_task(self._follow(session), name="realtime follow"),
                ]
                async for text in self._inbox:
                    await self._obey(desk, text)
                    await self._room()
                for task in beside:
                    task.cancel()

    def _turn_away(self, error: ProtocolError) -> None:
        self._refuse(EventError(error.code, str(error)), None)
        self._closing = (1008, error.code)

    async def _begun(self, entered: Session | Waiting) -> Session:
        """Returns the session once its place is there.

        Raises:
            ProtocolError: no session comes of it.
        """
        if isinstance(entered, Session):
            return entered
        with entered.events.listen() as channel:
            async for event in channel:
                if isinstance(event, Failed):
                    raise ProtocolError(event.code, event.message)
        if entered.has_ended:
            raise ProtocolError("session_gone", "The session ended before it had its place.")
        return self._house.sessions.find(entered.id)

    async def _follow(self, session: Session) -> None:
        """Ends the socket with the session."""
        with session.events.listen() as channel:
            async for event in channel:
                if isinstance(event, SessionClosed):
                    sentence = f"The session has ended: {event.reason}."
                    self._refuse(EventError("session_expired", sentence), None)
        self._is_over.set()

    async def _room(self) -> None:
        """Returns when the client has read most of what it was told."""
        while len(self._outbox) > _BEHIND and not self._is_over.is_set():
            self._has_room.clear()
            await self._has_room.wait()

    async def _obey(self, desk: RealtimeDesk, text: str) -> None:
        event_id: str | None = None
        try:
            fields = read_json(text)
            given = fields.get("event_id")
            event_id = given if isinstance(given, str) else None
            await desk.obey(read_event(fields))
        except EventError as error:
            self._refuse(error, event_id)
        except VivantError as error:
            self._refuse(EventError(error.code, str(error)), event_id)

    def _refuse(self, error: EventError, event_id: str | None) -> None:
        self._send("error", error=error.describe(event_id))

    def _send(self, kind: str, /, **fields: object) -> None:
        event = {"type": kind, "event_id": f"event_{secrets.token_hex(10)}", **fields}
        if not self._outbox.offer(json.dumps(event, separators=(",", ":"))):
            self._closing = (1008, _TOO_SLOW)
            self._is_over.set()
