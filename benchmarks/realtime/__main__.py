"""Measures on this machine, in one run, whether real time holds, and prints every limit.

Exit status: 0 when every limit measured is kept, 1 when one is not, 2 when something could
not be measured at all.

    python -m benchmarks.realtime [--only offset,interrupt] [--long] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from websockets.exceptions import WebSocketException

from benchmarks.realtime import admission, churn, interrupt, latency, offset
from benchmarks.realtime.machine import busy_cores, evenness, machine_facts, machine_seconds
from benchmarks.realtime.results import Line, Report
from benchmarks.realtime.servers import MeasuringError

Found: TypeAlias = tuple[list[Line], dict[str, Any]]
Part: TypeAlias = Callable[[Callable[[str, float], None]], Awaitable[Found]]
PARTS = ("offset", "interrupt", "latency", "sessions", "churn")
SOAK = "hour"  # one session for an hour, or for --minutes: only where it is asked for
OUT = Path("artifacts") / "realtime"
_LONG_CHURN = 200
_LONG_MINUTES = 60
_WIDTH = 180  # columns of the table at least, also where it goes to a file
_LOOK = 2.0  # seconds for which other work on the machine is looked at
_BUSY = 0.3  # cores
_EXPECTED = (MeasuringError, httpx.HTTPError, WebSocketException, TimeoutError)


def main() -> int:
    """Parses the command line, measures, prints and writes; returns the exit status."""
    options = _parser().parse_args()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return _complain(f"The folder '{options.out}' cannot be made: {error.strerror}.")
    console = Console(stderr=True)
    report = Report({**machine_facts(is_busy=_is_busy()), "a plain remap": evenness()})
    failures = {}
    for name in options.only:
        try:
            lines, details = asyncio.run(_shown(console, name, _parts(options)[name]))
        except KeyboardInterrupt:
            return 130
        except _EXPECTED as error:
            failures[name] = str(error) or type(error).__name__
            report.lines.append(Line(name, "all of it", None, "", note=failures[name]))
            continue
        report.lines += lines
        report.details[name] = details
    shown = Console()
    Console(width=max(shown.width, _WIDTH)).print(report.table())
    for path in report.write(options.out):
        print(path)
    for name, message in failures.items():
        _complain(f"{name} was not measured: {message}")
    return 2 if failures else int(not report.keeps_limits)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.realtime", description=__doc__)
    parser.add_argument(
        "--only",
        type=_names,
        default=list(PARTS),
        metavar="PARTS",
        help=f"measure only these, separated by commas: {', '.join(PARTS)}; or {SOAK}, one session "
        f"that speaks for {_LONG_MINUTES} minutes, or for --minutes",
    )
    parser.add_argument(
        "--long",
        action="store_true",
        help=f"also the offset after {_LONG_MINUTES} minutes, and {_LONG_CHURN} sessions in churn",
    )
    parser.add_argument(
        "--minutes",
        type=_whole("minutes", 1, 24 * 60),
        default=0,
        help="the offset also after as many minutes",
    )
    parser.add_argument(
        "--window",
        type=_whole("seconds", 10, 30),
        default=offset.WINDOW,
        metavar="SECONDS",
        help=f"for which each offset is watched (default: {offset.WINDOW})",
    )
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help=f"default: {OUT}")
    return parser


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in (*PARTS, SOAK):
            known = ", ".join((*PARTS, SOAK))
            raise argparse.ArgumentTypeError(f"{name!r} is none of {known}")
    return names


def _whole(what: str, low: int, high: int) -> Callable[[str], int]:
    """Returns an argparse type for a whole number of something."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not {low} to {high} whole {what}")
        return int(text)

    return parse


def _parts(options: argparse.Namespace) -> dict[str, Part]:
    minutes = options.minutes or (_LONG_MINUTES if options.long else 0)
    rounds = _LONG_CHURN if options.long else churn.ROUNDS
    return {
        "offset": partial(offset.measure, window=options.window, soak_minutes=minutes),
        SOAK: partial(offset.soak, window=options.window, minutes=options.minutes or _LONG_MINUTES),
        "interrupt": interrupt.measure,
        "latency": latency.measure,
        "sessions": admission.measure,
        "churn": partial(churn.measure, rounds=rounds),
    }


async def _shown(console: Console, name: str, part: Part) -> Found:
    """Measures one part under a bar that tells what it does."""
    columns = (TextColumn("{task.description:52}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(f"{name}: starting a server", total=1.0)

        def report(what: str, share: float) -> None:
            # Short of the end: each step goes from 0 to 1, and a finished task's clock stops.
            progress.update(task, description=f"{name}: {what}", completed=min(share, 0.99))

        return await part(report)


def _is_busy() -> bool:
    before = machine_seconds()
    time.sleep(_LOOK)
    return busy_cores(before, machine_seconds()) > _BUSY


def _complain(sentence: str) -> int:
    print(f"benchmarks.realtime: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # libwebrtc's threads do not end with the interpreter.
    os._exit(status)
