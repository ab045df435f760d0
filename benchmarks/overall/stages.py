"""What each stage of the line costs for a picture, in turns with reference work.

A run is a number of chunks; a figure of a run is the median of its chunks, so that what another
process takes now and then does not count.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import cv2

from benchmarks.overall.line import CHUNK, Line
from benchmarks.overall.reference import COPY, H264, REMAP, VP8, Reference
from benchmarks.overall.results import Figure, ratios

RUNS: Final = 5
CHUNKS: Final = 40  # of a run
_WARM_UP: Final = 8  # chunks
_REFERENCES: Final = (REMAP, COPY, VP8, H264)
PICTURE: Final = "motion, drawing, marks and conversion"
_PARTS_OF_PICTURE: Final = ("motion", "drawing", "marks", "colour conversion")
MOST_MS: Final = 10.0  # for a picture, of one core
MOST_REMAPS: Final = 3.0
CODED: Final = "motion, drawing, marks and VP8"
_VP8_STAGE: Final = "encoding VP8, conversion included"
MOST_OVER_FLOOR: Final = 2.0  # a plain remap and a plain encoding of the same picture

Chunks = Sequence[Mapping[str, float]]


def measure(size: int, *, runs: int = RUNS, chunks: int = CHUNKS) -> list[Figure]:
    """Returns the figures of every stage at one size, a picture's milliseconds."""
    cv2.setNumThreads(1)
    reference = Reference(size)
    measured = []
    with Line(size) as line, line.watched():
        for _ in range(_WARM_UP):
            reference.turn(line.stopwatch, line.turn())
        line.stopwatch.lap()
        for _ in range(runs):
            spent = []
            for _ in range(chunks):
                reference.turn(line.stopwatch, line.turn())
                spent.append(line.stopwatch.lap())
            measured.append(medians(spent))
    return figures(f"stages {size}", measured, has_limits=size == 512)


def medians(chunks: Chunks) -> dict[str, float]:
    """Returns a picture's median milliseconds by stage, of what each chunk spent.

    The sum for a picture is taken chunk by chunk.
    """
    columns: dict[str, list[float]] = defaultdict(list)
    for spent in chunks:
        whole = sum(spent[name] for name in _PARTS_OF_PICTURE)
        for name, value in {**spent, PICTURE: whole}.items():
            columns[name].append(value / CHUNK)
    return {name: statistics.median(values) for name, values in columns.items()}


def figures(
    part: str, runs: Sequence[Mapping[str, float]], *, has_limits: bool = False
) -> list[Figure]:
    """Returns every stage's figure with its ratios to the references, and what is limited."""
    references = {name: [run[name] for run in runs] for name in _REFERENCES}
    found = []
    for name in runs[0]:
        values = tuple(run[name] for run in runs)
        if name in references:
            found.append(Figure(part, name, "ms", values))
            continue
        compared = {other: ratios(values, spent) for other, spent in references.items()}
        is_whole = has_limits and name == PICTURE
        found.append(
            Figure(part, name, "ms", values, compared, _judge(name), MOST_MS if is_whole else None)
        )
        if name == _VP8_STAGE:
            found.append(_over_floor(part, runs, has_limit=has_limits))
        if is_whole:
            found.append(Figure(part, f"{name}, in remaps", "", compared[REMAP], most=MOST_REMAPS))
    return found


def _over_floor(part: str, runs: Sequence[Mapping[str, float]], *, has_limit: bool) -> Figure:
    """Returns what a coded picture costs over a remap and an encoding of it, and nothing else."""
    values = tuple(
        sum(run[name] for name in ("motion", "drawing", "marks", _VP8_STAGE))
        / (run[REMAP] + run[VP8])
        for run in runs
    )
    name = f"{CODED}, over {REMAP} and {VP8}"
    return Figure(part, name, "", values, most=MOST_OVER_FLOOR if has_limit else None)


def _judge(name: str) -> str:
    """Returns which reference a stage's cost moves with."""
    if "VP8" in name:
        return VP8
    return H264 if "H264" in name else REMAP
