"""The measures put together: what is generated, compared and judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.motion.clips import Clip, Motion, energy_mouth
from benchmarks.motion.cost import motion_cost, split_cost
from benchmarks.motion.endurance import measure_lean
from benchmarks.motion.generation import Setting, generate
from benchmarks.motion.life import life_figures, seam, seed_figures
from benchmarks.motion.lips import all_contacts, lip_figures
from benchmarks.motion.misses import miss_tables
from benchmarks.motion.plots import head_plot, opening_plot, phone_plot
from benchmarks.motion.recorded import VOICE as RECORDED
from benchmarks.motion.results import Figures, Results, Table
from benchmarks.motion.shifts import shift_figures
from benchmarks.motion.sounds import wordless
from benchmarks.motion.stillness import settling, speaking_range, stillness_figures
from streaming_model.motion.style import MotionStyle

Speech = Mapping[str, Sequence[Clip]]
Motions = dict[str, list[Motion]]  # by voice

ORACLE: Final = "oracle"
JUDGED: Final = ("closure", "bite", "false closure", "correlation")
SYNTHETIC: Final = "all synthetic voices"
LIP_NOTE: Final = (
    "closure: P B M whose lips meet (gap under a tenth of the clip's 95th percentile) within "
    "40 ms; bite: F V with the lower lip at the teeth; false closure: the same in the middle half "
    "of AA AE AO AY AW EH, and of AH from 80 ms on; all else against the oracle"
)


SEED_NOTE: Final = (
    "seeds head: mean distance of the two heads over their spread, 1.13 for independent ones; "
    "seeds lips: correlation of the lips' gap"
)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured.

    Attributes:
        shifted: clips of each voice in the shift test.
        wordless_s: seconds of each sound without speech.
    """

    shifted: int = 3
    wordless_s: int = 60


def baselines(speech: Speech) -> dict[str, Motions]:
    """Returns the oracle, the mouth that follows loudness, and the face at rest."""
    return {
        ORACLE: {name: [clip.oracle for clip in clips] for name, clips in speech.items()},
        "energy": {name: [energy_mouth(clip) for clip in clips] for name, clips in speech.items()},
        "rest": {
            name: [np.zeros_like(clip.oracle) for clip in clips] for name, clips in speech.items()
        },
    }


def motions_of(setting: Setting, speech: Speech, *, seed: int = 0) -> Motions:
    """Returns the model's motion for every clip."""
    return {
        name: generate(setting, [clip.samples for clip in clips], seed=seed)
        for name, clips in speech.items()
    }


def lip_tables(speech: Speech, moved: Mapping[str, Motions]) -> list[Table]:
    """Returns the lips of each way to move them: all synthetic voices together, then each voice."""
    synthetic = [name for name in speech if name != RECORDED]
    groups = {SYNTHETIC: synthetic, **{name: [name] for name in speech}}
    tables = []
    for title, names in groups.items():
        clips = [clip for name in names for clip in speech[name]]
        if not clips:
            continue
        rows = {
            way: lip_figures(clips, [motion for name in names for motion in motions[name]])
            for way, motions in moved.items()
        }
        seconds = sum(clip.frames for clip in clips) / 25
        note = LIP_NOTE if title == SYNTHETIC else ""
        tables.append(Table(f"Lips, {title}: {seconds:.0f} s", rows, note))
    return tables


def judge_lips(results: Results, tables: Sequence[Table], way: str) -> None:
    """Takes from the lip tables what has a limit."""
    for table in tables:
        ours, oracle = table.rows[way], table.rows[ORACLE]
        if SYNTHETIC in table.title:
            results.figures |= {name: ours[name] for name in JUDGED}
            results.figures["lag size"] = abs(ours["lag"])
            results.oracle |= {name: oracle[name] for name in JUDGED}
        elif RECORDED in table.title:
            results.figures["closure, recorded"] = ours["closure"]
            results.oracle["closure, recorded"] = oracle["closure"]


def measure_default(
    results: Results, setting: Setting, speech: Speech, extent: Extent
) -> Iterator[str]:
    """Measures one setting of the model against the baselines; yields what it is doing."""
    yield "lips"
    ours = motions_of(setting, speech)
    moved = {**baselines(speech), setting.name: ours}
    tables = lip_tables(speech, moved)
    results.tables += tables
    judge_lips(results, tables, setting.name)
    clips = [clip for each in speech.values() for clip in each]
    motions = [motion for each in ours.values() for motion in each]
    yield "life"
    results.tables.append(life_table(results, setting, speech))
    yield "two seeds"
    others = [motion for each in motions_of(setting, speech, seed=1).values() for motion in each]
    seeds_table(results, setting, clips, (motions, others))
    some = [clip for each in speech.values() for clip in each[: extent.shifted]]
    measure_lean(results, setting, some)
    yield "shifted audio"
    shifts = shift_figures(setting, some)
    results.figures["shift miss"] = shifts["shift miss"]
    title = "Shifted audio: how much later the mouth moves, ms"
    results.tables.append(Table(title, {setting.name: shifts}))
    yield "sounds without speech"
    results.tables.append(stillness_table(results, setting, some, motions, extent))
    yield "cost"
    results.tables.append(cost_table(results, setting))
    yield "misses"
    found = all_contacts(clips, motions)
    results.tables += miss_tables(found)
    oracle = [clip.oracle for clip in clips]
    results.pictures["Where the lips meet"] = phone_plot(found, all_contacts(clips, oracle))
    for name, spoken in speech.items():
        shown = {way: motion[name][0] for way, motion in moved.items() if way != "rest"}
        results.pictures[f"Opening, {name}"] = opening_plot(spoken[0], shown)


def seeds_table(
    results: Results,
    setting: Setting,
    clips: Sequence[Clip],
    motions: tuple[list[Motion], list[Motion]],
) -> None:
    """Measures how two seeds differ: in the head, and hardly in the lips."""
    figures = seed_figures(*motions)
    results.figures |= figures
    rows = {setting.name: figures}
    for seed, moved in enumerate(motions):
        lips = lip_figures(clips, moved)
        rows[f"seed {seed}"] = {name: lips[name] for name in ("closure", "bite", "error")}
    results.tables.append(Table("Two seeds", rows, SEED_NOTE))
    results.pictures["Two seeds' heads"] = head_plot([each[0] for each in motions])


def cost_table(results: Results, setting: Setting) -> Table:
    """Measures the model's processor time, and how it is shared out."""
    rows = {}
    for sessions in (1, 2, 4, 8):
        cost = split_cost(
            setting.weights,
            steps=setting.steps,
            chunk=setting.chunk,
            lookahead=setting.lookahead,
            sessions=sessions,
        )
        parts = {
            "encoder": cost.encoder,
            "denoiser": cost.denoiser,
            "listener": cost.listener,
            "Python": cost.python,
        }
        rows[f"{sessions} at once"] = {"cost per frame, ms of a core": cost.total, **parts}
        results.figures.setdefault("cost", cost.total)
    angry = motion_cost(setting.generator(), style=MotionStyle(emotion="angry"))
    rows["1 with an emotion"] = {"cost per frame, ms of a core": angry}
    return Table("Cost", rows)


def life_table(results: Results, setting: Setting, speech: Speech) -> Table:
    """Measures head, blinks and seams, of all that a voice says as one session.

    The first blink of a session comes after a whole wait, so short ones blink less.
    """
    recordings = [np.concatenate([clip.samples for clip in clips]) for clips in speech.values()]
    motions = generate(setting, recordings)
    figures: Figures = life_figures(motions, recordings)
    figures |= seam(motions, setting.chunk)
    limited = ("blinks", "head seam", "mouth seam", "at the limit %")
    results.figures |= {name: figures[name] for name in limited}
    note = (
        "degrees; speed in degrees a second; upper face: FDD's part, mm; beats: how well the "
        "head's stops fall on the voice's beats"
    )
    return Table("Life", {setting.name: figures}, note)


def stillness_table(
    results: Results,
    setting: Setting,
    clips: Sequence[Clip],
    motions: Sequence[Motion],
    extent: Extent,
) -> Table:
    """Measures the mouth without speech, as shares of its range in speech."""
    sounds = wordless(extent.wordless_s)
    found = stillness_figures(setting, sounds, range_of_speech=speaking_range(motions))
    results.figures["open without speech %"] = 100 * max(each["most"] for each in found.values())
    for name in ("music", "dog"):
        if not any(sound.startswith(name) for sound in sounds):
            results.notes.append(f"{name}: the recording's package is not installed")
    rows = {**found, "speech that stops": {"shut after ms": settling(setting, clips)}}
    return Table("Sounds without speech: the lips' gap, of its 95th percentile in speech", rows)
