"""The report: one HTML file with every table and plot, and the tables for machines."""

from __future__ import annotations

import base64
import csv
import json
import math
from html import escape
from pathlib import Path
from typing import Final

from benchmarks.motion.printing import shown, verdict_cells
from benchmarks.motion.results import Results, Table

TITLE: Final = "Vivant: how the motion model speaks"
STYLE: Final = """
body{font:15px/1.45 system-ui,sans-serif;max-width:1250px;margin:2em auto;padding:0 1em;
color:#1f2328}
table{border-collapse:collapse;font-size:13px;margin:.5em 0}
th,td{padding:.25em .6em;border-bottom:1px solid #d0d7de;text-align:right}
th:first-child,td:first-child{text-align:left}
.bad{color:#b42318;font-weight:600}.good{color:#1a7f37}
.scroll{overflow-x:auto}p.note{color:#59636e;max-width:75ch;font-size:13px}img{max-width:100%}
"""


def write_report(folder: Path, results: Results, *, about: str) -> None:
    """Writes `index.html`, `figures.json`, `tables.csv` and every picture into `folder`.

    Args:
        folder: made if it is not there.
        results: what was measured.
        about: which model and which speech, in a sentence.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(page(results, about=about), encoding="utf-8")
    (folder / "figures.json").write_text(as_json(results), encoding="utf-8")
    with (folder / "tables.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("table", "row", "figure", "value"))
        for table in results.tables:
            for row, figures in table.rows.items():
                writer.writerows((table.title, row, name, value) for name, value in figures.items())


def page(results: Results, *, about: str) -> str:
    """Returns the HTML document; nothing in it is fetched from elsewhere."""
    verdicts = results.verdicts()
    missed = sum(not verdict.is_kept for verdict in verdicts)
    parts = [
        f"<h1>{escape(TITLE)}</h1><p>{escape(about)}</p>",
        f"<p>{missed} of {len(verdicts)} limits are missed.</p>",
        _verdicts(results),
        *(f'<p class="note">Not measured: {escape(note)}</p>' for note in results.notes),
        *(_picture(title, png) for title, png in results.pictures.items()),
        *(_table(table) for table in results.tables),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(TITLE)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def as_json(results: Results) -> str:
    """Returns every figure with its limit, null where it is not a number."""
    verdicts = [
        {
            "limit": f"{verdict.limit.title} {verdict.limit.text}",
            "value": _finite(verdict.value),
            "oracle": None if verdict.oracle is None else _finite(verdict.oracle),
            "kept": verdict.is_kept,
        }
        for verdict in results.verdicts()
    ]
    tables = {
        table.title: {
            row: {name: _finite(value) for name, value in figures.items()}
            for row, figures in table.rows.items()
        }
        for table in results.tables
    }
    return json.dumps({"limits": verdicts, "tables": tables, "notes": results.notes}, indent=1)


def _verdicts(results: Results) -> str:
    rows = []
    for verdict in results.verdicts():
        title, *cells, word = verdict_cells(verdict)
        filled = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        kind = "good" if verdict.is_kept else "bad"
        rows.append(f'<tr><td>{escape(title)}</td>{filled}<td class="{kind}">{word}</td></tr>')
    head = "<tr><th></th><th>measured</th><th>limit</th><th>oracle</th><th></th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


def _table(table: Table) -> str:
    columns = table.columns
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", *columns))
    rows = []
    for row, figures in table.rows.items():
        cells = (shown(name, figures[name]) if name in figures else "" for name in columns)
        filled = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        rows.append(f"<tr><td>{escape(row)}</td>{filled}</tr>")
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<h2>{escape(table.title)}</h2><div class="scroll"><table><tr>{head}</tr>'
        f"{''.join(rows)}</table></div>{note}"
    )


def _picture(title: str, png: bytes) -> str:
    data = base64.b64encode(png).decode()
    return f'<h2>{escape(title)}</h2><img alt="" src="data:image/png;base64,{data}">'


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
