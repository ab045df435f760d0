"""Stage E: a second look at the finished encoder's features, for whether a voice sounds at all.

Learns from the streams, with phones or without, and from sounds made for it that are harder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from streaming_model.audio.encoder import AudioEncoder
from streaming_model.audio.features import stream_features
from streaming_model.media import SAMPLE_RATE
from streaming_model.motion.presence import AHEAD, PAST
from training import augment
from training.dataset import STREAM_FRAMES, STREAM_SECONDS, Stream
from training.machines import barking, electronic
from training.phones import PHONE_INDEX, SILENCE
from training.recorded import Samples, scenes
from training.timebox import reduced_precision

HIDDEN: Final = 64
_WINDOW: Final = PAST + 1 + AHEAD
_BATCH: Final = 512
_RATE: Final = 1e-3
_WORDLESS_WEIGHT: Final = 3.0  # a mouth that opens to a dog is worse than one that is late
_RECORDED_SHARE: Final = 0.5  # of the harder sounds, where there are recordings
_NEAR: Final = 4  # frames around a phone that count as voice: lips move before it sounds
_LENGTH: Final = STREAM_SECONDS * SAMPLE_RATE


class PresenceTask(nn.Module):
    """Scores a window of features; its weights are those of `motion.presence.Presence`."""

    def __init__(self, audio_size: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(_WINDOW * audio_size, HIDDEN)
        self.out = nn.Linear(HIDDEN, 1)

    def forward(self, windows: Tensor) -> Tensor:
        """Maps [batch, 13, audio_size] to [batch] scores before the logistic function."""
        scores: Tensor = self.out(torch.relu(self.hidden(windows.flatten(1))))[:, 0]
        return scores


def train_presence(
    encoder: AudioEncoder,
    streams: Sequence[Stream],
    *,
    recordings: Sequence[Samples] = (),
    hard: int,
    steps: int,
    seed: int,
) -> PresenceTask:
    """Returns the task after `steps`.

    Args:
        encoder: finished.
        streams: with speech and without; captured ones, whose phones nobody knows, are left out.
        recordings: sounds without a voice, of root mean square one, at 16 kHz.
        hard: how many streams of harder sounds to make, half of them from recordings.
        steps: of the optimiser.
        seed: of every random choice.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    told = [stream for stream in streams if stream.mask.all()]
    mels = [stream.mel for stream in told] + [_hard_mel(recordings, rng) for _ in range(hard)]
    voices = np.zeros((len(mels), STREAM_FRAMES), np.float32)
    for voice, stream in zip(voices, told, strict=False):
        voice[:] = near_voice(stream)
    features = torch.stack([_encode(encoder, mel) for mel in mels])
    truth = torch.from_numpy(voices)
    weight = torch.where(truth.sum(dim=1) == 0, _WORDLESS_WEIGHT, 1.0)
    task = PresenceTask(features.shape[2])
    optimiser = torch.optim.AdamW(task.parameters(), weight_decay=0.02)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * (1 - step / steps) + 0.01 * _RATE
        rows = torch.from_numpy(rng.integers(len(features), size=_BATCH))
        now = torch.from_numpy(rng.integers(PAST, STREAM_FRAMES - AHEAD, size=_BATCH))
        windows = features[rows[:, None], now[:, None] + torch.arange(-PAST, AHEAD + 1)].float()
        # Less lookahead than it could use, as serving may have.
        seen = torch.from_numpy(rng.integers(AHEAD + 1, size=_BATCH))
        for ahead in range(AHEAD):
            windows[seen <= ahead, PAST + 1 + ahead] = 0.0
        losses = nn.functional.binary_cross_entropy_with_logits(
            task(windows), truth[rows, now], reduction="none"
        )
        loss = (losses * weight[rows]).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % 500 == 0:
            print(f"presence step {step}: loss {loss.item():.3f}")
    return task.eval()


def near_voice(stream: Stream) -> np.ndarray:
    """Returns [frames] 1 where a phone sounds within 160 ms, else 0."""
    spoken = (stream.phones != PHONE_INDEX[SILENCE]).any(axis=1)
    near = np.convolve(spoken, np.ones(2 * _NEAR + 1), "same")
    return (near > 0).astype(np.float32)


def save_presence(task: PresenceTask, path: Path) -> None:
    """Writes the weights in half precision, in the layout of `motion.presence.Presence`."""
    save_file(
        {
            "hidden": task.hidden.weight.detach().half().T.contiguous(),
            "hidden_bias": task.hidden.bias.detach().half(),
            "out": task.out.weight.detach().half()[0].contiguous(),
            "out_bias": task.out.bias.detach().half(),
        },
        path,
    )


@torch.no_grad()
def _encode(encoder: AudioEncoder, mel: np.ndarray) -> Tensor:
    heard = torch.from_numpy(mel.astype(np.float32))[None].to(encoder.out.weight.device)
    with reduced_precision(heard.device):
        return encoder.encode(heard)[0].half().cpu()


def _hard_mel(recordings: Sequence[Samples], rng: np.random.Generator) -> np.ndarray:
    make: Callable[[int, np.random.Generator], np.ndarray]
    make = electronic if rng.random() < 0.6 else barking
    if recordings and rng.random() < _RECORDED_SHARE:
        make = scenes(recordings)
    sound = make(_LENGTH, rng)
    level = 10 ** (rng.uniform(-45, -14) / 20)
    heard = augment.equalise((sound / (sound.std() + 1e-9) * level).astype(np.float32), rng=rng)
    if rng.random() < 0.3:
        noise = augment.make_noise("pink", _LENGTH, rng=rng)
        heard = heard + noise * np.float32(heard.std() * 10 ** rng.uniform(-2, -0.7))
    return stream_features(heard)
