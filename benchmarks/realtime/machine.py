"""What the machine is and what a process takes of it, read from /proc."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from server.cores import usable_cores

_TICKS = os.sysconf("SC_CLK_TCK")  # of processor time, per second
_MIB = 1024**2
_SIDE = 512  # of the picture that is remapped
_TURNS = 400
_REST = 0.02  # seconds between two of them


def machine_facts(*, is_busy: bool) -> dict[str, Any]:
    """Returns what a reader needs to know to compare figures."""
    return {
        "processor": _processor(),
        "cores": usable_cores(),
        "memory": f"{_memory_gib():.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "aiortc": version("aiortc"),
        "load before": round(os.getloadavg()[0], 1),
        "other work": "yes, busy" if is_busy else "none",
    }


def evenness() -> str:
    """Returns how evenly the machine does the same small work with nothing beside it.

    Where a host gives its processors to others, too, that is in no other figure: neither in the
    load nor in stolen time, and yet it bounds how evenly pictures can leave.
    """
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (_SIDE, _SIDE, 3), np.uint8)
    rows, columns = np.mgrid[:_SIDE, :_SIDE].astype(np.float32)
    taken = []
    for _ in range(_TURNS):
        began = time.perf_counter()
        cv2.remap(picture, columns, rows, cv2.INTER_LINEAR)
        taken.append(1000 * (time.perf_counter() - began))
        time.sleep(_REST)
    p50, p99 = np.percentile(taken, [50, 99])
    return f"{p50:.1f} ms, {p99:.1f} at the 99th percentile"


def busy_cores(before: tuple[float, float], now: tuple[float, float]) -> float:
    """Returns how many cores were in use between two readings of `machine_seconds`."""
    (busy, total), (busy_now, total_now) = before, now
    return usable_cores() * (busy_now - busy) / max(1e-9, total_now - total)


def machine_seconds() -> tuple[float, float]:
    """Returns the processor time of the machine since it started: (busy, all)."""
    fields = _processor_ticks()
    total = sum(fields[:8]) / _TICKS
    return total - (fields[3] + fields[4]) / _TICKS, total


def stolen_seconds() -> tuple[float, float]:
    """Returns the time that the host gave to others since the machine started: (stolen, all).

    Only what the host tells of: see `evenness`.
    """
    fields = _processor_ticks()
    return fields[7] / _TICKS, sum(fields[:8]) / _TICKS


def stolen_share(before: tuple[float, float], now: tuple[float, float]) -> float:
    """Returns which share of the processors was stolen between two readings, 0..1."""
    return (now[0] - before[0]) / max(1e-9, now[1] - before[1])


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds: threads, open files, resident memory in MiB."""

    threads: int
    files: int
    memory: float


def footprint(pid: int) -> Footprint:
    """Reads what a process holds now."""
    folder = Path(f"/proc/{pid}")
    pages = int((folder / "statm").read_text().split()[1])
    return Footprint(
        threads=sum(1 for _ in (folder / "task").iterdir()),
        files=sum(1 for _ in (folder / "fd").iterdir()),
        memory=pages * os.sysconf("SC_PAGE_SIZE") / _MIB,
    )


def thread_names(pid: int) -> dict[str, int]:
    """Returns how many threads of each name a process has."""
    names = [(task / "comm").read_text().strip() for task in Path(f"/proc/{pid}/task").iterdir()]
    return dict(sorted(Counter(names).items()))


def processor_seconds(pid: int) -> float:
    """Returns the processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _processor_ticks() -> list[int]:
    """Returns the first line of /proc/stat: ticks of all processors by what they were spent on."""
    return [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
