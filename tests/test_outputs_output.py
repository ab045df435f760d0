"""Attempts and the waits between them, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from server.outputs.output import Output, TargetError
from server.outputs.targets import read_target
from server.protocol import OutputUpdated, ServerEvent
from tests.virtual_time import VirtualClock

SECOND = 1_000_000_000
TARGET = read_target("rtmp://example.org/live/key", bearer=None, hosts=("*",))


class Tried(Output):
    """An output whose attempts last as long as they are told, in seconds of being live."""

    def __init__(
        self, clock: VirtualClock, *, lives: list[float | None], final: bool = False
    ) -> None:
        self.events: list[OutputUpdated] = []
        self.begun: list[int] = []
        self._lives, self._final, self._time = lives, final, clock
        super().__init__(TARGET, clock=clock, publish=self._hear)

    def _hear(self, event: ServerEvent) -> None:
        assert isinstance(event, OutputUpdated)
        self.events.append(event)

    async def _attempt(self) -> None:
        self.begun.append(self._time.now() // SECOND)
        seconds = self._lives.pop(0) if self._lives else None
        if seconds is not None:
            self._note_live()
            await self._time.sleep_until(self._time.now() + int(seconds * SECOND))
        raise TargetError("It is over.", is_final=self._final)

    def waits(self) -> list[float]:
        return [event.retry_s for event in self.events if event.retry_s is not None]


@asynccontextmanager
async def running(output: Output) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(output.run())
        yield
        output.stop()
        await task


async def test_waits_double_up_to_a_minute_and_end_after_twenty_attempts() -> None:
    clock = VirtualClock()
    output = Tried(clock, lives=[])
    async with running(output):
        await clock.run_until(10_000 * SECOND)
        assert output.state == "failed"
    assert output.waits() == [1, 2, 4, 8, 16, 32, *13 * [60]]
    assert output.begun[:5] == [0, 1, 3, 7, 15]
    assert len(output.begun) == 20
    assert output.events[-1].message == "It is over."


async def test_waits_begin_anew_after_half_a_minute_of_being_live() -> None:
    clock = VirtualClock()
    output = Tried(clock, lives=[None, None, None, 5.0, 31.0, None])
    async with running(output):
        await clock.run_until(75 * SECOND)
    assert output.waits()[:6] == [1, 2, 4, 8, 1, 2]
    assert output.events[-1].state == "closed"


async def test_what_is_final_is_not_tried_again() -> None:
    clock = VirtualClock()
    output = Tried(clock, lives=[], final=True)
    async with running(output):
        await clock.run_until(100 * SECOND)
    assert [event.state for event in output.events] == ["connecting", "failed"]


class Broken(Tried):
    """An output with a fault of its own."""

    async def _attempt(self) -> None:
        raise KeyError("rtmp://example.org/live/key")


async def test_a_fault_of_its_own_ends_it_alone_and_tells_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    output = Broken(VirtualClock(), lives=[])
    await output.run()
    assert output.events[-1].state == "failed"
    assert "KeyError at test_outputs_output.py" in caplog.text
    assert "live/key" not in caplog.text


async def test_an_end_is_heard_in_an_attempt_and_in_a_wait() -> None:
    clock = VirtualClock()
    for lives in ([1000.0], [None]):
        output = Tried(clock, lives=list(lives))
        async with running(output):
            await clock.run_until(clock.now() + SECOND // 2)
        assert output.events[-1].state == "closed"
        assert len(output.begun) == 1
