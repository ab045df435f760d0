"""What one run of the bench found: figures with their spread and their ratios, and tables.

It knows nothing of how a figure was measured.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

FORMAT: Final = 1  # of the files
_DIGITS: Final = 4  # that are kept of a figure: more than it is good for


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, measured several times.

    Attributes:
        part: of the bench that measured it.
        name: what it is of; with the part it is the figure's name in every file.
        unit: of the values.
        runs: its values, one of each run.
        ratios: by the name of the reference work, this over that, one of each run.
        judged_by: the reference whose ratio `bench-check` looks at, None for none.
        most, least: the limits that the median is to keep, if there are any.
        note: what a reader must know beside it.
    """

    part: str
    name: str
    unit: str
    runs: tuple[float, ...]
    ratios: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    judged_by: str | None = None
    most: float | None = None
    least: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        """The value in the middle."""
        return statistics.median(self.runs)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return min(self.runs), max(self.runs)

    @property
    def judged(self) -> float | None:
        """The median ratio to the reference by which the figure is judged."""
        return None if self.judged_by is None else statistics.median(self.ratios[self.judged_by])

    @property
    def keeps_limits(self) -> bool:
        """Whether the median is within the limits."""
        is_low = self.most is None or self.median <= self.most
        return is_low and (self.least is None or self.median >= self.least)

    def as_json(self) -> dict[str, Any]:
        """Returns what a file keeps of it."""
        kept: dict[str, Any] = {
            "part": self.part,
            "name": self.name,
            "unit": self.unit,
            "median": rounded(self.median),
            "spread": [rounded(value) for value in self.spread],
            "runs": len(self.runs),
        }
        if self.ratios:
            kept["ratios"] = {
                name: rounded(statistics.median(values)) for name, values in self.ratios.items()
            }
        for name in ("judged_by", "most", "least", "note"):
            if value := getattr(self, name):
                kept[name] = value
        return kept


@dataclass(frozen=True, slots=True)
class Table:
    """What another benchmark found, as its own table has it."""

    part: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Law:
    """How a cost grows: measured points and the power that fits them.

    Attributes:
        part: of the bench.
        cost: what grows, with its unit.
        grows_with: what it grows with, with its unit.
        points: pairs of the two, the cause first.
        exponent: of the power through the points; error: its standard error.
        most: the exponent that it is to keep below, if there is a limit.
    """

    part: str
    cost: str
    grows_with: str
    points: tuple[tuple[float, float], ...]
    exponent: float
    error: float
    most: float | None = None

    @property
    def keeps_limits(self) -> bool:
        """Whether the exponent, less twice its error, is within the limit."""
        return self.most is None or self.exponent - 2 * self.error <= self.most

    def as_json(self) -> dict[str, Any]:
        """Returns what a file keeps of it."""
        return {
            "part": self.part,
            "cost": self.cost,
            "grows_with": self.grows_with,
            "points": [[rounded(each) for each in point] for point in self.points],
            "exponent": rounded(self.exponent),
            "error": rounded(self.error),
            **({} if self.most is None else {"most": self.most}),
        }


@dataclass(slots=True)
class Results:
    """Everything that one run found.

    Attributes:
        machine: facts about it.
        figures, laws, tables: in the order of measuring.
        printed: what another benchmark printed, by its title.
        missing: why a part was not measured, by its name.
    """

    machine: dict[str, Any]
    figures: list[Figure] = field(default_factory=list)
    laws: list[Law] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    printed: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def keeps_limits(self) -> bool:
        """Whether every figure and every law keeps its limits."""
        are_figures_kept = all(figure.keeps_limits for figure in self.figures)
        return are_figures_kept and all(law.keeps_limits for law in self.laws)

    def of(self, part: str) -> list[Figure]:
        """Returns the figures of one part."""
        return [figure for figure in self.figures if figure.part == part]

    def as_json(self) -> dict[str, Any]:
        """Returns everything."""
        return {
            **self.kept(),
            "tables": [
                {"title": table.title, "columns": table.columns, "rows": table.rows}
                for table in self.tables
            ],
            "printed": self.printed,
            "missing": self.missing,
        }

    def kept(self) -> dict[str, Any]:
        """Returns what is committed: the machine, the figures and the laws."""
        return {
            "format": FORMAT,
            "machine": self.machine,
            "figures": [figure.as_json() for figure in self.figures],
            "laws": [law.as_json() for law in self.laws],
        }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a file, with a line for each figure so that changes are read easily.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, value in content.items():
        if isinstance(value, list) and value:
            inner = ",\n  ".join(json.dumps(each) for each in value)
            lines.append(f" {json.dumps(name)}: [\n  {inner}\n ]")
        else:
            lines.append(f" {json.dumps(name)}: {json.dumps(value)}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def machine_name(machine: Mapping[str, Any]) -> str:
    """Returns what a machine's results are filed under: its processor and its cores."""
    words = re.findall(r"[a-z0-9]+", str(machine["processor"]).lower())
    return f"{'-'.join(words)}-{machine['cores']:g}-cores"


def rounded(value: float) -> float:
    """Returns a value with as many digits as are kept."""
    return float(f"{value:.{_DIGITS}g}")


def ratios(values: Sequence[float], references: Sequence[float]) -> tuple[float, ...]:
    """Returns each run's value over the reference's of the same run."""
    return tuple(value / other for value, other in zip(values, references, strict=True))
