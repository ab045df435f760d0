"""What the benchmark found: lines with a limit and a verdict, as a table, Markdown and JSON.

It knows nothing of how a figure was measured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from rich.table import Table


class Verdict(Enum):
    """What a line says about its limit."""

    PASS = "pass"
    FAIL = "fail"
    REPORTED = "reported"  # there is no limit
    NOT_MEASURED = "not measured"


_COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.NOT_MEASURED: "yellow"}


@dataclass(frozen=True, slots=True)
class Line:
    """One figure.

    Attributes:
        part: which part of the benchmark measured it.
        what: in words.
        value: the figure, None when it was not measured.
        unit: of the figure.
        most: the limit that it must not exceed, if any.
        least: the limit that it must reach, if any.
        note: what a reader must know beside it.
    """

    part: str
    what: str
    value: float | None
    unit: str
    most: float | None = None
    least: float | None = None
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether the limit is kept."""
        if self.value is None:
            return Verdict.NOT_MEASURED
        if self.most is None and self.least is None:
            return Verdict.REPORTED
        is_low_enough = self.most is None or self.value <= self.most
        is_high_enough = self.least is None or self.value >= self.least
        return Verdict.PASS if is_low_enough and is_high_enough else Verdict.FAIL

    @property
    def figure(self) -> str:
        """The value with its unit."""
        return "" if self.value is None else f"{_short(self.value)} {self.unit}".strip()

    @property
    def limit(self) -> str:
        """The limit in words."""
        if self.most is not None:
            return f"≤ {_short(self.most)} {self.unit}".strip()
        return "" if self.least is None else f"≥ {_short(self.least)} {self.unit}".strip()


@dataclass(slots=True)
class Report:
    """Everything that one run found.

    Attributes:
        machine: facts about it.
        lines: the figures in the order of measuring.
        details: what a part has to tell beyond its lines, by part.
    """

    machine: dict[str, Any]
    lines: list[Line] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def keeps_limits(self) -> bool:
        """Whether no measured figure breaks its limit."""
        return all(line.verdict is not Verdict.FAIL for line in self.lines)

    def table(self) -> Table:
        """Returns the lines for a terminal."""
        table = Table(title=_machine_sentence(self.machine), title_justify="left")
        for heading in ("part", "what", "measured", "limit", "verdict", "note"):
            table.add_column(heading)
        for line in self.lines:
            colour = _COLOURS.get(line.verdict, "default")
            verdict = f"[{colour}]{line.verdict.value}[/{colour}]"
            table.add_row(line.part, line.what, line.figure, line.limit, verdict, line.note)
        return table

    def markdown(self) -> str:
        """Returns the lines as a Markdown document."""
        rows = [
            f"| {line.part} | {line.what} | {line.figure} | {line.limit} "
            f"| {line.verdict.value} | {line.note} |"
            for line in self.lines
        ]
        heads = ["| part | what | measured | limit | verdict | note |", "|---|---|---|---|---|---|"]
        title = ["# Does real time hold?", "", _machine_sentence(self.machine), ""]
        return "\n".join([*title, *heads, *rows, ""])

    def write(self, folder: Path) -> list[Path]:
        """Writes `realtime.json` and `realtime.md`; returns their paths.

        Raises:
            OSError: the folder cannot be written to.
        """
        folder.mkdir(parents=True, exist_ok=True)
        lines = [asdict(line) | {"verdict": line.verdict.value} for line in self.lines]
        everything = {"machine": self.machine, "lines": lines, "details": self.details}
        (folder / "realtime.json").write_text(json.dumps(everything, indent=2) + "\n")
        (folder / "realtime.md").write_text(self.markdown())
        return [folder / "realtime.json", folder / "realtime.md"]


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.1f}"


def _machine_sentence(machine: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in machine.items())


def spread_lines(
    part: str, what: str, values: Sequence[tuple[str, float, float | None]], note: str = ""
) -> list[Line]:
    """Returns lines in milliseconds, one for each (percentile, value, limit)."""
    return [
        Line(part, f"{what}, {name}", value, "ms", most=limit, note=note)
        for name, value, limit in values
    ]
