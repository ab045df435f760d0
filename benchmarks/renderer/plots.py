"""Small plots as SVG: what was commanded against what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.renderer.subject import Curve

WIDTH: Final = 250  # pixels
HEIGHT: Final = 200
LEFT, RIGHT, TOP, BOTTOM = 38, 10, 22, 44
COLOURS: Final = ("#1f6feb", "#d1570c", "#1a7f37", "#8250df")


def plot(
    title: str,
    curve: Curve,
    *,
    names: Sequence[str] = (),
    x_label: str = "commanded",
    level: float | None = None,
    diagonal: bool = False,
) -> str:
    """Returns one plot as an SVG element.

    Args:
        title: above the plot.
        curve: what to draw.
        names: which of its measurements; all if empty.
        x_label: below the plot.
        level: height of a dashed line that is a limit.
        diagonal: whether to draw where measured equals commanded.
    """
    chosen = {name: curve.measured[name] for name in names or curve.measured}
    xs = _range([curve.command])
    extra = [np.array([level])] if level is not None else []
    ys = _range([*chosen.values(), *extra, *([curve.command] if diagonal else [])])
    parts = [_axes(title, x_label, xs, ys)]
    if level is not None:
        parts.append(_line([(xs[0], level), (xs[1], level)], xs, ys, "limit"))
    if diagonal:
        low, high = max(xs[0], ys[0]), min(xs[1], ys[1])
        parts.append(_line([(low, low), (high, high)], xs, ys, "limit"))
    for index, (name, values) in enumerate(chosen.items()):
        colour = COLOURS[index % len(COLOURS)]
        seen = ~np.isnan(values)
        points = list(zip(curve.command[seen], values[seen], strict=True))
        parts.append(_line(points, xs, ys, "curve", colour))
        parts.extend(_dot(point, xs, ys, colour) for point in points[:60])
        parts.append(
            f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 5 - 11 * index}" text-anchor="end" '
            f'class="key" fill="{colour}">{escape(name)}</text>'
        )
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'


def _range(series: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    values = np.concatenate(series)
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    low, high = min(low, 0.0), max(high, 0.0)
    return (low, high) if high - low > 1e-6 else (low, low + 1)


def _axes(title: str, x_label: str, xs: tuple[float, float], ys: tuple[float, float]) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    texts = [
        (WIDTH / 2, 14, "middle", "title", title),
        (LEFT, HEIGHT - 5, "start", "tick", x_label),
        (LEFT, bottom + 12, "middle", "tick", f"{xs[0]:.3g}"),
        (right, bottom + 12, "end", "tick", f"{xs[1]:.3g}"),
        (LEFT - 4, bottom, "end", "tick", f"{ys[0]:.2g}"),
        (LEFT - 4, TOP + 8, "end", "tick", f"{ys[1]:.2g}"),
    ]
    written = "".join(
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'
        for x, y, anchor, kind, text in texts
    )
    box = f'<path d="M{LEFT} {TOP}V{bottom}H{right}" class="axis"/>'
    zero = ""
    if ys[0] < 0 < ys[1]:
        y = _place((xs[0], 0.0), xs, ys)[1]
        zero = f'<path d="M{LEFT} {y:.1f}H{right}" class="zero"/>'
    return box + zero + written


def _place(
    point: tuple[float, float], xs: tuple[float, float], ys: tuple[float, float]
) -> tuple[float, float]:
    x = LEFT + (point[0] - xs[0]) / (xs[1] - xs[0]) * (WIDTH - LEFT - RIGHT)
    y = HEIGHT - BOTTOM - (point[1] - ys[0]) / (ys[1] - ys[0]) * (HEIGHT - TOP - BOTTOM)
    return x, y


def _line(
    points: Sequence[tuple[float, float]],
    xs: tuple[float, float],
    ys: tuple[float, float],
    kind: str,
    colour: str = "",
) -> str:
    places = " ".join("{:.1f},{:.1f}".format(*_place(point, xs, ys)) for point in points)
    stroke = f' stroke="{colour}"' if colour else ""
    return f'<polyline points="{places}" class="{kind}"{stroke}/>'


def _dot(
    point: tuple[float, float], xs: tuple[float, float], ys: tuple[float, float], colour: str
) -> str:
    x, y = _place(point, xs, ys)
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.8" fill="{colour}"/>'
