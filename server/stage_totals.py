"""What all sessions of a server have done, in sums: nothing here tells one from another.

Plain numbers that the event loop alone adds to. `metrics` shows them to Prometheus.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Final

from server.evenness import Evenness

if TYPE_CHECKING:
    from server.picture import Span

_SECOND = 1_000_000_000  # ns
# Around what matters: a tick of 20 ms, a picture of 40, the 160 of chunk and lookahead.
BOUNDS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3,
    0.5, 1.0, 2.5,
)  # fmt: skip
_BOUNDS = [round(bound * _SECOND) for bound in BOUNDS]
WORKS: Final = ("motion", "render", "encode")
STAGES: Final = (*WORKS, *(f"{work}_wait" for work in WORKS), "send")
SOURCES: Final = ("voice", "queue", "silence")
LATE: Final = ("model", "renderer", "encoder")
DROPPED: Final = ("interrupted", "redrawn", "portrait")


class Histogram:
    """Durations by the smallest of `BOUNDS` that holds them.

    Attributes:
        counts: how many fell below each bound and above the one before; last, above all.
        sum: of all, in nanoseconds.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS) + 1)
        self.sum = 0

    def add(self, duration: int) -> None:
        """Takes a duration in nanoseconds."""
        self.counts[bisect_left(_BOUNDS, duration)] += 1
        self.sum += duration

    def buckets(self) -> list[tuple[str, float]]:
        """Returns how many were at most each bound in seconds, the last of which is +Inf."""
        total, found = 0, []
        for bound, count in zip([*map(str, BOUNDS), "+Inf"], self.counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


class Totals:
    """The sums.

    Attributes:
        stages: durations of each stage.
        latency: from a picture's sound to its being encoded, by where the sound came from.
        late: pictures that missed their time, by reason.
        dropped: pictures in whose place others were shown, by reason.
        evenness: how evenly the latest pictures left.
        sent: pictures of which somebody got a packet.
        interruptions: how often something that was said, or was to be said, was cut off.
    """

    def __init__(self) -> None:
        self.stages = {stage: Histogram() for stage in STAGES}
        self.latency = {source: Histogram() for source in SOURCES}
        self.late: Counter[str] = Counter(dict.fromkeys(LATE, 0))
        self.dropped: Counter[str] = Counter(dict.fromkeys(DROPPED, 0))
        self.evenness = Evenness()
        self.sent = 0
        self.interruptions = 0

    def add_work(self, work: str, span: Span | None) -> None:
        """Takes the time that a finished piece of work waited and took."""
        if span is None or span.started is None or span.done is None:
            return
        self.stages[f"{work}_wait"].add(span.started - span.queued)
        self.stages[work].add(span.done - span.started)
