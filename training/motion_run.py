"""The whole making of the speech-to-motion model: streams, encoder, denoiser, export.

Every part leaves its result in the work folder and is taken up from there, so that a run can
be stopped and go on.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from diffusers.schedulers.scheduling_flow_match_euler_discrete import (
    FlowMatchEulerDiscreteScheduler,
)
from diffusers.utils.constants import SAFETENSORS_WEIGHTS_NAME
from torch import Tensor

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.motion.contacts import NETWORK_SIZE
from streaming_model.motion.cues import FILE as CUES_FILE
from streaming_model.motion.denoiser import MotionDenoiser
from streaming_model.motion.pipeline import MotionPipeline
from streaming_model.motion.presence import FILE as PRESENCE_FILE
from streaming_model.motion.style import STYLE_NAMES
from training.captured import Captured
from training.corpus.build import CorpusSettings, load_corpus, shards
from training.corpus.utterances import Utterance, load_utterances
from training.cues_stage import make_cues
from training.dataset import Stream, captured_streams
from training.denoiser_run import (
    STUDENT_LIFE,
    STUDENT_STEPS,
    TEACHER_LIFE,
    TEACHER_STEPS,
    fit_gains,
)
from training.encoder_stage import EncoderTask, train_encoder
from training.export import (
    export_denoiser,
    export_encoder,
    round_to_half,
    write_listener,
    write_serving_file,
)
from training.listener_stage import train_listener
from training.logs import TrainingLog
from training.motion_loss import MotionLoss
from training.motion_stage import (
    train_endpoints,
    train_flow,
    train_rollouts,
    train_shortened,
    train_together,
)
from training.presence_stage import save_presence, train_presence
from training.recorded import load_recordings
from training.spread import some_speech
from training.stream_files import made_streams
from training.timebox import TimeBox
from training.windows import encode_streams

# Shares of the training time.
_SHARES: Final = {
    "encoder": 0.38, "flow": 0.06, "together": 0.21, "rollouts": 0.05, "endpoints": 0.11,
    "shortened": 0.04, "listener": 0.15,
}  # fmt: skip
_SMALLEST_SPREAD: Final = 1e-4  # a coefficient that moves less is left alone
CAPTURED_COPIES: Final = 6
_HARD_STREAMS: Final = 640
_PRESENCE_STEPS: Final = 6000

ENCODER: Final = {"channels": 256, "dilations": (1, 2, 4, 8, 1, 2, 4, 8)}
_DENOISER: Final = {"width": 144, "layers": 4, "heads": 4}


@dataclass(frozen=True)
class RunSettings:
    """What a run is made from.

    Attributes:
        corpus: the speech, made before.
        captured: speech with the motion of real faces.
        sounds: folders of recordings without a voice.
        work: folder for everything on the way.
        output: folder for the weights.
        seconds: training time, without making corpus and streams.
        streams: number of augmented streams of 24 s.
        seed: of every random choice.
        jobs: processes that make streams, and threads that train.
        device: what trains.
    """

    corpus: CorpusSettings
    captured: tuple[Captured, ...]
    sounds: tuple[Path, ...]
    work: Path
    output: Path
    seconds: float
    streams: int
    seed: int
    jobs: int
    device: torch.device


def run(settings: RunSettings) -> None:
    """Makes the model from nothing, or from where the last run stopped."""
    torch.set_num_threads(settings.jobs)
    torch.manual_seed(settings.seed)
    settings.work.mkdir(parents=True, exist_ok=True)
    streams = made_streams(
        settings.corpus,
        settings.work / "streams",
        settings.streams,
        seed=settings.seed,
        jobs=settings.jobs,
    )
    scale = motion_scale(streams)
    rng = np.random.default_rng(settings.seed)
    streams += captured_streams(settings.captured, CAPTURED_COPIES, rng=rng)
    print(f"{len(streams)} streams, {settings.streams} of them spoken by machines")
    with TrainingLog(settings.work / "log") as log:
        train_and_export(settings, streams, scale=scale, log=log)


def motion_scale(streams: Sequence[Stream]) -> Tensor:
    """Returns [60] root mean squares about rest, 0 for coefficients that never move."""
    total = np.zeros(streams[0].motion.shape[1])
    for stream in streams:
        total += np.square(stream.motion.astype(np.float64)).mean(axis=0)
    scale = np.sqrt(total / len(streams)).astype(np.float32)
    scale[scale < _SMALLEST_SPREAD] = 0.0
    return torch.from_numpy(scale)


def train_and_export(
    settings: RunSettings, streams: Sequence[Stream], *, scale: Tensor, log: TrainingLog
) -> None:
    """Trains the stages within the time; writes the teacher and the student."""
    seed, loss = settings.seed, MotionLoss(scale).to(settings.device)
    student_loss = MotionLoss(scale, life=STUDENT_LIFE).to(settings.device)
    task = train_encoder(
        streams,
        AudioEncoder(**ENCODER),
        scale=scale,
        box=_box(settings, "encoder"),
        seed=seed,
        log=log,
        device=settings.device,
    )
    network = MotionDenoiser(
        **_DENOISER,
        motion_size=NETWORK_SIZE,
        style_names=STYLE_NAMES,
        mean=(0.0,) * NETWORK_SIZE,
        scale=tuple(scale.tolist()),
    ).to(settings.device)
    history = network.config["history_frames"]
    data = encode_streams(task.encoder, streams, scale=scale, history=history, seed=seed + 8)
    box = _box(settings, "flow")
    teacher = train_flow(data, network, loss=loss, box=box, seed=seed + 1, log=log)
    box = _box(settings, "together")
    task, teacher = train_together(
        data, streams, task, teacher, loss=loss, box=box, seed=seed + 2, log=log
    )
    encoder = _finished(task)
    data = encode_streams(encoder, streams, scale=scale, history=history, seed=seed + 9)
    box = _box(settings, "rollouts")
    lively = MotionLoss(scale, life=TEACHER_LIFE).to(settings.device)
    teacher = train_rollouts(data, teacher, loss=lively, box=box, seed=seed + 11, log=log)
    write_model(encoder, teacher, settings.work / "teacher", steps=TEACHER_STEPS)
    for part in (encoder, teacher):
        part.to(settings.device)  # type: ignore[arg-type]
    box = _box(settings, "endpoints")
    student = train_endpoints(data, teacher, loss=student_loss, box=box, seed=seed + 3, log=log)
    box = _box(settings, "shortened")
    student = train_shortened(data, student, loss=student_loss, box=box, seed=seed + 12, log=log)
    write_model(encoder, student, settings.output, steps=STUDENT_STEPS)
    fit_gains(
        settings.output,
        settings.work / "teacher",
        streams=streams,
        voices=some_speech(_first_spoken(settings.corpus)),
        seed=seed + 5,
    )
    presence = train_presence(
        encoder,
        streams,
        recordings=[each for folder in settings.sounds for each in load_recordings(folder)],
        hard=_HARD_STREAMS,
        steps=_PRESENCE_STEPS,
        seed=seed + 4,
    )
    box = _box(settings, "listener")
    listener = train_listener(
        streams, scale=scale, box=box, seed=seed + 6, log=log, device=settings.device
    )
    for folder in (settings.output, settings.work / "teacher"):
        save_presence(presence, folder / PRESENCE_FILE)
        write_listener(listener, folder)
    fit_cues(settings)


def fit_cues(settings: RunSettings) -> None:
    """Fits what tells contacts and open vowels, for teacher and student: they hear the same."""
    make_cues(settings.output, load_corpus(settings.corpus), seed=settings.seed + 7)
    shutil.copyfile(settings.output / CUES_FILE, settings.work / "teacher" / CUES_FILE)


def _first_spoken(corpus: CorpusSettings) -> list[Utterance]:
    """Returns the first of what each engine says; the whole corpus would fill the memory."""
    firsts = [shard for shard in shards(corpus) if shard.number == 0]
    return [utterance for shard in firsts for utterance in load_utterances(shard.path)]


def _finished(task: EncoderTask) -> AudioEncoder:
    """Returns the encoder without its heads, with the weights that will be stored."""
    round_to_half(task.encoder)
    return task.encoder.eval()


def write_model(
    encoder: AudioEncoder, denoiser: MotionDenoiser, folder: Path, *, steps: int
) -> None:
    """Writes pipeline, graphs and settings; the networks' weights are rounded to half precision."""
    for part in (encoder, denoiser):
        part.cpu()
        round_to_half(part)
    # Copies: halving would round the constants too, which no file holds.
    halved_encoder, halved_denoiser = copy.deepcopy(encoder), copy.deepcopy(denoiser)
    for half in (halved_encoder, halved_denoiser):
        half.half()  # type: ignore[no-untyped-call]
    folder.mkdir(parents=True, exist_ok=True)
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0)
    MotionPipeline(halved_encoder, halved_denoiser, scheduler).save_pretrained(folder)
    weights = {name: folder / name / SAFETENSORS_WEIGHTS_NAME for name in ("encoder", "denoiser")}
    export_encoder(encoder, folder / "encoder.onnx", weights=weights["encoder"])
    export_denoiser(denoiser, folder / "denoiser.onnx", weights=weights["denoiser"])
    write_serving_file(denoiser, encoder, folder / "serving.json", steps=steps)


def _box(settings: RunSettings, stage: str) -> TimeBox:
    """Returns the stage's budget, which begins to run now."""
    return TimeBox(settings.seconds * _SHARES[stage], settings.work / f"{stage}.pt")
