"""What a run of the bench found: tables of figures, and the figures that have a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.motion.limits import LIMITS
from benchmarks.renderer.limits import Limit

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of figures.

    Attributes:
        title: above it.
        rows: figures by name of the row; a row may lack some.
        note: what the reader must know of it.
    """

    title: str
    rows: Mapping[str, Figures]
    note: str = ""

    @property
    def columns(self) -> list[str]:
        """Every figure's name, in the order of first use."""
        return list(dict.fromkeys(name for row in self.rows.values() for name in row))


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure against its limit.

    Attributes:
        limit: the limit.
        value: what was measured.
        oracle: the same of the procedure that is told the phones, if it has one.
    """

    limit: Limit
    value: float
    oracle: float | None

    @property
    def is_kept(self) -> bool:
        """Whether it is good enough."""
        return self.limit.is_kept(self.value)


@dataclass(slots=True)
class Results:
    """Everything that was found so far.

    Attributes:
        tables: in order.
        figures: those that have a limit, by the limit's names.
        oracle: the same of the oracle.
        notes: sentences about what was not measured, and why.
        pictures: plots and sheets as PNG, by title.
    """

    tables: list[Table] = field(default_factory=list)
    figures: Figures = field(default_factory=dict)
    oracle: Figures = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)

    def verdicts(self) -> list[Verdict]:
        """Returns each limit of which something was measured."""
        found = []
        for limit in LIMITS:
            value = limit.worst(self.figures)
            if value is not None:
                found.append(Verdict(limit, value, limit.worst(self.oracle)))
        return found
