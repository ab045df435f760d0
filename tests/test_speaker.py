"""Text to speech of one session: order, how far ahead, and what a bad voice can do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from server.protocol import ProtocolError, ServerEvent, Warned
from server.speaker import MOST_AHEAD, Speaker, SpeakRequest
from server.speech import BLOCK, SpeechQueue
from server.voice.base import SpeechClause, Voice
from streaming_model.errors import VivantError
from tests.live_fakes import FakeVoice
from tests.virtual_time import InlineExecutor, VirtualClock

SECOND = 1_000_000_000  # ns


class EndlessVoice(FakeVoice):
    """Ten seconds a clause, for ever."""

    clauses = 0

    def speak(
        self, text: str, *, speed: float = 1.0, in_pieces: bool = False
    ) -> Iterator[SpeechClause]:
        del speed, in_pieces
        while True:
            self.clauses += 1
            samples = np.zeros(240_000, np.float32)
            yield SpeechClause(text, 0, len(text), 24_000, samples, (), ())


class HangingExecutor(Executor):
    """Never does anything, as a thread that waits for a server that hangs."""

    def submit(self, fn: object, /, *args: object, **kwargs: object) -> Future[Any]:
        del fn, args, kwargs
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        return future


@dataclass
class Rig:
    clock: VirtualClock
    queue: SpeechQueue
    speaker: Speaker
    endless: EndlessVoice
    events: list[ServerEvent] = field(default_factory=list)
    urgencies: list[bool] = field(default_factory=list)

    def say(self, number: int, text: str, voice: str = "hum") -> None:
        self.queue.open(number)
        self.speaker.request(SpeakRequest(number, text, voice))

    def hear(self, seconds: float) -> list[int]:
        """Takes that much speech; returns the utterances heard."""
        blocks = [self.queue.take(0) for _ in range(int(seconds * 16_000) // BLOCK)]
        return [block.utterance for block in blocks if block]


@asynccontextmanager
async def running() -> AsyncIterator[Rig]:
    clock, queue, endless = VirtualClock(), SpeechQueue(), EndlessVoice("endless")
    events: list[ServerEvent] = []
    urgencies: list[bool] = []

    def worker_for(name: str, *, is_urgent: bool) -> Executor:
        urgencies.append(is_urgent)
        return HangingExecutor() if name == "hangs" else InlineExecutor()

    async def open_voice(name: str) -> Voice:
        if name == "broken":
            raise RuntimeError("a corrupt file")
        if name == "nobody":
            raise VivantError("There is no such voice.")
        if name == "never loads":
            await asyncio.get_running_loop().create_future()
        return endless if name == "endless" else FakeVoice(name)

    speaker = Speaker(
        queue=queue,
        open_voice=open_voice,
        publish=events.extend,
        worker_for=worker_for,
        clock=clock,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(speaker.run())
        yield Rig(clock, queue, speaker, endless, events, urgencies)
        task.cancel()


async def test_only_what_somebody_waits_for_is_urgent() -> None:
    async with running() as rig:
        rig.say(1, "On and on", voice="endless")
        await rig.clock.run_until(12 * SECOND)
        assert rig.urgencies == [True, *[False] * (len(rig.urgencies) - 1)]
        assert len(rig.urgencies) > 2
        rig.hear(60)
        await rig.clock.run_until(13 * SECOND)
    assert sum(rig.urgencies) == 2


async def test_a_long_text_takes_no_core_for_itself() -> None:
    """Made at a stretch, it would make everybody's pictures late while it lasts."""
    async with running() as rig:
        rig.say(1, "on and on", "endless")
        made = []
        for second in range(1, 13):
            await rig.clock.run_until(second * SECOND)
            made.append(rig.queue.samples / 16_000)
    for second, seconds in enumerate(made, 1):  # and a clause
        assert 2 * second <= seconds <= 2 * second + 10


async def test_there_is_haste_while_little_waits() -> None:
    async with running() as rig:
        rig.say(1, "on and on", "endless")
        await rig.clock.run_until(SECOND)
        made = rig.endless.clauses
        rig.hear(60)
        await rig.clock.run_until(SECOND + SECOND // 5)  # less than a tenth of what a clause lasts
        assert rig.endless.clauses > made
        assert rig.queue.samples > 16_000


async def test_texts_are_spoken_in_order_and_completed() -> None:
    async with running() as rig:
        rig.say(1, "First")
        rig.say(2, "Second")
        await rig.clock.run_until(SECOND)
        heard = rig.hear(2)
    assert heard == sorted(heard)
    assert set(heard) == {1, 2}
    assert rig.queue.is_empty


async def test_no_more_than_thirty_seconds_are_made_ahead() -> None:
    async with running() as rig:
        rig.say(1, "on and on", "endless")
        await rig.clock.run_until(60 * SECOND)
        assert MOST_AHEAD < rig.queue.samples <= MOST_AHEAD + 160_000
        made = rig.endless.clauses
        rig.hear(15)
        await rig.clock.run_until(61 * SECOND)
        assert rig.endless.clauses - made in (1, 2)


async def test_an_interrupted_text_is_not_made_further() -> None:
    async with running() as rig:
        rig.say(1, "on and on", "endless")
        rig.say(2, "never begun", "endless")
        await rig.clock.run_until(SECOND)
        made = rig.endless.clauses
        rig.queue.drop_before(3)
        rig.say(3, "New")
        await rig.clock.run_until(3 * SECOND)
        assert rig.endless.clauses == made
        assert set(rig.hear(1)) == {3}


@pytest.mark.parametrize(
    ("text", "voice", "code"),
    [
        ("fail", "hum", "voice_failed"),
        ("explode", "hum", "voice_failed"),
        ("Hi", "broken", "voice_failed"),
        ("Hi", "nobody", "vivant_error"),
    ],
)
async def test_a_bad_voice_costs_its_text_and_a_warning(text: str, voice: str, code: str) -> None:
    async with running() as rig:
        rig.say(1, text, voice)
        rig.say(2, "Good")
        await rig.clock.run_until(SECOND)
        warnings = [event for event in rig.events if isinstance(event, Warned)]
        assert [warning.code for warning in warnings] == [code]
        assert "on fire" not in warnings[0].message  # nobody's internals
        assert 2 in rig.hear(1)


@pytest.mark.parametrize("voice", ["hangs", "never loads"])
async def test_a_voice_that_hangs_costs_its_text_and_twenty_seconds(voice: str) -> None:
    async with running() as rig:
        rig.say(1, "Hello?", voice)
        rig.say(2, "Good")
        await rig.clock.run_until(19 * SECOND)
        assert not rig.events
        await rig.clock.run_until(21 * SECOND)
        (warning,) = rig.events
        assert isinstance(warning, Warned)
        assert warning.code == "voice_failed"
        assert "20 s" in warning.message
        assert 2 in rig.hear(1)


@pytest.mark.parametrize("voice", ["hangs", "never loads"])
async def test_an_interruption_does_not_wait_for_a_voice_that_hangs(voice: str) -> None:
    async with running() as rig:
        rig.say(1, "Hello?", voice)
        await rig.clock.run_until(SECOND)
        assert rig.queue.drop_before(2) == [1]
        rig.say(2, "New")
        await rig.clock.run_until(int(1.2 * SECOND))
        assert set(rig.hear(1)) == {2}
        assert not rig.events


async def test_too_many_texts_are_refused_and_hold_nothing_up() -> None:
    async with running() as rig:
        for number in range(100):
            rig.say(number, "x")
        with pytest.raises(ProtocolError, match="100 texts"):
            rig.say(100, "x")
        for second in range(60):
            await rig.clock.run_until(second * SECOND)
        rig.hear(60)
    assert rig.queue.is_empty
