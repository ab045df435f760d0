"""The registry: admission, idle time and the end, in virtual time."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.access.principal import LOCAL, Scope
from server.access.tokens import Tokens, narrowed
from server.backgrounds import Backgrounds
from server.capacity import Capacity
from server.channel import Channel
from server.encoder import VideoCodec
from server.inference import Inference
from server.line import Engines
from server.portraits import Portraits
from server.protocol import (
    CapacityError,
    Expiring,
    Failed,
    Metrics,
    ProtocolError,
    Queued,
    ServerEvent,
    SessionClosed,
)
from server.session import Session, SessionOptions
from server.sessions import Sessions
from server.uploads import UploadFolder
from server.voices import Voices
from server.waiting import Departures, Waiting
from streaming_model.backdrop import KEEP
from tests.live_fakes import FakeAvatar, FakeEntry, open_fake_voice
from tests.virtual_time import InlineExecutor, VirtualClock, settle

SECOND = 1_000_000_000  # ns
TOKENS = Tokens()


@dataclass
class House:
    folder: Path
    clock: VirtualClock
    sessions: Sessions
    is_over: asyncio.Event

    async def enter(self) -> Session | Waiting:
        return await self.sessions.enter(self.make)

    async def open(self) -> Session:
        session = await self.enter()
        assert isinstance(session, Session)
        return session

    async def wait(self) -> Waiting:
        waiting = await self.enter()
        assert isinstance(waiting, Waiting)
        return waiting

    async def run(self, seconds: float) -> None:
        await self.clock.run_until(self.clock.now() + int(seconds * SECOND))

    async def make(self, session_id: str) -> Session:
        worker = InlineExecutor()
        inference = Inference(worker)
        voices = Voices(
            entries=[FakeEntry("hum")],
            default="hum",
            open_voice=open_fake_voice,
            worker=worker,
            urgent_worker=worker,
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
                uploads=UploadFolder(self.folder),
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
        queue_length=2,
        tokens=TOKENS,
        clock=clock,
    )
    is_over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(sessions.run(is_over))
        await settle()
        yield House(folder, clock, sessions, is_over)
        is_over.set()


async def test_beyond_all_places_and_the_line_clients_are_turned_away(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        for _ in range(2):
            await rig.open()
        for _ in range(2):
            await rig.wait()
        with pytest.raises(CapacityError, match=r"All 2 sessions.*, and 2 wait") as caught:
            await rig.enter()
        assert caught.value.code == "capacity"
        assert caught.value.retry_after > 0


def told(channel: Channel[ServerEvent]) -> list[ServerEvent]:
    return channel.drain()


async def test_the_line_moves_up_as_places_become_free(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        first, second = await rig.open(), await rig.open()
        one, two = await rig.wait(), await rig.wait()
        assert [(item.position, item.wait_s) for item in (one, two)] == [(1, None), (2, None)]
        with one.events.listen() as to_one, two.events.listen() as to_two:
            await rig.run(20)
            with pytest.raises(ProtocolError, match="number 2") as caught:
                rig.sessions.find(two.id)
            assert caught.value.code == "queued"
            first.close("client")
            await settle()
            assert told(to_one) == [Queued(0, 0)]
            assert told(to_two) == [Queued(1, 20)]  # one place in 20 s became free
            assert rig.sessions.find(one.id).id == one.id
            assert not one.has_ended
            second.close("client")
            await settle()
            assert rig.sessions.find(two.id).id == two.id
        assert rig.sessions.waiting == 0


async def test_who_comes_later_does_not_pass_those_in_line(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        first, _ = await rig.open(), await rig.open()
        waiting = await rig.wait()
        first.close("client")
        await asyncio.sleep(0)  # the place is free, and not given yet
        later = await rig.wait()
        await settle()
        assert rig.sessions.find(waiting.id)
        assert later.position == 1


async def test_a_client_in_line_that_shows_no_sign_of_life_is_forgotten(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        first, second = await rig.open(), await rig.open()
        gone, polling = await rig.wait(), await rig.wait()
        with first.events.listen(), second.events.listen():
            for _ in range(4):
                await rig.run(4)
                assert rig.sessions.find_waiting(polling.id) is polling
            assert gone.has_ended
            assert rig.sessions.find_waiting(gone.id) is None
            assert polling.position == 1
            with polling.events.listen():
                await rig.run(60)
            await rig.run(9)
            assert polling.position == 1
            await rig.run(3)
            assert polling.has_ended


async def test_a_place_in_line_can_be_given_up(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        for _ in range(2):
            await rig.open()
        one, two = await rig.wait(), await rig.wait()
        with one.events.listen() as to_one:
            rig.sessions.close(one.id)
            assert told(to_one) == [SessionClosed("client")]
        assert two.position == 1


async def test_a_session_that_cannot_be_made_tells_its_client_and_frees_the_place(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as rig:
        first, _ = await rig.open(), await rig.open()

        async def fail(_: str) -> Session:
            raise ProtocolError("not_found", "There is no portrait 'gone'.")

        failing = await rig.sessions.enter(fail)
        assert isinstance(failing, Waiting)
        after = await rig.wait()
        with failing.events.listen() as events:
            first.close("client")
            await settle()
            assert told(events)[-2:] == [
                Failed("not_found", "There is no portrait 'gone'."),
                SessionClosed("failed"),
            ]
        assert rig.sessions.find(after.id)
        with pytest.raises(ProtocolError, match="There is no session"):
            rig.sessions.find(failing.id)


async def test_a_place_is_held_while_the_session_is_made(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        await rig.open()
        gate = asyncio.Event()

        async def slowly(session_id: str) -> Session:
            await gate.wait()
            return await rig.make(session_id)

        async with asyncio.TaskGroup() as group:
            task = group.create_task(rig.sessions.enter(slowly))
            await settle()
            assert isinstance(await rig.enter(), Waiting)
            gate.set()
        assert isinstance(task.result(), Session)


async def test_a_machine_found_to_hold_more_lets_more_in(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        for _ in range(2):
            await rig.open()
        waiting = await rig.wait()
        rig.sessions.capacity.cap = 3
        await rig.run(1.5)
        assert rig.sessions.find(waiting.id)


def test_the_wait_is_estimated_from_how_often_places_become_free() -> None:
    departures = Departures(0)
    assert departures.wait_s(1, 5 * SECOND) is None
    for second in range(10, 400, 10):
        departures.note(second * SECOND)
    assert departures.wait_s(1, 390 * SECOND) == 10
    assert departures.wait_s(3, 390 * SECOND) == 30
    assert departures.wait_s(1, 990 * SECOND) == 40  # since nobody left for ten minutes
    assert departures.wait_s(20, 100_000 * SECOND) == 3600


async def test_an_unused_session_ends_and_a_used_one_does_not(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        unused, listened = await rig.open(), await rig.open()
        with listened.events.listen():
            await rig.run(29)
            assert not unused.is_closing
            await rig.run(3)
            assert unused.is_closing
            assert not listened.is_closing
        assert len(rig.sessions) == 1


async def test_a_forgotten_session_is_warned_and_ends_and_another_enters(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        forgotten, other = await rig.open(), await rig.open()
        waiting = await rig.wait()
        with (
            forgotten.events.listen() as events,
            other.events.listen(),
            waiting.events.listen(),
        ):
            await rig.run(300)
            for _ in range(40):
                other.touch()
                await rig.run(10)
                if forgotten.is_closing:
                    break
            heard = [event for event in told(events) if not isinstance(event, Metrics)]
            assert heard == [
                Expiring("idle", 60),
                Expiring("idle", 10),
                SessionClosed("idle"),
            ]
            assert not other.is_closing
            assert rig.sessions.find(waiting.id)


async def test_a_session_is_resumed_by_who_opened_it_and_in_time(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        session = await rig.open()
        token = token_of(session.id)
        session.speak("x" * 400)
        with session.events.listen():
            await rig.run(3)
        position = session.line.timeline.position
        await rig.run(8)
        resumed = rig.sessions.resume(session.id, token)
        assert resumed is session
        assert session.line.timeline.position - position == pytest.approx(8 * 16_000, abs=640)
        with session.events.listen():
            await rig.run(2)
            assert [event.type for event in session.greeting()] == [
                "session.ready",
                "ai_disclosure",
                "session.state_updated",
            ]
        await rig.run(12)
        with pytest.raises(ProtocolError) as caught:
            rig.sessions.resume(session.id, token)
        assert caught.value.code == "session_gone"


async def test_a_place_in_line_is_resumed_too(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        for _ in range(2):
            await rig.open()
        waiting = await rig.wait()
        assert rig.sessions.resume(waiting.id, token_of(waiting.id)) is waiting


def token_of(session_id: str) -> str:
    return TOKENS.for_session(session_id, LOCAL, lifetime=60)


async def test_a_token_that_only_watches_resumes_nothing(tmp_path: Path) -> None:
    watcher = narrowed(LOCAL, frozenset({Scope.WATCH}))
    async with house(tmp_path) as rig:
        session = await rig.open()
        token = TOKENS.for_session(session.id, watcher, lifetime=60)
        with pytest.raises(ProtocolError) as caught:
            rig.sessions.resume(session.id, token)
        assert caught.value.code == "forbidden"
        assert rig.sessions.is_owner(session.id, token) is False


@pytest.mark.parametrize("token", ["", "x", "\u00fc", "0" * 32, token_of("another")])
async def test_nobody_else_resumes_a_session(tmp_path: Path, token: str) -> None:
    async with house(tmp_path) as rig:
        session = await rig.open()
        with pytest.raises(ProtocolError) as caught:
            rig.sessions.resume(session.id, token)
        assert caught.value.code == "forbidden"


async def test_the_end_of_the_server_ends_every_session(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        session = await rig.open()
        with session.events.listen() as events:
            await settle()
            rig.is_over.set()
            await settle()
            heard = [event async for event in events]
        assert heard == [SessionClosed("shutdown")]
        assert len(rig.sessions) == 0


async def test_the_end_of_the_server_is_told_to_those_in_line_and_entering(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as rig:
        await rig.open()
        gate = asyncio.Event()

        async def slowly(session_id: str) -> Session:
            await gate.wait()
            return await rig.make(session_id)

        entering = asyncio.gather(rig.sessions.enter(slowly), return_exceptions=True)
        await settle()
        waiting = await rig.wait()
        with waiting.events.listen() as events:
            rig.is_over.set()
            await settle()
            assert told(events)[-1] == SessionClosed("shutdown")
        gate.set()
        (refusal,) = await entering
        assert isinstance(refusal, CapacityError)
        assert len(rig.sessions) == 0


async def test_a_session_that_fails_ends_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as rig:
        failing, other = await rig.open(), await rig.open()

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


async def test_a_closed_session_waits_for_no_collection_of_garbage(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        session = await rig.open()
        session.line.begin()
        session.speak("Here and gone.")
        await rig.run(2)
        timeline, gone = session.line.timeline, weakref.ref(session)
        assert timeline.end > timeline.position
        gc.collect()
        gc.disable()
        try:
            session.close("client")
            del session
            await rig.run(2)
            assert gone() is None
        finally:
            gc.enable()
        assert timeline.end == timeline.position  # nor do its pictures and sound


async def test_an_unknown_session_is_not_found(tmp_path: Path) -> None:
    async with house(tmp_path) as rig:
        with pytest.raises(ProtocolError, match="'nobody'"):
            rig.sessions.find("nobody")
