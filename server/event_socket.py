"""One client's WebSocket: first perhaps in line for a place, then at a session's desk.

Events go out and messages come in at the same time; neither waits for the other. It knows
messages only as text and bytes.
"""

from __future__ import annotations

import asyncio
import contextlib

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from server.access.principal import principal_of
from server.desk import Desk, WaitingDesk
from server.protocol import ProtocolError, ServerEvent
from server.session import Session
from server.sessions import Sessions
from server.waiting import Waiting


async def serve_events(
    websocket: WebSocket, sessions: Sessions, session_id: str, after: int | None = None
) -> None:
    """Serves an accepted WebSocket until the client or the session goes.

    `after` is the number of the last event that the client had, 0 for none; None for a client
    that wants no numbers.
    """
    waiting = sessions.find_waiting(session_id)
    try:
        desk = WaitingDesk(waiting) if waiting else _desk(websocket, sessions.find(session_id))
    except ProtocolError as error:
        await websocket.send_json({"type": "error", "code": error.code, "message": str(error)})
        await websocket.close(code=1008, reason="no such session")
        return
    client = _Client(websocket, sessions, session_id, desk, after)
    async with asyncio.TaskGroup() as group:
        sending = [group.create_task(client.send(waiting)), group.create_task(client.feed())]
        await client.receive()
        for task in sending:
            task.cancel()


def _desk(websocket: WebSocket, session: Session) -> Desk:
    return Desk(session, takes_pcm=True, scopes=principal_of(websocket.scope).scopes)


class _Client:
    def __init__(
        self,
        websocket: WebSocket,
        sessions: Sessions,
        session_id: str,
        desk: Desk | WaitingDesk,
        after: int | None,
    ) -> None:
        self._websocket = websocket
        self._sessions = sessions
        self._session_id = session_id
        self._desk = desk
        self._after = after
        self._has_begun = asyncio.Event()
        self._has_moved = False

    async def send(self, waiting: Waiting | None) -> None:
        """Sends events until the session, or the waiting for it, has ended."""
        try:
            if waiting is not None:
                await self._wait(waiting)
            if waiting is None or not waiting.has_ended:
                await self._follow()
            if self._has_moved:
                await self._websocket.close(code=1012, reason="come again")
            else:
                await self._websocket.close(code=1000, reason="session closed")
        except WebSocketDisconnect:
            return

    async def feed(self) -> None:
        """Sends the motion that the client asks for, once the session is there."""
        await self._has_begun.wait()
        assert isinstance(self._desk, Desk)
        with contextlib.suppress(WebSocketDisconnect):
            await self._desk.motion.run(self._websocket.send_text)

    async def receive(self) -> None:
        """Takes messages until the client goes."""
        try:
            while True:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                answers: list[ServerEvent] = (
                    await self._desk.take_pcm(message["bytes"])
                    if message.get("bytes") is not None
                    else await self._desk.take_text(message["text"])
                )
                for answer in answers:
                    await self._websocket.send_text(answer.to_json())
        except WebSocketDisconnect:
            return
        finally:
            self._desk.leave()

    async def _wait(self, waiting: Waiting) -> None:
        with waiting.events.listen() as channel:
            await self._websocket.send_text(waiting.event().to_json())
            async for event in channel:
                await self._websocket.send_text(event.to_json())

    async def _follow(self) -> None:
        try:
            session = self._sessions.find(self._session_id)
        except ProtocolError:
            return  # it has ended between its beginning and now
        if isinstance(self._desk, WaitingDesk):
            self._desk = _desk(self._websocket, session)
        self._has_begun.set()
        if self._after is None:
            await self._follow_all(session)
        else:
            await self._follow_from(session, self._after)
        self._has_moved = session.reason == "moved"

    async def _follow_all(self, session: Session) -> None:
        with session.events.listen() as channel:
            for greeting in session.greeting():
                await self._websocket.send_text(greeting.to_json())
            async for event in channel:
                await self._websocket.send_text(event.to_json())

    async def _follow_from(self, session: Session, after: int) -> None:
        with session.events.follow(after) as followed:
            for greeting in (*session.greeting(), followed.attached):
                await self._websocket.send_text(greeting.to_json())
            for numbered in followed.missed:
                await self._websocket.send_text(numbered.to_json())
            async for numbered in followed.later:
                await self._websocket.send_text(numbered.to_json())
