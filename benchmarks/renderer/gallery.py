"""The gallery: one HTML file that holds everything, to be opened by a person."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.renderer.commands import RANGE, SWEPT
from benchmarks.renderer.plots import plot
from benchmarks.renderer.sheets import Strip
from benchmarks.renderer.subject import Curve
from benchmarks.renderer.tables import cell, failures, used_limits

Picture = NDArray[np.uint8]
Figures = Mapping[str, float]

QUALITY: Final = 84  # of the JPEGs
WIDEST: Final = 1792  # pixels: sheets are shown at most this wide; the PNG beside is larger
STYLE: Final = Path(__file__).with_name("gallery.css")


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """Everything that is shown of one portrait.

    Attributes:
        name: heading.
        picture: the portrait, [s, s, 3] RGB.
        warnings: what the portrait's maker said of it.
        figures: every number measured.
        curves: every curve measured.
        sheets: title and picture.
        strips: sweeps.
    """

    name: str
    picture: Picture
    warnings: Sequence[str]
    figures: Figures
    curves: Mapping[str, Curve]
    sheets: Mapping[str, Picture]
    strips: Sequence[Strip]


def gallery(pages: Sequence[Page], *, title: str, size: int) -> str:
    """Returns the HTML document."""
    results = {page.name: page.figures for page in pages}
    faults = len(failures(results))
    body = [
        f"<h1>{escape(title)}</h1>",
        '<p class="lead">Each portrait is moved by known commands, and its frames of '
        f"{size} x {size} pixels are measured with MediaPipe's face landmarker and dlib's face "
        f"embedding. {faults} of the figures below miss their limit; they are red.</p>",
        _summary(pages),
        *(_section(page) for page in pages),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE.read_text()}</style></head><body>{''.join(body)}</body></html>"
    )


def _summary(pages: Sequence[Page]) -> str:
    limits = used_limits({page.name: page.figures for page in pages})
    head = "".join(
        f"<th>{escape(limit.title)}<span>{escape(limit.text)}</span></th>" for limit in limits
    )
    rows = []
    for page in pages:
        cells = []
        for limit in limits:
            text, kept = cell(limit, page.figures)
            kind = "good" if kept else "bad"
            cells.append(f'<td class="{kind if text else ""}">{text}</td>')
        link = f'<a href="#{escape(page.name)}">{escape(page.name)}</a>'
        rows.append(
            f"<tr><td>{_image(_thumbnail(page.picture), '')}{link}</td>{''.join(cells)}</tr>"
        )
    return (
        '<div class="scroll"><table><thead><tr><th>portrait</th>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _section(page: Page) -> str:
    missed = failures({page.name: page.figures})
    said = "".join(f"<li>{escape(warning)}</li>" for warning in page.warnings)
    listed = "".join(
        f"<li>{escape(limit)}: measured <strong>{escape(value)}</strong></li>"
        for _, limit, value in missed
    )
    parts = [
        f'<h2 id="{escape(page.name)}">{escape(page.name)}</h2>',
        f"<ul>{said}{listed or '<li>keeps every limit that was measured</li>'}</ul>",
        *(
            f"<h3>{escape(title)}</h3>{_image(sheet, 'sheet')}"
            for title, sheet in page.sheets.items()
        ),
    ]
    if page.strips:
        parts.append("<h3>Sweeps, with the command below each frame</h3>")
        parts.extend(_strip(strip, page.curves) for strip in page.strips)
    parts.append(_plots(page.curves))
    parts.append(_all_figures(page.figures))
    return "".join(parts)


def _strip(strip: Strip, curves: Mapping[str, Curve]) -> str:
    figures = []
    for value, frame in zip(strip.commands, strip.frames, strict=True):
        unit = "°" if strip.name in RANGE else ""
        text = f"{strip.name} {value:+g}{unit}" if unit else f"{strip.name} {value:g}"
        measured = _measured_at(curves.get(strip.name), value)
        if measured is not None:
            text += f"<br>measured {measured:+.1f}{unit}" if unit else f"<br>scores {measured:.2f}"
        figures.append(f"<figure>{_image(frame, '')}<figcaption>{text}</figcaption></figure>")
    return f'<div class="strip">{"".join(figures)}</div>'


def _measured_at(curve: Curve | None, value: float) -> float | None:
    """Returns what was measured first where `value` was commanded, mean of the sides."""
    if curve is None:
        return None
    at = int(np.argmin(np.abs(curve.command - value)))
    if abs(curve.command[at] - value) > 1e-6:
        return None
    first = [name for name in ("score", "rotation", "Left", "Right") if name in curve.measured]
    return float(np.mean([curve.measured[name][at] for name in first])) if first else None


def _plots(curves: Mapping[str, Curve]) -> str:
    main, rest = [], []
    for name, curve in curves.items():
        if name in SWEPT:
            main.append(plot(name, curve, names=["score"]))
        elif name in RANGE:
            main.append(plot(name, curve, x_label="commanded, degrees", diagonal=True))
        elif name.startswith("opening"):
            main.append(plot(f"eye {name}", curve, level=0.3))
        elif name.startswith("lips"):
            main.append(plot(name, curve, x_label="seconds", level=2.0))
        elif name == "identity":
            main.append(plot("distance of identity", curve, x_label="seconds", level=0.5))
        elif name == "eyeBlink":
            main.append(plot(name, curve, level=0.5))
        else:
            rest.append(plot(name, curve))
    shown = f'<h3>Commanded against measured</h3><div class="plots">{"".join(main)}</div>'
    if rest:
        shown += (
            "<details><summary>Every other coefficient</summary>"
            f'<div class="plots">{"".join(rest)}</div></details>'
        )
    return shown if curves else ""


def _all_figures(figures: Figures) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{value:.4g}</td></tr>" for name, value in figures.items()
    )
    return (
        f"<details><summary>Every figure</summary><table><tbody>{rows}</tbody></table></details>"
        if figures
        else ""
    )


def _thumbnail(picture: Picture) -> Picture:
    return np.asarray(cv2.resize(picture, (112, 112), interpolation=cv2.INTER_AREA), np.uint8)


def _image(picture: Picture, kind: str) -> str:
    if picture.shape[1] > WIDEST:
        ratio = WIDEST / picture.shape[1]
        how = cv2.INTER_AREA
        picture = np.asarray(
            cv2.resize(picture, None, fx=ratio, fy=ratio, interpolation=how), np.uint8
        )
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    assert done
    text = base64.b64encode(data.tobytes()).decode()
    return f'<img class="{kind}" alt="" loading="lazy" src="data:image/jpeg;base64,{text}">'
