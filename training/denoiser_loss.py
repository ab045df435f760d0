"""What stages B to D2 minimise.

Flow matching, a student's steps against its teacher's path, and one step against two.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from streaming_model.motion.denoiser import DenoiserInputs, MotionDenoiser
from streaming_model.motion_space import POSE
from training.motion_loss import MotionLoss
from training.paths import denoise, filled, flow_path, rolled, told_path
from training.windows import RETURN_FRAMES, Windows


def flow_loss(
    network: MotionDenoiser,
    windows: Windows,
    loss: MotionLoss,
    *,
    audio: Tensor | None = None,
    past: Tensor | None = None,
) -> Tensor:
    """Returns the loss of flow matching: x0 from x_t = (1 - t) x0 + t e, t logit-normal or 1.

    Of the mouth x_t holds another window's: it tells nothing, and x0 is what is likeliest.

    Args:
        network: learns.
        windows: of which the first chunk is learnt, or the last with `past`.
        loss: on that chunk.
        audio: takes the place of the windows' own features, to learn through them.
        past: [batch, K, motion] before the last chunk, made by the network itself.
    """
    chunk = 0 if past is None else windows.chunks - 1
    target, inputs = windows.target(chunk), windows.inputs(chunk, past)
    if audio is not None:
        inputs = replace(inputs, audio=audio)
    before = wanted_before = inputs.history[:, -2:]
    if past is not None:
        true_before = windows.before(chunk)
        target = gone_on(target, before - true_before, loss.mouth)
        wanted_before = torch.where(loss.mouth, true_before, before)
    size = len(windows.rows)
    t = torch.sigmoid(0.4 + 1.2 * torch.randn(size, device=target.device))
    t = torch.where(torch.rand_like(t) < 0.15, torch.ones_like(t), t)
    clean = torch.where(loss.mouth, target.roll(1, dims=0), target)
    x_t = (1 - t[:, None, None]) * clean + t[:, None, None] * torch.randn_like(target)
    x0 = denoise(network, x_t, t, inputs)
    losses = loss(x0, target, before, windows.mask, target_before=wanted_before)
    weight = torch.clamp(1 / t.square(), max=20.0)
    weighted: Tensor = (losses * weight).sum() / weight.sum()
    return weighted


def gone_on(truth: Tensor, away: Tensor, mouth: Tensor) -> Tensor:
    """Returns the truth [batch, N, motion] for a face that is not where it was.

    The mouth is at once where it should be. Head and brows go on from where they are and come
    back, for where they should be no sound tells; no expression falls below rest for it.

    Args:
        truth: the chunk.
        away: [batch, 2, motion] how far the two frames before it are out of place.
        mouth: [motion] bool.
    """
    ages = torch.arange(1, truth.shape[1] + 1, device=truth.device)
    gone = truth + away[:, -1:] * torch.exp(-ages / RETURN_FRAMES)[:, None]
    lowest = truth.clamp(max=0)
    lowest[..., POSE] = -torch.inf
    return torch.where(mouth, truth, torch.maximum(gone, lowest))


def endpoint_loss(
    student: MotionDenoiser,
    teacher: MotionDenoiser,
    windows: Windows,
    *,
    loss: MotionLoss,
    steps: int,
    step: int,
    guidance: float = 0.0,
    path_steps: int = 8,
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
        path_steps: of the teacher's path, a multiple of 4.
    """
    past = rolled(windows, partial(_one_step, student))
    inputs, truth = windows.inputs(windows.chunks - 1, past), windows.target(windows.chunks - 1)
    noise = torch.randn_like(truth)
    path = flow_path(teacher, noise, inputs, steps=path_steps, guidance=guidance)
    t, length = 1 - step / steps, 1 / steps
    told = replace(
        inputs,
        step_size=filled(truth, length),
        guidance=filled(truth, guidance),
    )
    x_t, target = path[step * path_steps // steps], path[-1]
    if 0 < step == steps - 1:
        x_t = told_path(student, noise, told, until=step)
    else:
        x_s = path[(step + 1) * path_steps // steps]
        target = x_t + (t / length) * (x_s - x_t)
    before = wanted_before = past[:, -2:]
    if not guidance:
        target = torch.where(loss.mouth, truth, target)
        wanted_before = torch.where(loss.mouth, windows.before(windows.chunks - 1), before)
    x0 = denoise(student, x_t, filled(truth, t), told)
    mean: Tensor = loss(x0, target, before, windows.mask, target_before=wanted_before).mean()
    return mean


def shortened_loss(
    student: MotionDenoiser,
    elder: MotionDenoiser,
    windows: Windows,
    *,
    loss: MotionLoss,
    steps: int,
    step: int,
    guidance: float = 0.0,
) -> Tensor:
    """Returns stage D2's loss: in one step what an elder student does in two, as it did in more.

    Args:
        student: learns.
        elder: is what it was before.
        windows: all chunks but the last are the student's own.
        loss: on all numbers of the last chunk.
        steps: 1, 2 or 4, of the student.
        step: which of them is learnt.
        guidance: scale of the guidance that both imitate.
    """
    past = rolled(windows, partial(_one_step, student))
    inputs, noise = windows.inputs(windows.chunks - 1, past), torch.randn_like(windows.target())
    t, told = 1 - step / steps, replace(inputs, guidance=filled(noise, guidance))
    halves, told = (replace(told, step_size=filled(noise, length)) for length in (1 / 2, 1 / steps))
    if steps == 1:
        x_t, target = noise, told_path(elder, noise, halves, until=2)
    else:
        x_t = told_path(elder, noise, told, until=step)
        with torch.no_grad():
            target = denoise(elder, x_t, filled(noise, t), told)
    x0 = denoise(student, x_t, filled(noise, t), told)
    mean: Tensor = loss(x0, target, past[:, -2:], torch.ones_like(windows.mask)).mean()
    return mean


def _one_step(student: MotionDenoiser, noise: Tensor, inputs: DenoiserInputs) -> Tensor:
    return denoise(
        student, noise, filled(noise, 1.0), replace(inputs, step_size=filled(noise, 1.0))
    )
