"""What the offset between sound and picture comes to, in lines. It measures nothing itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.realtime.browser import MeasuringPath, Offsets
from benchmarks.realtime.figures import Spread, slope
from benchmarks.realtime.results import Line, spread_lines
from benchmarks.realtime.rigged import LATE_SECONDS

P50, P95 = 10.0, 20.0  # ms
_BAD_LINK = 40.0  # ms
_TELLING = 30  # minutes, from which on memory's slope is more than how allocators fill up
_TOLD = 0.01  # of the processors, from which on it is said that they were stolen
LOSS, JITTER = 0.03, 0.05  # a share, and seconds


def offset_lines(when: str, offsets: Offsets, path: MeasuringPath) -> list[Line]:
    """Returns what flashes, clicks and the browser itself say at one time."""
    lines = _seen_lines(
        f"flash and click in Chromium, {when}", offsets, path, [("p50", P50), ("p95", P95)]
    )
    estimated = Spread.of(np.abs(offsets.estimated))
    note = f"median {np.median(offsets.estimated):+.0f}{_stolen(offsets)}"
    return lines + spread_lines(
        "offset",
        f"Chromium's own estimate, {when}",
        [("p50", estimated.p50, P50), ("p95", estimated.p95, P95)],
        note,
    )


def long_lines(offsets: Offsets | None, minutes: int, path: MeasuringPath) -> list[Line]:
    """Returns the same after a long time, or that it was not waited for."""
    if offsets is not None:
        return offset_lines(f"after {minutes} minutes", offsets, path)
    note = "an hour; run with --long"
    return [Line("offset", "flash and click in Chromium, after 60 minutes", None, "ms", note=note)]


def bad_link_lines(offsets: Offsets, lost: float, path: MeasuringPath) -> list[Line]:
    """Returns what they say on a bad link, of which a share of packets was lost."""
    when = f"at {100 * LOSS:.0f} % loss and {1000 * JITTER:.0f} ms jitter"
    note = f"; {100 * lost:.1f} % of packets lost"
    estimated = Spread.of(np.abs(offsets.estimated))
    return [
        *_seen_lines(
            f"flash and click in Chromium, {when}", offsets, path, [("p95", _BAD_LINK)], note
        ),
        Line("offset", f"Chromium's own estimate, {when}, p95", estimated.p95, "ms", _BAD_LINK),
    ]


def skew_lines(late: str, is_stock: bool, offsets: Offsets, path: MeasuringPath) -> list[Line]:
    """Returns how much of a deliberate skew is left."""
    early = "sound" if late == "picture" else "picture"
    reports = "stock aiortc's sender reports" if is_stock else "our sender reports"
    what = f"{early} released {1000 * LATE_SECONDS:.0f} ms early, {reports}"
    note = f"; the browser's own estimate {np.median(offsets.estimated):+.0f}"
    return _seen_lines(what, offsets, path, [("p50", None if is_stock else _BAD_LINK)], note)


def soak_lines(readings: Sequence[tuple[float, float, float]], minutes: int) -> list[Line]:
    """Returns whether memory and latency were flat; readings are (minute, MiB, ms).

    Memory is judged by the second half: in the first, allocators and caches fill up.
    """
    times, memory, latency = zip(*readings, strict=True)
    half = len(times) // 2
    rise = 60 * slope(times[half:], memory[half:])
    note = f"{memory[0]:.0f} MiB in the first minute, {memory[-1]:.0f} in the last"
    tenth = max(1, len(latency) // 10)
    first, last = (float(np.median(some)) for some in (latency[:tenth], latency[-tenth:]))
    return [
        Line(
            "offset",
            f"memory's slope over the second half of {minutes} minutes",
            rise,
            "MiB/h",
            most=10.0 if minutes >= _TELLING else None,
            note=note,
        ),
        Line(
            "offset",
            f"the session's latency, last tenth less first of {minutes} minutes",
            last - first,
            "ms",
            most=20.0,
            note=f"{first:.0f} ms first; {min(latency):.0f} to {max(latency):.0f} on the way",
        ),
    ]


def _seen_lines(
    what: str,
    offsets: Offsets,
    path: MeasuringPath,
    limits: list[tuple[str, float | None]],
    note: str = "",
) -> list[Line]:
    """Returns lines about flashes and clicks; without figures where they mean nothing."""
    own = MeasuringPath.of([offsets])
    if not offsets.is_sound:
        more = float(np.median(np.abs(offsets.seen(own))))
        note = (
            f"the browser is starved: its own clips are off by {own.value:.0f} ± "
            f"{offsets.path_spread:.0f}; this by {more:.0f} more"
        )
        return [
            Line("offset", f"{what}, {name}", None, "ms", most, note=note) for name, most in limits
        ]
    seen = offsets.seen(path)
    spread = Spread.of(np.abs(seen))
    figures = {"p50": spread.p50, "p95": spread.p95}
    note = (
        f"median {np.median(seen):+.0f}, {spread.count} flashes; path {path.value:.0f} ± "
        f"{path.error:.0f} by {path.clips} clips, {own.value:.0f} by this window's{note}"
    )
    note += _stolen(offsets)
    return spread_lines(
        "offset", what, [(name, figures[name], most) for name, most in limits], note
    )


def _stolen(offsets: Offsets) -> str:
    """Returns what is to be said of the host, where it took enough to be seen in the figures."""
    return f"; {offsets.stolen:.0%} of the processors stolen" if offsets.stolen > _TOLD else ""


def details(offsets: Offsets, path: MeasuringPath) -> dict[str, list[float]]:
    """Returns every single offset, for programs."""
    return {
        "estimated": offsets.estimated,
        "seen": [round(float(value), 1) for value in offsets.seen(path)],
        "path": [round(float(value), 1) for clip in offsets.paths for value in clip],
    }
