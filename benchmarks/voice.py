"""Prints how fast the voices are: processor time per second of speech, time to first sound.

Run: python -m benchmarks.voice [NAME ...]
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

from server.voice.base import Voice
from server.voice.catalog import FAST_VOICE, NATURAL_VOICE, available_cores, open_voice

TEXT = (
    "To be, or not to be, that is the question: whether 'tis nobler in the mind to suffer the "
    "slings and arrows of outrageous fortune. She opened the window at half past seven."
)
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Measurement:
    """One pass over the text, in seconds."""

    first_sound: float  # wall clock, from the call to the first clause
    processor: float
    wall: float
    speech: float
    first_clause: float


def measure(voice: Voice) -> Measurement:
    """Speaks the text once."""
    wall, processor = time.perf_counter(), time.thread_time()
    arrivals: list[float] = []
    lengths: list[float] = []
    for clause in voice.speak(TEXT):
        arrivals.append(time.perf_counter() - wall)
        lengths.append(len(clause.samples) / clause.sample_rate)
    return Measurement(
        first_sound=arrivals[0],
        processor=time.thread_time() - processor,
        wall=time.perf_counter() - wall,
        speech=sum(lengths),
        first_clause=lengths[0],
    )


def main() -> None:
    """Measures the named voices, or one of each engine of our own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[FAST_VOICE, NATURAL_VOICE])
    names = parser.parse_args().names
    print(f"{available_cores():g} cores, one thread, best of {ROUNDS}")
    print("voice         load s  RTF (cpu)  RTF (wall)  first sound s  of a clause of s")
    for name in names:
        started = time.perf_counter()
        voice = open_voice(name)
        voice.warm_up()
        loaded = time.perf_counter() - started
        runs = [measure(voice) for _ in range(ROUNDS)]
        best = min(runs, key=lambda run: run.processor / run.speech)
        print(
            f"{name:12} {loaded:7.1f} {best.processor / best.speech:10.3f} "
            f"{best.wall / best.speech:11.3f} {min(run.first_sound for run in runs):14.2f} "
            f"{best.first_clause:17.2f}"
        )


if __name__ == "__main__":
    main()
