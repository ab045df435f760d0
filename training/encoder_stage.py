"""Stage A: the audio encoder learns phones, and the mouth, from sound alone.

Each feature must tell the phone of its own frame and of the two frames before (the sound of
a phone goes on after it), and the mouth there. The heads are dropped afterwards.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.audio.features import MELS_PER_FRAME
from streaming_model.motion.style import Activity
from training.augment import warp_mel
from training.dataset import LABELS_PER_FRAME, STREAM_FRAMES, Stream
from training.phones import PHONES
from training.timebox import TimeBox, average_into

DELAYS: Final = 3  # frames: now, one and two frames ago
_WINDOW: Final = 100  # frames
_WARM: Final = 12  # frames at the window's start that are not scored
_BATCH: Final = 16
_PEAK_RATE: Final = 2e-3
_MOUTH_WEIGHT: Final = 0.5


class EncoderTask(nn.Module):
    """The encoder with its two heads."""

    active: Tensor
    scale: Tensor

    def __init__(self, encoder: AudioEncoder, *, scale: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        size = encoder.config["feature_size"]
        self.phones = nn.Linear(size, DELAYS * LABELS_PER_FRAME * len(PHONES))
        self.mouth = nn.Linear(size, DELAYS * int((scale > 0).sum()))
        self.register_buffer("active", scale > 0)
        self.register_buffer("scale", scale[scale > 0])

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Returns [batch, frames, delays, 2, phones] scores and [batch, frames, delays, motion]."""
        features = self.encoder.encode(mel)
        scores = self.phones(features).unflatten(2, (DELAYS, LABELS_PER_FRAME, len(PHONES)))
        return scores, self.mouth(features).unflatten(2, (DELAYS, -1))

    def loss(self, mel: Tensor, phones: Tensor, motion: Tensor) -> Tensor:
        """Returns the training loss of a batch of windows."""
        scores, mouth = self(mel)
        frames = phones.shape[1]
        target = motion[:, :, self.active] / self.scale
        total = mel.new_zeros(())
        for delay in range(DELAYS):
            heard = scores[:, _WARM:, delay].flatten(0, 2)
            wanted = phones[:, _WARM - delay : frames - delay].flatten()
            total = total + nn.functional.cross_entropy(heard, wanted, label_smoothing=0.05)
            shown = mouth[:, _WARM:, delay] - target[:, _WARM - delay : frames - delay]
            total = total + _MOUTH_WEIGHT * shown.square().mean()
        return total / DELAYS


def train_encoder(
    streams: Sequence[Stream], *, scale: Tensor, box: TimeBox, seed: int
) -> EncoderTask:
    """Returns the task trained until the box is used up, with averaged weights."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    task = EncoderTask(AudioEncoder(), scale=scale)
    average = copy.deepcopy(task)
    optimiser = torch.optim.AdamW(task.parameters(), betas=(0.9, 0.98), weight_decay=0.02)
    if (saved := box.restore()) is not None:
        task.load_state_dict(saved["task"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        rng = np.random.default_rng(seed + box.step)
    speech = [stream for stream in streams if stream.activity is not Activity.LISTEN]
    while box.fraction < 1:
        for group in optimiser.param_groups:
            group["lr"] = box.learning_rate(_PEAK_RATE)
        loss = task.loss(*_draw(speech, rng=rng))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(task.parameters(), 1.0)
        optimiser.step()
        average_into(average, task, decay=min(0.998, box.step / (box.step + 20)))
        box.step += 1
        if box.step % 100 == 0:
            print(f"encoder step {box.step}: loss {loss.item():.3f} ({box.fraction:.0%})")
        states = {"task": task.state_dict(), "average": average.state_dict()}
        box.checkpoint({**states, "optimiser": optimiser.state_dict()})
    box.checkpoint({**states, "optimiser": optimiser.state_dict()}, force=True)
    return average.eval()


def _draw(streams: Sequence[Stream], *, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    mel = np.empty((_BATCH, _WINDOW * MELS_PER_FRAME, streams[0].mel.shape[1]), np.float32)
    phones = np.empty((_BATCH, _WINDOW, LABELS_PER_FRAME), np.int64)
    motion = np.empty((_BATCH, _WINDOW, streams[0].motion.shape[1]), np.float32)
    for row in range(_BATCH):
        stream = streams[int(rng.integers(len(streams)))]
        start = int(rng.integers(STREAM_FRAMES - _WINDOW + 1))
        window = slice(start, start + _WINDOW)
        mel[row] = stream.mel[start * MELS_PER_FRAME : (start + _WINDOW) * MELS_PER_FRAME]
        mel[row] = _colour(mel[row], rng=rng)
        phones[row], motion[row] = stream.phones[window], stream.motion[window]
    return torch.from_numpy(mel), torch.from_numpy(phones), torch.from_numpy(motion)


def _colour(mel: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Returns the features with a random smooth equaliser, and sometimes a band missing."""
    bins = np.linspace(0, 1, mel.shape[1])
    curve = rng.normal(0, 0.06) + rng.normal(0, 0.12) * (bins - 0.5)
    curve = curve + rng.normal(0, 0.06) * np.sin(
        2 * np.pi * (rng.uniform(0.5, 2) * bins + rng.random())
    )
    mel = warp_mel(mel, float(rng.uniform(0.93, 1.07)))
    coloured = np.maximum(mel + curve.astype(np.float32), -2.0)
    if rng.random() < 0.3:
        low = int(rng.integers(mel.shape[1] - 10))
        coloured[:, low : low + int(rng.integers(3, 12))] = coloured.mean()
    return coloured


@torch.no_grad()
def phone_accuracy(task: EncoderTask, streams: Sequence[Stream]) -> list[float]:
    """Returns the share of right phone labels outside silence, for each delay."""
    right = np.zeros(DELAYS)
    count = 0
    for stream in streams:
        scores, _ = task(torch.from_numpy(stream.mel.astype(np.float32))[None])
        best = scores[0].argmax(-1).numpy()
        frames = len(best)
        for delay in range(DELAYS):
            truth = stream.phones[: frames - delay]
            spoken = truth > 0
            right[delay] += ((best[delay:, delay] == truth) & spoken).sum()
        count += int((stream.phones > 0).sum())
    return [float(value) for value in right / max(1, count)]
