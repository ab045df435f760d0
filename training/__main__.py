"""The commands `python -m training corpus` and `motion`: make the speech-to-motion model again.

`extract` turns films of people into captured speech to train on, `listener` and `cues` train what
hears contacts of the lips on, `filmed` fits the mouth that the style `captured` asks for, `export`
writes the graphs that serve a model's weights.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from training.captured import load_captured
from training.corpus.build import CorpusSettings, make_corpus
from training.corpus.utterances import Utterance, load_utterances
from training.extract import command as extract
from training.facegood import load_facegood, take_sessions


def parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    whole = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = whole.add_subparsers(dest="command", required=True)
    corpus = commands.add_parser("corpus", help="make the speech to train on; goes on if stopped")
    motion = commands.add_parser("motion", help="make the speech-to-motion model")
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
    extract.add_arguments(commands.add_parser("extract", help="films of people to train on"))
    recordings = commands.add_parser("recordings", help="recorded speech, from Debian's packages")
    recordings.add_argument("root", type=Path, help="where they are unpacked; / if installed")
    recordings.add_argument("--output", type=Path, default=Path("build/recorded"))
    hears = commands.add_parser("hears", help="what a trained encoder hears of held-out voices")
    hears.add_argument("--work", type=Path, default=Path("build/motion"))
    hears.add_argument("--voices", type=Path, required=True, help="folder of held-out speech")
    _add_parts(commands)
    return whole


def _add_parts(commands: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Adds the commands that make a part of a folder of weights again."""
    filmed = commands.add_parser("filmed", help="fit the mouth of the filmed people again")
    filmed.add_argument("folder", type=Path, help="what training wrote, such as --output")
    filmed.add_argument("--facegood", type=Path, required=True, help="folder of FACEGOOD's takes")
    filmed.add_argument("--seed", type=int, default=20)
    cues = commands.add_parser("cues", help="fit what tells contacts and open vowels again")
    cues.add_argument("folder", type=Path, help="what training wrote, such as --output")
    cues.add_argument("--corpus", type=Path, default=Path("build/corpus"))
    cues.add_argument("--seed", type=int, default=20)
    listener = commands.add_parser(
        "listener", help="train what hears contacts on, keep half of that, and fit the cues again"
    )
    listener.add_argument("folder", type=Path, help="what training wrote, such as --output")
    listener.add_argument("--corpus", type=Path, default=Path("build/corpus"))
    listener.add_argument("--work", type=Path, default=Path("build/listener"))
    listener.add_argument("--streams", type=int, default=2400, help="augmented streams of 24 s")
    listener.add_argument("--max-seconds", type=float, default=1800.0, help="training time")
    listener.add_argument("--seed", type=int, default=20)
    export = commands.add_parser("export", help="write a model's serving graphs again")
    export.add_argument("folder", type=Path, help="what training wrote, such as --output")


def main() -> None:
    """Reads the command line and runs."""
    arguments = parser().parse_args()
    if arguments.command == "export":
        from training.export import export_folder

        export_folder(arguments.folder)
        return
    if arguments.command == "filmed":
        fit_filmed(arguments.folder, arguments.facegood, seed=arguments.seed)
        return
    if arguments.command == "cues":
        fit_cues(arguments.folder, arguments.corpus, seed=arguments.seed)
        return
    if arguments.command == "listener":
        train_on(arguments)
        return
    if arguments.command == "hears":
        print_hearing(arguments.work, arguments.voices)
        return
    if arguments.command == "extract":
        raise SystemExit(extract.run(arguments))
    if arguments.command == "recordings":
        # eSpeak NG and PocketSphinx, which the others do not need
        from training.corpus.recordings import make_recordings

        make_recordings(arguments.root, arguments.output)
        return
    settings = CorpusSettings(
        arguments.corpus,
        arguments.seed,
        arguments.scale,
        arguments.extra_styles,
        arguments.recorded,
    )
    make_corpus(settings, jobs=arguments.jobs)
    if arguments.command == "motion":
        # torch, which the others do not need
        from training.motion_run import RunSettings, run
        from training.timebox import best_device

        captured = [item for folder in arguments.captured for item in load_captured(folder)]
        if arguments.facegood:
            captured += load_facegood(arguments.facegood)
        run(
            RunSettings(
                corpus=settings,
                captured=tuple(captured),
                sounds=tuple(arguments.sounds),
                work=arguments.work,
                output=arguments.output,
                seconds=arguments.max_seconds,
                streams=arguments.streams,
                seed=arguments.seed,
                jobs=arguments.jobs,
                device=best_device(),
            )
        )
        fit_filmed(arguments.output, arguments.facegood, seed=arguments.seed)


def fit_filmed(folder: Path, facegood: Path | None, *, seed: int) -> None:
    """Fits the filmed people's mouth to a folder's encoder; without takes, removes an old one."""
    from streaming_model.motion.filmed import FILE
    from training.filmed_stage import make_filmed

    if facegood is None:
        (folder / FILE).unlink(missing_ok=True)  # it would be for another encoder
        return
    make_filmed(folder, load_facegood(facegood), take_sessions(facegood), seed=seed)


def fit_cues(folder: Path, corpus: Path, *, seed: int) -> None:
    """Fits the cues to a folder's encoder and listener, on a corpus that was made before."""
    from training.cues_stage import make_cues

    make_cues(folder, spoken_in(corpus), seed=seed)


def spoken_in(corpus: Path) -> list[Utterance]:
    """Returns every utterance of a corpus, with phone times made alike."""
    from training.corpus.alignment import aligned

    spoken = [each for path in sorted(corpus.glob("*/*.npz")) for each in load_utterances(path)]
    if not spoken:
        raise SystemExit(f"There is no corpus in '{corpus}'; 'python -m training corpus' makes it.")
    return aligned(spoken)


def train_on(arguments: argparse.Namespace) -> None:
    """Trains a folder's listener on, keeps half of it, and fits the cues to it."""
    import torch

    from streaming_model.audio.encoder import AudioEncoder
    from streaming_model.motion.listener import FOLDER
    from training.dataset import make_streams
    from training.export import write_listener
    from training.listener_stage import train_listener
    from training.logs import TrainingLog
    from training.motion_run import motion_scale
    from training.timebox import TimeBox, best_device

    folder, work, seed = arguments.folder, arguments.work, arguments.seed
    streams = list(make_streams(spoken_in(arguments.corpus), range(arguments.streams), seed=seed))
    work.mkdir(parents=True, exist_ok=True)
    with TrainingLog(work / "log") as log:
        tuned = train_listener(
            streams,
            scale=motion_scale(streams),
            box=TimeBox(arguments.max_seconds, work / "listener.pt"),
            seed=seed + 6,
            log=log,
            device=best_device(),
            since=AudioEncoder.from_pretrained(folder / FOLDER, dtype=torch.float32).eval(),
        )
    write_listener(tuned, folder)
    fit_cues(folder, arguments.corpus, seed=seed)


def print_hearing(work: Path, voices: Path) -> None:
    """Prints phone accuracy and contacts for each file of held-out speech."""
    import torch

    from training.hearing import load_task, measure_hearing

    torch.set_num_threads(1)  # one clip at a time is too little for two
    paths = sorted(voices.glob("*.npz"))
    if not paths:
        raise SystemExit(f"There is no held-out speech (.npz) in '{voices}'.")
    task = load_task(work)
    print(f"{'phones right after':24}{'0':>7}{'40':>7}{'80':>7}{'120 ms':>8}   AUC of P B M, F V")
    for path in paths:
        heard = measure_hearing(task, load_utterances(path))
        shares = "".join(f"{share:7.1%}" for share in heard.accuracy)
        print(f"{path.stem:24}{shares}    {heard.contacts[0]:.3f}, {heard.contacts[1]:.3f}")


if __name__ == "__main__":
    main()
