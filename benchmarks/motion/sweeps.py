"""The model at other settings, and against its teacher: steps, lookahead, chunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from benchmarks.motion.clips import Clip, Motion
from benchmarks.motion.generation import Setting
from benchmarks.motion.life import life_figures, seam
from benchmarks.motion.lips import lip_figures
from benchmarks.motion.plots import sweep_plot
from benchmarks.motion.recorded import VOICE as RECORDED
from benchmarks.motion.results import Figures, Results, Table
from benchmarks.motion.suite import ORACLE, Motions, Speech, baselines, motions_of

STEPS: Final = (1, 2, 4)
LOOKAHEADS: Final = (0, 1, 2, 4)
CHUNKS: Final = (1, 2, 5, 10)
TEACHER_STEPS: Final = 25
TEACHER_SEEDS: Final = 4  # by one, of a few minutes, the spread of a slow head is known to a tenth

# Better than the teacher is no fault where better has a direction; a share is compared in
# points, everything else in percent of the teacher's figure.
_MORE_IS_BETTER: Final = ("closure", "bite", "correlation")
_LESS_IS_BETTER: Final = (
    "false closure", "consonants closed", "false bite", "error", "MOD", "LVE",
)  # fmt: skip
_SHARES: Final = (*_MORE_IS_BETTER, *_LESS_IS_BETTER[:3], "beats")
_EITHER_WAY: Final = (
    "spread", "speed", "jerk", "pitch spread", "yaw spread", "roll spread", "head speed",
    "head jerk", "upper face", "beats",
)  # fmt: skip


def settings(default: Setting) -> dict[str, Setting]:
    """Returns every setting of the model by name, the default first."""
    varied = {"default": default}
    varied |= {f"steps {n}": replace(default, steps=n) for n in STEPS}
    varied |= {f"lookahead {n}": replace(default, lookahead=n) for n in LOOKAHEADS}
    varied |= {f"chunk {n}": replace(default, chunk=n) for n in CHUNKS}
    return varied


def measure_sweeps(results: Results, default: Setting, speech: Speech) -> Iterator[str]:
    """Measures each setting on all voices together; yields what it is doing.

    A setting that the model does not serve is named in the notes.
    """
    rows: dict[str, Figures] = {}
    for name, setting in settings(default).items():
        yield name
        try:
            setting.generator()
        except ValueError as error:
            results.notes.append(f"{name}: {error}")
            continue
        rows[name] = all_figures(speech, motions_of(setting, speech), chunk=setting.chunk)
        if name == "lookahead 0":
            synthetic = {voice: clips for voice, clips in speech.items() if voice != RECORDED}
            motions = motions_of(setting, synthetic)
            found = lip_figures(*_paired(synthetic, motions))
            results.figures["closure, lookahead 0"] = found["closure"]
    oracle = baselines(speech)[ORACLE]
    rows[ORACLE] = lip_figures(*_paired(speech, oracle))
    results.tables.append(Table("Settings, all voices", rows))
    results.pictures["Settings"] = sweep_plot(rows)


def measure_teacher(
    results: Results, default: Setting, teacher: Setting, speech: Speech
) -> Iterator[str]:
    """Measures the teacher beside the model, by several seeds; yields what it is doing."""
    found: dict[str, list[Figures]] = {"theirs": [], "ours": []}
    for seed in range(TEACHER_SEEDS):
        yield f"teacher, {teacher.steps} steps, and the model beside it: seed {seed}"
        for whose, setting in (("theirs", teacher), ("ours", default)):
            motions = motions_of(setting, speech, seed=seed)
            found[whose].append(all_figures(speech, motions, chunk=setting.chunk))
    theirs, ours = (mean_figures(found[whose]) for whose in ("theirs", "ours"))
    rows = {f"teacher, {teacher.steps} steps": theirs, "model": ours}
    results.tables.append(Table("Model and teacher, all voices", rows))
    worse = {f"{name} %": apart(name, ours[name], theirs[name]) for name in ours if judged(name)}
    results.tables.append(Table("Worse than the teacher", {"model": worse}))
    results.figures["from teacher %"] = float(np.nanmax(list(worse.values())))


def mean_figures(figures: Sequence[Figures]) -> Figures:
    """Returns the mean of each figure."""
    return {name: float(np.mean([each[name] for each in figures])) for name in figures[0]}


def judged(name: str) -> bool:
    """Returns whether the model must be as good as its teacher in this figure."""
    return name in (*_MORE_IS_BETTER, *_LESS_IS_BETTER, *_EITHER_WAY)


def apart(name: str, ours: float, theirs: float) -> float:
    """Returns by how many percent ours is worse than theirs: points for shares, 0 if better."""
    gap = ours - theirs if name in _SHARES else (ours - theirs) / max(abs(theirs), 1e-9)
    if name in _MORE_IS_BETTER:
        return 100 * max(0.0, -gap)
    if name in _LESS_IS_BETTER:
        return 100 * max(0.0, gap)
    return 100 * abs(gap)


def all_figures(speech: Speech, motions: Motions, *, chunk: int) -> Figures:
    """Returns the lips and the life of all voices together."""
    clips, moved = _paired(speech, motions)
    figures = lip_figures(clips, moved) | life_figures(moved, [clip.samples for clip in clips])
    # Blinks are seeded, the same for all settings, and fewer in short sessions.
    del figures["blinks"]
    return figures | seam(moved, chunk)


def _paired(speech: Speech, motions: Mapping[str, list[Motion]]) -> tuple[list[Clip], list[Motion]]:
    clips = [clip for each in speech.values() for clip in each]
    return clips, [motion for name in speech for motion in motions[name]]
