"""What the commands of `python -m training` do, in the order of their help.

What needs torch, a phone aligner or an exporter is imported by the command that does.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from training.captured import load_captured
from training.corpus.build import CorpusSettings, make_corpus
from training.corpus.utterances import Utterance, load_utterances
from training.extract import command as extract
from training.facegood import load_facegood, take_sessions

if TYPE_CHECKING:
    from training.dataset import Stream


def make_all(arguments: argparse.Namespace) -> None:
    """Makes the corpus, and with `motion` the model."""
    settings = CorpusSettings(
        arguments.corpus,
        arguments.seed,
        arguments.scale,
        arguments.extra_styles,
        arguments.recorded,
    )
    make_corpus(settings, jobs=arguments.jobs)
    if arguments.command == "corpus":
        return
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


def extract_films(arguments: argparse.Namespace) -> None:
    """Turns films into captured speech; ends the program with its status."""
    raise SystemExit(extract.run(arguments))


def align_recordings(arguments: argparse.Namespace) -> None:
    """Makes recorded speech with phone times."""
    # eSpeak NG and PocketSphinx, which the others do not need
    from training.corpus.recordings import make_recordings

    make_recordings(arguments.root, arguments.output)


def export_again(arguments: argparse.Namespace) -> None:
    """Writes a folder's serving graphs again."""
    from training.export import export_folder

    export_folder(arguments.folder)


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


def teach_again(arguments: argparse.Namespace) -> None:
    """Trains a folder's denoiser again: its teacher, left in the work folder, and its student."""
    from training.dataset import make_streams
    from training.denoiser_run import train_denoiser, write_both
    from training.logs import TrainingLog
    from training.spread import some_speech
    from training.timebox import best_device

    folder, work, seed = arguments.folder, arguments.work, arguments.seed
    spoken = spoken_in(arguments.corpus)
    streams = list(make_streams(spoken, range(arguments.streams), seed=seed))
    streams += _filmed_streams(arguments.facegood, seed=seed)
    work.mkdir(parents=True, exist_ok=True)
    with TrainingLog(work / "log") as log:
        teacher, student = train_denoiser(
            folder,
            streams,
            work=work,
            seconds=arguments.max_seconds,
            seed=seed,
            log=log,
            device=best_device(),
        )
    write_both(
        folder,
        teacher,
        student,
        beside=work / "teacher",
        streams=streams,
        voices=some_speech(spoken),
        seed=seed + 5,
    )


def serve_in_steps(arguments: argparse.Namespace) -> None:
    """Has a folder's model served in another number of steps, with as much motion as before.

    One step may learn first what two do.
    """
    from training.dataset import make_streams
    from training.denoiser_run import serve_in, shorten
    from training.logs import TrainingLog
    from training.spread import some_speech
    from training.timebox import best_device

    folder, work, seed = arguments.folder, arguments.work, arguments.seed
    if arguments.max_seconds and arguments.steps != 1:
        raise SystemExit(f"Only one step is taught anything, not {arguments.steps}.")
    spoken = spoken_in(arguments.corpus)
    if not arguments.max_seconds:
        serve_in(folder, arguments.steps, voices=some_speech(spoken), seed=seed)
        return
    streams = list(make_streams(spoken, range(arguments.streams), seed=seed))
    streams += _filmed_streams(arguments.facegood, seed=seed)
    work.mkdir(parents=True, exist_ok=True)
    with TrainingLog(work / "log") as log:
        shorten(
            folder,
            streams,
            work=work,
            seconds=arguments.max_seconds,
            voices=some_speech(spoken),
            seed=seed,
            log=log,
            device=best_device(),
        )


def _filmed_streams(facegood: Path | None, *, seed: int) -> list[Stream]:
    """Returns FACEGOOD's takes as streams, none without its folder."""
    import numpy as np

    from training.dataset import captured_streams
    from training.motion_run import CAPTURED_COPIES

    if facegood is None:
        return []
    takes = load_facegood(facegood)
    return list(captured_streams(takes, CAPTURED_COPIES, rng=np.random.default_rng(seed)))


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
