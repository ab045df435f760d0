"""What everything costs on this machine: one report as JSON and as a page with plots.

    python -m benchmarks [--quick] [--only stages,film] [--out FOLDER] [--keep]
    python -m benchmarks --check [--against FILE]

Each cost is told beside reference work of the same run: a plain remap, a plain encoding, a copy.
Times are processor time, medians of several runs. --check measures the stages alone and compares
their ratios with those committed for this machine (benchmarks/results): it ends with 1 when one
got worse by more than 15 %, and with 2 when there is nothing to compare with, or when other work
takes so much of the machine that nothing can be compared.

Further benches, each with its own report: `python -m benchmarks.renderer` (looks), `motion`,
`realtime` (at receivers), `voice`, `live`, `batched` (on a GPU) and `marks`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from websockets.exceptions import WebSocketException

from benchmarks.overall import brought, programs, scaling, stages
from benchmarks.overall.check import CheckError, changes, read_results
from benchmarks.overall.machine import facts
from benchmarks.overall.page import page
from benchmarks.overall.printing import summary
from benchmarks.overall.results import Results, machine_name, write_json
from benchmarks.realtime.machine import busy_cores, machine_seconds
from benchmarks.realtime.servers import MeasuringError

Report = Callable[[str, float], None]
OUT: Final = Path("artifacts") / "bench"
KEPT: Final = Path(__file__).parent / "results"
SIZES: Final = (512, 1024)  # pixels
_QUICK: Final = ("stages", "motion", "renderer", "marks", "film", "start")
_LOOK: Final = 1.0  # seconds for which other work on the machine is looked at
_BUSY: Final = 0.3  # cores; beside more, what waits for memory takes up to twice as long
NOTHING_ELSE: Final = "none"  # as the facts tell it
_EXPECTED: Final = (MeasuringError, httpx.HTTPError, WebSocketException, TimeoutError)


class Bench:
    """Measures one part after the other into `results`."""

    def __init__(self, results: Results, *, is_quick: bool) -> None:
        self.results = results
        self._is_quick = is_quick
        self._runs = 3 if is_quick else 5

    def stages(self, report: Report) -> None:
        """What every stage costs for a picture, at each size."""
        for index, size in enumerate(SIZES):
            report(f"{size} x {size}", index / len(SIZES))
            self.results.figures += stages.measure(size, runs=self._runs)

    def motion(self, report: Report) -> None:
        """What the model costs, alone and in a batch."""
        report("alone and in a batch", 0)
        self.results.figures += brought.motion(runs=self._runs)

    def renderer(self, report: Report) -> None:
        """What a frame costs that talks and turns."""
        report("talking and turning", 0)
        self.results.figures += brought.renderer(runs=self._runs)

    def marks(self, report: Report) -> None:
        """What the watermark survives, and what marks cost."""
        report("through codecs", 0)
        self.results.printed["Watermark and badge"] = brought.marks(is_quick=self._is_quick)

    def film(self, report: Report) -> None:
        """How fast films are made."""
        report("a monologue", 0)
        self.results.figures += programs.film(runs=2 if self._is_quick else 3)
        if not self._is_quick:
            self.results.figures += programs.film(runs=1, seconds=20, size=1024)

    def start(self, report: Report) -> None:
        """How long the server takes to start."""
        report("vivant serve", 0)
        self.results.figures += asyncio.run(programs.start())

    def memory(self, report: Report) -> None:
        """What sessions hold."""
        report("one more session at a time", 0)
        self.results.figures += asyncio.run(programs.memory())

    def scaling(self, report: Report) -> None:
        """How costs grow."""
        self.results.laws += scaling.measure(report)
        self.results.laws += asyncio.run(scaling.watched(report))

    def sessions(self, report: Report) -> None:
        """How many sessions hold."""
        figures, table = asyncio.run(brought.sessions(report))
        self.results.figures += figures
        self.results.tables.append(table)

    def latency(self, report: Report) -> None:
        """How long things take on the wire."""
        figures, table = asyncio.run(brought.latencies(report))
        self.results.figures += figures
        self.results.tables.append(table)

    def gpu(self, report: Report) -> None:
        """How many sessions a card holds, where there is one."""
        from benchmarks.overall import gpu  # imports torch

        device = gpu.device_here()
        if device is None:
            self.results.machine["gpu"] = gpu.NOT_MEASURED
            self.results.tables.append(gpu.nothing_measured())
            return
        figures, table = gpu.measure(device, report)
        self.results.figures += figures
        self.results.tables.append(table)


PARTS: Final = (*_QUICK, "memory", "scaling", "sessions", "latency", "gpu")


def main() -> int:
    """Parses the command line, measures, prints and writes; returns the exit status."""
    options = _parser().parse_args()
    if options.check:
        return _check(options.against)
    names = options.only or (_QUICK if options.quick else PARTS)
    results = _measured(names, is_quick=options.quick)
    try:
        write_json(options.out / "bench.json", results.as_json())
        (options.out / "index.html").write_text(page(results), encoding="utf-8")
    except OSError as error:
        return _complain(f"The folder '{options.out}' cannot be written to: {error.strerror}.")
    summary(Console(), results)
    print(f"{options.out / 'index.html'}, {options.out / 'bench.json'}")
    if options.keep and results.machine["other work"] != NOTHING_ELSE:
        return _complain("Nothing is kept: other work on the machine makes ratios greater.")
    if options.keep:
        path = KEPT / f"{machine_name(results.machine)}.json"
        write_json(path, results.kept())
        print(f"{path} is to be committed")
    for part, why in results.missing.items():
        _complain(f"{part} was not measured: {why}")
    return 2 if results.missing else 0


def _measured(names: tuple[str, ...], *, is_quick: bool) -> Results:
    results = Results(facts(is_busy=_others_take() > _BUSY))
    bench = Bench(results, is_quick=is_quick)
    columns = (TextColumn("{task.description:60}"), BarColumn(), TimeElapsedColumn())
    began = time.monotonic()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        for name in names:
            task = progress.add_task(name, total=1.0)

            def report(what: str, share: float, task: object = task, name: str = name) -> None:
                progress.update(task, description=f"{name}: {what}", completed=share)  # type: ignore[arg-type]

            try:
                getattr(bench, name)(report)
            except _EXPECTED as error:
                results.missing[name] = str(error) or type(error).__name__
            report("done", 1.0)
    results.machine["seconds"] = round(time.monotonic() - began)
    return results


def _check(against: Path | None) -> int:
    """Measures the stages and compares them; returns the exit status."""
    others = _others_take()
    if others > _BUSY:
        return _complain(f"Other work takes {others:.1f} cores: ratios could not be compared.")
    try:
        results = Results(facts(is_busy=False))
        path = against or KEPT / f"{machine_name(results.machine)}.json"
        then = read_results(path)
        results.figures += stages.measure(SIZES[0])
        compared = changes(then, results.kept())
    except CheckError as error:
        return _complain(str(error))
    for change in compared:
        print(f"{'WORSE ' if change.is_worse else '      '}{change}")
    worse = [change.name for change in compared if change.is_worse]
    if worse:
        _complain(f"worse than {path} by more than 15 %: {'; '.join(worse)}")
    return int(bool(worse))


def _others_take() -> float:
    """Returns the cores that are in use before anything is measured."""
    before = machine_seconds()
    time.sleep(_LOOK)
    return busy_cores(before, machine_seconds())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"only {', '.join(_QUICK)}, fewer runs"
    )
    parser.add_argument(
        "--only", type=_names, metavar="PARTS", help=f"of {', '.join(PARTS)}, with commas"
    )
    parser.add_argument("--out", type=Path, default=OUT, metavar="FOLDER", help=f"default: {OUT}")
    parser.add_argument(
        "--keep", action="store_true", help=f"also write the file of this machine in {KEPT.name}"
    )
    parser.add_argument("--check", action="store_true", help="compare ratios with the kept ones")
    parser.add_argument("--against", type=Path, metavar="FILE", help="what --check compares with")
    return parser


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in PARTS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(PARTS)}")
    return names


def _complain(sentence: str) -> int:
    print(f"benchmarks: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
