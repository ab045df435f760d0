"""The commands `python -m training corpus` and `motion`: make the speech-to-motion model again.

`extract` turns films of people into captured speech to train on, `denoiser` teaches what moves the
face again, `steps` has it served in another number of steps, `listener` and `cues` train what hears
contacts of the lips on, `filmed` fits the mouth that the style `captured` asks for, `export` writes
the graphs that serve a model's weights.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training import commands
from training.extract import command as extract


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    whole = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    subparsers = whole.add_subparsers(dest="command", required=True)
    corpus = subparsers.add_parser("corpus", help="make the speech to train on; goes on if stopped")
    motion = subparsers.add_parser("motion", help="make the speech-to-motion model")
    for command in (corpus, motion):
        command.add_argument("--corpus", type=Path, default=Path("build/corpus"))
        command.add_argument("--scale", type=float, default=1.0, help="share of the whole corpus")
        command.add_argument("--seed", type=int, default=20)
        command.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
        command.add_argument(
            "--extra-styles", type=Path, help="folder of Kokoro NAME.bin files with more speakers"
        )
        command.add_argument(
            "--recorded",
            type=Path,
            help="folder of recorded speech (python -m training recordings)",
        )
    motion.add_argument("--work", type=Path, default=Path("build/motion"))
    motion.add_argument("--output", type=Path, default=Path("streaming_model/weights/motion"))
    motion.add_argument("--max-seconds", type=float, default=5400.0, help="training time")
    motion.add_argument(
        "--captured",
        type=Path,
        action="append",
        default=[],
        help="folder of captured speech (training.extract); may be given again",
    )
    motion.add_argument(
        "--sounds",
        type=Path,
        action="append",
        default=[],
        help="folder of recordings without a voice; may be given again",
    )
    motion.add_argument("--facegood", type=Path, help="folder of FACEGOOD's published takes")
    motion.add_argument("--streams", type=int, default=2400, help="augmented streams of 24 s")
    extract.add_arguments(subparsers.add_parser("extract", help="films of people to train on"))
    recordings = subparsers.add_parser("recordings", help="recorded speech, from Debian's packages")
    recordings.add_argument("root", type=Path, help="where they are unpacked; / if installed")
    recordings.add_argument("--output", type=Path, default=Path("build/recorded"))
    hears = subparsers.add_parser("hears", help="what a trained encoder hears of held-out voices")
    hears.add_argument("--work", type=Path, default=Path("build/motion"))
    hears.add_argument("--voices", type=Path, required=True, help="folder of held-out speech")
    _add_parts(subparsers)
    return whole


def _add_parts(subparsers: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Adds the commands that make a part of a folder of weights again."""
    filmed = subparsers.add_parser("filmed", help="fit the mouth of the filmed people again")
    filmed.add_argument("folder", type=Path, help="what training wrote, such as --output")
    filmed.add_argument("--facegood", type=Path, required=True, help="folder of FACEGOOD's takes")
    filmed.add_argument("--seed", type=int, default=20)
    cues = subparsers.add_parser("cues", help="fit what tells contacts and open vowels again")
    cues.add_argument("folder", type=Path, help="what training wrote, such as --output")
    cues.add_argument("--corpus", type=Path, default=Path("build/corpus"))
    cues.add_argument("--seed", type=int, default=20)
    listener = subparsers.add_parser(
        "listener", help="train what hears contacts on, keep half of that, and fit the cues again"
    )
    listener.add_argument("folder", type=Path, help="what training wrote, such as --output")
    listener.add_argument("--corpus", type=Path, default=Path("build/corpus"))
    listener.add_argument("--work", type=Path, default=Path("build/listener"))
    listener.add_argument("--streams", type=int, default=2400, help="augmented streams of 24 s")
    listener.add_argument("--max-seconds", type=float, default=1800.0, help="training time")
    listener.add_argument("--seed", type=int, default=20)
    denoiser = subparsers.add_parser(
        "denoiser",
        help="teach a model's denoiser again on its encoder: a teacher, then its student",
    )
    denoiser.add_argument("folder", type=Path, help="what training wrote, such as --output")
    denoiser.add_argument("--corpus", type=Path, default=Path("build/corpus"))
    denoiser.add_argument("--facegood", type=Path, help="folder of FACEGOOD's published takes")
    denoiser.add_argument(
        "--work", type=Path, default=Path("build/denoiser"), help="the teacher stays in it"
    )
    denoiser.add_argument("--streams", type=int, default=2400, help="augmented streams of 24 s")
    denoiser.add_argument("--max-seconds", type=float, default=3600.0, help="training time")
    denoiser.add_argument("--seed", type=int, default=20)
    steps = subparsers.add_parser(
        "steps", help="serve a model in another number of steps, with as much motion as before"
    )
    steps.add_argument("folder", type=Path, help="what training wrote, such as --output")
    steps.add_argument("steps", type=int, choices=(1, 2, 4))
    steps.add_argument("--corpus", type=Path, default=Path("build/corpus"))
    steps.add_argument("--seed", type=int, default=20)
    steps.add_argument(
        "--max-seconds",
        type=float,
        default=0.0,
        help="for how long one step is taught before what two do",
    )
    steps.add_argument(
        "--work", type=Path, default=Path("build/steps"), help="the folder as it was stays in it"
    )
    steps.add_argument("--streams", type=int, default=240, help="augmented streams of 24 s")
    steps.add_argument("--facegood", type=Path, help="folder of FACEGOOD's published takes")
    export = subparsers.add_parser("export", help="write a model's serving graphs again")
    export.add_argument("folder", type=Path, help="what training wrote, such as --output")


def main() -> None:
    """Reads the command line and runs."""
    arguments = parser().parse_args()
    if arguments.command in ("corpus", "motion"):
        commands.make_all(arguments)
        return
    parts: dict[str, Callable[[argparse.Namespace], None]] = {
        "export": commands.export_again,
        "filmed": lambda a: commands.fit_filmed(a.folder, a.facegood, seed=a.seed),
        "cues": lambda a: commands.fit_cues(a.folder, a.corpus, seed=a.seed),
        "listener": commands.train_on,
        "denoiser": commands.teach_again,
        "steps": commands.serve_in_steps,
        "hears": lambda a: commands.print_hearing(a.work, a.voices),
        "extract": commands.extract_films,
        "recordings": commands.align_recordings,
    }
    parts[arguments.command](arguments)


if __name__ == "__main__":
    main()
