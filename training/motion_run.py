"""The whole making of the speech-to-motion model: corpus, encoder, denoiser, export.

Every part leaves its result in the work folder and is skipped when that is there, so that a
run can be stopped and taken up again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
    FlowMatchEulerDiscreteScheduler,
)
from torch import Tensor

from streaming_model.motion.denoiser import MotionDenoiser
from streaming_model.motion.pipeline import MotionPipeline
from training.corpus.build import CorpusSettings, load_corpus
from training.dataset import Stream, make_streams
from training.encoder_stage import train_encoder
from training.export import export_denoiser, export_encoder, round_to_half, write_serving_file
from training.motion_stage import MotionLoss, encode_streams, train_endpoints, train_flow
from training.timebox import TimeBox

_SHARES: Final = {"encoder": 0.4, "flow": 0.35, "endpoints": 0.25}  # of the training time
_STEPS_SERVED: Final = 1
_SMALLEST_SPREAD: Final = 1e-4  # a coefficient that moves less is left alone


@dataclass(frozen=True)
class RunSettings:
    """What a run is made from.

    Attributes:
        corpus: the speech, made before.
        work: folder for everything on the way.
        output: folder for the weights.
        seconds: training time, without making the corpus.
        streams: number of augmented streams of 24 s.
        seed: of every random choice.
    """

    corpus: CorpusSettings
    work: Path
    output: Path
    seconds: float
    streams: int
    seed: int


def run(settings: RunSettings) -> None:
    """Makes the model from nothing, or from where the last run stopped."""
    torch.set_num_threads(1)
    torch.manual_seed(settings.seed)
    settings.work.mkdir(parents=True, exist_ok=True)
    utterances = load_corpus(settings.corpus)
    rng = np.random.default_rng(settings.seed)
    streams = list(make_streams(utterances, settings.streams, rng=rng))
    minutes = sum(len(utterance.samples) for utterance in utterances) / 16_000 / 60
    print(f"{len(utterances)} utterances, {minutes:.0f} min of speech, {len(streams)} streams")
    scale = motion_scale(streams)
    train_and_export(settings, streams, scale=scale)


def motion_scale(streams: Sequence[Stream]) -> Tensor:
    """Returns [58] root mean squares about rest, 0 for coefficients that never move."""
    total = np.zeros(streams[0].motion.shape[1])
    for stream in streams:
        total += np.square(stream.motion.astype(np.float64)).mean(axis=0)
    scale = np.sqrt(total / len(streams)).astype(np.float32)
    scale[scale < _SMALLEST_SPREAD] = 0.0
    return torch.from_numpy(scale)


def train_and_export(settings: RunSettings, streams: Sequence[Stream], *, scale: Tensor) -> None:
    """Trains the three stages within the time and writes pipeline, graphs and settings."""
    task = train_encoder(streams, scale=scale, box=_box(settings, "encoder"), seed=settings.seed)
    encoder = task.encoder
    round_to_half(encoder)
    network = MotionDenoiser(scale=tuple(scale.tolist()))
    history = network.config["history_frames"]
    data = encode_streams(encoder, streams, scale=scale, history=history)
    loss = MotionLoss(scale)
    box = _box(settings, "flow")
    teacher = train_flow(data, network, loss=loss, box=box, seed=settings.seed + 1)
    box = _box(settings, "endpoints")
    student = train_endpoints(data, teacher, loss=loss, box=box, seed=settings.seed + 2)
    round_to_half(student)
    settings.output.mkdir(parents=True, exist_ok=True)
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0)
    export_encoder(encoder, settings.output / "encoder.onnx")
    export_denoiser(student, settings.output / "denoiser.onnx")
    write_serving_file(student, encoder, settings.output / "serving.json", steps=_STEPS_SERVED)
    for part in (encoder, student):
        part.half()  # type: ignore[no-untyped-call]
    MotionPipeline(encoder, student, scheduler).save_pretrained(settings.output)


def _box(settings: RunSettings, stage: str) -> TimeBox:
    """Returns the stage's budget, which begins to run now."""
    return TimeBox(settings.seconds * _SHARES[stage], settings.work / f"{stage}.pt")
