"""Runs the tests: those without a browser in several processes, those with one, one after another.

    python tools/test.py [--all] [--workers N] [pytest's arguments]

Without `--all`, a path or `-k` it leaves out what stands beside the line from a sound to its
picture (`_BESIDE`), and single tests that take long for what they tell (marked `wide`).

Two processes take little more than half of the time; each computes in one thread, for two of each
would wait for one another. A browser beside another, or beside a server of real time, would starve
both on two cores. With a `-m` of one's own it is one run, one test after the other. Those that last
(soak) or start Ray's processes (ray) run only so.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

_NOTHING_TO_RUN: Final = 5  # pytest's exit status when no test was collected
_TESTS: Final = Path("tests")
# With others' software, on several machines, for training and measuring, of films and marks,
# and the page's further modes.
_BESIDE: Final = (
    "audit*",
    "batched_renderer",
    "bench_*",
    "cluster_*",
    "consent_films",
    "converse_live",
    "corpus_*",
    "deny",
    "device_*",
    "embed*",
    "example_*",
    "fuzz_*",
    "livekit*",
    "marks_*",
    "openai_realtime",
    "outputs_*",
    "page_alignment",
    "page_background",
    "page_codecs",
    "page_expression",
    "page_films",
    "page_library",
    "page_login",
    "page_manners",
    "page_present",
    "page_puppet*",
    "page_view",
    "page_whip",
    "pipecat*",
    "present_command",
    "presenter_film",
    "presenter_outputs",
    "presenter_recording",
    "realtime_*",
    "red_team",
    "scaling",
    "storage_*",
    "training_*",
)


def main() -> int:
    """Runs them; returns pytest's exit status, the first that is not 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--all", action="store_true", help="what stands beside the line, too")
    parser.add_argument("--workers", type=int, default=2, help="processes without a browser")
    options, rest = parser.parse_known_args()
    if any(word.startswith("-m") for word in rest):
        return _pytest(rest)
    is_named = any(map(_is_there, rest))
    is_all = options.all or is_named or "-k" in rest
    files = [] if is_named else _files(is_all=is_all)
    chosen = "not soak and not ray" + ("" if is_all else " and not wide")
    split = ["-n", str(options.workers), "--dist", "loadfile"]
    beside = [*split, "-m", f"not browser and not alone and {chosen}", *rest, *map(str, files)]
    # To import all the others, too, takes half a minute.
    marked = [str(path) for path in files if _is_alone(path)]
    alone = ["-m", f"(browser or alone) and {chosen}", *rest, *marked]
    found = [_pytest(beside, env={**os.environ, "OMP_NUM_THREADS": "1"}), _pytest(alone)]
    if set(found) == {_NOTHING_TO_RUN}:
        return _NOTHING_TO_RUN
    return next((status for status in found if status not in (0, _NOTHING_TO_RUN)), 0)


def _is_there(word: str) -> bool:
    return Path(word.partition("::")[0]).exists()


def _files(*, is_all: bool) -> list[Path]:
    return [
        path
        for path in sorted(_TESTS.glob("test_*.py"))
        if is_all or not any(fnmatch(path.stem, f"test_{name}") for name in _BESIDE)
    ]


def _is_alone(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return "mark.browser" in text or "mark.alone" in text


def _pytest(words: list[str], *, env: Mapping[str, str] | None = None) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", *words], env=env).returncode


if __name__ == "__main__":
    sys.exit(main())
