"""Fuzzes all parsers in turn: `python -m tools.fuzz --minutes 60` or `make fuzz`.

Each harness runs in processes of its own. Inputs that were worth keeping stay in
`build/fuzz/NAME/corpus`, findings in `build/fuzz/NAME/findings`; the end is a table and, for every
finding, the command that repeats it. The exit status is 1 if there are any.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from tools.fuzz.child import HANG, being_tried, keep, load, run
from tools.fuzz.harness import MEBIBYTE, Misbehaviour, feed
from tools.fuzz.registry import HARNESSES, find

ROOT: Final = Path(__file__).resolve().parent.parent.parent
FOLDER: Final = ROOT / "build" / "fuzz"
_AGAIN: Final = 0.2  # of the time, in which known inputs are given again
_PATIENCE: Final = 120.0  # seconds that a process may take to begin and to end
_STILL: Final = 60.0  # seconds without a word of it, after which it hangs
_GROWTH: Final = 8 * MEBIBYTE  # while inputs are given again; more than an allocator's unrest


@dataclass(slots=True)
class Total:
    """What came of one harness.

    Attributes:
        executions, accepted: inputs given, and taken by the parser.
        slowest: seconds of CPU time of one input.
        largest: bytes of memory of one input.
        growth: bytes that memory grew by while inputs were given again.
        again: inputs given again meanwhile.
        deaths: processes that an input ended.
    """

    executions: int = 0
    accepted: int = 0
    slowest: float = 0.0
    largest: int = 0
    growth: int = 0
    again: int = 0
    deaths: int = 0
    is_growing: bool = False
    samples: list[tuple[int, int]] = field(default_factory=list)

    def add(self, reports: Sequence[dict[str, Any]]) -> None:
        """Takes what one process told, from first to last."""
        if not reports:
            return
        last = reports[-1]
        self.executions += last["executions"]
        self.accepted += last["accepted"]
        self.slowest = max(self.slowest, last["slowest"])
        self.largest = max(self.largest, last["largest"])
        again = [report for report in reports if report["phase"] == "again"]
        if len(again) > 1:
            grown = again[-1]["resident"] - again[0]["resident"]
            self.growth += grown
            self.again += again[-1]["executions"] - again[0]["executions"]
            self.is_growing = self.is_growing or grown > _GROWTH


def main() -> int:
    """Runs what is asked for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="for all harnesses together")
    parser.add_argument("--only", action="append", choices=sorted(HARNESSES), help="a harness")
    parser.add_argument("--rounds", type=int, default=2, help="turns that each harness gets")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="give one input to --only")
    options = parser.parse_args()
    names: list[str] = options.only or list(HARNESSES)
    if options.repeat is not None:
        return _repeat(names[0], options.repeat)
    os.nice(max(0, 15 - os.nice(0)))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    load(names)
    totals = {name: Total() for name in names}
    turn = 60 * options.minutes / len(names) / options.rounds
    for _ in range(options.rounds):
        for name in names:
            _take_turn(name, totals[name], turn)
            print(_row(name, totals[name]), flush=True)
    return _conclude(totals)


def _repeat(name: str, path: Path) -> int:
    try:
        cost = feed(find(name), path.read_bytes())
    except Misbehaviour as found:
        print(found)
        if found.__cause__ is not None:
            raise found.__cause__ from None
        return 1
    verdict = "accepted" if cost.accepted else "refused"
    print(f"{verdict}: {cost.seconds:.3f} s of CPU time, {cost.memory / MEBIBYTE:.1f} MiB")
    return 0


def _take_turn(name: str, total: Total, seconds: float) -> None:
    """Fuzzes one harness for a while, and gives known inputs again for the rest of it."""
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    again = _AGAIN * seconds
    ends = time.monotonic() + seconds - again
    while (left := ends - time.monotonic()) > 1:
        if _run_child(name, folder, total, left, again=False):
            break  # it did not die, so its time is over
    _run_child(name, folder, total, again, again=True)


def _run_child(name: str, folder: Path, total: Total, seconds: float, *, again: bool) -> bool:
    """Runs a process; returns whether it ended by itself. What ended it is kept as a finding."""
    status = folder / "status.jsonl"
    status.write_text("")
    child = os.fork()  # what is imported is imported once, and not for every turn
    if child == 0:
        _be_child(name, folder, seconds, again=again)
    code = _wait(child, status, seconds)
    total.add([json.loads(line) for line in status.read_text().splitlines()])
    if code == 0:
        return True
    data = being_tried(folder)
    kind = "hang" if code in (-signal.SIGPROF, -signal.SIGKILL) else "crash"
    reason = f"more than {HANG:.0f} s of CPU time" if kind == "hang" else f"exit status {code}"
    total.deaths += 1
    keep(folder, kind, data, f"{kind}: {reason}; {len(data)} bytes; see {folder / 'log.txt'}")
    return False


def _be_child(name: str, folder: Path, seconds: float, *, again: bool) -> NoReturn:
    """Runs the harness in the process just forked, and ends that."""
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        run(name, folder, seconds=seconds, again=again)
    except BaseException:  # noqa: BLE001 - nothing of it may go on in the parent's frames
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(70)
    os._exit(0)


def _wait(child: int, status: Path, seconds: float) -> int:
    """Returns the exit status; a process that is silent for too long is killed."""
    began = seen = time.monotonic()
    size = 0
    while True:
        ended, code = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(code)
        time.sleep(0.2)
        now = time.monotonic()
        if (grown := status.stat().st_size) != size:
            size, seen = grown, now
        is_still = size > 0 and now - seen > _STILL  # before its first word it makes its seeds
        if is_still or now - began > seconds + _PATIENCE:
            os.kill(child, signal.SIGKILL)
            seen = now


def _row(name: str, total: Total) -> str:
    findings = len(_findings(name))
    slope = 1000 * total.growth / MEBIBYTE / max(total.again, 1)
    return (
        f"{name:15} {total.executions:9,} inputs, {total.accepted:9,} accepted; "
        f"at most {total.slowest:.2f} s, {total.largest / MEBIBYTE:4.0f} MiB; "
        f"memory {slope:+.3f} MiB in 1,000; {findings} findings, {total.deaths} deaths"
    )


def _findings(name: str) -> list[Path]:
    folder = FOLDER / name / "findings"
    return sorted(path for path in folder.glob("*") if path.suffix != ".txt")


def _conclude(totals: dict[str, Total]) -> int:
    print("\nIn all:")
    for name, total in totals.items():
        print(_row(name, total))
    executions = sum(total.executions for total in totals.values())
    growing = [name for name, total in totals.items() if total.is_growing]
    found = [(name, path) for name in totals for path in _findings(name)]
    print(f"{executions:,} inputs, {len(found)} findings; memory grows in: {growing or 'none'}")
    for name, path in found:
        print(f"\n{path.with_suffix('.txt').read_text().strip()}")
        print(f"  python -m tools.fuzz --only {name} --repeat {path.relative_to(ROOT)}")
    return 1 if found or growing else 0


if __name__ == "__main__":
    sys.exit(main())
