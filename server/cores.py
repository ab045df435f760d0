"""How many processor cores this process may use: a container's quota counts, not the machine.

Sources: sched_getaffinity(2); cgroup v2 `cpu.max`, cgroup v1 `cpu.cfs_quota_us` (Linux's
admin-guide). It knows nothing of what the cores are for.
"""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = _CGROUP) -> float:
    """Returns the cores, a fraction where a quota gives one; at least a hundredth."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _quota(cgroup)
    cores = float(count or 1)
    return cores if quota is None else max(0.01, min(cores, quota))


def _quota(cgroup: Path) -> float | None:
    """Returns the cores that the control group grants, or None where it sets no limit."""
    words = _words(cgroup / "cpu.max") or [
        *_words(cgroup / "cpu" / "cpu.cfs_quota_us"),
        *_words(cgroup / "cpu" / "cpu.cfs_period_us"),
    ]
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        return None  # `max`, -1 or no control group: no limit
    quota, period = map(int, words)
    return quota / period if period else None


def _words(path: Path) -> list[str]:
    return path.read_text(encoding="ascii").split() if path.is_file() else []
