"""What a fuzzing harness is, and what counts as a finding.

A harness hands bytes to one parser. The parser may return, or refuse with an error of its own that
is one sentence; all else is a finding: another exception, too much time, too much memory.
"""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from streaming_model.errors import VivantError
from tools.fuzz.mutate import mutate_bytes

MEBIBYTE: Final = 2**20
_LONGEST_SENTENCE: Final = 2_500  # characters
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_ENDINGS: Final = (".", "?")


@dataclass(frozen=True, slots=True)
class Harness:
    """One parser under test.

    Attributes:
        take: gives it an input.
        seeds: valid inputs to begin with.
        mutate: makes another input of one.
        refusals: the errors that it documents.
        seconds: CPU time that one input may take.
        memory: bytes that one input may take beside what the process has.
        longest: bytes of the longest input worth trying.
    """

    take: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    mutate: Callable[[bytes, Random], bytes] = mutate_bytes
    refusals: tuple[type[Exception], ...] = (VivantError,)
    seconds: float = 1.0
    memory: int = 256 * MEBIBYTE
    longest: int = 100_000


class Misbehaviour(Exception):
    """A parser did what it must not.

    Attributes:
        kind: `exception`, `sentence`, `slow` or `memory`.
        place: where, so that the same fault is told once.
    """

    def __init__(self, kind: str, place: str, detail: str) -> None:
        super().__init__(f"{kind} at {place}: {detail}")
        self.kind = kind
        self.place = place


@dataclass(frozen=True, slots=True)
class Cost:
    """What one input took.

    Attributes:
        seconds: of CPU time.
        memory: bytes at the peak, beside what the process had before.
        accepted: whether the parser took it.
    """

    seconds: float
    memory: int
    accepted: bool


def feed(harness: Harness, data: bytes) -> Cost:
    """Gives a parser one input.

    Raises:
        Misbehaviour: it raised what it does not document, or took too long or too much memory.
    """
    before = reset_peak()
    began = time.process_time()
    accepted = _take(harness, data)
    seconds = time.process_time() - began
    memory = peak() - before
    if seconds > harness.seconds:
        raise Misbehaviour("slow", "time", f"{seconds:.2f} s of CPU time for {len(data)} bytes")
    if memory > harness.memory:
        taken = memory // MEBIBYTE
        raise Misbehaviour("memory", "memory", f"{taken} MiB for {len(data)} bytes")
    return Cost(seconds, memory, accepted)


def check_sentence(error: Exception) -> None:
    """Accepts an error whose text is one sentence for people.

    Raises:
        Misbehaviour: it is empty, endless, of several lines, or no sentence.
    """
    text = str(error)
    is_short = 0 < len(text) <= _LONGEST_SENTENCE
    if not is_short or _CONTROL.search(text) or not text.endswith(_ENDINGS):
        raise Misbehaviour("sentence", type(error).__name__, repr(text[:200]))
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Misbehaviour("sentence", type(error).__name__, f"not UTF-8: {text!a}") from None


def reset_peak() -> int:
    """Forgets the highest memory of this process so far; returns bytes that it has now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> int:
    """Returns the most bytes that this process has had since `reset_peak`."""
    return _status("VmHWM:")


def resident() -> int:
    """Returns the bytes that this process has."""
    return _status("VmRSS:")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return 1024 * int(line.split()[1])
    raise OSError(f"this system does not tell {name}")


def _take(harness: Harness, data: bytes) -> bool:
    try:
        harness.take(data)
    except harness.refusals as error:
        check_sentence(error)
        return False
    except Misbehaviour:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{'/'.join(Path(last.filename).parts[-2:])}:{last.lineno}"
        detail = f"{type(error).__name__}: {str(error)[:200]}"
        raise Misbehaviour("exception", place, detail) from error
    return True
