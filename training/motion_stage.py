"""Stages B to D: the denoiser continues motion to sound, then does it in few steps.

B, flow matching with x0-prediction along the straight path. C, the same with the encoder learning
along. D, endpoint regression: what the student does in one, two or four steps from some noise
is what its teacher does in eight from the same noise, after histories that the student made
itself; lips go on learning the truth, so that they do not depend on the noise.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from streaming_model.motion.denoiser import DenoiserInputs, MotionDenoiser
from training.bank import StreamBank
from training.dataset import Stream
from training.encoder_stage import EncoderTask
from training.logs import TrainingLog
from training.motion_loss import MotionLoss
from training.timebox import TimeBox, average_into, batch_on, reduced_precision
from training.windows import BATCH, MotionData, Windows, draw_windows

_PEAK_RATE: Final = 1.5e-3
_TOGETHER_RATE: Final = 6e-4
_ENCODER_RATE: Final = 3e-4
_TOGETHER_BATCH: Final = 48
_WARM: Final = 40  # frames that the encoder hears before a window
_HEARD_WEIGHT: Final = 0.3  # of the encoder's own loss while it learns along
_STUDENT_RATE: Final = 4e-4
_TEACHER_STEPS: Final = 8
_STEPS: Final = (1, 1, 2, 4)
_CHUNKS: Final = (1, 2, 2, 3)  # the last of them is learnt, after the student's own
_GUIDED_SHARE: Final = 0.15  # of the batches
_LIMIT: Final = 6.0  # as when serving


def denoise(network: MotionDenoiser, x_t: Tensor, t: Tensor, inputs: DenoiserInputs) -> Tensor:
    """Returns the network's x0 in single precision."""
    with reduced_precision(x_t.device):
        x0: Tensor = network(x_t, t, inputs)
    return x0.float()


def flow_loss(
    network: MotionDenoiser, windows: Windows, loss: MotionLoss, *, audio: Tensor | None = None
) -> Tensor:
    """Returns stage B's loss: x0 from x_t = (1 - t) x0 + t e, t logit-normal or 1.

    `audio` takes the place of the windows' own features, to learn through them.
    """
    target, inputs, size = windows.target(), windows.inputs(), len(windows.rows)
    if audio is not None:
        inputs = replace(inputs, audio=audio)
    t = torch.sigmoid(0.4 + 1.2 * torch.randn(size, device=target.device))
    t = torch.where(torch.rand_like(t) < 0.15, torch.ones_like(t), t)
    x_t = (1 - t[:, None, None]) * target + t[:, None, None] * torch.randn_like(target)
    x0 = denoise(network, x_t, t, inputs)
    losses = loss(x0, target, inputs.history[:, -2:], windows.mask)
    weight = torch.clamp(1 / t.square(), max=20.0)
    weighted: Tensor = (losses * weight).sum() / weight.sum()
    return weighted


def endpoint_loss(
    student: MotionDenoiser,
    teacher: MotionDenoiser,
    windows: Windows,
    loss: MotionLoss,
    *,
    steps: int,
    step: int,
    guidance: float = 0.0,
) -> Tensor:
    """Returns stage D's loss: one of the student's steps against the teacher's path.

    Args:
        student: learns.
        teacher: shows the path from the same noise and history.
        windows: all chunks but the last are the student's own.
        loss: on the last chunk.
        steps: 1, 2 or 4, of the student.
        step: which of them is learnt.
        guidance: how far the teacher goes beyond what it would do without sound.
    """
    past = _roll(student, windows)
    inputs, truth = windows.inputs(windows.chunks - 1, past), windows.target(windows.chunks - 1)
    noise = torch.randn_like(truth)
    path = _teacher_path(teacher, noise, inputs, guidance=guidance)
    t, length = 1 - step / steps, 1 / steps
    told = replace(
        inputs,
        step_size=_filled(truth, length),
        guidance=_filled(truth, guidance),
    )
    x_t, target = path[step * _TEACHER_STEPS // steps], path[-1]
    if 0 < step == steps - 1:
        x_t = _own_path(student, noise, told, until=step)
    else:
        x_s = path[(step + 1) * _TEACHER_STEPS // steps]
        target = x_t + (t / length) * (x_s - x_t)
    before = wanted_before = past[:, -2:]
    if not guidance:
        target = torch.where(loss.mouth, truth, target)
        wanted_before = torch.where(loss.mouth, windows.before(windows.chunks - 1), before)
    x0 = denoise(student, x_t, _filled(truth, t), told)
    mean: Tensor = loss(x0, target, before, windows.mask, target_before=wanted_before).mean()
    return mean


def _filled(like: Tensor, value: float) -> Tensor:
    """Returns [batch] of one value, on the device of a batch."""
    return like.new_full((len(like),), value)


@torch.no_grad()
def _roll(student: MotionDenoiser, windows: Windows) -> Tensor:
    """Returns the history of the last chunk, after the student made those before it."""
    past = windows.past
    for chunk in range(windows.chunks - 1):
        inputs = windows.inputs(chunk, past)
        inputs = replace(inputs, step_size=_filled(past, 1.0))
        noise = torch.randn_like(windows.target())
        made = denoise(student, noise, _filled(past, 1.0), inputs).clamp(-_LIMIT, _LIMIT)
        past = torch.cat([past, made], dim=1)[:, windows.new :]
    return past


@torch.no_grad()
def _teacher_path(
    teacher: MotionDenoiser, noise: Tensor, inputs: DenoiserInputs, *, guidance: float
) -> list[Tensor]:
    """Returns x_t at the teacher's times, from noise at t = 1 to motion at t = 0."""
    deaf = replace(inputs, audio=torch.zeros_like(inputs.audio))
    path = [noise]
    for step in range(_TEACHER_STEPS):
        t = _filled(noise, 1 - step / _TEACHER_STEPS)
        x0 = denoise(teacher, path[-1], t, inputs)
        if guidance:
            x0 = x0 + guidance * (x0 - denoise(teacher, path[-1], t, deaf))
        left = _TEACHER_STEPS - step
        path.append(path[-1] + (x0 - path[-1]) / left)
    return path


@torch.no_grad()
def _own_path(
    student: MotionDenoiser, noise: Tensor, inputs: DenoiserInputs, *, until: int
) -> Tensor:
    """Returns where the student gets in its first `until` steps."""
    x, length = noise, float(inputs.step_size[0])
    for step in range(until):
        t = 1 - step * length
        x0 = denoise(student, x, _filled(x, t), inputs)
        x = x + length / t * (x0 - x)
    return x


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
    history, student = teacher.config["history_frames"], copy.deepcopy(teacher)
    size = batch_on(data.motion.device, BATCH)

    def draw(rng: np.random.Generator) -> Tensor:
        steps = int(rng.choice(_STEPS))
        windows = draw_windows(
            data, history=history, rng=rng, chunks=int(rng.choice(_CHUNKS)), size=size
        )
        guided = rng.random() < _GUIDED_SHARE
        return endpoint_loss(
            student,
            teacher,
            windows,
            loss,
            steps=steps,
            step=int(rng.integers(steps)),
            guidance=float(rng.uniform(0.1, 1.0)) if guided else 0.0,
        )

    average: MotionDenoiser
    (average,) = _train([student], draw, rates=[_STUDENT_RATE], box=box, seed=seed, log=log)
    return average


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
