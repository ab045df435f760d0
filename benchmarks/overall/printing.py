"""The report's figures for a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks.overall.results import Figure, Results, rounded

_WIDTH = 130  # columns at least, also where it goes to a file


def summary(console: Console, results: Results) -> None:
    """Prints every figure with its spread, the ratio it is judged by, and its limit."""
    told = ", ".join(f"{name} {value}" for name, value in results.machine.items() if value)
    table = Table(title=told, title_justify="left")
    for heading in ("part", "what", "median", "spread", "over", "ratio", "limit"):
        table.add_column(heading, justify="left" if heading in ("part", "what") else "right")
    for figure in results.figures:
        colour = "default" if figure.keeps_limits else "red"
        median = f"[{colour}]{rounded(figure.median):g} {figure.unit}[/{colour}]"
        table.add_row(
            figure.part, figure.name, median, _spread(figure), *_judged(figure), _limit(figure)
        )
    for law in results.laws:
        said = f"exponent {law.exponent:.2f} ± {law.error:.2f}"
        colour = "default" if law.keeps_limits else "red"
        limit = "" if law.most is None else f"≤ {law.most:g}"
        what = f"{law.cost}, with {law.grows_with}"
        table.add_row(law.part, what, f"[{colour}]{said}[/{colour}]", "", "", "", limit)
    Console(width=max(console.width, _WIDTH)).print(table)
    for title, text in results.printed.items():
        console.print(f"\n[bold]{title}[/bold]")
        console.print(text, markup=False, highlight=False)


def _spread(figure: Figure) -> str:
    low, high = figure.spread
    return "" if low == high else f"{low:.3g} to {high:.3g}"


def _judged(figure: Figure) -> tuple[str, str]:
    if figure.judged_by is None or figure.judged is None:
        return "", ""
    return figure.judged_by, f"{figure.judged:.3g}"


def _limit(figure: Figure) -> str:
    if figure.most is not None:
        return f"≤ {figure.most:g}"
    return "" if figure.least is None else f"≥ {figure.least:g}"
