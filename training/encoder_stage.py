"""Stage A: the audio encoder learns phones, contacts of the lips and the mouth, from sound alone.

Each feature must tell them for its own frame and for the three frames before: the sound of a
phone goes on after it, and the transition out of a closure tells which it was. The heads are
dropped afterwards.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.motion.contacts import CONTACT_NAMES
from streaming_model.motion.style import Activity
from streaming_model.motion_space import INDEX, MOTION_SIZE
from training.bank import StreamBank, Window, draw_heard
from training.dataset import LABELS_PER_FRAME, UNKNOWN_PHONE, Stream
from training.logs import TrainingLog
from training.phones import PHONE_INDEX, PHONES
from training.timebox import TimeBox, average_into, batch_on, reduced_precision

CPU: Final = torch.device("cpu")
DELAYS: Final = 4  # frames: now, and one, two and three frames ago
_WINDOW: Final = 100  # frames
_WARM: Final = 25  # frames at the window's start that are not scored
_BATCH: Final = 16
PEAK_RATE: Final = 2e-3
_NOISY_SHARE: Final = 0.35  # of the windows, beside the noise that streams have already
# What the eye sees a mouth do wrong costs more than what only the ear would notice.
_SEEN: Final = ("P", "B", "M", "F", "V")
_SEEN_WEIGHT: Final = 1.7
_HEARD: Final = (
    "jawOpen",
    "mouthClose",
    "mouthFunnel",
    "mouthPucker",
    "mouthLowerDownLeft",
    "mouthUpperUpLeft",
    "mouthStretchLeft",
    "mouthRollLower",
)


@dataclass(frozen=True)
class Emphasis:
    """What counts how much beside the phones.

    Attributes:
        mouth: the mouth's coefficients.
        contacts: the contacts of the lips.
        delays: of each delay: two frames later is how sound is heard by default.
    """

    mouth: float = 0.5
    contacts: float = 3.0
    delays: tuple[float, ...] = (0.7, 0.9, 1.5, 0.9)


class EncoderTask(nn.Module):
    """The encoder with its heads.

    Args:
        encoder: maps log-mel to features.
        scale: [60] spread of each number of the motion.
        emphasis: what it is to learn.
    """

    heard: Tensor
    weights: Tensor
    scale: Tensor

    def __init__(
        self, encoder: AudioEncoder, *, scale: Tensor, emphasis: Emphasis | None = None
    ) -> None:
        super().__init__()
        self.emphasis = emphasis or Emphasis()
        self.encoder = encoder
        size = encoder.config["feature_size"]
        heard = torch.tensor([INDEX[name] for name in _HEARD])
        self.phones = nn.Linear(size, DELAYS * LABELS_PER_FRAME * len(PHONES))
        self.mouth = nn.Linear(size, DELAYS * len(_HEARD))
        self.contacts = nn.Linear(size, DELAYS * len(CONTACT_NAMES))
        weights = torch.ones(len(PHONES))
        weights[[PHONE_INDEX[phone] for phone in _SEEN]] = _SEEN_WEIGHT
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("heard", heard)
        self.register_buffer("scale", scale[heard].clamp(min=1e-3))

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns scores of phones and contacts, and the mouth, each for every delay.

        Shapes: [batch, frames, delays, 2, phones], [batch, frames, delays, 2] and
        [batch, frames, delays, 8].
        """
        return self.heads(self.encoder.encode(mel))

    def heads(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns what `forward` does, from [batch, frames, size] features."""
        scores = self.phones(features).unflatten(2, (DELAYS, LABELS_PER_FRAME, len(PHONES)))
        contacts = self.contacts(features).unflatten(2, (DELAYS, len(CONTACT_NAMES)))
        return scores, contacts, self.mouth(features).unflatten(2, (DELAYS, -1))

    def loss(self, window: Window) -> Tensor:
        """Returns the training loss of a batch of windows."""
        with reduced_precision(window.mel.device):
            features = self.encoder.encode(window.mel)
        return self.loss_of(features, window)

    def loss_of(self, features: Tensor, window: Window) -> Tensor:
        """Returns the loss where the windows' features are known already."""
        with reduced_precision(features.device):
            scores, contacts, mouth = (each.float() for each in self.heads(features))
        frames = window.phones.shape[1]
        target = window.motion[:, :, self.heard] / self.scale
        met = window.motion[:, :, MOTION_SIZE:].clamp(0, 1)
        total, emphasis = window.mel.new_zeros(()), self.emphasis
        for delay in range(DELAYS):
            then = slice(_WARM - delay, frames - delay)
            heard = scores[:, _WARM:, delay].flatten(0, 2)
            wanted = window.phones[:, then].flatten()
            told = nn.functional.cross_entropy(
                heard, wanted, self.weights, label_smoothing=0.05, ignore_index=UNKNOWN_PHONE
            )
            shown = (mouth[:, _WARM:, delay] - target[:, then]).square().mean(dim=(1, 2))
            touch = nn.functional.binary_cross_entropy_with_logits(
                contacts[:, _WARM:, delay], met[:, then], reduction="none"
            )
            met_well = (touch.mean(dim=(1, 2)) * window.known).mean()
            total = total + emphasis.delays[delay] * (
                told + emphasis.mouth * shown.mean() + emphasis.contacts * met_well
            )
        return total / DELAYS


def train_encoder(
    streams: Sequence[Stream],
    encoder: AudioEncoder,
    *,
    scale: Tensor,
    box: TimeBox,
    seed: int,
    log: TrainingLog,
    device: torch.device = CPU,
    emphasis: Emphasis | None = None,
    name: str = "encoder",
    peak_rate: float = PEAK_RATE,
) -> EncoderTask:
    """Returns the task trained on `device` until the box is used up, with averaged weights.

    `name` is what logs and progress call it, `peak_rate` the largest of the learning rates.
    """
    torch.manual_seed(seed)
    task = EncoderTask(encoder, scale=scale, emphasis=emphasis).to(device)
    average = copy.deepcopy(task)
    optimiser = torch.optim.AdamW(task.parameters(), betas=(0.9, 0.98), weight_decay=0.02)
    if (saved := box.restore()) is not None:
        task.load_state_dict(saved["task"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        torch.manual_seed(seed + box.step)
    # Of captured speech nobody knows the phones.
    told = [stream for stream in streams if stream.mask.all()]
    speech = StreamBank([each for each in told if each.activity is not Activity.LISTEN], device)
    wordless = [stream for stream in told if not stream.phones.any()]
    sounds = StreamBank(wordless, device) if wordless else None
    size = batch_on(device, _BATCH)
    task.train()
    while box.fraction < 1:
        for group in optimiser.param_groups:
            group["lr"] = box.learning_rate(peak_rate)
        loss = task.loss(
            draw_heard(speech, sounds, frames=_WINDOW, size=size, noisy_share=_NOISY_SHARE)
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(task.parameters(), 1.0)
        optimiser.step()
        average_into(average, task, decay=min(0.998, box.step / (box.step + 20)))
        box.step += 1
        if box.step % 100 == 0:
            log.scalar(f"{name}/loss", loss.item(), box.step)
            print(f"{name} step {box.step}: loss {loss.item():.3f} ({box.fraction:.0%})")
        box.checkpoint(lambda: _states(task, average, optimiser))
    box.checkpoint(lambda: _states(task, average, optimiser), force=True)
    return average.eval()


def _states(
    task: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer
) -> dict[str, Any]:
    return {
        "task": task.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
    }


@torch.no_grad()
def phone_accuracy(task: EncoderTask, streams: Sequence[Stream]) -> list[float]:
    """Returns the share of right phone labels outside silence, for each delay."""
    right = np.zeros(DELAYS)
    count = np.zeros(DELAYS)
    for stream in streams:
        scores, _, _ = task(torch.from_numpy(stream.mel.astype(np.float32))[None])
        best = scores[0].argmax(-1).numpy()
        frames = len(best)
        for delay in range(DELAYS):
            truth = stream.phones[: frames - delay]
            spoken = truth > 0
            right[delay] += ((best[delay:, delay] == truth) & spoken).sum()
            count[delay] += spoken.sum()
    return [float(value) for value in right / np.maximum(1, count)]
