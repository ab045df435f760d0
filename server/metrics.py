"""The server's figures in Prometheus' text format, gathered when they are asked for.

The live path counts in plain numbers; nothing of prometheus_client is on it. No label names a
session, a viewer or a text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.registry import Collector

from server.sessions import Sessions
from server.stage_totals import Histogram, Totals

_SECOND = 1_000_000_000  # ns

__all__ = ["CONTENT_TYPE", "Figures"]


class Figures:
    """One server's registry."""

    def __init__(self, totals: Totals, sessions: Sessions) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Gatherer(totals, sessions))
        ProcessCollector(registry=self._registry)  # its own /proc; nothing elsewhere

    def text(self) -> bytes:
        """Returns all figures as they are now, of the type `CONTENT_TYPE`."""
        return generate_latest(self._registry)


class _Gatherer(Collector):
    """Makes metrics of the sums."""

    def __init__(self, totals: Totals, sessions: Sessions) -> None:
        self._totals, self._sessions = totals, sessions

    def collect(self) -> Iterator[Metric]:
        """Yields every metric."""
        yield from self._of_pictures()
        yield from self._of_sessions()

    def _of_pictures(self) -> Iterator[Metric]:
        totals = self._totals
        yield _histogram(
            "vivant_stage_seconds",
            "Time that a picture takes in a stage, or waits for it.",
            "stage",
            totals.stages,
        )
        yield _histogram(
            "vivant_latency_seconds",
            "Time from a picture's sound to its leaving, encoded.",
            "source",
            totals.latency,
        )
        yield CounterMetricFamily(
            "vivant_pictures_sent", "Pictures that somebody was sent.", value=totals.sent
        )
        late = "Pictures that missed their time."
        yield _counter("vivant_pictures_late", late, totals.late)
        dropped = "Pictures in whose place others were shown."
        yield _counter("vivant_pictures_dropped", dropped, totals.dropped)
        yield CounterMetricFamily(
            "vivant_interruptions", "Times that speech was cut off.", value=totals.interruptions
        )

    def _of_sessions(self) -> Iterator[Metric]:
        sessions = self._sessions
        for name, text, value in (
            ("opened", "Sessions that began.", sessions.opened),
            ("refused", "Sessions refused because there was no place.", sessions.refused),
            ("resumed", "Sessions that a client came back to.", sessions.resumed),
        ):
            yield CounterMetricFamily(f"vivant_sessions_{name}", text, value=value)
        ended = "Sessions that have ended."
        yield _counter("vivant_sessions_closed", ended, sessions.closed)
        is_open, room = len(sessions), sessions.room
        yield GaugeMetricFamily("vivant_sessions_open", "Sessions that live now.", value=is_open)
        yield GaugeMetricFamily(
            "vivant_queue_length", "Clients that wait for a place.", value=sessions.waiting
        )
        yield GaugeMetricFamily(
            "vivant_capacity_sessions", "Sessions that fit, as measured now.", value=is_open + room
        )
        yield GaugeMetricFamily(
            "vivant_draining",
            "Whether the server is shutting down and takes no new sessions.",
            value=sessions.is_draining,
        )


def _counter(name: str, text: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=["reason"])
    for reason, count in counts.items():
        family.add_metric([reason], count)
    return family


def _histogram(
    name: str, text: str, label: str, histograms: Mapping[str, Histogram]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=[label])
    for value, histogram in histograms.items():
        family.add_metric([value], histogram.buckets(), histogram.sum / _SECOND)
    return family
