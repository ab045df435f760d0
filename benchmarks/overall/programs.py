"""What users run, run as they run it: a film, a start, and sessions that come one by one.

The seconds of a process are its own processor time; the wall clock is told beside it, and both
depend on what else the machine does.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.live import TEXT
from benchmarks.overall.results import Figure
from benchmarks.realtime.machine import footprint, processor_seconds
from benchmarks.realtime.servers import (
    ROOT,
    MeasuringError,
    ServerProcess,
    as_users_have,
    shipped,
)
from benchmarks.realtime.tap import WireViewer
from server.voice.catalog import FAST_VOICE, open_voice
from streaming_model.avatar import BUILTIN_PORTRAIT

MONOLOGUE: Final = 60  # seconds
FASTEST: Final = 3.0  # times real time that a film is to be made
READY: Final = 3.0  # seconds from the command to the server's answer
SESSIONS: Final = 4  # whose memory is looked at
_TALK: Final = 4.0  # seconds that a session speaks before its memory is read


class Spent(NamedTuple):
    """What a command took, in seconds."""

    wall: float
    processor: float
    memory: float  # MiB, at most


def film(*, seconds: int = MONOLOGUE, runs: int = 3, size: int = 512) -> list[Figure]:
    """Returns how much faster than real time a monologue's film is made, H.264 and all."""
    part = "film"
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "monologue.wav"
        write_monologue(sound, seconds=seconds)
        out = Path(folder) / "film.mp4"
        command = ["render", str(BUILTIN_PORTRAIT), str(sound), "-o", str(out)]
        took = [_vivant([*command, "--size", str(size)]) for _ in range(runs + 1)][1:]
    what = f"a film of {seconds} s, {size}x{size}"
    is_limited = (seconds, size) == (MONOLOGUE, 512)
    return [
        Figure(
            part,
            f"{what}, times real time",
            "",
            tuple(seconds / each.wall for each in took),
            least=FASTEST if is_limited else None,
            note="by the wall clock, the start of the program included",
        ),
        Figure(part, f"{what}, processor time", "s", tuple(each.processor for each in took)),
        Figure(part, f"{what}, memory at most", "MiB", tuple(each.memory for each in took)),
    ]


def write_monologue(path: Path, *, seconds: int) -> None:
    """Writes so many seconds of the fast voice's speech as a WAV file."""
    pieces: list[NDArray[np.float32]] = []
    voice, count, rate = open_voice(FAST_VOICE), 0, 0
    while not rate or count < seconds * rate:
        for clause in voice.speak(TEXT):
            rate = clause.sample_rate
            pieces.append(clause.samples)
            count += len(clause.samples)
    sound = np.concatenate(pieces)[: seconds * rate]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())


def _vivant(words: list[str]) -> Spent:
    """Runs the command line once.

    Raises:
        MeasuringError: it fails.
    """
    command = [sys.executable, "-c", "import sys; from server.cli import main; sys.exit(main())"]
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [*command, *words],
            cwd=ROOT,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=as_users_have(),
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            last = said.read().decode(errors="replace").strip().rsplit("\n", 1)[-1]
            raise MeasuringError(f"`vivant {words[0]}` ended with {process.returncode}: {last}")
    wall = time.monotonic() - began
    return Spent(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


async def start(*, runs: int = 3) -> list[Figure]:
    """Returns how long `vivant serve` takes until it is ready, with portrait and code cached."""
    walls, processors, memories = [], [], []
    for index in range(runs + 1):
        began = time.monotonic()
        async with shipped("--voice", FAST_VOICE) as server:
            walls.append(time.monotonic() - began)
            processors.append(processor_seconds(server.pid))
            memories.append(footprint(server.pid).memory)
        if index == 0:  # fills the caches
            walls, processors, memories = [], [], []
    return [
        Figure("start", "until the server is ready", "s", tuple(walls), most=READY),
        Figure("start", "processor time until then", "s", tuple(processors)),
        Figure("start", "memory then", "MiB", tuple(memories)),
    ]


async def memory(*, sessions: int = SESSIONS) -> list[Figure]:
    """Returns what the server holds more with every session that speaks to a viewer.

    Raises:
        MeasuringError: the server lets fewer than two in.
    """
    held: list[float] = []
    async with shipped("--voice", FAST_VOICE, "--core-share", "1") as server:
        viewers: list[WireViewer] = []
        while len(held) < sessions:
            answer = await server.client.post("/v1/sessions")
            if answer.status_code != 201:
                break
            viewers.append(await _speaking(server, answer.json()["session_id"]))
            await asyncio.sleep(_TALK)
            held.append(footprint(server.pid).memory)
        for viewer in viewers:
            await viewer.close()
    if len(held) < 2:
        raise MeasuringError(f"The server let {len(held)} sessions in, too few to compare.")
    return [
        Figure("memory", "the server with one session", "MiB", (held[0],)),
        Figure("memory", "every further session", "MiB", tuple(map(float, np.diff(held)))),
    ]


async def _speaking(server: ServerProcess, session_id: str) -> WireViewer:
    viewer = WireViewer(server.client, session_id)
    await viewer.connect()
    await viewer.until(lambda _: viewer.channel.readyState == "open", seconds=20)
    viewer.send(type="speak", text=TEXT)
    return viewer
