"""Tables of the figures: Markdown to read, CSV to calculate with."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from io import StringIO

from benchmarks.renderer.limits import LIMITS, Limit

Results = Mapping[str, Mapping[str, float]]  # portrait -> figure -> value


def cell(limit: Limit, figures: Mapping[str, float]) -> tuple[str, bool]:
    """Returns the text of a cell and whether the limit is kept."""
    value = limit.worst(figures)
    if value is None:
        return "", True
    return f"{value:.{limit.decimals}f}", limit.is_kept(value)


def used_limits(results: Results) -> list[Limit]:
    """Returns the limits for which something was measured."""
    return [
        limit
        for limit in LIMITS
        if any(limit.worst(figures) is not None for figures in results.values())
    ]


def markdown(results: Results) -> str:
    """Returns one row per portrait and one column per limit; what fails is bold."""
    limits = used_limits(results)
    rows = [
        ["portrait", *(limit.title for limit in limits), "failed"],
        ["---", *(["---:"] * (len(limits) + 1))],
        ["*limit*", *(limit.text for limit in limits), ""],
    ]
    for name, figures in results.items():
        cells = [cell(limit, figures) for limit in limits]
        texts = [text if kept else f"**{text}**" for text, kept in cells]
        rows.append([name, *texts, str(sum(not kept for _, kept in cells))])
    fails = [sum(not cell(limit, figures)[1] for figures in results.values()) for limit in limits]
    rows.append(["*portraits that fail*", *(str(count) for count in fails), str(sum(fails))])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def comma_separated(results: Results) -> str:
    """Returns every figure of every portrait, one row per portrait."""
    names: list[str] = list(dict.fromkeys(name for figures in results.values() for name in figures))
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["portrait", *names])
    for portrait, figures in results.items():
        writer.writerow([portrait, *(_number(figures.get(name)) for name in names)])
    return out.getvalue()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def failures(results: Results) -> Sequence[tuple[str, str, str]]:
    """Returns portrait, limit and value of everything that fails."""
    return [
        (portrait, f"{limit.title} {limit.text}", cell(limit, figures)[0])
        for portrait, figures in results.items()
        for limit in LIMITS
        if not cell(limit, figures)[1]
    ]
