"""What networks make by themselves: paths from noise to motion, and one chunk after another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from streaming_model.motion.denoiser import DenoiserInputs, MotionDenoiser
from training.timebox import reduced_precision
from training.windows import Windows

_LIMIT = 6.0  # of motion, in units of its spread, as when serving


def denoise(network: MotionDenoiser, x_t: Tensor, t: Tensor, inputs: DenoiserInputs) -> Tensor:
    """Returns the network's x0 in single precision."""
    with reduced_precision(x_t.device):
        x0: Tensor = network(x_t, t, inputs)
    return x0.float()


def filled(like: Tensor, value: float) -> Tensor:
    """Returns [batch] of one value, on the device of a batch."""
    return like.new_full((len(like),), value)


@torch.no_grad()
def flow_path(
    network: MotionDenoiser,
    noise: Tensor,
    inputs: DenoiserInputs,
    *,
    steps: int,
    guidance: float = 0.0,
) -> list[Tensor]:
    """Returns x_t [batch, N, motion] at evenly spaced times, from noise at t = 1 to motion at 0.

    With guidance it goes as much beyond what the network would do without sound.
    """
    deaf = replace(inputs, audio=torch.zeros_like(inputs.audio))
    path = [noise]
    for step in range(steps):
        t = filled(noise, 1 - step / steps)
        x0 = denoise(network, path[-1], t, inputs)
        if guidance:
            x0 = x0 + guidance * (x0 - denoise(network, path[-1], t, deaf))
        path.append(path[-1] + (x0 - path[-1]) / (steps - step))
    return path


@torch.no_grad()
def told_path(
    student: MotionDenoiser, noise: Tensor, inputs: DenoiserInputs, *, until: int
) -> Tensor:
    """Returns where a network that is told its step's length gets in its first `until` steps."""
    x, length = noise, float(inputs.step_size[0])
    for step in range(until):
        t = 1 - step * length
        x0 = denoise(student, x, filled(x, t), inputs)
        x = x + length / t * (x0 - x)
    return x


@torch.no_grad()
def rolled(windows: Windows, make: Callable[[Tensor, DenoiserInputs], Tensor]) -> Tensor:
    """Returns the history [batch, K, motion] of the last chunk, all before it made by `make`.

    Args:
        windows: of any number of chunks.
        make: turns noise and inputs into a chunk.
    """
    past = windows.past
    for chunk in range(windows.chunks - 1):
        made = make(torch.randn_like(windows.target()), windows.inputs(chunk, past))
        past = torch.cat([past, made.clamp(-_LIMIT, _LIMIT)], dim=1)[:, windows.new :]
    return past
