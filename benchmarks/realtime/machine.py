"""What the machine is and what a process takes of it, read from /proc."""

from __future__ import annotations

import os
import platform
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from server.cores import usable_cores

_TICKS = os.sysconf("SC_CLK_TCK")  # of processor time, per second
_MIB = 1024**2


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


def busy_cores(before: tuple[float, float], now: tuple[float, float]) -> float:
    """Returns how many cores were in use between two readings of `machine_seconds`."""
    (busy, total), (busy_now, total_now) = before, now
    return usable_cores() * (busy_now - busy) / max(1e-9, total_now - total)


def machine_seconds() -> tuple[float, float]:
    """Returns the processor time of the machine since it started: (busy, all)."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    total = sum(fields[:8]) / _TICKS
    return total - (fields[3] + fields[4]) / _TICKS, total


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


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
