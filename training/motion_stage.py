"""Stages B to D2: the denoiser continues motion to sound, then does it in few steps.

B, flow matching with x0-prediction along the straight path; lips are told, not drawn. C, the same
with the encoder learning along; C2, after histories that the network made itself. D, endpoint
regression: what the student does in one, two or four steps from some noise is what its teacher
does in many from the same noise, after histories that the student made itself; lips go on
learning the truth, so that they do not depend on the noise. D2: one step, which is served, is
taught what two do, whose ends a single step can reach more nearly than the teacher's.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from streaming_model.motion.denoiser import DenoiserInputs, MotionDenoiser
from training.bank import StreamBank
from training.dataset import Stream
from training.denoiser_loss import endpoint_loss, flow_loss, shortened_loss
from training.encoder_stage import EncoderTask
from training.logs import TrainingLog
from training.motion_loss import MotionLoss
from training.paths import flow_path, rolled
from training.timebox import TimeBox, average_into, batch_on, reduced_precision
from training.windows import BATCH, MotionData, draw_windows

_PEAK_RATE: Final = 1.5e-3
_TOGETHER_RATE: Final = 6e-4
_ENCODER_RATE: Final = 3e-4
_TOGETHER_BATCH: Final = 48
_WARM: Final = 40  # frames that the encoder hears before a window
_HEARD_WEIGHT: Final = 0.3  # of the encoder's own loss while it learns along
_STUDENT_RATE: Final = 4e-4
_ROLLED_CHUNKS: Final = (1, 2, 2, 3, 5)
_ROLLED_STEPS: Final = (2, 4, 8)
_PATH_STEPS: Final = {"cpu": 8, "cuda": 24}  # of the teacher that is followed
_STEPS: Final = (1, 1, 2, 4)
_CHUNKS: Final = (1, 2, 2, 3)  # the last of them is learnt, after the student's own
_SHORTENED_STEPS: Final = (1, 1, 1, 2, 4)
_GUIDED_SHARE: Final = 0.15  # of the batches


def train_flow(
    data: MotionData,
    network: MotionDenoiser,
    *,
    loss: MotionLoss,
    box: TimeBox,
    seed: int,
    log: TrainingLog,
) -> MotionDenoiser:
    """Returns the averaged network after stage B."""
    history, size = network.config["history_frames"], batch_on(data.motion.device, BATCH)

    def draw(rng: np.random.Generator) -> Tensor:
        windows = draw_windows(data, history=history, rng=rng, size=size)
        return flow_loss(network, windows, loss)

    average: MotionDenoiser
    (average,) = _train([network], draw, rates=[_PEAK_RATE], box=box, seed=seed, log=log)
    return average


def train_together(
    data: MotionData,
    streams: Sequence[Stream],
    task: EncoderTask,
    network: MotionDenoiser,
    *,
    loss: MotionLoss,
    box: TimeBox,
    seed: int,
    log: TrainingLog,
) -> tuple[EncoderTask, MotionDenoiser]:
    """Returns the averaged encoder and network after stage C, in which both learn."""
    history, device = network.config["history_frames"], data.motion.device
    size, bank = batch_on(device, _TOGETHER_BATCH), StreamBank(streams, device)

    def draw(rng: np.random.Generator) -> Tensor:
        windows = draw_windows(data, history=history, rng=rng, size=size, earliest=_WARM + history)
        frames = _WARM + windows.audio.shape[1]
        heard = bank.recoloured(windows.rows, windows.starts - history - _WARM, frames)
        with reduced_precision(heard.mel.device):
            features = task.encoder.encode(heard.mel)
        flow = flow_loss(network, windows, loss, audio=features[:, _WARM:].float())
        return flow + _HEARD_WEIGHT * task.loss_of(features, heard)

    rates = [_ENCODER_RATE, _TOGETHER_RATE]
    averages = _train([task, network], draw, rates=rates, box=box, seed=seed, log=log)
    return averages[0], averages[1]


def train_rollouts(
    data: MotionData,
    network: MotionDenoiser,
    *,
    loss: MotionLoss,
    box: TimeBox,
    seed: int,
    log: TrainingLog,
) -> MotionDenoiser:
    """Returns the averaged network after stage C2, in which it goes on from what it made."""
    history, size = network.config["history_frames"], batch_on(data.motion.device, BATCH)

    def draw(rng: np.random.Generator) -> Tensor:
        chunks, steps = int(rng.choice(_ROLLED_CHUNKS)), int(rng.choice(_ROLLED_STEPS))
        windows = draw_windows(data, history=history, rng=rng, chunks=chunks, size=size)
        past = rolled(windows, partial(_several_steps, network, steps))
        return flow_loss(network, windows, loss, past=past)

    average: MotionDenoiser
    (average,) = _train([network], draw, rates=[_TOGETHER_RATE], box=box, seed=seed, log=log)
    return average


def train_endpoints(
    data: MotionData,
    teacher: MotionDenoiser,
    *,
    loss: MotionLoss,
    box: TimeBox,
    seed: int,
    log: TrainingLog,
) -> MotionDenoiser:
    """Returns the averaged student after stage D; it starts as a copy of the teacher."""
    student, path_steps = copy.deepcopy(teacher), _PATH_STEPS[data.motion.device.type]
    of = partial(endpoint_loss, student, teacher, loss=loss, path_steps=path_steps)
    return _train_student(data, student, of, steps=_STEPS, box=box, seed=seed, log=log)


def train_shortened(
    data: MotionData,
    elder: MotionDenoiser,
    *,
    loss: MotionLoss,
    box: TimeBox,
    seed: int,
    log: TrainingLog,
) -> MotionDenoiser:
    """Returns the averaged student after stage D2; it starts as a copy of the elder."""
    student = copy.deepcopy(elder)
    of = partial(shortened_loss, student, elder, loss=loss)
    return _train_student(data, student, of, steps=_SHORTENED_STEPS, box=box, seed=seed, log=log)


def _train_student(
    data: MotionData,
    student: MotionDenoiser,
    loss_of: Callable[..., Tensor],
    *,
    steps: Sequence[int],
    box: TimeBox,
    seed: int,
    log: TrainingLog,
) -> MotionDenoiser:
    """Returns the averaged student after single steps of its own, of so many each time.

    `loss_of(windows, steps=, step=, guidance=)` is minimised; some are guided.
    """
    history, size = student.config["history_frames"], batch_on(data.motion.device, BATCH)

    def draw(rng: np.random.Generator) -> Tensor:
        count = int(rng.choice(steps))
        windows = draw_windows(
            data, history=history, rng=rng, chunks=int(rng.choice(_CHUNKS)), size=size
        )
        guided = rng.random() < _GUIDED_SHARE
        step = int(rng.integers(count))
        guidance = float(rng.uniform(0.1, 1.0)) if guided else 0.0
        return loss_of(windows, steps=count, step=step, guidance=guidance)

    average: MotionDenoiser
    (average,) = _train([student], draw, rates=[_STUDENT_RATE], box=box, seed=seed, log=log)
    return average


def _several_steps(
    teacher: MotionDenoiser, steps: int, noise: Tensor, inputs: DenoiserInputs
) -> Tensor:
    return flow_path(teacher, noise, inputs, steps=steps)[-1]


def _train(
    networks: list[nn.Module],
    draw: Callable[[np.random.Generator], Tensor],
    *,
    rates: list[float],
    box: TimeBox,
    seed: int,
    log: TrainingLog,
) -> list[Any]:
    """Returns the averaged networks, of the same classes.

    `draw(rng)` is the loss that is minimised until the box is used up.
    """
    averages = [copy.deepcopy(network) for network in networks]
    optimiser = torch.optim.AdamW(
        [{"params": network.parameters()} for network in networks],
        betas=(0.9, 0.98),
        weight_decay=0.01,
    )
    saved = box.restore()
    if saved is not None:
        for network, average, states in zip(networks, averages, saved["networks"], strict=True):
            network.load_state_dict(states[0])
            average.load_state_dict(states[1])
        optimiser.load_state_dict(saved["optimiser"])
    torch.manual_seed(seed + box.step)
    rng = np.random.default_rng(seed + box.step)
    while box.fraction < 1:
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = box.learning_rate(rate)
        value = draw(rng)
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        for network in networks:
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        for network, average in zip(networks, averages, strict=True):
            average_into(average, network, decay=min(0.998, box.step / (box.step + 20)))
        box.step += 1
        if box.step % 100 == 0:
            log.scalar(f"{box.path.stem}/loss", value.item(), box.step)
            print(f"{box.path.stem} step {box.step}: loss {value.item():.3f} ({box.fraction:.0%})")
        box.checkpoint(lambda: _states(networks, averages, optimiser))
    box.checkpoint(lambda: _states(networks, averages, optimiser), force=True)
    return [average.eval() for average in averages]


def _states(
    networks: list[nn.Module], averages: list[nn.Module], optimiser: torch.optim.Optimizer
) -> dict[str, Any]:
    pairs = zip(networks, averages, strict=True)
    return {
        "networks": [(network.state_dict(), average.state_dict()) for network, average in pairs],
        "optimiser": optimiser.state_dict(),
    }
