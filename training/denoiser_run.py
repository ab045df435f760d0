"""Teaches a model's denoiser again, on the encoder that it has: a teacher, then its student.

What other parts were fitted to is the encoder, so that they stay as they are.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.motion.denoiser import MotionDenoiser
from streaming_model.motion.networks import read_settings
from training.dataset import Stream
from training.export import write_denoiser, write_gains
from training.logs import TrainingLog
from training.motion_loss import MotionLoss
from training.motion_stage import (
    train_endpoints,
    train_flow,
    train_rollouts,
    train_shortened,
)
from training.spread import (
    head_gains,
    low_pass,
    made_motion,
    moved,
    shown_spread,
    student_gains,
)
from training.timebox import TimeBox
from training.windows import MotionData, encode_streams

# What a head newly does in a chunk is little beside what no lips can know of a voice, and a loss
# that hardly counts it gives a student that holds its head still.
STUDENT_LIFE: Final = 8.0
TEACHER_STEPS: Final = 25
STUDENT_STEPS: Final = 1
TEACHER_LIFE: Final = 4.0
_SHARES: Final = {  # of the time
    "flow": 0.25, "rollouts": 0.35, "endpoints": 0.30, "shortened": 0.10,
}  # fmt: skip
_COLOURS: Final = 3  # how often each stream is heard, every time through another microphone


def train_denoiser(
    folder: Path,
    streams: Sequence[Stream],
    *,
    work: Path,
    seconds: float,
    seed: int,
    log: TrainingLog,
    device: torch.device,
) -> tuple[MotionDenoiser, MotionDenoiser]:
    """Returns teacher and student on the processor; the teacher begins as the folder's denoiser.

    Args:
        folder: of weights, which stay as they are.
        streams: to learn from.
        work: where checkpoints are.
        seconds: training time.
        seed: of every random choice.
        log: takes the losses.
        device: what trains.
    """
    network, data = _heard_by(folder, streams, seed=seed, device=device)
    scale = torch.tensor(network.config["scale"])

    def box(name: str) -> TimeBox:
        """Returns the stage's budget, which begins to run now."""
        return TimeBox(seconds * _SHARES[name], work / f"{name}.pt")

    loss = MotionLoss(scale, life=TEACHER_LIFE).to(device)
    teacher = train_flow(data, network, loss=loss, box=box("flow"), seed=seed + 1, log=log)
    teacher = train_rollouts(data, teacher, loss=loss, box=box("rollouts"), seed=seed + 2, log=log)
    loss = MotionLoss(scale, life=STUDENT_LIFE).to(device)
    student = train_endpoints(
        data, teacher, loss=loss, box=box("endpoints"), seed=seed + 3, log=log
    )
    student = train_shortened(
        data, student, loss=loss, box=box("shortened"), seed=seed + 4, log=log
    )
    return teacher.cpu(), student.cpu()


def shorten(
    folder: Path,
    streams: Sequence[Stream],
    *,
    work: Path,
    seconds: float,
    voices: Sequence[NDArray[np.float32]],
    seed: int,
    log: TrainingLog,
    device: torch.device,
) -> None:
    """Teaches a folder's student to do in one step what it does in two, and serves it in one.

    Args:
        folder: of weights.
        streams: to learn from.
        work: where the checkpoint is until it is done, then the folder as it was, in `elder`.
        seconds: training time.
        voices: see `serve_in`.
        seed: of every random choice.
        log: takes the losses.
        device: what trains.
    """
    network, data = _heard_by(folder, streams, seed=seed, device=device)
    loss = MotionLoss(torch.tensor(network.config["scale"]), life=STUDENT_LIFE).to(device)
    box = TimeBox(seconds, work / "shortened.pt")
    student = train_shortened(data, network, loss=loss, box=box, seed=seed + 4, log=log)
    elder = work / "elder"
    shutil.rmtree(elder, ignore_errors=True)
    shutil.copytree(folder, elder)
    write_denoiser(student.cpu(), folder, steps=STUDENT_STEPS)
    serve_in(folder, STUDENT_STEPS, voices=voices, seed=seed + 5, elder=elder)
    box.path.unlink()  # what is taught next in this folder begins anew


def _heard_by(
    folder: Path, streams: Sequence[Stream], *, seed: int, device: torch.device
) -> tuple[MotionDenoiser, MotionData]:
    """Returns a folder's denoiser, and what it learns from as the folder's encoder hears it."""
    encoder, network = (
        part.from_pretrained(folder / name, dtype=torch.float32).to(device)
        for name, part in (("encoder", AudioEncoder), ("denoiser", MotionDenoiser))
    )
    scale, history = torch.tensor(network.config["scale"]), network.config["history_frames"]
    heard = [*streams] * _COLOURS
    data = encode_streams(encoder.eval(), heard, scale=scale, history=history, seed=seed)
    return network, data


def write_both(
    folder: Path,
    teacher: MotionDenoiser,
    student: MotionDenoiser,
    *,
    beside: Path,
    streams: Sequence[Stream],
    voices: Sequence[NDArray[np.float32]],
    seed: int,
) -> None:
    """Writes the student into a folder of weights, and the teacher into a copy of it.

    Args:
        folder: of weights with the encoder that both hear by.
        teacher: is served in 25 steps unless another number is asked for.
        student: is served in one.
        beside: the copy; what was there is gone.
        streams: see `fit_gains`.
        voices: likewise.
        seed: likewise.
    """
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(folder, beside)
    write_denoiser(teacher, beside, steps=TEACHER_STEPS)
    write_denoiser(student, folder, steps=STUDENT_STEPS)
    fit_gains(folder, beside, streams=streams, voices=voices, seed=seed)


def fit_gains(
    student: Path,
    teacher: Path,
    *,
    streams: Sequence[Stream],
    voices: Sequence[NDArray[np.float32]],
    seed: int,
) -> None:
    """Writes how much more both move their heads, and the student its brows and lids, when served.

    Args:
        student: folder of its weights.
        teacher: folder of its teacher's.
        streams: whose heads both are to move as far as.
        voices: equally long speech at 16 kHz, to find out how far they do.
        seed: of that motion.
    """
    wanted = shown_spread(streams, read_settings(student / "serving.json").scale)
    taught = moved(made_motion(teacher, voices, seed=seed))
    gains = head_gains(taught, wanted=wanted)
    write_gains(teacher / "serving.json", gains)
    made = made_motion(student, voices, seed=seed)
    calmed = low_pass(made, teacher=taught)
    given = student_gains(moved(made, low_pass=calmed), teacher=taught, gains=gains)
    write_gains(student / "serving.json", given, low_pass=calmed)


def serve_in(
    folder: Path,
    steps: int,
    *,
    voices: Sequence[NDArray[np.float32]],
    seed: int,
    elder: Path | None = None,
) -> None:
    """Has a folder's weights served in another number of steps, with as much motion as before.

    Args:
        folder: of weights.
        steps: of the sampler.
        voices: equally long speech at 16 kHz, to find out how much they move.
        seed: of that motion.
        elder: the folder whose motion that is, if not this one's, which was taught to do as it
            does: then its low-pass is kept, too.
    """
    path, known = folder / "serving.json", elder or folder
    settings = read_settings(known / "serving.json")
    before = moved(made_motion(known, voices, seed=seed), low_pass=settings.low_pass)
    made = made_motion(folder, voices, seed=seed, steps=steps)
    calmed = settings.low_pass if elder else low_pass(made, teacher=before)
    gains = [float(gain) for gain in settings.gain]
    given = student_gains(moved(made, low_pass=calmed), teacher=before, gains=gains)
    write_gains(path, given, low_pass=calmed, steps=steps)
