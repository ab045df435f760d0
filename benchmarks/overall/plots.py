"""The report's plots, as SVG that stands in the page."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Sheet

from benchmarks.overall.results import Figure, Law

mpl.use("Agg")

_COLOURS: Final = ("#1f6feb", "#d1570c", "#1a7f37", "#8250df", "#b42318", "#6e7781")


def bars(figures: Sequence[Figure]) -> str:
    """Draws medians with their spread, one under the other, the unit of the first below."""
    height = 0.6 + 0.27 * len(figures)
    sheet = Sheet(figsize=(9, height), layout="constrained")
    axes = sheet.subplots()
    at = np.arange(len(figures))
    medians = np.array([figure.median for figure in figures])
    spreads = np.array([figure.spread for figure in figures])
    whiskers = np.abs(spreads.T - medians)
    axes.barh(at, medians, xerr=whiskers, color=_COLOURS[0], ecolor="#1f2328", height=0.65)
    axes.set_yticks(at, [figure.name for figure in figures], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(figures[0].unit, fontsize=8)
    _plain(axes)
    return _svg(sheet)


def laws(found: Sequence[Law]) -> str:
    """Draws each law's points and the power through them, both axes logarithmic."""
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    sheet = Sheet(figsize=(3.6 * columns, 2.9 * rows), layout="constrained")
    grid = np.atleast_1d(sheet.subplots(rows, columns)).ravel()
    for axes in grid[len(found) :]:
        axes.set_visible(False)
    for law, axes in zip(found, grid, strict=False):
        causes, costs = np.array(law.points).T
        middle = np.exp(np.log(costs).mean() - law.exponent * np.log(causes).mean())
        axes.loglog(causes, middle * causes**law.exponent, color=_COLOURS[1], linewidth=1)
        axes.loglog(causes, costs, "o", color=_COLOURS[0], markersize=4)
        axes.set_title(f"{law.cost}\nexponent {law.exponent:.2f} ± {law.error:.2f}", fontsize=8)
        axes.set_xlabel(law.grows_with, fontsize=8)
        _plain(axes)
    return _svg(sheet)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)


def _svg(sheet: Sheet) -> str:
    """Returns the drawing without what a page must not have twice or be told of."""
    file = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "font.family": "sans-serif"}):
        sheet.savefig(file, format="svg", metadata={"Date": None})
    drawing = file.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    return re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
