"""How evenly a reply is said whose text is still being written, by a voice that takes its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import ParamSpec, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from server.protocol import SpeakEnded, SpeakStarted
from tests.test_conversation import SECOND, conversing
from tests.virtual_time import VirtualClock

ResultT = TypeVar("ResultT")
ParametersT = ParamSpec("ParametersT")

RATE = 48_000  # Hz
OWN_PAUSE = 0.05  # seconds of silence that the voice makes after a sentence
REPLY = "Alpha bravo charlie. Delta echo foxtrot golf hotel india juliett. Kilo lima mike november."


class OneThread(Executor):
    """A thread that needs part of a second for every piece of speech, in virtual time."""

    def __init__(self, clock: VirtualClock, seconds: float) -> None:
        self._clock = clock
        self._cost = int(seconds * SECOND)
        self._busy_until = 0
        self._working: set[asyncio.Task[None]] = set()

    def submit(
        self,
        fn: Callable[ParametersT, ResultT],
        /,
        *args: ParametersT.args,
        **kwargs: ParametersT.kwargs,
    ) -> Future[ResultT]:
        future: Future[ResultT] = Future()
        self._busy_until = max(self._busy_until, self._clock.now()) + self._cost
        done_at = self._busy_until

        async def work() -> None:
            await self._clock.sleep_until(done_at)
            if not future.cancelled():
                future.set_result(fn(*args, **kwargs))

        task = asyncio.get_running_loop().create_task(work())
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return future


def silences(sound: NDArray[np.float32]) -> list[float]:
    """Returns how long each silence within the sound is, in seconds, to 10 ms."""
    window = RATE // 100
    count = len(sound) // window
    is_loud = np.abs(sound[: count * window].reshape(count, window)).max(axis=1) > 0.01
    (loud,) = np.nonzero(is_loud)
    gaps = np.diff(loud) - 1
    return [gap / 100 for gap in gaps if gap]


@pytest.mark.wide
@pytest.mark.parametrize("seconds", [0.05, 0.3])
async def test_between_two_sentences_is_the_voices_own_pause(
    tmp_path: Path, seconds: float
) -> None:
    async with conversing(tmp_path, speaks_on=lambda clock: OneThread(clock, seconds)) as rig:
        rig.brain.say(REPLY)  # 200 characters a second
        rig.say("Hello?")
        await rig.until(lambda: rig.has(SpeakStarted, 1))
        rig.left.clear()
        await rig.until(lambda: rig.has(SpeakEnded, 1))
        gaps = silences(np.concatenate(rig.left))
    assert len(gaps) == 13  # one after every word but the last
    assert max(gaps) <= OWN_PAUSE + 0.1
