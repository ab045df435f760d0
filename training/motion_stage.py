"""Stages B and C: the denoiser learns to continue motion to sound, then to do it in two steps.

B is flow matching with x0-prediction along the straight path. C regresses one and two steps
of the student on eight steps of its teacher from the same noise; lips go on learning the
truth, so that they do not depend on the noise.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from streaming_model.motion.denoiser import DenoiserInputs, MotionDenoiser
from streaming_model.motion.sampler import sample
from streaming_model.motion_space import INDEX, MOTION_NAMES, MOTION_SIZE, POSE
from training.dataset import STREAM_FRAMES, Stream
from training.timebox import TimeBox, average_into

_BATCH: Final = 96
_PEAK_RATE: Final = 1.5e-3
_STUDENT_RATE: Final = 4e-4
_TEACHER_STEPS: Final = 8
_NEW_FRAMES: Final = (1, 2, 2, 4, 5)
_LOOKAHEAD: Final = (0, 1, 2, 2, 3, 4, 6, 8)
_CLOSE_RANGE: Final = 0.04  # lip gap, in units of jawOpen, within which touching matters


@dataclass(frozen=True)
class MotionData:
    """All streams as tensors, with silence put before each for the history.

    Attributes:
        features: [streams, K + frames, audio] encoder output.
        motion: [streams, K + frames, motion] divided by the scale.
        style: [streams, 4].
        activity: [streams] int64.
        active: [motion] 1 for coefficients that the model moves.
    """

    features: Tensor
    motion: Tensor
    style: Tensor
    activity: Tensor
    active: Tensor


@dataclass(frozen=True)
class Batch:
    """Clean frames, and the condition they were drawn with."""

    x0: Tensor
    inputs: DenoiserInputs


class MotionLoss(nn.Module):
    """Squared errors by group, of values, velocities, the seam and the closing of the lips."""

    scale: Tensor
    weight: Tensor
    mouth: Tensor

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        names = np.array(MOTION_NAMES)
        mouth = np.char.startswith(names, "mouth") | np.char.startswith(names, "jaw")
        mouth |= names == "tongueOut"
        weight = np.where(mouth, 1.0, 0.5)
        weight[[INDEX["jawOpen"], INDEX["mouthClose"]]] = 3.0
        weight[POSE] = 0.6
        weight[[INDEX["headX"], INDEX["headY"], INDEX["headZ"], INDEX["tongueOut"]]] = 0.2
        active = (scale > 0).numpy()
        self.register_buffer("scale", scale)
        self.register_buffer("mouth", torch.from_numpy(mouth & active))
        weights = torch.from_numpy((weight * active).astype(np.float32))
        self.register_buffer("weight", weights / weights.sum())

    def forward(self, x: Tensor, target: Tensor, before: Tensor) -> Tensor:
        """Returns [batch] losses of [batch, N, motion] frames that follow the two `before`."""
        loss = self._mean((x - target).square())
        moved = torch.cat([before, x], dim=1).diff(dim=1)
        wanted = torch.cat([before, target], dim=1).diff(dim=1)
        velocity = self._mean((moved - wanted)[:, 1:].square())
        seam = ((moved - wanted)[:, 1].square() * self.weight).sum(-1)
        # Only the head and the brows should be smooth; lips may be as quick as speech.
        jerky = (moved - wanted).diff(dim=1).square()
        smooth = (jerky * self.weight * ~self.mouth).sum(-1).mean(-1)
        gap, wanted_gap = self._lip_gap(x), self._lip_gap(target)
        near = torch.exp(-wanted_gap.clamp(min=0) / _CLOSE_RANGE)
        close = (near * ((gap - wanted_gap) / _CLOSE_RANGE).square()).mean(dim=1)
        return loss + 0.5 * velocity + 0.2 * seam + 0.5 * smooth + 0.2 * close

    def _mean(self, squared: Tensor) -> Tensor:
        return (squared * self.weight).sum(-1).mean(-1)

    def _lip_gap(self, x: Tensor) -> Tensor:
        motion = x * self.scale
        jaw = motion[..., INDEX["jawOpen"]] - motion[..., INDEX["mouthClose"]]
        lips = motion[..., INDEX["mouthLowerDownLeft"]] + motion[..., INDEX["mouthUpperUpLeft"]]
        rolled = motion[..., INDEX["mouthRollLower"]] + motion[..., INDEX["mouthRollUpper"]]
        return jaw + 0.4 * lips + 0.2 * motion[..., INDEX["mouthFunnel"]] - 0.2 * rolled


@torch.no_grad()
def encode_streams(
    encoder: nn.Module, streams: Sequence[Stream], *, scale: Tensor, history: int
) -> MotionData:
    """Returns the streams as the denoiser sees them."""
    features, motion = [], []
    divisor = torch.where(scale > 0, scale, torch.ones_like(scale))
    for stream in streams:
        mel = torch.from_numpy(stream.mel.astype(np.float32))[None]
        encoded = encoder.encode(mel)[0]  # type: ignore[operator]
        features.append(torch.cat([encoded.new_zeros(history, encoded.shape[1]), encoded]))
        moved = torch.from_numpy(stream.motion.astype(np.float32)) / divisor * (scale > 0)
        motion.append(torch.cat([moved.new_zeros(history, MOTION_SIZE), moved]))
    return MotionData(
        features=torch.stack(features),
        motion=torch.stack(motion),
        style=torch.from_numpy(np.stack([stream.style for stream in streams])),
        activity=torch.tensor([int(stream.activity) for stream in streams]),
        active=(scale > 0).float(),
    )


def draw_batch(data: MotionData, *, history: int, rng: np.random.Generator) -> Batch:
    """Returns a batch of windows with random chunk length, lookahead, noise and drops."""
    new, look = int(rng.choice(_NEW_FRAMES)), int(rng.choice(_LOOKAHEAD))
    rows = torch.from_numpy(rng.integers(len(data.motion), size=_BATCH))
    # One window in twenty begins with the stream.
    last_start = STREAM_FRAMES - new - look
    starts = rng.integers(last_start + 1, size=_BATCH) * (rng.random(_BATCH) > 0.05)
    frames = torch.from_numpy(starts)[:, None] + torch.arange(history + new + look)
    audio = data.features[rows[:, None], frames]
    motion = data.motion[rows[:, None], frames[:, : history + new]]
    known = (frames[:, :history] >= history).float()
    known *= torch.from_numpy((rng.random((_BATCH, 1)) > 0.2).astype(np.float32))
    noise = torch.from_numpy(rng.uniform(0, 0.25, _BATCH) * (rng.random(_BATCH) < 0.7)).float()
    past = motion[:, :history]
    past = past + noise[:, None, None] * torch.randn(past.shape) * data.active
    kept_style = torch.from_numpy(rng.random((_BATCH, 1)) > 0.1).float()
    inputs = DenoiserInputs(
        history=past,
        history_known=known,
        audio=audio,
        style=data.style[rows] * kept_style,
        activity=data.activity[rows],
        history_noise=noise,
        step_size=torch.zeros(_BATCH),
        guidance=torch.zeros(_BATCH),
    )
    return Batch(motion[:, history:], inputs)


def flow_loss(network: MotionDenoiser, batch: Batch, loss: MotionLoss) -> Tensor:
    """Returns stage B's loss: x0 from x_t = (1 - t) x0 + t e, t logit-normal or 1."""
    size = len(batch.x0)
    t = torch.sigmoid(0.4 + 1.2 * torch.randn(size))
    t = torch.where(torch.rand(size) < 0.15, torch.ones(size), t)
    x_t = (1 - t[:, None, None]) * batch.x0 + t[:, None, None] * torch.randn(batch.x0.shape)
    losses = loss(network(x_t, t, batch.inputs), batch.x0, batch.inputs.history[:, -2:])
    weight = torch.clamp(1 / t.square(), max=20.0)
    weighted: Tensor = (losses * weight).sum() / weight.sum()
    return weighted


def endpoint_loss(
    student: MotionDenoiser, teacher: MotionDenoiser, batch: Batch, loss: MotionLoss
) -> Tensor:
    """Returns stage C's loss: one and two steps against the teacher's eight, same noise."""
    noise, size = torch.randn(batch.x0.shape), len(batch.x0)

    def predict(x: Tensor, t: float, _step: float) -> Tensor:
        predicted: Tensor = teacher(x, torch.full((size,), t), batch.inputs)
        return predicted

    with torch.no_grad():
        half = _half_way(noise, predict)
        end = sample(noise, predict, steps=_TEACHER_STEPS)
    end = torch.where(loss.mouth, batch.x0, end)
    one, rest = slice(0, size // 3), slice(size // 3, size)
    steps = torch.full((size,), 0.5)
    steps[one] = 1.0
    inputs = replace(batch.inputs, step_size=steps)
    first = student(noise, torch.ones(size), inputs)
    target = end.clone()
    target[rest] = torch.where(loss.mouth, batch.x0, 2 * half - noise)[rest]
    before = batch.inputs.history[:, -2:]
    total = loss(first, target, before).mean()
    reached = (0.5 * (first + noise)).detach()
    second_inputs = _select(inputs, rest)
    second = student(reached[rest], torch.full((size - size // 3,), 0.5), second_inputs)
    combined: Tensor = total + loss(second, end[rest], before[rest]).mean()
    return combined


def _half_way(noise: Tensor, predict: Callable[[Tensor, float, float], Tensor]) -> Tensor:
    x = noise
    for step in range(_TEACHER_STEPS // 2):
        t = 1 - step / _TEACHER_STEPS
        x = x - (x - predict(x, t, 0.0)) / (t * _TEACHER_STEPS)
    return x


def _select(inputs: DenoiserInputs, rows: slice) -> DenoiserInputs:
    return DenoiserInputs(**{name: value[rows] for name, value in vars(inputs).items()})


def train_flow(
    data: MotionData, network: MotionDenoiser, *, loss: MotionLoss, box: TimeBox, seed: int
) -> MotionDenoiser:
    """Returns the averaged network after stage B."""
    return _train(data, network, None, loss=loss, box=box, seed=seed)


def train_endpoints(
    data: MotionData, teacher: MotionDenoiser, *, loss: MotionLoss, box: TimeBox, seed: int
) -> MotionDenoiser:
    """Returns the averaged student after stage C; it starts as a copy of the teacher."""
    return _train(data, copy.deepcopy(teacher), teacher, loss=loss, box=box, seed=seed)


def _train(
    data: MotionData,
    network: MotionDenoiser,
    teacher: MotionDenoiser | None,
    *,
    loss: MotionLoss,
    box: TimeBox,
    seed: int,
) -> MotionDenoiser:
    torch.manual_seed(seed)
    average = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
    if (saved := box.restore()) is not None:
        network.load_state_dict(saved["network"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
    rng = np.random.default_rng(seed + box.step)
    while box.fraction < 1:
        for group in optimiser.param_groups:
            group["lr"] = box.learning_rate(_STUDENT_RATE if teacher else _PEAK_RATE)
        batch = draw_batch(data, history=network.config["history_frames"], rng=rng)
        if teacher is None:
            value = flow_loss(network, batch, loss)
        else:
            value = endpoint_loss(network, teacher, batch, loss)
        optimiser.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        average_into(average, network, decay=min(0.998, box.step / (box.step + 20)))
        box.step += 1
        if box.step % 200 == 0:
            print(f"motion step {box.step}: loss {value.item():.3f} ({box.fraction:.0%})")
        box.checkpoint(_states(network, average, optimiser))
    box.checkpoint(_states(network, average, optimiser), force=True)
    return average.eval()


def _states(
    network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer
) -> dict[str, Any]:
    return {
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
    }
