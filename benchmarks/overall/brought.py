"""What other benchmarks measure, brought into the report in their own words."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.marks import print_marks
from benchmarks.motion.cost import split_cost
from benchmarks.overall.results import Figure, Table
from benchmarks.realtime import admission, latency
from benchmarks.realtime.results import Line
from benchmarks.renderer.speed import speed_figures
from streaming_model.avatar import BUILTIN_PORTRAIT
from streaming_model.motion.networks import DEFAULT_FOLDER
from streaming_model.portrait import make_portrait

Report = Callable[[str, float], None]
_BATCHES: Final = (1, 4)  # sessions
_COLUMNS: Final = ("what", "measured", "limit", "verdict", "note")


def marks(*, is_quick: bool) -> str:
    """Returns what `benchmarks.marks` prints: what the watermark survives, and its cost."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        print_marks([BUILTIN_PORTRAIT], None, sizes=2 if is_quick else 8, keys=16)
    return said.getvalue().strip("\n")


def motion(*, runs: int) -> list[Figure]:
    """Returns the model's cost for a frame and a session, alone and in a batch, and its parts."""
    found = []
    for sessions in _BATCHES:
        costs = [split_cost(DEFAULT_FOLDER, sessions=sessions) for _ in range(runs)]
        for name in ("total", "encoder", "denoiser", "python"):
            values = tuple(float(getattr(cost, name)) for cost in costs)
            found.append(Figure("motion", f"{name}, {sessions} in a batch", "ms", values))
    return found


def renderer(*, runs: int) -> list[Figure]:
    """Returns what a frame of a head that talks and turns costs in remaps, and its parts."""
    portrait = make_portrait(BUILTIN_PORTRAIT)
    measured = [speed_figures(portrait) for _ in range(runs)]
    return [
        Figure(
            "renderer",
            name.replace(" ms at", " at").replace("ms at", "a frame at"),
            "" if name.startswith("ratio") else "ms",
            tuple(run[name] for run in measured),
        )
        for name in measured[0]
    ]


async def latencies(report: Report) -> tuple[list[Figure], Table]:
    """Returns the percentiles of latency on the wire."""
    lines, _ = await latency.measure(report)
    return _brought("latency", lines)


async def sessions(report: Report) -> tuple[list[Figure], Table]:
    """Returns how many sessions hold, and the pauses of each number of them."""
    lines, _ = await admission.measure(report)
    return _brought("sessions", lines)


def _brought(part: str, lines: Sequence[Line]) -> tuple[list[Figure], Table]:
    """Returns lines as figures and as the table that they are."""
    figures = [
        Figure(part, line.what, line.unit, (line.value,), most=line.most, least=line.least)
        for line in lines
        if line.value is not None
    ]
    rows = [(line.what, line.figure, line.limit, line.verdict.value, line.note) for line in lines]
    return figures, Table(
        part, f"{part}, as `python -m benchmarks.realtime` tells", _COLUMNS, tuple(rows)
    )
