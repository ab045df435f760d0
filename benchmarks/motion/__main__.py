"""Measures the motion model on voices and texts it never heard, against what it was taught.

`--make FOLDER` makes the held-out speech once; then `--voices FOLDER`, or single files.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks.motion.clips import Clip, make_clips
from benchmarks.motion.generation import Setting
from benchmarks.motion.held_out import load_held_out, make_held_out
from benchmarks.motion.printing import print_table, print_verdicts
from benchmarks.motion.recorded import NoRecordingsError
from benchmarks.motion.results import Results
from benchmarks.motion.suite import Extent, measure_default
from streaming_model.errors import VivantError
from streaming_model.motion.networks import DEFAULT_FOLDER

QUICK_CLIPS = 5  # of each voice, a minute of speech


def main() -> int:
    """Runs the command line; returns the exit status."""
    options = read_options()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    try:
        if options.make:
            make_held_out(options.make)
            return 0
        speech = read_speech(options.voices, clips=QUICK_CLIPS if options.quick else None)
        setting = Setting(
            "model",
            options.weights,
            steps=options.steps,
            chunk=options.chunk,
            lookahead=options.lookahead,
        )
        extent = Extent(shifted=1, wordless_s=20) if options.quick else Extent()
        results = Results()
        with progress_bar() as progress:
            task = progress.add_task("")
            for doing in measure_default(results, setting, speech, extent):
                progress.update(task, description=doing)
    except (VivantError, NoRecordingsError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    for table in results.tables:
        print_table(console, table)
    print_verdicts(console, results)
    return 0


def read_options() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.motion",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--make", type=Path, metavar="FOLDER", help="make the held-out speech")
    parser.add_argument(
        "--voices",
        type=Path,
        nargs="+",
        default=[Path("build/held-out")],
        help="files of utterances, or folders of them (default: %(default)s)",
    )
    parser.add_argument("--weights", type=Path, default=DEFAULT_FOLDER, help="the model")
    parser.add_argument("--steps", type=int, help="sampler steps; the model's own number if unset")
    parser.add_argument("--chunk", type=int, default=2, help="frames made at once")
    parser.add_argument("--lookahead", type=int, default=2, help="frames of audio heard ahead")
    parser.add_argument("--quick", action="store_true", help="a minute of each voice, one setting")
    return parser.parse_args()


def read_speech(places: Sequence[Path], *, clips: int | None) -> dict[str, list[Clip]]:
    """Returns the clips of each voice, the first `clips` of them if it is a number.

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
    return {name: make_clips(spoken)[:clips] for name, spoken in load_held_out(paths).items()}


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
