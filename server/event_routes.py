"""A session's events by Server-Sent Events, and the schema of every message there is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from server.event_schema import message_schema
from server.protocol import ServerEvent
from server.session import Session

if TYPE_CHECKING:
    from server.api import House

ROUTES = APIRouter()


def _session(request: Request, session_id: str) -> Session:
    """Returns the session, or refuses before the stream begins."""
    house: House = request.app.state.house
    session = house.sessions.find(session_id)
    session.touch()
    return session


@ROUTES.get("/v1/sessions/{session_id}/events", response_class=EventSourceResponse)
async def events(
    session: Annotated[Session, Depends(_session)],
    last_event_id: Annotated[int, Header(ge=0)] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """The session's events, as the WebSocket of this address sends them."""
    with session.events.follow(last_event_id) as followed:
        greeting = session.greeting()
        for event in (*greeting, followed.attached) if last_event_id else greeting:
            yield _told(event)
        for numbered in followed.missed:
            yield _told(numbered.event, numbered.number)
        async for numbered in followed.later:
            yield _told(numbered.event, numbered.number)


@ROUTES.get("/v1/schema")
async def schema() -> dict[str, Any]:
    """A JSON Schema of all messages: `#/$defs/client` and `#/$defs/server`."""
    return message_schema()


def _told(event: ServerEvent, number: int | None = None) -> ServerSentEvent:
    id_ = None if number is None else str(number)
    return ServerSentEvent(raw_data=event.to_json(), event=event.type, id=id_)
