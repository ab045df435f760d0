"""What a pipeline's side of a session makes of what the session tells. No network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.protocol import Expiring, Failed, ServerEvent, SessionClosed
from vivant_client import SessionEndedError
from vivant_client.pipecat.images import Images
from vivant_client.pipecat.performance import Performance


class FakeSession:
    """Tells what it is given to tell, and remembers what it is sent."""

    def __init__(self, *told: ServerEvent) -> None:
        self._told = told
        self.sent: list[str] = []

    async def events(self) -> AsyncIterator[ServerEvent]:
        for event in self._told:
            yield event

    async def frames(self) -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield

    sounds = frames

    async def send(self, kind: str, **fields: object) -> None:
        assert not fields
        self.sent.append(kind)


class FakeStage:
    """Remembers errors."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    async def push_error(self, message: str) -> None:
        self.errors.append(message)


async def performed(*told: ServerEvent) -> tuple[FakeSession, FakeStage, SessionEndedError]:
    session, stage = FakeSession(*told), FakeStage()
    performance = Performance(session, stage=stage, images=Images(None))  # type: ignore[arg-type]
    with pytest.raises(SessionEndedError) as ended:
        await performance.run()
    return session, stage, ended.value


async def test_a_quiet_session_is_kept_alive_for_the_pipeline_ends_it() -> None:
    session, stage, ended = await performed(
        Expiring("idle", 60),
        Expiring("idle", None),  # somebody renewed it
        Expiring("time", 60),  # nobody can
        SessionClosed("time"),
    )
    assert session.sent == ["session.keep_alive"]
    assert (ended.reason, stage.errors) == ("time", [])


async def test_what_the_server_refuses_is_an_error_of_the_pipeline() -> None:
    _, stage, _ = await performed(Failed("audio_unusable", "Half a sample came."))
    assert stage.errors == ["Half a sample came."]


async def test_a_session_that_falls_silent_without_a_word_is_lost() -> None:
    _, _, ended = await performed()
    assert ended.reason == "lost"
