"""How long old sound goes on after an interruption, on the wire of a real connection.

Interruptions come at random moments of an utterance: before its first sound, between its
sentences and in them. What counts is the last packet that is not silent, from the moment the
interruption is sent on the data channel.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.realtime.figures import Spread
from benchmarks.realtime.results import Line
from benchmarks.realtime.servers import MeasuringError, shipped
from benchmarks.realtime.tap import Sound, WireViewer, decode

TRIALS = 50
AUDIBLE = 0.01  # greatest sample of a packet that is not silent; silence decodes to 0
_AFTERWARDS = 1.2  # seconds listened to after an interruption: longer than a pause in speech
_SENTENCES = "A first sentence of it. And then the second one. At last there comes a third."
_P95, _WORST = 100.0, 200.0  # ms


@dataclass(frozen=True, slots=True)
class Trial:
    """One interruption: the kind of its moment, and how long old sound went on, in ms."""

    moment: str
    milliseconds: float


async def measure(
    report: Callable[[str, float], None], trials: int = TRIALS
) -> tuple[list[Line], dict[str, Any]]:
    """Interrupts; returns the lines and the details. `report` is told what is done, and how far.

    Raises:
        MeasuringError: the session could not be watched.
    """
    chance = random.Random(5)
    moments = ["before the first sound", "between sentences", "while speaking", "while speaking"]
    found: list[Trial] = []
    async with shipped("--voice", "joe") as server:
        session_id = await server.open_session()
        viewer = WireViewer(server.client, session_id)
        await viewer.connect()
        await _until(lambda: len(viewer.sound.packets) > 50, "no sound came")
        for index in range(trials):
            moment = moments[index % len(moments)]
            found.append(await _interrupt(viewer, moment, chance))
            report(f"interrupting {moment}", (index + 1) / trials)
        await viewer.close()
    return _lines(found), {"trials": [[trial.moment, trial.milliseconds] for trial in found]}


async def _interrupt(viewer: WireViewer, moment: str, chance: random.Random) -> Trial:
    viewer.clear()
    viewer.send(type="speak", text=_SENTENCES)
    if moment == "before the first sound":
        await asyncio.sleep(chance.uniform(0.0, 0.15))
    else:
        await _until(lambda: _is_speaking(viewer), "nothing was said")
        await asyncio.sleep(chance.uniform(0.0, 3.0))
        if moment == "between sentences":
            await _until(lambda: _is_pause(viewer), "the speech has no pause")
    asked = time.monotonic()
    viewer.send(type="interrupt")
    await asyncio.sleep(_AFTERWARDS)
    return Trial(moment, old_sound_milliseconds(viewer.sounds(), asked))


def old_sound_milliseconds(sounds: list[Sound], asked: float) -> float:
    """Returns how long after `asked` the last packet left that was not silent; 0 if before."""
    loud = [sound.arrival for sound in sounds if sound.peak > AUDIBLE]
    return 1000 * max(0.0, max(loud, default=asked) - asked)


def _lines(trials: list[Trial]) -> list[Line]:
    spread = Spread.of([trial.milliseconds for trial in trials])
    what = f"old sound after {len(trials)} interruptions"
    lines = [
        Line("interrupt", f"{what}, p95", spread.p95, "ms", most=_P95),
        Line("interrupt", f"{what}, worst", spread.most, "ms", most=_WORST),
    ]
    for moment in dict.fromkeys(trial.moment for trial in trials):
        own = [trial.milliseconds for trial in trials if trial.moment == moment]
        lines.append(
            Line("interrupt", f"of them {len(own)} {moment}, worst", max(own), "ms", most=_WORST)
        )
    return lines


def _is_speaking(viewer: WireViewer) -> bool:
    return any(sound.peak > AUDIBLE for sound in decode(viewer.sound.packets[-8:]))


def _is_pause(viewer: WireViewer) -> bool:
    """Whether 60 ms of silence have just passed."""
    last = decode(viewer.sound.packets[-6:])[-3:]
    return len(last) == 3 and all(sound.peak <= AUDIBLE for sound in last)


async def _until(condition: Callable[[], bool], complaint: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise MeasuringError(f"Within {seconds:.0f} s {complaint}.")
        await asyncio.sleep(0.02)
