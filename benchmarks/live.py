"""Runs one live session with a viewer and prints how punctual it was and what it cost.

The server runs in a process of its own, as users run it; the viewer in this one. Figures are
the picture intervals at the viewer, the server's own count of late pictures, and the processor
time of every thread of the server. Speech alternates with rest.

    python -m benchmarks.live --seconds 60 [--codec H264] [-- --size 512 ...]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np

from benchmarks.viewer import Received, Viewer

ROOT = Path(__file__).parent.parent
TEXT = (
    "To be, or not to be, that is the question: whether 'tis nobler in the mind to suffer the "
    "slings and arrows of outrageous fortune, or to take arms against a sea of troubles, and by "
    "opposing end them."
)
_TICKS = os.sysconf("SC_CLK_TCK")  # of processor time, per second


def main() -> None:
    """Parses the command line, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--codec", choices=("VP8", "H264"), help="what the viewer accepts")
    parser.add_argument("--fake", action="store_true", help="without the model and the voice")
    parser.add_argument("--silent", action="store_true", help="let nothing be said")
    parser.add_argument("flags", nargs="*", help="flags of the server, after --")
    options = parser.parse_args()
    with server(options.flags, is_fake=options.fake) as (address, process):
        figures = asyncio.run(measure(address, process.pid, options))
    print(json.dumps(figures, indent=2))


@contextlib.contextmanager
def server(flags: list[str], *, is_fake: bool) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Runs a server on a free port; yields its address and process."""
    module = ["tests.live_fakes"] if is_fake else ["server.cli", "serve"]
    command = [sys.executable, "-c", _LAUNCH, *module, "--port", "0", *flags]
    if is_fake:
        command = [sys.executable, "-m", *module, "--port", "0", *flags]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        if found is None:
            raise SystemExit(f"the server did not start: {line!r}")
        try:
            yield found.group(), process
        finally:
            process.terminate()


_LAUNCH = "import sys; from server.cli import main; sys.exit(main(sys.argv[2:]))"


async def measure(address: str, pid: int, options: argparse.Namespace) -> dict[str, object]:
    """Watches for the time asked and returns the figures."""
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        session_id = (await client.post("/v1/sessions")).json()["session_id"]
        viewer = Viewer(client, session_id, codec=options.codec, keeps_pictures=False)
        await viewer.connect()
        await viewer.until(lambda got: got.pictures and got.sounds)
        await asyncio.sleep(2)
        path = f"/v1/sessions/{session_id}"
        before = (await client.get(path)).json()["metrics"]
        threads, count = processor_seconds(pid), len(viewer.received.pictures)
        await _talk(client, path, viewer, options)
        spent = {
            name: (seconds - threads.get(name, 0.0)) / options.seconds
            for name, seconds in processor_seconds(pid).items()
        }
        after = (await client.get(path)).json()["metrics"]
        received = viewer.received
        await viewer.close()
    arrivals = np.array([arrival for arrival, _, _ in received.pictures[count:]])
    stamps = np.array([pts for _, pts, _ in received.pictures[count:]])
    sounds = np.array([arrival for arrival, _, _ in received.sounds])
    return {
        "seconds": options.seconds,
        "pictures_per_second": round(len(arrivals) / options.seconds, 2),
        "pictures_left_out": int((np.diff(stamps) // 3600 - 1).sum()),
        "late_frames": after["late_frames"] - before["late_frames"],
        "picture_interval_ms": _percentiles(np.diff(arrivals)),
        "sound_interval_ms": _percentiles(np.diff(sounds)),
        "latency_ms": after["latency_ms"],
        "render_ms": after["render_ms"],
        "percent_of_a_core": {
            name: round(100 * share, 1)
            for name, share in sorted(spent.items(), key=lambda item: -item[1])
            if share > 0.002
        },
    }


async def _talk(
    client: httpx.AsyncClient, path: str, viewer: Viewer, options: argparse.Namespace
) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + options.seconds
    while loop.time() < end:
        if not options.silent:
            spoken = len(viewer.received.of_type("agent.speak_ended"))
            await client.post(f"{path}/speak", json={"text": TEXT})
            with contextlib.suppress(TimeoutError):
                await viewer.until(_has_ended(spoken + 1), seconds=end - loop.time())
        await asyncio.sleep(min(3.0, max(0.0, end - loop.time())))


def _has_ended(utterances: int) -> Callable[[Received], bool]:
    return lambda received: len(received.of_type("agent.speak_ended")) >= utterances


def processor_seconds(pid: int) -> dict[str, float]:
    """Returns the processor time of every thread of a process, summed by the thread's name."""
    seconds: dict[str, float] = {}
    for folder in Path(f"/proc/{pid}/task").iterdir():
        fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        name = (folder / "comm").read_text().strip()
        spent = (int(fields[11]) + int(fields[12])) / _TICKS
        seconds[name] = seconds.get(name, 0.0) + spent
    return seconds


def _percentiles(seconds: np.ndarray[tuple[int], np.dtype[np.float64]]) -> dict[str, float]:
    names = {"p50": 50, "p95": 95, "p99": 99, "most": 100}
    return {
        name: round(float(np.percentile(seconds, percent)) * 1000, 1)
        for name, percent in names.items()
    }


if __name__ == "__main__":
    main()
