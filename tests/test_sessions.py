"""The registry: admission, idle time and the end, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.backgrounds import Backgrounds
from server.capacity import Capacity
from server.encoder import VideoCodec
from server.inference import Inference
from server.line import Engines
from server.portraits import Portraits
from server.protocol import ProtocolError, SessionClosed
from server.session import Session, SessionOptions
from server.sessions import Sessions
from server.voices import Voices
from streaming_model.backdrop import KEEP
from tests.live_fakes import FakeAvatar, FakeEntry, open_fake_voice
from tests.virtual_time import InlineExecutor, VirtualClock, settle

SECOND = 1_000_000_000  # ns


@dataclass
class House:
    folder: Path
    clock: VirtualClock
    sessions: Sessions
    is_over: asyncio.Event

    def open(self) -> Session:
        return self.sessions.open(self._make)

    def _make(self, session_id: str) -> Session:
        worker = InlineExecutor()
        inference = Inference(worker)
        voices = Voices(
            entries=[FakeEntry("hum")],
            default="hum",
            open_voice=open_fake_voice,
            worker=worker,
            remote_worker=worker,
        )
        return Session(
            session_id=session_id,
            portrait="fake",
            avatar=FakeAvatar(size=64),
            voice="hum",
            seed=0,
            options=SessionOptions(25, 64, 100_000, (VideoCodec.VP8,), (), 2, 2),
            engines=Engines(inference, worker, worker, self.clock),
            portraits=Portraits(
                [],
                default="fake",
                folder=self.folder,
                size=64,
                make_avatar=lambda _: (FakeAvatar(size=64), ()),
                inference=inference,
                worker=worker,
            ),
            backgrounds=Backgrounds(default=KEEP, folder=self.folder, worker=worker),
            voices=voices,
        )


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    clock = VirtualClock()
    sessions = Sessions(
        capacity=Capacity(cores=2, share=0.8, cap=2),
        measure=lambda _: None,
        idle_seconds=30,
        clock=clock,
    )
    is_over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(sessions.run(is_over))
        await settle()
        yield House(folder, clock, sessions, is_over)
        is_over.set()


async def test_one_too_many_is_turned_away_until_another_ends(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        first, _ = rig.open(), rig.open()
        with pytest.raises(ProtocolError, match="All 2 sessions") as caught:
            rig.open()
        assert caught.value.code == "capacity"
        first.close("client")
        await settle()
        rig.open()


async def test_an_unused_session_ends_and_a_used_one_does_not(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        unused, listened = rig.open(), rig.open()
        with listened.events.listen(), unused.events.listen() as last_words:
            events = []
            await rig.clock.run_until(31 * SECOND)
            assert not unused.is_closing  # listened to
            while len(last_words):
                events.append(await last_words.get())
        with listened.events.listen():
            unused.touch()
            await rig.clock.run_until(rig.clock.now() + 29 * SECOND)
            assert not unused.is_closing
            await rig.clock.run_until(rig.clock.now() + 3 * SECOND)
            assert unused.is_closing
            assert not listened.is_closing
        assert len(rig.sessions) == 1


async def test_the_end_of_the_server_ends_every_session(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        session = rig.open()
        with session.events.listen() as events:
            await settle()
            rig.is_over.set()
            await settle()
            heard = [event async for event in events]
        assert heard == [SessionClosed("shutdown")]
        assert len(rig.sessions) == 0


async def test_a_session_that_fails_ends_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as rig:
        failing, other = rig.open(), rig.open()

        def explode(*_: object) -> None:
            raise RuntimeError("a bug")

        monkeypatch.setattr(failing.line.queue, "take", explode)
        with failing.events.listen() as events:
            failing.line.begin()
            await rig.clock.run_until(rig.clock.now() + SECOND)
            assert [event async for event in events][-1] == SessionClosed("failed")
        assert failing.is_closing
        assert not other.is_closing
        assert len(rig.sessions) == 1


async def test_an_unknown_session_is_not_found(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        with pytest.raises(ProtocolError, match="'nobody'"):
            rig.sessions.find("nobody")
