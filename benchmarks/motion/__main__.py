"""Measures the motion model on voices and texts it never heard, against what it was taught.

`--make FOLDER` makes the held-out speech once; then `--voices FOLDER`, or single files.
Without `--quick` every setting is measured, and rendered frames if the ruler is installed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks.motion.captured_error import measure_captured
from benchmarks.motion.clips import Clip, make_clips
from benchmarks.motion.endurance import measure_endurance
from benchmarks.motion.filmed import film_scenes
from benchmarks.motion.generation import Setting
from benchmarks.motion.held_out import load_held_out, make_held_out
from benchmarks.motion.printing import print_table, print_verdicts
from benchmarks.motion.recorded import NoRecordingsError
from benchmarks.motion.rendered import measure_rendered
from benchmarks.motion.report import write_report
from benchmarks.motion.results import Results
from benchmarks.motion.suite import Extent, Speech, baselines, measure_default, motions_of
from benchmarks.motion.sweeps import TEACHER_STEPS, measure_sweeps, measure_teacher
from benchmarks.renderer.environment import is_ready
from benchmarks.renderer.measuring import RulerError
from streaming_model.errors import VivantError
from streaming_model.motion.networks import DEFAULT_FOLDER
from training.corpus import Utterance
from training.facegood import load_facegood

QUICK_CLIPS = 5  # of each voice, a minute of speech: for quick runs and other settings
RENDERED_CLIPS = 1  # of each voice
FILMED_VOICE = "kokoro-bf_emma"
FILMED_CLAUSES = 4


def main() -> int:
    """Runs the command line; returns the exit status."""
    options = read_options()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    cv2.setNumThreads(1)
    results = Results()
    try:
        if options.make:
            make_held_out(options.make)
            return 0
        with progress_bar() as progress:
            task = progress.add_task("")
            for doing in measure(results, options):
                progress.update(task, description=doing)
    except (VivantError, NoRecordingsError, RulerError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    for table in results.tables:
        print_table(console, table)
    print_verdicts(console, results)
    if options.out:
        write_report(options.out, results, about=about(options))
        print(f"{options.out / 'index.html'}, figures.json and tables.csv")
    return 0


def measure(results: Results, options: argparse.Namespace) -> Iterator[str]:
    """Measures what the options ask for; yields what it is doing."""
    setting = Setting(
        "model",
        options.weights,
        steps=options.steps,
        chunk=options.chunk,
        lookahead=options.lookahead,
    )
    speech = read_speech(options.voices)
    some = first_clips(speech, QUICK_CLIPS)
    if options.quick:
        yield from measure_default(results, setting, some, Extent(shifted=1, wordless_s=20))
    else:
        yield from measure_default(results, setting, speech, Extent())
        yield from measure_sweeps(results, setting, some)
        yield from measure_lips_in_frames(results, setting, speech)
    if options.teacher:
        teacher = replace(setting, weights=options.teacher, steps=options.teacher_steps)
        yield from measure_teacher(results, setting, teacher, some)
    if options.facegood:
        yield "a real mouth"
        held_out = load_facegood(options.facegood, held_out=True)
        others = load_facegood(options.facegood)
        measure_captured(results, setting, held_out, others=others)
    if options.long:
        yield from measure_endurance(results, setting, next(iter(some.values())))
    if options.clips:
        spoken = spoken_by(options.voices, FILMED_VOICE)[:FILMED_CLAUSES]
        yield from film_scenes(results, setting, spoken, options.clips)


def measure_lips_in_frames(results: Results, setting: Setting, speech: Speech) -> Iterator[str]:
    """Measures rendered lips of the oracle and the model, where the ruler is installed."""
    if not is_ready():
        results.notes.append(
            "rendered frames: the ruler is not installed (python -m benchmarks.renderer does it)"
        )
        return
    some = first_clips(speech, RENDERED_CLIPS)
    moved = {"oracle": baselines(some)["oracle"], "model": motions_of(setting, some)}
    clips = [clip for each in some.values() for clip in each]
    listed = {way: [m for each in motions.values() for m in each] for way, motions in moved.items()}
    yield from measure_rendered(results, clips, listed)


def first_clips(speech: Speech, count: int) -> dict[str, Sequence[Clip]]:
    """Returns the first clips of each voice."""
    return {name: clips[:count] for name, clips in speech.items()}


def about(options: argparse.Namespace) -> str:
    """Returns a sentence that says what was measured."""
    steps = "its own number of steps" if options.steps is None else f"{options.steps} steps"
    return (
        f"Weights {options.weights.name}, {steps}, chunks of {options.chunk} frames, "
        f"{options.lookahead} frames of lookahead, on voices and texts never trained on. The "
        "oracle is the procedure that makes the training's mouths, told the phones."
    )


def read_options() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.motion",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--make", type=Path, metavar="FOLDER", help="make the held-out speech, and no more")
    add(
        "--voices",
        type=Path,
        nargs="+",
        default=[Path("build/held-out")],
        help="files of utterances, or folders of them (default: build/held-out)",
    )
    add("--weights", type=Path, default=DEFAULT_FOLDER, help="folder of the model")
    add("--teacher", type=Path, help="folder of its teacher, in the same layout")
    add("--teacher-steps", type=int, default=TEACHER_STEPS)
    add("--steps", type=int, help="sampler steps; the model's own number if not given")
    add("--chunk", type=int, default=2, help="frames made at once")
    add("--lookahead", type=int, default=2, help="frames of audio heard ahead")
    add("--facegood", type=Path, help="folder of FACEGOOD's takes, one of which is held out")
    add("--quick", action="store_true", help="a minute of each voice, one setting")
    add("--long", action="store_true", help="an hour by several seeds, besides")
    add("--clips", type=Path, help="folder for clips of feelings, whisper, languages, song")
    add("--out", type=Path, help="folder for the report")
    return parser.parse_args()


def read_speech(places: Sequence[Path]) -> dict[str, list[Clip]]:
    """Returns the clips of each voice.

    Raises:
        FileNotFoundError: a place is not there, or a folder holds no utterances.
    """
    return {name: make_clips(spoken) for name, spoken in load_held_out(files_in(places)).items()}


def spoken_by(places: Sequence[Path], voice: str) -> list[Utterance]:
    """Returns the utterances of one voice, or of the first if it is not among them."""
    paths = files_in(places)
    named = [path for path in paths if path.stem == voice] or paths[:1]
    return next(iter(load_held_out(named).values()))


def files_in(places: Sequence[Path]) -> list[Path]:
    """Returns the files named, and those in the folders named.

    Raises:
        FileNotFoundError: a place is not there, or a folder holds no utterances.
    """
    paths: list[Path] = []
    for place in places:
        inside = sorted(place.glob("*.npz")) if place.is_dir() else [place]
        if not inside or not inside[0].exists():
            raise FileNotFoundError(
                f"There is no held-out speech at {place}: make it with --make FOLDER."
            )
        paths += inside
    return paths


def progress_bar() -> Progress:
    """Returns a line that says what is being measured."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:32}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


if __name__ == "__main__":
    sys.exit(main())
