"""One harness in a process of its own, for some seconds.

Atheris (libFuzzer) leads where it is installed, else damaged seeds follow one another. What is
being tried stands in a file, so that an input that kills the process is known; a process that
computes for too long is killed by the kernel. Afterwards the same inputs are given again and
again, which shows whether memory grows.
"""

from __future__ import annotations

import faulthandler
import hashlib
import importlib
import importlib.util
import json
import logging
import mmap
import os
import resource
import signal
import struct
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Final

from tools.fuzz.harness import MEBIBYTE, Harness, Misbehaviour, feed, resident
from tools.fuzz.registry import TRACED, find

HANG: Final = 10.0  # seconds of CPU time, after which the process is killed
_ADDRESS_SPACE: Final = 4096 * MEBIBYTE  # beside what the process has when it begins
_LARGEST: Final = 4 * MEBIBYTE  # bytes of an input
_REPEATED: Final = 60  # inputs that are given again and again
_KEPT: Final = 2_000  # of a corpus, without Atheris
_REPORT: Final = 1.0  # seconds between two


class Trial:
    """Gives inputs to one harness, and notes what comes of it."""

    def __init__(self, harness: Harness, folder: Path) -> None:
        self._harness = harness
        self._folder = folder
        self._current = _shared(folder / "current")
        self._status = (folder / "status.jsonl").open("a", buffering=1)
        self._reported = 0.0
        self._known: set[tuple[str, str]] = set()
        self.executions = self.accepted = self.findings = 0
        self.slowest = 0.0
        self.largest = 0
        self.phase = "fuzz"

    def __call__(self, data: bytes) -> None:
        """Gives one input; keeps it if it is a finding."""
        self._current[:4] = struct.pack(">I", len(data))
        self._current[4 : 4 + len(data)] = data
        signal.setitimer(signal.ITIMER_PROF, HANG)
        try:
            cost = feed(self._harness, data)
            self.accepted += cost.accepted
            self.slowest = max(self.slowest, cost.seconds)
            self.largest = max(self.largest, cost.memory)
        except Misbehaviour as found:
            self._note(found, data)
        signal.setitimer(signal.ITIMER_PROF, 0)
        self._current[:4] = bytes(4)
        self.executions += 1
        if time.monotonic() - self._reported > _REPORT:
            self.report()

    def report(self) -> None:
        """Writes what has come of it so far."""
        self._reported = time.monotonic()
        told = {
            "phase": self.phase,
            "executions": self.executions,
            "accepted": self.accepted,
            "findings": self.findings,
            "slowest": round(self.slowest, 3),
            "largest": self.largest,
            "resident": resident(),
        }
        self._status.write(json.dumps(told) + "\n")

    def _note(self, found: Misbehaviour, data: bytes) -> None:
        if (found.kind, found.place) in self._known:
            return
        self._known.add((found.kind, found.place))
        self.findings += 1
        keep(self._folder, found.kind, data, str(found))


def keep(folder: Path, kind: str, data: bytes, told: str) -> Path:
    """Writes an input that is a finding, and beside it what it did; returns its path."""
    path = folder / "findings" / f"{kind}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.with_suffix(".txt").write_text(told + "\n", "utf-8", "backslashreplace")
    return path


def being_tried(folder: Path) -> bytes:
    """Returns the input that a dead process was trying; nothing if it was between two."""
    content = (folder / "current").read_bytes()
    (length,) = struct.unpack_from(">I", content)
    return content[4 : 4 + length]


def run(name: str, folder: Path, *, seconds: float, again: bool) -> None:
    """Runs one harness in this process, which was made for it; it may end the process."""
    _quieten()
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    harness = find(name)
    seeds = harness.seeds()
    harness = replace(harness, seeds=lambda: seeds)
    trial = Trial(harness, folder)
    trial.report()
    _limit_memory()
    if again:
        trial.phase = "first"
        _give_again(trial, harness, corpus, seconds)
    elif is_guided():
        _guided(trial, harness, corpus, seconds)
    else:
        _blind(trial, harness, corpus, seconds)
    trial.report()


def is_guided() -> bool:
    """Whether Atheris is there to lead."""
    return importlib.util.find_spec("atheris") is not None


def load(names: Sequence[str]) -> None:
    """Imports harnesses; for Atheris, with what they parse by made to tell its branches."""
    if is_guided():
        sys.meta_path.insert(0, _Tracing())
    try:
        for name in names:
            find(name)
    finally:
        if is_guided():
            del sys.meta_path[0]


class _Tracing(MetaPathFinder):
    """Imports modules as Atheris does; itself it can only be told of whole packages."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns how to import a module that is traced, None for others."""
        if not any(f"{fullname}.".startswith(f"{name}.") for name in TRACED):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or not isinstance(spec.loader, SourceFileLoader):
            return None
        hook = importlib.import_module("atheris.import_hook")
        spec.loader = hook.AtherisSourceFileLoader(spec.loader.name, spec.loader.path, False)
        return spec


def _quieten() -> None:
    """Silences what libraries say of every damaged input; faults of ours are not told there."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    faulthandler.enable()
    faulthandler.register(signal.SIGPROF, chain=True)  # tells where it hung, then dies of it


def _limit_memory() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = used + _ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _guided(trial: Trial, harness: Harness, corpus: Path, seconds: float) -> None:
    """Lets libFuzzer choose; it ends the process."""
    atheris = importlib.import_module("atheris")
    for seed in harness.seeds():
        (corpus / f"seed-{hashlib.sha256(seed).hexdigest()[:16]}").write_bytes(seed)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.4:
            return bytes(atheris.Mutate(data, most))
        return harness.mutate(data, random)[:most]

    ends = time.monotonic() + seconds

    def take(data: bytes) -> None:
        trial(data)
        if time.monotonic() > ends:
            # libFuzzer's own exit waits for threads of libraries that a forked process lacks.
            trial.report()
            os._exit(0)

    options = [
        f"-max_len={harness.longest}",
        f"-artifact_prefix={corpus.parent}/",
        "-rss_limit_mb=0",
        "-print_final_stats=0",
        "-verbosity=0",
        f"-seed={int(time.time_ns()) % 2**31 or 1}",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], take, custom_mutator=mutate)
    atheris.Fuzz()


def _blind(trial: Trial, harness: Harness, corpus: Path, seconds: float) -> None:
    """Damages seeds, and what was accepted of that."""
    seed = time.time_ns()
    random = Random(seed)
    known = [*harness.seeds(), *(path.read_bytes() for path in corpus.iterdir())][:_KEPT]
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        data = random.choice(known)
        for _ in range(random.choice((1, 1, 2, 5))):
            data = harness.mutate(data, random)
        data = data[: harness.longest]
        before = trial.accepted
        trial(data)
        if trial.accepted > before and random.random() < 0.02:
            (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
            known[random.randrange(len(known))] = data


def _give_again(trial: Trial, harness: Harness, corpus: Path, seconds: float) -> None:
    """Gives the same inputs until the time is over; what grows then is not what they need."""
    inputs = [*harness.seeds(), *(path.read_bytes() for path in sorted(corpus.iterdir()))]
    Random(0).shuffle(inputs)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for data in inputs[:_REPEATED]:
            trial(data)
            if time.monotonic() > ends:
                break
        trial.phase = "again"  # from now on caches are full, and pages of the parent's are copied
        trial.report()


def _shared(path: Path) -> mmap.mmap:
    """Returns a file as memory, which stays when the process dies."""
    with path.open("w+b") as file:
        file.truncate(_LARGEST + 4)
        return mmap.mmap(file.fileno(), _LARGEST + 4)
