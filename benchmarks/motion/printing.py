"""Results on a terminal."""

from __future__ import annotations

import math

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.motion.results import Results, Table, Verdict

WIDEST = 15  # columns of a table that is printed upright
SHARES = (
    "closure", "bite", "false closure", "consonants closed", "false bite", "p99", "most",
    "precision",
)  # fmt: skip


def shown(name: str, value: float) -> str:
    """Returns a figure as people read it: shares in percent, ms without decimals."""
    if math.isnan(value):
        return "-"
    if name.split(",")[0] in SHARES:
        return f"{100 * value:.1f} %"
    if name == "lag" or name.endswith(" ms"):
        return str(round(value))
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"


def print_table(console: Console, table: Table) -> None:
    """Prints one table, on its side if it is too wide."""
    grid = [["", *table.columns]]
    for row, figures in table.rows.items():
        cells = (shown(name, figures[name]) if name in figures else "" for name in table.columns)
        grid.append([row, *cells])
    if len(table.columns) > WIDEST:
        grid = [list(column) for column in zip(*grid, strict=True)]
    drawn = RichTable(title=table.title, title_justify="left", caption=table.note or None)
    for index, name in enumerate(grid[0]):
        drawn.add_column(name, justify="right" if index else "left")
    for cells_of_row in grid[1:]:
        drawn.add_row(*cells_of_row)
    console.print(drawn)


def print_verdicts(console: Console, results: Results) -> None:
    """Prints every figure that has a limit, and whether it keeps it."""
    drawn = RichTable(title="Limits", title_justify="left")
    for name in ("", "measured", "limit", "oracle", ""):
        drawn.add_column(name, justify="left" if not name else "right")
    for verdict in results.verdicts():
        drawn.add_row(*verdict_cells(verdict), style="" if verdict.is_kept else "bold")
    console.print(drawn)
    for note in results.notes:
        console.print(f"Not measured: {note}")


def verdict_cells(verdict: Verdict) -> tuple[str, str, str, str, str]:
    """Returns title, figure, limit, the oracle's figure and the word for it."""
    limit = verdict.limit
    oracle = "" if verdict.oracle is None else f"{verdict.oracle:.{limit.decimals}f}"
    return (
        limit.title,
        f"{verdict.value:.{limit.decimals}f}",
        limit.text,
        oracle,
        "kept" if verdict.is_kept else "MISSED",
    )
