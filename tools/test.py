"""Runs the tests: those without a browser in several processes, those with one, one after another.

    python tools/test.py [--workers N] [pytest's arguments]

Most of the time of tests is waiting, so two processes take little more than half of it; each
computes in one thread, for two of each would wait for one another. A browser beside another, or
beside a server of real time, would starve both on two cores. With a `-m` of one's own it is one
run, one test after the other. Those that last (soak) or start Ray's processes (ray) run only so.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping

_NOTHING_TO_RUN = 5  # pytest's exit status when no test was collected


def main() -> int:
    """Runs them; returns pytest's exit status, the first that is not 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--workers", type=int, default=2, help="processes without a browser")
    options, rest = parser.parse_known_args()
    if any(word.startswith("-m") for word in rest):
        return _pytest(rest)
    split = ["-n", str(options.workers), "--dist", "loadfile"]
    beside, alone = (
        "not browser and not alone and not soak and not ray",
        "(browser or alone) and not soak and not ray",
    )
    found = [
        _pytest([*split, "-m", beside, *rest], env={**os.environ, "OMP_NUM_THREADS": "1"}),
        _pytest(["-m", alone, *rest]),
    ]
    if set(found) == {_NOTHING_TO_RUN}:
        return _NOTHING_TO_RUN
    return next((status for status in found if status not in (0, _NOTHING_TO_RUN)), 0)


def _pytest(words: list[str], *, env: Mapping[str, str] | None = None) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *words], env=env).returncode


if __name__ == "__main__":
    sys.exit(main())
