"""The bench's plots, as PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.motion.clips import Clip, Motion
from benchmarks.motion.contacts import BILABIALS, LABIODENTALS, OPEN_VOWELS, Contact
from benchmarks.motion.life import degrees
from benchmarks.motion.results import Figures
from streaming_model.media import MOTION_FPS, SAMPLE_RATE
from training.coarticulation import lip_gap

mpl.use("Agg")

WINDOW_S: Final = 5.0  # of a clip that is shown
COLOURS: Final = {"oracle": "#1a7f37", "model": "#1f6feb", "energy": "#d1570c"}
SWEPT: Final = ("steps", "lookahead", "chunk")
_DPI: Final = 110


def opening_plot(clip: Clip, moved: Mapping[str, Motion]) -> bytes:
    """Draws the lips' gap of each way over the clip's first seconds, its phones above."""
    figure, axes = _figure(11, 3)
    frames = round(WINDOW_S * MOTION_FPS)
    times = (np.arange(frames) + 0.5) / MOTION_FPS
    for way, motion in moved.items():
        gap = lip_gap(motion)[:frames]
        axes.plot(times[: len(gap)], gap, label=way, color=COLOURS.get(way), linewidth=1.3)
    top = axes.get_ylim()[1]
    for phone, start, end in zip(clip.phones, clip.bounds[:-1], clip.bounds[1:], strict=True):
        if end / SAMPLE_RATE > WINDOW_S or phone == "sil":
            continue
        if phone in (*BILABIALS, *LABIODENTALS):
            colour = "#cfe2ff" if phone in BILABIALS else "#fff0c2"
            axes.axvspan(start / SAMPLE_RATE, end / SAMPLE_RATE, color=colour, linewidth=0)
        middle = (start + end) / 2 / SAMPLE_RATE
        axes.text(middle, top, phone, ha="center", va="bottom", fontsize=6)
    axes.set(xlabel="seconds", ylabel="lips' gap, of jawOpen", xlim=(0, WINDOW_S), ylim=(0, top))
    axes.legend(loc="upper right", fontsize=7, frameon=False)
    return _png(figure)


def phone_plot(ours: Sequence[Contact], oracle: Sequence[Contact]) -> bytes:
    """Draws at which share of each phone the lips meet, ours beside the oracle's."""
    figure, axes = _figure(11, 2.8)
    names = sorted({each.phone for each in ours}, key=lambda name: (_kind(name), name))
    for offset, (way, found) in enumerate({"model": ours, "oracle": oracle}.items()):
        shares = [100 * np.mean([c.is_closed for c in found if c.phone == name]) for name in names]
        at = np.arange(len(names)) + 0.4 * offset
        axes.bar(at, shares, width=0.4, label=way, color=COLOURS[way])
    axes.set_xticks(np.arange(len(names)) + 0.2, names, fontsize=7)
    axes.set(ylabel="lips met, %")
    axes.legend(fontsize=7, frameon=False)
    return _png(figure)


def sweep_plot(rows: Mapping[str, Figures]) -> bytes:
    """Draws closure, bite, false closure and correlation over steps, lookahead and chunk."""
    figure = Figure(figsize=(11, 2.8), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(SWEPT), sharey=True), SWEPT, strict=True):
        settings = [row for row in rows if row.startswith(name)]
        values = [int(row.split()[1]) for row in settings]
        for measure in ("closure", "bite", "false closure", "correlation"):
            axes.plot(values, [rows[row][measure] for row in settings], marker="o", label=measure)
        axes.set(xlabel=name, ylim=(0, 1))
        axes.set_xticks(values)
        _plain(axes)
    figure.axes[0].legend(fontsize=7, frameon=False)
    return _png(figure)


def head_plot(seeds: Sequence[Motion]) -> bytes:
    """Draws the head's angles of two seeds for the same speech."""
    figure = Figure(figsize=(11, 2.6), layout="constrained")
    shown = figure.subplots(1, 3, sharey=True)
    for axes, index, name in zip(shown, range(3), ("pitch", "yaw", "roll"), strict=True):
        for seed, motion in enumerate(seeds):
            angle = degrees(motion)[:, index]
            axes.plot(np.arange(len(angle)) / MOTION_FPS, angle, label=f"seed {seed}", linewidth=1)
        axes.set(xlabel="seconds", title=f"{name}, degrees")
        _plain(axes)
    shown[0].legend(fontsize=7, frameon=False)
    return _png(figure)


def minutes_plot(values: NDArray[np.float64], names: Sequence[str]) -> bytes:
    """Draws [minutes, seeds, measures], each seed thin and their mean thick."""
    figure = Figure(figsize=(11, 2.6), layout="constrained")
    shown = np.atleast_1d(np.asarray(figure.subplots(1, len(names))))
    for index, (axes, name) in enumerate(zip(shown, names, strict=True)):
        minutes = np.arange(1, len(values) + 1)
        axes.plot(minutes, values[:, :, index], color="#9ec5fe", linewidth=0.6)
        axes.plot(minutes, values[:, :, index].mean(axis=1), color="#1f6feb")
        axes.set(xlabel="minute", title=name)
        axes.set_ylim(bottom=0)
        _plain(axes)
    return _png(figure)


def _kind(phone: str) -> int:
    groups = (BILABIALS, LABIODENTALS, OPEN_VOWELS)
    return next((index for index, group in enumerate(groups) if phone in group), len(groups))


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    assert isinstance(axes, Axes)
    _plain(axes)
    return figure, axes


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI)
    return file.getvalue()
