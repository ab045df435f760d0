"""The report as one HTML file; nothing in it is fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

from benchmarks.overall.plots import bars, laws
from benchmarks.overall.results import Figure, Law, Results, Table, rounded

TITLE: Final = "Vivant: what it costs here"
STYLE: Final = """
body{font:15px/1.45 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;
color:#1f2328;background:#fff}
table{border-collapse:collapse;font-size:13px;margin:.5em 0}
th,td{padding:.25em .6em;border-bottom:1px solid #d0d7de;text-align:right;vertical-align:top}
th:first-child,td:first-child,td.text{text-align:left}
.bad{color:#b42318;font-weight:600}.good{color:#1a7f37}
.scroll{overflow-x:auto}p.note{color:#59636e;max-width:75ch;font-size:13px}
pre{font-size:12px;overflow-x:auto}svg{max-width:100%;height:auto}
"""


def page(results: Results) -> str:
    """Returns the HTML document."""
    parts = dict.fromkeys(figure.part for figure in results.figures)
    body = [
        f"<h1>{escape(TITLE)}</h1>",
        _machine(results),
        _limits(results),
        *(
            f'<p class="note">Not measured: {escape(part)}: {escape(why)}</p>'
            for part, why in results.missing.items()
        ),
        *(_part(part, results.of(part)) for part in parts),
        _laws(results.laws),
        *(_table(table) for table in results.tables),
        *(
            f"<h2>{escape(title)}</h2><pre>{escape(text)}</pre>"
            for title, text in results.printed.items()
        ),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(TITLE)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _machine(results: Results) -> str:
    rows = []
    for name, value in results.machine.items():
        told = value
        if isinstance(value, dict):
            told = ", ".join(f"{inner} {version}" for inner, version in value.items())
        rows.append((name, str(told)))
    return _rows(("machine", ""), rows, texts=2)


def _limits(results: Results) -> str:
    """Returns the figures and laws that have a limit, and whether they keep it."""
    rows = []
    for figure in results.figures:
        if limit := _limit(figure):
            rows.append((figure.name, _value(figure), limit, figure.keeps_limits))
    for law in results.laws:
        if law.most is not None:
            said = f"exponent {law.exponent:.2f} ± {law.error:.2f}"
            limit = f"≤ {law.most:g}"
            rows.append((f"{law.cost}, with {law.grows_with}", said, limit, law.keeps_limits))
    if not rows:
        return ""
    missed = sum(not kept for *_, kept in rows)
    filled = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td><td>{escape(limit)}</td>"
        f'<td class="{"good" if kept else "bad"}">{"kept" if kept else "missed"}</td></tr>'
        for name, value, limit, kept in rows
    )
    head = "<tr><th>limit</th><th>measured</th><th>limit</th><th></th></tr>"
    return f"<p>{missed} of {len(rows)} limits are missed.</p><table>{head}{filled}</table>"


def _part(part: str, figures: list[Figure]) -> str:
    references = list(dict.fromkeys(name for figure in figures for name in figure.ratios))
    rows = [
        (
            figure.name,
            _value(figure),
            "" if len(figure.runs) < 2 else " to ".join(f"{each:.3g}" for each in figure.spread),
            *(_ratio(figure, name) for name in references),
            figure.note,
        )
        for figure in figures
    ]
    headings = ("", "median", "spread of runs", *(f"over {name}" for name in references), "")
    units: dict[str, list[Figure]] = {}
    for figure in figures:
        units.setdefault(figure.unit, []).append(figure)
    drawn = "".join(bars(each) for each in units.values() if len(each) > 1)
    return f"<h2>{escape(part)}</h2>{drawn}{_rows(headings, rows)}"


def _ratio(figure: Figure, reference: str) -> str:
    if reference not in figure.ratios:
        return ""
    values = sorted(figure.ratios[reference])
    said = f"{values[len(values) // 2]:.3g}"
    return f"{said} *" if reference == figure.judged_by else said


def _laws(found: list[Law]) -> str:
    if not found:
        return ""
    note = (
        "A power through the points: 1 is linear, 0 does not depend on the cause. "
        "Both axes are logarithmic."
    )
    return f'<h2>How costs grow</h2><p class="note">{note}</p>{laws(found)}'


def _table(table: Table) -> str:
    return f"<h2>{escape(table.title)}</h2>{_rows(table.columns, table.rows, texts=9)}"


def _rows(headings: Iterable[str], rows: Iterable[Iterable[str]], *, texts: int = 1) -> str:
    """Returns a table whose first columns, as many as `texts`, are flush left."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    filled = "".join(
        "<tr>"
        + "".join(
            f"<td{' class=text' if at < texts else ''}>{escape(cell)}</td>"
            for at, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{filled}</table></div>'


def _value(figure: Figure) -> str:
    return f"{rounded(figure.median):g} {figure.unit}".strip()


def _limit(figure: Figure) -> str:
    if figure.most is not None:
        return f"≤ {figure.most:g} {figure.unit}".strip()
    return "" if figure.least is None else f"≥ {figure.least:g} {figure.unit}".strip()
